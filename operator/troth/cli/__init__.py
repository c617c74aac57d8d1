"""The `troth` command."""

"""The reconcilers, one file for each kind: each has a function that takes a key and returns a Result."""

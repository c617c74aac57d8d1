"""The API server: client, informers, the work queue, events."""

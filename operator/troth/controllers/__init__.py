"""One file a kind: a reconcile function from a key to a Result."""

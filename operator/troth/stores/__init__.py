"""Where manifests go: Git, Kubernetes, a directory; one protocol, one writer task each."""

"""A control plane on your own machine: etcd and kube-apiserver without Docker."""

"""Troth: a Kubernetes operator for internal developer platforms. Promises, kept."""

__version__ = "0.1.0"

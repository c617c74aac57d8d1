"""A control plane on your own machine: etcd and kube-apiserver without Docker."""

from troth.dev.audit import AuditEntry, AuditLog
from troth.dev.binaries import Binaries, find_binaries, find_helm
from troth.dev.controlplane import CommandResult, ControlPlane, crds_folder
from troth.dev.errors import BinariesUnavailable, CommandFailed, DevError, ProcessFailed
from troth.dev.processes import Supervised

__all__ = [
    "AuditEntry",
    "AuditLog",
    "Binaries",
    "BinariesUnavailable",
    "CommandFailed",
    "CommandResult",
    "ControlPlane",
    "DevError",
    "ProcessFailed",
    "Supervised",
    "crds_folder",
    "find_binaries",
    "find_helm",
]

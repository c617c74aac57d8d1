"""The addresses of a node: what is the node's own, and the link between it and the machine.

A node has network namespaces of its own, so all nodes can have the same Pods and Services. Only the link is seen by
the machine, and it is numbered: as many nodes run beside each other as there are numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

PODS = "10.214.0.0/16"
PODS_GATEWAY = "10.214.0.1"
SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
API_PORT = 6443
UPLINK = "uplink"
NUMBERS = range(16)


@dataclass(frozen=True, slots=True)
class Addresses:
    """What differs between nodes on one machine.

    Attributes:
        number: one of `NUMBERS`.
    """

    number: int

    @property
    def name(self) -> str:
        """Of its network device on the machine, of its cgroup, and of the folder's beginning."""
        return f"troth-node-{self.number}"

    @property
    def machine(self) -> str:
        """The machine, seen from the node and its Pods."""
        return f"10.213.{self.number}.1"

    @property
    def node(self) -> str:
        """The node, seen from the machine."""
        return f"10.213.{self.number}.2"

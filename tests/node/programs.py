"""Where the programs of a node come from: Go modules for what is Kubernetes', packages for what is Linux'.

The control plane's are those of `troth dev`. What a node runs beside it is built once from `module/`, with the
house's way of building. A container runtime and its helpers come from the packages of Debian or Ubuntu, and only those
are installed that are not there in some form already: a machine with Docker has its own containerd.

Rejected: containerd from its Go module (a minute and a half more, and the 1.6 of Debian 12 does what is needed);
unpacking the packages beside the node instead of installing them (iptables looks for its extensions and libraries where
they belong).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from image.debian import KEYRING, PackagesUnavailable
from troth.dev.binaries import CONTROL_PLANE, Binaries, build_once, find_binaries, is_built
from troth.dev.errors import DevError
from troth.dev.gobuild import GoModule, GoProgram
from troth.dev.progress import Progress

NODE = GoModule(
    folder=Path(__file__).with_name("module"),
    programs=(
        GoProgram(
            "kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", "2 to 8 minutes, once"
        ),
        GoProgram("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", "half a minute"),
        GoProgram("kubelet", "k8s.io/kubernetes/cmd/kubelet", "a minute"),
        GoProgram("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", "half a minute"),
    ),
    ldflags=CONTROL_PLANE.ldflags,
)

YQ = GoModule(
    folder=Path(__file__).with_name("yq"),
    programs=(GoProgram("yq", "github.com/mikefarah/yq/v4", "a minute, once"),),
    ldflags="-s -w",
)

# The folders of programs that only root has on its PATH come last.
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))

_PACKAGES = {
    "busybox": "busybox-static",
    "containerd": "containerd",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "runc": "runc",
}
_KEYRING_PACKAGE = "debian-archive-keyring"
_PLUGINS_PACKAGE = "containernetworking-plugins"
_PLUGINS = ("bridge", "host-local", "loopback")
_PLUGIN_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
_APT = (
    "apt-get",
    "--quiet",
    "--yes",
    "--no-install-recommends",
    *("-o", "DPkg::Lock::Timeout=300"),
    *("-o", "Acquire::Retries=3"),
)
_APT_TIMEOUT = 900


@dataclass(frozen=True, slots=True)
class NodePrograms:
    """All programs of a node.

    Attributes:
        control_plane: etcd, kube-apiserver and kubectl.
        kubernetes: the folder of kube-controller-manager, kube-scheduler, kubelet and kube-proxy.
        containerd: the container runtime; ``containerd-shim-runc-v2`` and ``ctr`` are beside it.
        runc: what containerd starts containers with.
        plugins: the folder of the network plug-ins.
        busybox: a static one, for images.
    """

    control_plane: Binaries
    kubernetes: Path
    containerd: Path
    runc: Path
    plugins: Path
    busybox: Path

    @property
    def ctr(self) -> Path:
        """The client of containerd."""
        return self.containerd.with_name("ctr")


def find_node_programs(progress: Progress | None = None) -> NodePrograms:
    """Find, install or build all of them; the first time takes five minutes or more, later ones some milliseconds.

    Raises:
        PackagesUnavailable: a package cannot be installed; the message says why.
        DevError: one cannot be had; the message says why.
    """
    report = progress or Progress()
    install_packages(missing_packages(), report)
    return NodePrograms(
        control_plane=find_binaries(progress=report),
        kubernetes=build_once("node", NODE, progress=report),
        containerd=_program("containerd"),
        runc=_program("runc"),
        plugins=_plugins(),
        busybox=_program("busybox"),
    )


def find_busybox(progress: Progress | None = None) -> Path:
    """Find or install a static busybox, which is all that images need of a machine.

    Raises:
        DevError: it cannot be had; the message says why.
    """
    package = _PACKAGES["busybox"]
    install_packages([package] if package in missing_packages() else [], progress or Progress())
    return _program("busybox")


def find_yq(progress: Progress | None = None) -> Path:
    """Find or build the yq that scripts in Kratix's pipelines use.

    Raises:
        DevError: it cannot be had; the message says why.
    """
    return build_once("yq", YQ, progress=progress or Progress()) / "yq"


def can_build() -> bool:
    """Whether what is built with Go is there, or Go is."""
    return is_built("node", NODE) or shutil.which("go") is not None


def missing_packages() -> list[str]:
    """The packages whose programs are not on this machine, sorted."""
    found = {package for program, package in _PACKAGES.items() if shutil.which(program, path=PATH) is None}
    if _plugin_folder() is None:
        found.add(_PLUGINS_PACKAGE)
    if not KEYRING.exists():  # the image that ships is made of Debian's packages, also on Ubuntu
        found.add(_KEYRING_PACKAGE)
    return sorted(found)


def can_install() -> bool:
    """Whether missing packages could be had here."""
    return os.geteuid() == 0 and shutil.which("apt-get", path=PATH) is not None


def install_packages(packages: Sequence[str], progress: Progress) -> None:
    """Install packages of the distribution; nothing happens when there are none.

    Raises:
        PackagesUnavailable: they cannot be had; the message says why.
    """
    if not packages:
        return
    if not can_install():
        raise PackagesUnavailable(
            f"tests on a node need {', '.join(packages)}, and there is no apt-get to install them with"
        )
    with progress.step(f"installing {', '.join(packages)}", "half a minute, once"):
        outdated = ""
        try:
            _apt("update")
        except DevError as error:  # one list of many may be missing, and another has the packages
            outdated = f"{error}; "
        try:
            _apt("install", *packages)
        except DevError as error:
            raise PackagesUnavailable(f"{outdated}{error}") from error


def _apt(*arguments: str) -> None:
    done = subprocess.run(
        [*_APT, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=_APT_TIMEOUT,
        env={"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode != 0:
        last = done.stdout.decode(errors="replace").strip().splitlines()[-4:]
        raise DevError(f"apt-get {arguments[0]} failed: {'; '.join(last)}")


def _program(name: str) -> Path:
    found = shutil.which(name, path=PATH)
    if found is None:
        raise DevError(f"{name} is still missing although its package {_PACKAGES[name]} is installed")
    return Path(found)


def _plugins() -> Path:
    folder = _plugin_folder()
    if folder is None:
        raise DevError(f"no folder holds the network plug-ins although {_PLUGINS_PACKAGE} is installed")
    return folder


def _plugin_folder() -> Path | None:
    for folder in map(Path, _PLUGIN_FOLDERS):
        if all((folder / plugin).exists() for plugin in _PLUGINS):
            return folder
    return None

"""Finds, downloads or builds etcd, kube-apiserver, kubectl and helm.

The first of these that works is used: the folder that KUBEBUILDER_ASSETS names; the cache of an earlier time; the
archive that the controller-tools project publishes for tests like these, whose SHA-512 is compared with the one below;
`go build` of the exact modules that go.mod and go.sum in this package name. Helm is looked for on PATH first; we do
not have a checksum for an archive of it, so it is built otherwise.

Rejected: a container image (needs Docker); the distribution's packages (their etcd is too old for the watch cache
of Kubernetes 1.36, and most have no kube-apiserver); any etcd on PATH (an unknown version is not tested).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from troth.dev.archive import fetch
from troth.dev.cache import cache_root, digest_of, is_complete, publish, this_platform
from troth.dev.errors import BinariesUnavailable, DevError
from troth.dev.gobuild import GoModule, GoProgram, build
from troth.dev.progress import Progress

_MODULES = Path(__file__).with_name("modules")
KUBERNETES_VERSION = "v1.36.3"
_STAMP = "-X k8s.io/component-base/version."

CONTROL_PLANE = GoModule(
    folder=_MODULES / "controlplane",
    programs=(
        GoProgram("etcd", "go.etcd.io/etcd/server/v3", "half a minute"),
        GoProgram("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", "4 to 7 minutes on two cores, once"),
        GoProgram("kubectl", "k8s.io/kubernetes/cmd/kubectl", "a minute"),
    ),
    ldflags=f"-s -w {_STAMP}gitVersion={KUBERNETES_VERSION} {_STAMP}gitMajor=1 {_STAMP}gitMinor=36",
)
HELM = GoModule(
    folder=_MODULES / "helm",
    programs=(GoProgram("helm", "helm.sh/helm/v4/cmd/helm", "4 to 5 minutes on two cores, once"),),
    ldflags="-s -w",
)
_HELM_VERSION = "v4.3.1"


@dataclass(frozen=True, slots=True)
class Archive:
    """A published archive of the control plane's programs.

    Attributes:
        url: where it is.
        sha512: the SHA-512 of the whole file in base64, as its publisher gives it.
    """

    url: str
    sha512: str


_RELEASE = "https://github.com/kubernetes-sigs/controller-tools/releases/download/envtest-v1.36.2/envtest-v1.36.2"
ARCHIVES: Mapping[str, Archive] = {
    "linux-amd64": Archive(
        f"{_RELEASE}-linux-amd64.tar.gz",
        "6nQxhsinmfXPj68Wlp+GGJ0APLfRMOCsS1h4nx5XSNzzDr6RyDehDVrEFTg9o+ELnmTWV4XJOMI+c5eBz7dvCA==",
    ),
    "linux-arm64": Archive(
        f"{_RELEASE}-linux-arm64.tar.gz",
        "LXLumFqOJio8V9yffw/Ykfaox79+uqLbbcbY6siuKBga/lHB82i2d1bNtAsQ3psgVgnhcm5fJ/fG2CTdnGZJrA==",
    ),
    "darwin-arm64": Archive(
        f"{_RELEASE}-darwin-arm64.tar.gz",
        "knj55a9Vay8fLROXacHw1xfHtEJpF/3r26iYvLclqRbkkQ1hYIhhlP+b6Viep8XDLCuK4HVHA4dLfIuo3fxBzg==",
    ),
}


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of a control plane."""

    etcd: Path
    kube_apiserver: Path
    kubectl: Path


def find_binaries(
    *,
    environment: Mapping[str, str] | None = None,
    cache: Path | None = None,
    archives: Mapping[str, Archive] = ARCHIVES,
    module: GoModule = CONTROL_PLANE,
    progress: Progress | None = None,
) -> Binaries:
    """Find the programs of a control plane, or else download them, or else build them.

    This takes milliseconds when they exist, and up to ten minutes the first time if they cannot be downloaded. Several
    processes may call this at once; one of them does the work, and the others wait.

    Args:
        environment: where KUBEBUILDER_ASSETS and PATH are looked up; the process's own when absent.
        cache: the cache folder; the user's when absent.
        archives: the archives that may be downloaded, by platform.
        module: the module that is built when nothing can be downloaded.
        progress: shows the progress; on standard error when absent.

    Raises:
        BinariesUnavailable: nothing worked; says what was tried.
    """
    variables = os.environ if environment is None else environment
    report = progress or Progress()
    names = [program.name for program in module.programs]
    attempts: list[str] = []

    if assets := variables.get("KUBEBUILDER_ASSETS", ""):
        folder = Path(assets).expanduser().absolute()
        if is_complete(folder, names):
            return _binaries(folder)
        attempts.append(f"KUBEBUILDER_ASSETS={assets}: lacks {_missing(folder, names)}")
        report.say(f"{attempts[-1]}; looking in the cache")

    target = _target(cache, "controlplane", KUBERNETES_VERSION, module)
    if is_complete(target, names):
        return _binaries(target)
    attempts.append(f"the cache {target.parent}: not there yet")

    archive = archives.get(this_platform())

    def make(folder: Path) -> None:
        if archive is None:
            attempts.append(f"a download: none is published for {this_platform()}")
        elif _downloaded(archive, folder, names, attempts, report):
            return
        _build(module, folder, variables, attempts, report)

    publish(target, names, make, report)
    return _binaries(target)


def find_helm(
    *,
    environment: Mapping[str, str] | None = None,
    cache: Path | None = None,
    module: GoModule = HELM,
    progress: Progress | None = None,
) -> Path:
    """Find helm on PATH or in the cache, or else build it.

    Raises:
        BinariesUnavailable: nothing worked; says what was tried.
    """
    variables = os.environ if environment is None else environment
    report = progress or Progress()
    if installed := shutil.which("helm", path=variables.get("PATH", os.defpath)):
        return Path(installed)
    attempts = ["helm on PATH: not there"]
    target = _target(cache, "helm", _HELM_VERSION, module)
    return _built(target, module, attempts, variables, report) / module.programs[0].name


def build_once(
    name: str,
    module: GoModule,
    *,
    environment: Mapping[str, str] | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Find the programs of a module that has the version of the control plane in the cache, else build them there.

    Args:
        name: what the folder in the cache begins with.
        module: what is built; its go.mod and go.sum are part of the folder's name.
        environment: where PATH is looked up; the process's own when absent.
        cache: the cache folder; the user's when absent.
        progress: where progress is shown; standard error when absent.

    Returns:
        the folder that holds them.

    Raises:
        BinariesUnavailable: nothing worked; says what was tried.
    """
    variables = os.environ if environment is None else environment
    target = _target(cache, name, KUBERNETES_VERSION, module)
    return _built(target, module, [], variables, progress or Progress())


def is_built(name: str, module: GoModule) -> bool:
    """Whether the cache of this user has the programs of a module, so that `build_once` needs no Go."""
    return is_complete(_target(None, name, KUBERNETES_VERSION, module), [each.name for each in module.programs])


def _built(
    target: Path, module: GoModule, attempts: list[str], environment: Mapping[str, str], progress: Progress
) -> Path:
    names = [program.name for program in module.programs]
    if not is_complete(target, names):
        attempts.append(f"the cache {target.parent}: not there yet")
        publish(target, names, lambda folder: _build(module, folder, environment, attempts, progress), progress)
    return target


def _target(cache: Path | None, name: str, version: str, module: GoModule) -> Path:
    digest = digest_of(module.folder / "go.mod", module.folder / "go.sum")
    return (cache or cache_root()) / f"{name}-{version}-{this_platform()}-{digest}"


def _binaries(folder: Path) -> Binaries:
    return Binaries(folder / "etcd", folder / "kube-apiserver", folder / "kubectl")


def _missing(folder: Path, programs: Sequence[str]) -> str:
    return ", ".join(program for program in programs if not is_complete(folder, [program]))


def _downloaded(
    archive: Archive, folder: Path, programs: Sequence[str], attempts: list[str], progress: Progress
) -> bool:
    try:
        fetch(archive.url, archive.sha512, programs, folder, progress)
    except DevError as error:
        attempts.append(f"a download: {error}")
        progress.say(f"{error}; building the control plane with Go instead")
        return False
    return True


def _build(
    module: GoModule, folder: Path, environment: Mapping[str, str], attempts: list[str], progress: Progress
) -> None:
    try:
        build(module, folder, environment, progress)
    except DevError as error:
        attempts.append(f"go build: {error}")
        raise BinariesUnavailable([program.name for program in module.programs], attempts) from error

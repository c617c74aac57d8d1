"""Images with what the scripts of Kratix's pipelines use: yq, and the Python SDK.

Both consist of what is published: yq is built from its Go module, and the SDK is the wheel of PyPI, with the packages
that it depends on and Debian's Python. They are built once, into the caches of the node's programs and of the image.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from image.archive import Naming, write_archive
from image.debian import fetch_packages
from image.root import make_root
from image.wheels import fetch_wheels
from tests.node.images import Image, busybox_layer, layer
from tests.node.node import Node
from tests.node.programs import find_busybox, find_yq
from troth.dev.cache import digest_of, publish, this_platform
from troth.dev.progress import Progress

YQ = "localhost/yq:1"
PYTHON_SDK = "localhost/kratix-sdk:1"

_ROOT = Path(__file__).parents[2]
_CACHE = _ROOT / ".cache/image"
_LOCK = _ROOT / "requirements/sdk.txt"
_PACKAGES = ("base-files", "ca-certificates", "coreutils", "dash", "python3.11")
_ARCHIVE = "image.tar"


def load_yq(node: Node, folder: Path) -> None:
    """Give a node busybox with yq; ``folder`` holds the archive meanwhile.

    Raises:
        DevError: it cannot be built.
        CommandFailed: the node does not take it.
    """
    programs = layer({"bin/yq": find_yq().read_bytes()})
    node.load([Image(YQ, (busybox_layer(find_busybox()), programs))], folder)


def load_python_sdk(node: Node) -> None:
    """Give a node Debian's Python with the SDK; it runs as user 65532.

    Raises:
        DevError: it cannot be built.
        CommandFailed: the node does not take it.
    """
    folder = _CACHE / f"sdk-{digest_of(_LOCK)}"
    if not (folder / _ARCHIVE).is_file():
        publish(folder, [_ARCHIVE], _build_python_sdk, Progress())
    node.load_archive(folder / _ARCHIVE)


def _build_python_sdk(folder: Path) -> None:
    progress = Progress()
    packages = fetch_packages(_PACKAGES, _CACHE / "debian", progress)
    wheels = fetch_wheels(_LOCK, _CACHE / "sdk-wheels", progress)
    naming = Naming(PYTHON_SDK, "1", "unknown", 0, this_platform().partition("-")[2])
    with tempfile.TemporaryDirectory(prefix="troth-sdk-") as place:
        root = Path(place, "root")
        root.mkdir(mode=0o755)
        make_root(root, packages, wheels, "")
        write_archive(root, folder / _ARCHIVE, naming)
    (folder / _ARCHIVE).chmod(0o755)  # `publish` takes what may be executed for complete

"""The bill of materials (SBOM): every package and distribution in the image, as CycloneDX 1.5 in JSON.

CycloneDX and not SPDX: it needs no relationship and no licence statement for each entry, of which we know none.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from image.debian import SUITE, DebianPackage
from image.wheels import Wheel


def bill_of_materials(packages: Sequence[DebianPackage], wheels: Sequence[Wheel], version: str, epoch: int) -> str:
    """The text of the bill: the same arguments give the same text.

    Args:
        packages: those of Debian.
        wheels: the Python distributions.
        version: Troth's.
        epoch: the time that the bill names, in seconds since 1970.
    """
    components = [*map(_of_package, packages), *map(_of_wheel, wheels)]
    identity = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([version, epoch, components]))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{identity}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "container", "bom-ref": "image", "name": "troth", "version": version},
        },
        "components": components,
    }
    return json.dumps(bill, indent=1) + "\n"


def _of_package(package: DebianPackage) -> dict[str, Any]:
    identifier = (
        f"pkg:deb/debian/{quote(package.name)}@{quote(package.version)}?arch={package.architecture}&distro={SUITE}"
    )
    return _component(package.name, package.version, package.sha256, identifier)


def _of_wheel(wheel: Wheel) -> dict[str, Any]:
    name = wheel.name.lower().replace("_", "-")
    return _component(name, wheel.version, wheel.sha256, f"pkg:pypi/{name}@{quote(wheel.version)}")


def _component(name: str, version: str, sha256: str, identifier: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": identifier,
        "name": name,
        "version": version,
        "purl": identifier,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }

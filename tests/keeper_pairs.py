"""Generates two editions of a Promise with its Destinations. The same number always gives the same ones.

These things may differ between the two: the names of pipelines, which pipeline and which file renders an object, which
objects there are, which directory has its own Destination, and which store a Destination has. The kind and the name
of an object never differ.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.platforms import Object, destination, promise

SEED: Final = 20261129
TIERS: Final = ("a", "b")
_NAMES: Final = ("instance", "main", "database", "web", "extra")
_KINDS: Final = ("ConfigMap", "Service", "PersistentVolumeClaim", "ConfigMap")
_MODES: Final = ("nestedByMetadata", "none", "aggregatedYAML")

BODIES: Final[Mapping[str, str]] = {
    "ConfigMap": "apiVersion: v1\nkind: ConfigMap\nMETA\ndata: {edition: EDITION}\n",
    "Service": "apiVersion: v1\nkind: Service\nMETA\nspec: {ports: [{port: 80}]}\n",
    "PersistentVolumeClaim": (
        "apiVersion: v1\nkind: PersistentVolumeClaim\nMETA\n"
        "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"
    ),
}
_PARENT: Final = (
    "    kratix.io/parent-promise-name: {{ promise.name }}\n"
    "    kratix.io/parent-resource-name: {{ name }}\n"
    "    kratix.io/parent-resource-namespace: {{ namespace }}\n"
)


@dataclass(frozen=True)
class Edition:
    """A Promise and its Destinations.

    Attributes:
        promise: the Promise.
        destinations: its Destinations.
        objects: (kind, name) of everything that is rendered for a request and for the Promise itself.
    """

    promise: Object
    destinations: tuple[Object, ...]
    objects: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Pair:
    """The edition before and the edition after. ``cluster`` says that the stores are KubernetesStateStores."""

    before: Edition
    after: Edition
    cluster: bool

    @property
    def both(self) -> frozenset[tuple[str, str]]:
        """The objects in both editions."""
        return self.before.objects & self.after.objects


def generate(number: int, unique: str, namespace: str, *, part: str = "") -> Pair:
    """A pair of editions. With ``part``, the name of a Promise, one of the objects is a request of it (a component)."""
    choose = random.Random(SEED + number)
    name = f"{unique}k{number}"
    cluster = number % 2 == 0
    kinds = {f"{name}-{index}": choose.choice(_KINDS) for index in range(choose.choice((2, 3, 4)))}
    if cluster and part:
        kinds[f"{name}-part"] = part
    own = {f"{name}-own{index}": "ConfigMap" for index in range(choose.choice((0, 1, 2)))}
    modes = {tier: choose.choice(_MODES) for tier in TIERS}
    editions = [
        _edition(choose, edition, name, namespace, kinds, own, modes, cluster=cluster, part=part)
        for edition in ("before", "after")
    ]
    return Pair(editions[0], editions[1], cluster)


def _edition(
    choose: random.Random,
    edition: str,
    name: str,
    namespace: str,
    kinds: Mapping[str, str],
    own: Mapping[str, str],
    modes: Mapping[str, str],
    *,
    cluster: bool,
    part: str,
) -> Edition:
    there = {each: kind for each, kind in kinds.items() if choose.random() < 0.9} or dict(kinds)
    pipelines = _pipelines(choose, edition, name, there, part)
    made = promise(name, selectors={"for": name, "tier": "a"})
    made["spec"]["workflows"]["resource"]["configure"] = pipelines
    own_there = {each: kind for each, kind in own.items() if choose.random() < 0.9}
    dependencies = [each for each in own_there if choose.random() < 0.5]
    if dependencies:
        made["spec"]["dependencies"] = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": each, "namespace": namespace},
                "data": {"edition": edition},
            }
            for each in dependencies
        ]
    rest = {each: kind for each, kind in own_there.items() if each not in dependencies}
    if rest:
        made["spec"]["workflows"]["promise"] = {
            "configure": _pipelines(choose, edition, f"{name}-own", rest, "", namespace=namespace)
        }
    kind = "KubernetesStateStore" if cluster else "GitStateStore"
    destinations = tuple(
        destination(
            f"{name}-{tier}",
            store=f"{name}-{choose.choice((0, 0, 1))}",
            kind=kind,
            labels={"for": name, "tier": tier},
            filepath={"mode": modes[tier]},
        )
        for tier in TIERS
    )
    objects = frozenset((kind, each) for each, kind in {**there, **own_there}.items())
    return Edition(made, destinations, objects)


def _pipelines(
    choose: random.Random,
    edition: str,
    name: str,
    kinds: Mapping[str, str],
    part: str,
    *,
    namespace: str = "{{ namespace }}",
) -> list[Object]:
    """Pipelines that together render these objects, each object in its own file or several in one."""
    names = choose.sample(_NAMES, choose.choice((1, 1, 2, 3)))
    files: dict[str, dict[str, list[str]]] = {each: {} for each in names}
    for each, kind in kinds.items():
        pipeline = choose.choice(names)
        folder = choose.choice(("", "", "other/"))
        path = choose.choice((f"{folder}{each}.yaml", f"{folder}{name}-{pipeline}.yaml"))
        files[pipeline].setdefault(path, []).append(_body(each, kind, edition, namespace, part))
    return [_pipeline(name, each, files[each]) for each in names if files[each]]


def _pipeline(name: str, pipeline: str, files: Mapping[str, Sequence[str]]) -> Object:
    spec: dict[str, Any] = {
        "files": [{"path": path, "template": "---\n".join(bodies)} for path, bodies in files.items()]
    }
    if any(path.startswith("other/") for path in files):
        # The tier follows from the pipeline's name, so that a group that keeps its name keeps its Destination.
        labels = {"for": name.removesuffix("-own"), "tier": TIERS[len(pipeline) % 2]}
        spec["destinations"] = [{"directory": "other", "matchLabels": labels}]
    return {
        "apiVersion": "troth.dev/v1alpha1",
        "kind": "JinjaPipeline",
        "metadata": {"name": pipeline},
        "spec": spec,
    }


def _body(name: str, kind: str, edition: str, namespace: str, part: str) -> str:
    meta = f"metadata:\n  name: {name}\n  namespace: '{namespace}'\n  labels:\n    edition: {edition}\n"
    if kind == part and part:
        return f"apiVersion: {part}.example.com/v1\nkind: Kind{part}\n{meta}{_PARENT}spec: {{size: {edition}}}\n"
    return BODIES[kind].replace("META\n", meta).replace("EDITION", edition)

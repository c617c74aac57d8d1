"""Attackers who make requests in one namespace, or write Promises: too many, slow, large, deep or disguised ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from itertools import count
from typing import Any

from tests.deep_objects import nest
from tests.forging import MARK
from tests.hostile.attackers import Attack, Ground, edit, flood, tried
from tests.platforms import Object, api_of, destination, promise, request
from troth.api.resources import DESTINATION, KUBERNETES_STATE_STORE, PROMISE

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
TIMES_OUT = f"kind: A\n{{% if spec.n %}}b: {LOOP}{{% endif %}}\n"
CANNOT_BE_INTERRUPTED = "kind: A\nb: {{ (10**100) | round(0 - spec.n) if spec.n else 1 }}\n"
BACKTRACKS = "kind: A\nb: {{ spec.note | regex_search('^(a+)+$') }}\n"
TEXT = '{{ "a" * 1400000 }}'
FILLS_MEMORY = (
    "{% set a = namespace(x=[]) %}{% for i in range(99) %}"
    '{% set a.x = a.x + [("a" * 7000000) + i | string] %}{% endfor %}{{ a.x | length }}'
)
PASSWORD = f"{MARK}-password"
DOCUMENT = f"x\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {MARK}, namespace: default}}\n"
_NEVER = 10**9


def pipeline(name: str, files: list[Object]) -> Object:
    """A pipeline."""
    return {
        "apiVersion": "troth.dev/v1alpha1",
        "kind": "JinjaPipeline",
        "metadata": {"name": name},
        "spec": {"files": files},
    }


def of_pipelines(*pipelines: Object) -> Object:
    """The workflows of a Promise whose requests are rendered by these pipelines."""
    return {"resource": {"configure": list(pipelines)}}


def seven_megabytes(path: str = "text") -> Object:
    """A file template that renders five files of 1.4 MB each, which gzip makes small."""
    return {"path": path + "-{{ index }}.txt", "template": TEXT, "forEach": "{{ range(5) | list }}"}


def slow_promise(name: str, *, edition: int = 0) -> Object:
    """A Promise without an API, whose own pipeline does not end, and differs in each edition."""
    template = f"kind: A\nb: {name}-{edition}{LOOP}\n"
    return _without_api(
        name, {"promise": {"configure": [pipeline("own", [{"path": "a.yaml", "template": template}])]}}
    )


async def requests_that_time_out(ground: Ground) -> AsyncGenerator[None, None]:
    """Creates two hundred requests that time out, and edits one of them again and again."""
    corner = await ground.corner("endless", template=TIMES_OUT)
    yield
    await flood(ground.client, corner.name, corner.name, [{"n": _NEVER + n} for n in range(200)])
    for number in count(1):
        yield
        await edit(ground.client, corner.name, corner.name, f"r{number % 200}", n=number)


async def requests_that_cannot_be_interrupted(ground: Ground) -> AsyncGenerator[None, None]:
    corner = await ground.corner("rounds", template=CANNOT_BE_INTERRUPTED)
    yield
    await flood(ground.client, corner.name, corner.name, [{"n": _NEVER + n} for n in range(20)])
    for number in count(1):
        yield
        await edit(ground.client, corner.name, corner.name, f"r{number % 20}", n=_NEVER - number)


async def requests_that_backtrack(ground: Ground) -> AsyncGenerator[None, None]:
    """Creates them with a first pipeline that renders a password, which must not appear in anybody else's files."""
    first = pipeline("first", [{"path": "secret.yaml", "template": "kind: A\npassword: {{ spec.password }}\n"}])
    second = pipeline("second", [{"path": "second.yaml", "template": BACKTRACKS}])
    corner = await ground.corner("regex", workflows=of_pipelines(first, second))
    yield
    notes = ["a" * (30 + n) + "!" for n in range(10)]
    await flood(ground.client, corner.name, corner.name, [{"note": n, "password": PASSWORD} for n in notes])
    for number in count(1):
        yield
        await edit(ground.client, corner.name, corner.name, f"r{number % 10}", note="a" * (50 + number) + "!")


async def requests_that_render_much(ground: Ground) -> AsyncGenerator[None, None]:
    """Creates requests that render megabytes of text, and lists that fill the memory."""
    greedy = {"path": "greedy.yaml", "when": "{{ spec.greedy }}", "template": "a: " + FILLS_MEMORY}
    corner = await ground.corner("texts", files=[seven_megabytes(), greedy])
    yield
    await flood(ground.client, corner.name, corner.name, [{"greedy": number % 2 == 0} for number in range(12)])
    for number in count():
        yield
        await edit(ground.client, corner.name, corner.name, f"r{number % 12}", edition=number)


async def requests_that_nest_deep(ground: Ground) -> AsyncGenerator[None, None]:
    corner = await ground.corner("deep")
    yield
    for number in count():
        if number < 9:
            body = request(corner.name, f"deep-{number}", corner.name, x="the hole")
            with tried():
                await ground.hand.post(api_of(corner.name), body, nest((260, 1_100, 4_000)[number % 3]))
        else:
            await edit(ground.client, corner.name, corner.name, f"deep-{number % 9}", size=str(number))
        yield


async def requests_without_end(ground: Ground) -> AsyncGenerator[None, None]:
    """Creates eight requests that are correct, and edits them all the time."""
    corner = await ground.corner("edits")
    yield
    await flood(ground.client, corner.name, corner.name, [{"size": "0"}] * 8)
    for number in count():
        yield
        for each in range(8):
            await edit(ground.client, corner.name, corner.name, f"r{each}", size=str(number))


async def values_that_would_be_documents(ground: Ground) -> AsyncGenerator[None, None]:
    """Tries such values in files that are joined, in names of files, and on a cluster."""
    files = [
        {"path": "{{ spec.path }}", "template": "a: {{ spec.note }}\n"},
        {"path": "NOTES.txt", "template": "{{ spec.note }}"},
    ]
    joined = await ground.corner("joined", files=files, at={"filepath": {"mode": "aggregatedYAML"}})
    flat = await ground.corner("flat", files=files[:1], at={"filepath": {"mode": "none"}})
    cluster = f"{ground.name}cluster"
    await ground.platform.make(KUBERNETES_STATE_STORE, _cluster_store(cluster))
    target = destination(cluster, store=cluster, kind="KubernetesStateStore", labels={"for": cluster})
    await ground.platform.make(DESTINATION, target)
    template = "apiVersion: v1\nkind: Namespace\nmetadata: {name: '{{ spec.team }}', labels: {by: '{{ name }}'}}\n"
    await ground.platform.publish(promise(cluster, template=template, selectors={"for": cluster}))
    paths = ("x.YAML", "kustomization.yaml", ".github/workflows/ci.yaml", "../../x.yaml", "README.md", "É.yaml")
    specs = [{"path": path, "note": note} for path in paths for note in (DOCUMENT, "a: b: c: [ {")]
    yield
    for corner in (joined, flat):
        await flood(ground.client, corner.name, corner.name, specs)
    teams = [{"team": team} for team in ("default", "kube-system", joined.name, f"x\n---\n{MARK}")]
    await flood(ground.client, cluster, joined.name, teams)
    for number in count():
        yield
        spec = specs[number % len(specs)]
        await edit(ground.client, joined.name, joined.name, f"r{number % 7}", **spec)
        await edit(ground.client, flat.name, flat.name, f"r{number % 5}", **spec)
        await edit(ground.client, cluster, joined.name, f"r{number % 4}", **teams[number % 3])


async def promises_that_time_out(ground: Ground) -> AsyncGenerator[None, None]:
    """Creates twenty Promises whose own pipelines do not end, and edits them while they wait."""

    yield
    for number in range(20):
        with tried():
            await ground.platform.make(PROMISE, slow_promise(f"{ground.name}slow{number}"))
    for number in count():
        yield
        with tried():
            await ground.platform.make(
                PROMISE, slow_promise(f"{ground.name}slow{number % 20}", edition=1 + number // 20)
            )


async def promises_beyond_the_bounds(ground: Ground) -> AsyncGenerator[None, None]:
    """Creates Promises that are nested too deeply, use an API of Kubernetes, or keep Works in a system namespace."""
    for letter, group in (("k", "k8s.io"), ("t", "platform.kratix.io")):
        name = f"{ground.name}{letter}"
        body = promise(name)
        annotations = {"api-approved.kubernetes.io": "unapproved"}
        body["spec"]["api"]["metadata"] = {"name": f"{name}s.{group}", "annotations": annotations}
        body["spec"]["api"]["spec"]["group"] = group
        await ground.platform.make(PROMISE, body)
    reaching = promise(f"{ground.name}reach")
    reaching["spec"]["workflows"]["config"] = {"pipelineNamespace": "kube-system"}
    await ground.platform.make(PROMISE, reaching)
    yield
    for number in count():
        name = f"{ground.name}deep{number}"
        if number < 6:
            manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": "the hole"}
            body = _without_api(name, {}, dependencies=[manifest])
            ground.platform.note(PROMISE, name)
            with tried():
                await ground.hand.post(PROMISE, body, nest((260, 1_200)[number % 2]))
        yield


ATTACKS: tuple[Attack, ...] = (
    requests_that_time_out,
    requests_that_cannot_be_interrupted,
    requests_that_backtrack,
    requests_that_render_much,
    requests_that_nest_deep,
    requests_without_end,
    values_that_would_be_documents,
    promises_that_time_out,
    promises_beyond_the_bounds,
)


def _without_api(name: str, workflows: Mapping[str, Any], **spec: Any) -> Object:
    body = promise(name, selectors={"for": name}, **spec)
    del body["spec"]["api"]
    body["spec"]["workflows"] = dict(workflows)
    return body


def _cluster_store(name: str) -> Object:
    kind = KUBERNETES_STATE_STORE
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, "spec": {}}

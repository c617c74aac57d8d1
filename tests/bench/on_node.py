"""`python -m tests.bench.on_node`: container pipelines on a real node, against Jobs without an operator.

A request of one container that writes three files is measured from its creation to the commit, in turns with two bare
Jobs: one with as many containers as the operator's has, and one with as many as Kratix's (the author's and three
more). Their containers end at once, so what they take is what Kubernetes takes. Then many requests are made at once.

The node's API server keeps no audit log, so writes are counted by the operator (its metric ``troth_api_calls``).
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from prometheus_client.parser import text_string_to_metric_families

from tests.bench.commits import CommitWatch
from tests.bench.counting import percentile
from tests.bench.table import Row, Section, render
from tests.node.choice import missing_for_node, started_node
from tests.node.images import BUSYBOX
from tests.node.node import Node
from tests.node.platform import NodeOperator, running_operator
from tests.node.shipped_image import loaded_image, shipped_archive
from tests.node.sites import Site, api_of, made_site, read_promise
from tests.platforms import Platform, is_ready
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import JOB
from troth.dev import DevError
from troth.kube import Client, load_credentials

_NAMESPACE = "bench"
_KRATIX = 4  # reader, the author's, work-writer, status-writer
_OBJECTS = 5  # of a run, beside which the target counts: account, role, binding, selectors, and the Job itself
_WITHIN = 900.0
_WRITES = ("DELETE", "PATCH", "POST", "PUT")
_SCRIPT = """\
for name in first second third; do
  printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: %s-%s}\\n' \
    "$KRATIX_OBJECT_NAME" "$name" >"/kratix/output/$name.yaml"
done
"""

Say = Callable[[str], None]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--singles", default=8, show_default=True, help="How many turns, one after another.")
@click.option("--burst", default=50, show_default=True, help="How many requests at once; 0 for none.")
def main(singles: int, burst: int) -> None:
    """Measure container pipelines on a node; a missed target is said in the table and is no error."""
    if (missing := missing_for_node()) is not None:
        click.echo(f"bench: {missing}", err=True)
        sys.exit(1)
    load = os.getloadavg()[0]
    try:
        with started_node() as node, tempfile.TemporaryDirectory(prefix="troth-bench-") as folder:
            image = loaded_image(node, shipped_archive())
            with running_operator(node, image, Path(folder)) as operator:
                sections = asyncio.run(_measure(node, operator, singles, burst))
    except (TimeoutError, AssertionError, DevError) as error:
        click.echo(f"bench: could not be measured: {error or 'not finished in time'}", err=True)
        sys.exit(1)
    print(f"{os.cpu_count()} cores, load before: {load:.2f}, after: {os.getloadavg()[0]:.2f}")
    print(render(sections, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))


async def _measure(node: Node, operator: NodeOperator, singles: int, burst: int) -> list[Section]:
    def say(what: str) -> None:
        click.echo(f"bench: {what}", err=True)

    node.kubectl("create", "namespace", _NAMESPACE)
    async with Client(await load_credentials(Path(node.kubeconfig), None), user_agent="troth-bench") as client:
        site = await made_site(operator, Platform(client), _NAMESPACE)
        await site.add_destination("dev", promise="bundle")
        promise = read_promise("three-files")
        pipeline = promise["spec"]["workflows"]["resource"]["configure"][0]
        pipeline["spec"]["containers"][0]["args"] = [_SCRIPT]
        await site.publish_object(promise)
        async with CommitWatch(site.repository.path, files=3) as commits:
            api = api_of(promise)
            sections = [await _turns(site, commits, api, singles, say)]
            if burst:
                sections.append(await _burst(site, operator, commits, api, burst, say))
        return sections


async def _turns(site: Site, commits: CommitWatch, api: Resource, turns: int, say: Say) -> Section:
    await _commit(site, commits, api, "warm")
    (job,) = await site.jobs()
    pod = job["spec"]["template"]["spec"]
    ours = len(pod["initContainers"]) + len(pod["containers"])
    taken: dict[str, list[float]] = {"request": [], "ours": [], "kratix": []}
    for turn in range(turns):
        say(f"turn {turn + 1} of {turns}")
        taken["request"].append(await _commit(site, commits, api, f"one-{turn}"))
        taken["ours"].append(await _complete(site.client, f"ours-{turn}", ours))
        taken["kratix"].append(await _complete(site.client, f"kratix-{turn}", _KRATIX))
    request, like_ours, like_kratix = (percentile(taken[name], 50) for name in ("request", "ours", "kratix"))
    rows = [
        Row("apply → committed, p50", request, "s"),
        Row(f"bare Job with {ours} containers, as ours, p50", like_ours, "s"),
        Row(f"bare Job with {_KRATIX} containers, as Kratix's, p50", like_kratix, "s"),
        Row("apply → committed / bare Job as ours", request / like_ours, "", 1.3, inclusive=True),
        Row("apply → committed / bare Job as Kratix's", request / like_kratix, "", 0.75, inclusive=True),
    ]
    remarks = [f"{name}: {', '.join(f'{each:.2f}' for each in sorted(found))} s" for name, found in taken.items()]
    return Section(f"One container that writes three files, {turns} turns", rows, remarks)


async def _burst(
    site: Site, operator: NodeOperator, commits: CommitWatch, api: Resource, count: int, say: Say
) -> Section:
    say(f"{count} requests at once")
    names = [f"many-{number}" for number in range(count)]
    before, head = _calls(operator), site.repository.head()
    began = time.monotonic()
    await asyncio.gather(*(site.ask(api, name, {"size": "small"}) for name in names))
    committed = await commits.until(names, within=_WITHIN) - began
    for name in names:
        await site.wait(api, name, is_ready, within=_WITHIN)
    ready = time.monotonic() - began
    after = _calls(operator)
    writes = {method: (after[method] - before[method]) / count for method in _WRITES}
    rows = [
        Row("all committed", committed, "s"),
        Row("all Ready", ready, "s"),
        Row("commits", await asyncio.to_thread(commits.count, head), "", 10, inclusive=True),
        Row("API writes a request, without the objects of its Job", sum(writes.values()) - _OBJECTS, "", 4, True),
    ]
    told = ", ".join(f"{method} {number:.2f}" for method, number in writes.items())
    remarks = [f"the operator's calls a request: {told}; {_OBJECTS} of them apply its Job and what that needs"]
    return Section(f"{count} requests at once", rows, remarks)


async def _commit(site: Site, commits: CommitWatch, api: Resource, name: str) -> float:
    """Seconds from the creation of a request to the commit with all of its files."""
    began = time.monotonic()
    await site.ask(api, name, {"size": "small"})
    committed = await commits.until([name], within=_WITHIN)
    await site.ready(api, name)
    return committed - began


async def _complete(client: Client, name: str, containers: int) -> float:
    """Seconds from the creation of a bare Job until it is Complete; its containers end at once."""
    every = [{"name": f"c{number}", "image": BUSYBOX, "command": ["/bin/true"]} for number in range(containers)]
    pod = {"restartPolicy": "Never", "initContainers": every[:-1], "containers": every[-1:]}
    job: dict[str, Any] = {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {"name": name, "namespace": _NAMESPACE},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }
    began = time.monotonic()
    await client.create(JOB, job)

    async def complete() -> bool:
        live = await client.get(JOB, name, _NAMESPACE)
        found = live.get("status", {}).get("conditions") or ()
        return any(each["type"] == "Complete" and each["status"] == "True" for each in found)

    await eventually(complete, f"the Job {name} is complete", within=_WITHIN)
    taken = time.monotonic() - began
    await client.delete(JOB, name, _NAMESPACE)
    return taken


def _calls(operator: NodeOperator) -> dict[str, float]:
    """How many calls to the API server the operator has made, by method."""
    found = dict.fromkeys(_WRITES, 0.0)
    for family in text_string_to_metric_families(operator.processes[-1].metrics()):
        for sample in family.samples:
            if sample.name == "troth_api_calls_total" and sample.labels["method"] in found:
                found[sample.labels["method"]] += sample.value
    return found


if __name__ == "__main__":
    main()

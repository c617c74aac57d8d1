"""What people see first, with the real kubectl: the columns of a request, and the end of a wait that is in vain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.platforms import Platform, Repository, api_of, condition, failure, promise
from troth.api.resources import DESTINATION, GIT_STATE_STORE, PROMISE
from troth.dev import CommandResult

Kubectl = Callable[..., Awaitable[CommandResult]]

TEMPLATE = """\
{% if spec.size is defined and spec.size == "huge" %}{{ fail("There is no size huge. Take small") }}{% endif %}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ name }}, namespace: {{ namespace }}}
"""


async def columns(kubectl: Kubectl, *arguments: str) -> dict[str, str]:
    """The one row of a table by its headings."""
    heading, row = (await kubectl("get", *arguments)).stdout.splitlines()
    starts = [
        index
        for index in range(len(heading))
        if heading[index] != " " and (not index or heading[index - 1] == " ")
    ]
    starts = [start for start in starts if heading[start - 3 : start].isspace() or not start]
    ends = [*starts[1:], None]
    return {heading[start:end].strip(): row[start:end].strip() for start, end in zip(starts, ends, strict=True)}


async def stalls(kubectl: Kubectl, *arguments: str) -> bool:
    """Whether ``kubectl wait`` sees it stall."""
    waited = await kubectl("wait", "--for=condition=Stalled", *arguments, "--timeout=20s", check=False)
    return waited.code == 0


async def test_a_refusal_is_the_message_beside_ready_and_ends_a_wait(
    platform: Platform, repository: Repository, kubectl: Kubectl, namespace: str, unique: str
) -> None:
    await platform.publish(
        promise(unique, template=TEMPLATE, pipeline={"status": {"message": "connect to {{ name }}"}})
    )
    where = (f"{unique}s.{unique}.example.com/orders", "-n", namespace)
    await platform.ask(unique, "orders", namespace, size="small")
    await platform.ready(unique, "orders", namespace)
    shown = await columns(kubectl, *where)
    assert list(shown) == ["NAME", "STATUS", "READY", "MESSAGE", "AGE"]
    assert (shown["READY"], shown["MESSAGE"]) == ("True", "connect to orders")
    await platform.ask(unique, "orders", namespace, size="huge")
    assert await stalls(kubectl, *where)
    shown = await columns(kubectl, *where, "-o", "wide")
    assert list(shown) == ["NAME", "STATUS", "READY", "MESSAGE", "REASON", "VERSION", "AGE"]
    assert (shown["STATUS"], shown["READY"]) == ("Failing", "False")
    assert (shown["MESSAGE"], shown["REASON"]) == ("There is no size huge. Take small", "ConfigureWorkflowFailed")
    live = await platform.client.get(api_of(unique), "orders", namespace)
    assert (failure(live)["file"], failure(live)["line"]) == ("object.yaml", 1)
    await platform.ask(unique, "orders", namespace, size="small")
    live = await platform.ready(unique, "orders", namespace)
    assert not condition(live, "Stalled")
    assert live["status"]["message"] == "connect to orders"


async def test_a_promise_that_cannot_be_carried_out_stalls_until_it_is_edited(
    platform: Platform, repository: Repository, kubectl: Kubectl, unique: str
) -> None:
    unfit = promise(unique, template="a: {{ spec.size")
    await platform.make(PROMISE, unfit)
    assert await stalls(kubectl, f"promise/{unique}")
    refused = promise(unique, spec_schema={"type": "object", "properties": {"size": {"type": "text"}}})
    await platform.make(PROMISE, refused)
    await platform.wait(PROMISE, unique, lambda live: "spec.api" in condition(live, "Stalled").get("message", ""))
    live = await platform.publish(promise(unique))
    assert not condition(live, "Stalled")


async def test_a_store_and_a_destination_stall_where_only_their_own_edit_helps(
    platform: Platform, repository: Repository, kubectl: Kubectl, unique: str
) -> None:
    await kubectl("patch", "destination", unique, "--type=merge", "-p", '{"spec": {"path": "../other"}}')
    assert await stalls(kubectl, f"destination/{unique}")
    await kubectl("patch", "destination", unique, "--type=merge", "-p", f'{{"spec": {{"path": "{unique}"}}}}')
    live = await platform.wait(DESTINATION, unique, lambda live: condition(live, "Ready").get("status") == "True")
    assert not condition(live, "Stalled")
    assert live["status"]["observedGeneration"] == live["metadata"]["generation"]
    await kubectl("patch", "gitstatestore", unique, "--type=merge", "-p", '{"spec": {"branch": "a..b"}}')
    assert await stalls(kubectl, f"gitstatestore/{unique}")
    shown = await columns(kubectl, f"gitstatestore/{unique}", "-o", "wide")
    assert shown["REASON"] == "InvalidStateStore"
    await kubectl("patch", "gitstatestore", unique, "--type=merge", "-p", '{"spec": {"branch": "main"}}')
    live = await platform.wait(
        GIT_STATE_STORE, unique, lambda live: condition(live, "Ready").get("status") == "True"
    )
    assert not condition(live, "Stalled")

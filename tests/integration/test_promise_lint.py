"""A Promise that is applied says what lint finds in it, in its status and in an Event, and works all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.container_site import Site, containers
from tests.platforms import Platform, Repository, condition, events_of, is_ready, promise, says
from tests.waiting import eventually
from troth.api.resources import PROMISE
from troth.dev import AuditLog

SCHEMA = {
    "type": "object",
    "required": ["size"],
    "properties": {"size": {"type": "string"}, "owner": {"type": "string"}},
}
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {{{{ name }}}}}}\ndata:\n  a: {what}\n"
SERVICE = """apiVersion: v1
kind: Service
metadata:
  name: {{ name }}
spec:
  ports:
  - name: {{ spec.size | default('web') }}
    port: http
"""


def written(name: str, what: str) -> dict[str, Any]:
    """A Promise whose requests must have a spec."""
    obj = promise(name, template=OBJECT.format(what=what), spec_schema=SCHEMA)
    obj["spec"]["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["required"] = ["spec"]
    return obj


def linted(status: str, generation: int = 1) -> Any:
    def says(live: Mapping[str, Any]) -> bool:
        found = (live.get("status") or {}).get("observedGeneration") == generation and condition(
            live, "Linted"
        ).get("status") == status
        return found and is_ready(live)

    return says


async def test_an_error_is_told_with_code_place_and_fix_and_goes_when_it_is_mended(
    platform: Platform, repository: Repository, unique: str, audit: AuditLog
) -> None:
    await platform.make(PROMISE, written(unique, "{{ spec.owner }}"))
    live = await platform.wait(PROMISE, unique, linted("False"))
    (finding,) = live["status"]["troth"]["findings"]
    assert (finding["code"], finding["place"]) == ("T102", "instance/object.yaml:5")
    message = condition(live, "Linted")["message"]
    assert "instance/object.yaml:5: T102: " in message
    assert "default" in message

    async def event() -> bool:
        found = await events_of(platform.client, live)
        return any((entry["type"], entry["reason"]) == ("Warning", "LintErrors") for entry in found)

    await eventually(event, "an Event LintErrors")
    writes = audit.writes(lambda entry: f"/promises/{unique}/status" in entry.uri)
    assert len(writes) <= 3  # when the API is asked for, when it is served, and when lint is done

    patch = {"spec": written(unique, "{{ spec.owner | default('nobody') }}")["spec"]}
    await platform.client.merge_patch(PROMISE, unique, patch)
    live = await platform.wait(PROMISE, unique, linted("True", 2))
    assert "findings" not in live["status"]["troth"]


async def test_a_request_of_a_promise_with_errors_is_carried_out(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await platform.publish(written(unique, "{{ spec.owner }}"))
    await platform.wait(PROMISE, unique, linted("False"))
    await platform.ask(unique, "one", namespace, size="small", owner="me")
    await platform.ready(unique, "one", namespace)


async def test_a_comment_in_the_template_silences(platform: Platform, repository: Repository, unique: str) -> None:
    comment = "{# troth:ignore T102 the portal always says it #} {# troth:ignore T208 the portal always says it #}"
    await platform.make(PROMISE, written(unique, "{{ spec.owner }} " + comment))
    live = await platform.wait(PROMISE, unique, linted("True"))
    assert "findings" not in live["status"]["troth"]


async def test_an_object_that_kubernetes_would_refuse_is_told_before_anybody_asks_for_it(
    platform: Platform, repository: Repository, unique: str
) -> None:
    obj = promise(unique, template=SERVICE, spec_schema=SCHEMA)
    await platform.make(PROMISE, obj)
    live = await platform.wait(PROMISE, unique, linted("False"))
    (finding,) = live["status"]["troth"]["findings"]
    assert (finding["code"], finding["place"]) == ("T202", "instance/object.yaml:8")
    assert "spec.ports[0].port" in finding["message"]


async def test_a_promise_that_refuses_whatever_lint_asks_for_is_not_said_to_be_right(
    platform: Platform, repository: Repository, unique: str
) -> None:
    refusing = '{% if "team" not in labels %}{{ fail("add the label team") }}{% endif %}{{ 1 // 0 }}'
    await platform.make(PROMISE, written(unique, refusing))
    live = await platform.wait(PROMISE, unique, linted("Unknown"))
    found = condition(live, "Linted")
    assert found["reason"] == "LintUnfinished"
    assert 'refused: nothing was tested; the first refusal was "add the label team"' in found["message"]
    comment = "{# troth:ignore T211 the pilot asks by hand #}"
    await platform.client.merge_patch(PROMISE, unique, {"spec": written(unique, refusing + comment)["spec"]})
    await platform.wait(PROMISE, unique, linted("True", 2))


async def test_a_promise_without_workflows_is_linted_too(
    platform: Platform, repository: Repository, unique: str
) -> None:
    obj = written(unique, "x")
    del obj["spec"]["workflows"]
    await platform.make(PROMISE, obj)
    await platform.wait(PROMISE, unique, linted("True"))


async def test_the_errors_of_containers_are_reported_and_without_any_the_promise_says_what_was_not_checked(
    site: Site,
) -> None:
    site.start()
    wrong = containers("instance")
    wrong["spec"]["containers"][0]["imagePullPolicy"] = "Sometimes"
    await site.platform.publish(site.promise(wrong))
    live = await site.platform.wait(PROMISE, site.name, says("Linted", "False", "T401", "'Sometimes'"))
    (finding,) = live["status"]["troth"]["findings"]
    assert (finding["code"], finding["place"]) == ("T401", "instance/containers[0].imagePullPolicy:1")
    patch = {"spec": site.promise(containers("instance"))["spec"]}
    await site.platform.client.merge_patch(PROMISE, site.name, patch)
    await site.platform.wait(
        PROMISE, site.name, says("Linted", "True", "resource.configure/instance runs in containers")
    )

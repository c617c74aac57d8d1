"""Rendering without a cluster says what the operator would do."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import pytest

from tests.platforms import destination, promise, request
from tests.unit.authoring.test_home import home_of
from troth.api.naming import group_id
from troth.api.objects import read_destination
from troth.api.store_kinds import StoreRef
from troth.authoring.home import Home, load_home
from troth.authoring.rendering.destinations import Destinations
from troth.authoring.rendering.requests import Rendering, Requests, collect
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.engine.admission.serving import as_served
from troth.engine.placement.layout import aggregate
from troth.engine.rendering.limits import Limits

FILES = [
    {"path": "one.yaml", "template": "kind: One\nname: {{ name }}\nsize: {{ spec.size | default('none') }}\n"},
    {"path": "far/two.yaml", "template": "kind: Two\nname: {{ name }}\n"},
]
RULES = [{"directory": "far", "matchLabels": {"region": "far"}}]


def home(tmp_path: Path, **arguments: Any) -> Home:
    return load_home(home_of(tmp_path / "home", promise("things", **{"files": FILES, **arguments})))


def places(*objects: dict[str, Any], **store_paths: str) -> Destinations:
    return Destinations(
        tuple(read_destination(obj) for obj in objects),
        {StoreRef("GitStateStore", name): path for name, path in store_paths.items()},
    )


def render(
    home: Home, asked: dict[str, Any] | None = None, destinations: Destinations | None = None, **limits: Any
) -> Rendering:
    with BoundedWorker(limits=Limits(**limits)) as worker:
        asked = asked or request("things", "orders", "team", size="small")
        return Requests(home, destinations=destinations).render_with(worker.render_now, asked)


def test_files_stand_where_the_operator_would_put_them(tmp_path: Path) -> None:
    found = render(
        home(tmp_path, pipeline={"destinations": RULES}),
        destinations=places(
            destination("near", store="s", labels={"for": "things"}),
            destination("away", store="s", labels={"region": "far"}, path="clusters/away"),
            s="fleet/",
        ),
    )
    assert {name: list(files) for name, files in found.placed.items()} == {
        "away": [f"fleet/clusters/away/resources/team/things/orders/instance/{group_id('far')[:5]}/far/two.yaml"],
        "near": ["fleet/near/resources/team/things/orders/instance/5058f/one.yaml"],
    }
    assert sorted(found.files) == ["far/two.yaml", "one.yaml"]
    assert not found.waiting
    assert found.status["conditions"][-1]["type"] == "Ready"
    assert found.status["conditions"][-1]["status"] == "True"


def test_a_group_that_no_destination_matches_waits_and_says_for_what(tmp_path: Path) -> None:
    found = render(home(tmp_path), destinations=places(destination("near", store="s", labels={"for": "others"})))
    assert found.placed == {}
    assert found.waiting == ({"for": "things"},)
    assert found.status["conditions"][-1]["status"] == "False"


def test_what_a_destination_does_not_allow_fails_at_the_line_of_the_template(tmp_path: Path) -> None:
    template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Namespace\n"
    files = [{"path": "{{ name }}.yaml", "template": template + "metadata:\n  name: {{ spec.team }}\n"}]
    rules = {"namespaces": ["team-*", "default"], "clusterKinds": [{"group": "", "kind": "Namespace"}]}
    target = destination("near", store="s", labels={"for": "things"}, allow=rules)
    mine = home(tmp_path, files=files)
    found = render(mine, request("things", "orders", "team", team="payments"), places(target))
    assert found.placements == ()
    assert found.failure is not None
    assert found.failure.reason == "NotAllowed"
    assert (found.failure.pipeline, found.failure.file, found.failure.line) == ("instance", "orders.yaml", 6)
    words = "Namespace payments (in orders.yaml) is not allowed on the Destination near"
    assert words in found.complaint
    assert "promise.yaml:" in found.complaint
    fine = render(mine, request("things", "orders", "team", team="team-a"), places(target))
    assert fine.failure is None
    assert fine.placements


def test_the_folder_and_the_state_file_of_mode_none(tmp_path: Path) -> None:
    target = destination("near", store="s", labels={"for": "things"}, filepath={"mode": "none"})
    found = render(home(tmp_path), destinations=places(target))
    files = found.placed["near"]
    [state] = [path for path in files if ".kratix/" in path]
    assert set(files) == {"near/one.yaml", "near/far/two.yaml", state}
    assert files[state] == b"files:\n- near/far/two.yaml\n- near/one.yaml\n"


def test_requests_of_one_destination_share_its_aggregate(tmp_path: Path) -> None:
    target = destination("near", store="s", labels={"for": "things"}, filepath={"mode": "aggregatedYAML"})
    things = home(tmp_path)
    renderings = [
        render(things, request("things", name, "team"), places(target)) for name in ("orders", "billing")
    ]
    placed, quarrels = collect(renderings)
    contents = {part.key: part.contents for rendering in renderings for part in rendering.placements}
    assert placed == {"near": {"near/aggregated.yaml": aggregate(contents)}}
    assert quarrels == []


def test_two_requests_that_write_one_path_are_told(tmp_path: Path) -> None:
    target = destination("near", store="s", labels={"for": "things"}, filepath={"mode": "none"})
    things = home(tmp_path)
    renderings = [render(things, request("things", name, "team"), places(target)) for name in ("a", "b")]
    _, quarrels = collect(renderings)
    assert quarrels[0] == "team/a and team/b both write near/far/two.yaml to near"


def test_templates_find_what_the_operator_lets_them_find(tmp_path: Path) -> None:
    template = (
        "labels: {{ labels }}\nversion: {{ promise.version }}\ngeneration: {{ request.metadata.generation }}\n"
        "spec: {{ spec }}\nvalue: {{ table }}\n"
    )
    things = home(
        tmp_path,
        files=[{"path": "a.yaml", "template": template}],
        pipeline={"values": {"table": {"z": 1.0, "a": 2}}},
    )
    asked = request("things", "orders", "team", z=1.0, a="x")
    asked["metadata"]["labels"] = {"team": "blue"}
    asked["status"] = {"ignored": True}
    found = render(things, asked)
    assert found.files["a.yaml"].decode() == (
        "labels:\n  kratix.io/promise-name: things\n  team: blue\nversion: not-set\ngeneration: 1\n"
        "spec:\n  a: x\n  z: 1\nvalue:\n  a: 2\n  z: 1\n"
    )


def test_a_failing_template_is_told_with_the_authors_file_and_line(tmp_path: Path) -> None:
    things = home(tmp_path, template="kind: A\nsize: {{ spec.size.cpu }}\n", files=None)
    found = render(things)
    assert found.failure is not None
    assert found.failure.reason == "TemplateUndefined"
    assert "promise.yaml:" in found.complaint
    assert found.status["troth"]["failure"]["line"] == 2
    assert found.placed == {}


def test_an_endless_template_ends(tmp_path: Path) -> None:
    endless = "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}"
    found = render(home(tmp_path, template=endless, files=None), seconds=0.2)
    assert found.failure is not None
    assert found.failure.reason == "TemplateTimeout"


def test_what_does_not_stop_by_itself_is_killed_and_the_next_job_is_rendered(tmp_path: Path) -> None:
    hanging = home(tmp_path, template="a: {{ '" + "a" * 40 + "!' | regex_replace('(a+)+$', 'b') }}\n", files=None)
    fine = home(tmp_path / "fine")
    with BoundedWorker(limits=Limits(seconds=0.2)) as worker:
        asked = request("things", "orders", "team")
        hung = Requests(hanging, destinations=None).render_with(worker.render_now, asked)
        assert hung.failure is not None
        assert not Requests(fine, destinations=None).render_with(worker.render_now, asked).failure


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "Other"}, "is not what the Promise offers"),
        ({"apiVersion": "things.example.com/v9"}, "is not what the Promise offers"),
        ({"metadata": {}}, "metadata.name: is missing"),
        ({"metadata": "text"}, "metadata.name: is missing"),
        ({"metadata": {"name": 5}}, "metadata.name: Invalid value: 5: must be a string; put it in quotes"),
        ({"metadata": {"name": True}}, "metadata.name: Invalid value: true: must be a string; put it in quotes"),
    ],
)
def test_what_the_api_server_would_not_take_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    found = render(home(tmp_path), {**request("things", "orders", "team"), **change})
    assert said in str(found.refusals[0])
    assert not found.files


def test_an_object_is_served_with_its_keys_in_order_and_whole_numbers() -> None:
    assert list(as_served({"b": 1.0, "a": [2.5, 1e3, True]}).items()) == [("a", [2.5, 1000, True]), ("b", 1)]
    assert str(as_served({"a": 3.0})["a"]) == "3"
    assert str(as_served({"a": 10**30})["a"]) == "1e+30"


def test_a_number_that_no_integer_of_the_api_server_holds_is_a_float(tmp_path: Path) -> None:
    found = render(home(tmp_path), request("things", "orders", "team", size=10**30))
    assert found.refusals or found.files["one.yaml"] == b"kind: One\nname: orders\nsize: 1.0e+30\n"


def test_a_process_that_has_much_mapped_can_still_render(tmp_path: Path) -> None:
    """The bound is for what templates ask for, on top of what the command itself has mapped."""
    files = [
        {
            "path": "one.yaml",
            "template": "kind: A\nlength: {{ range(40) | map('string') | map('center', 2000000) | list | length }}\n",
        }
    ]
    with mmap.mmap(-1, 1024 * 1024 * 1024):
        rendering = render(home(tmp_path, files=files))
    assert rendering.failure is None

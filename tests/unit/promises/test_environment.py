"""The Promise environment: a namespace, what may be used in it, who may reach it, and who may do what."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.promises.library import accepted, examples, load_promise, render, render_valid, request_of
from troth.engine.rendering.render import Failure

PROMISE = load_promise("environment")
TEAMS = st.sampled_from(["payments", "risk", "training"])
ANY_TEAM = st.from_regex(r"[a-z][a-z0-9-]{0,28}[a-z0-9]", fullmatch=True)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
MEMBERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.text(min_size=1, max_size=253).filter(lambda name: not name.startswith("system:"))},
        optional={"kind": st.sampled_from(["Group", "User"]), "role": st.sampled_from(["view", "edit", "admin"])},
    ),
    max_size=8,
    unique_by=lambda member: (member.get("kind", "Group"), member["name"]),
)


def ask(name: str = "dev", **spec: Any) -> dict[str, Any]:
    return request_of(PROMISE, name, {"team": "payments", **spec})


def policies(output: Any) -> set[str]:
    return {item["metadata"]["name"] for item in output.objects() if item["kind"] == "NetworkPolicy"}


@pytest.mark.parametrize("path", examples("environment"), ids=lambda path: path.stem)
def test_every_example_renders_objects_that_kubernetes_accepts(path: Path) -> None:
    written = yaml.safe_load(path.read_text("utf-8"))
    assert accepted(PROMISE, written)
    output = render_valid(PROMISE, request_of(PROMISE, written["metadata"]["name"], written["spec"]))
    target = f"{written['spec']['team']}-{written['metadata']['name']}"
    assert output.only("Namespace")["metadata"]["name"] == target
    assert output.status["namespace"] == target


def test_everything_is_inside_the_namespace_and_carries_the_team() -> None:
    for item in render_valid(PROMISE, ask(members=[{"name": "a"}], network="isolated")).objects():
        assert item["metadata"]["labels"]["platform.example.com/team"] == "payments"
        if item["kind"] != "Namespace":
            assert item["metadata"]["namespace"] == "payments-dev"


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("open", set()),
        ("guarded", {"default-deny", "allow-own-namespace", "allow-platform"}),
        ("isolated", {"default-deny", "allow-own-namespace", "allow-platform", "allow-dns"}),
    ],
)
def test_the_network_is_as_closed_as_was_asked(network: str, expected: set[str]) -> None:
    output = render_valid(PROMISE, ask(network=network))
    assert policies(output) == expected
    if expected:
        deny = next(item for item in output.objects() if item["metadata"]["name"] == "default-deny")
        closed = ["Ingress", "Egress"] if network == "isolated" else ["Ingress"]
        assert deny["spec"] == {"podSelector": {}, "policyTypes": closed}


def test_a_new_role_is_a_new_binding_since_a_bindings_role_cannot_change() -> None:
    def binding(role: str) -> tuple[str, str]:
        output = render_valid(PROMISE, ask(members=[{"name": "ada", "role": role}]))
        (path,) = [path for path in output.files if path.startswith("members/")]
        return path, output.only("RoleBinding")["metadata"]["name"]

    assert not set(binding("view")) & set(binding("edit"))


def test_the_order_of_members_changes_no_file() -> None:
    members = [{"name": "a"}, {"name": "b", "kind": "User"}, {"name": "c", "role": "admin"}]
    assert (
        render_valid(PROMISE, ask(members=members)).files
        == render_valid(PROMISE, ask(members=members[::-1])).files
    )


@pytest.mark.slow
@given(members=MEMBERS)
def test_a_member_is_taken_by_name_whatever_characters_it_has(members: list[dict[str, str]]) -> None:
    output = render_valid(PROMISE, ask(members=members))
    bound = {
        (subject["kind"], subject["name"], item["roleRef"]["name"])
        for item in output.objects()
        if item["kind"] == "RoleBinding"
        for subject in item["subjects"]
    }
    assert bound == {
        (member.get("kind", "Group"), member["name"], member.get("role", "edit")) for member in members
    }
    assert output.status["members"] == len(members)


@pytest.mark.slow
@given(
    name=NAMES,
    team=TEAMS,
    size=st.sampled_from(["small", "medium", "large"]),
    network=st.sampled_from(["open", "guarded", "isolated"]),
)
def test_whatever_the_schema_lets_in_renders_valid_objects(name: str, team: str, size: str, network: str) -> None:
    request = request_of(PROMISE, name, {"team": team, "size": size, "network": network})
    if name == "system" or name.endswith("-system") or (team == "training" and name.startswith("labs-")):
        assert isinstance(render(PROMISE, request), Failure)
        return
    output = render_valid(PROMISE, request)
    assert output.only("Namespace")["metadata"]["name"] == f"{team}-{name}"


def with_teams(teams: Mapping[str, str]) -> dict[str, Any]:
    """The Promise of a platform with these teams."""
    promise = copy.deepcopy(PROMISE)
    (pipeline,) = promise["spec"]["workflows"]["resource"]["configure"]
    pipeline["spec"]["values"]["teams"] = dict(teams)
    return promise


@pytest.mark.slow
@settings(max_examples=20)
@given(
    teams=st.dictionaries(ANY_TEAM, st.sampled_from(["here", "there"]), max_size=2),
    asked=st.lists(st.tuples(ANY_TEAM, NAMES, st.sampled_from(["here", "there"])), max_size=2),
    data=st.data(),
)
def test_no_two_requests_get_one_namespace_and_nobody_gets_one_of_another_team(
    teams: dict[str, str], asked: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    # teams that begin like each other, and names that continue like the rest of another
    for team in list(teams):
        longer = f"{team}-{data.draw(st.sampled_from(['a', 'b']))}"
        if len(longer) <= 30 and data.draw(st.booleans()):
            teams[longer] = data.draw(st.sampled_from(["here", "there"]))
        asked.extend((team, name, where) for name in ("a-x", "b-x", "x", "system") for where in ("here", "there"))
        asked.extend((longer, name, where) for name in ("x", "a-x") for where in ("here", "there"))
    promise = with_teams(teams)
    got: dict[str, tuple[str, str, str]] = {}
    for team, name, where in dict.fromkeys(asked):
        outcome = render(promise, request_of(promise, name, {"team": team}, where))
        if isinstance(outcome, Failure):
            assert outcome.reason == "Refused"
            continue
        assert teams[team] == where
        target = str(outcome.status["namespace"])
        assert not target.endswith("-system")
        assert got.setdefault(target, (team, name, where)) == (team, name, where)


@pytest.mark.parametrize(
    ("team", "name"),
    [
        ("flux", "system"),
        ("kratix-platform", "system"),
        ("cert", "manager"),
        ("external", "secrets"),
        ("gateway", "system"),
    ],
)
def test_a_platforms_own_namespace_is_refused_even_if_a_team_is_called_like_it(team: str, name: str) -> None:
    promise = with_teams({team: "default"})
    outcome = render(
        promise, request_of(promise, name, {"team": team, "members": [{"name": "me", "role": "admin"}]})
    )
    assert isinstance(outcome, Failure)
    assert "keeps for itself" in outcome.message


@pytest.mark.parametrize("name", ["a.b", "n" * 60])
def test_a_name_that_no_namespace_may_have_is_refused_in_words(name: str) -> None:
    outcome = render(PROMISE, ask(name))
    assert isinstance(outcome, Failure)
    assert outcome.reason == "Refused"
    assert "Rename" in outcome.message

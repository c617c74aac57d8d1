"""The Promise postgresql: what a size and a version become, and what is refused in the author's words."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.promises.library import (
    ROOT,
    accepted,
    examples,
    load_promise,
    render,
    render_valid,
    request_of,
)
from troth.engine.admission.admitting import Admission, Admitted
from troth.engine.promises.definitions import build_definition
from troth.engine.rendering.render import Failure

PROMISE = load_promise("postgresql")
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", fullmatch=True)
SIZES = {"small": 1, "medium": 2, "large": 3}
SUPPORTED = re.compile(r"(14|15|16|17|18)(\.[0-9]+)?")
ADMISSION = Admission(build_definition("postgresql", PROMISE["spec"]["api"]))


def ask(name: str = "orders", **spec: Any) -> dict[str, Any]:
    return request_of(PROMISE, name, spec)


def refusals(request: dict[str, Any]) -> str:
    answer = ADMISSION.admit(request)
    return "" if isinstance(answer, Admitted) else "; ".join(map(str, answer))


def test_the_api_has_the_fields_the_enum_and_the_default_of_the_seed_and_only_adds_words_and_rules() -> None:
    seed = yaml.safe_load((ROOT / "tests" / "data" / "seed-promise.yaml").read_text("utf-8"))
    assert PROMISE["metadata"]["name"] == seed["metadata"]["name"]
    ours, theirs = copy.deepcopy(PROMISE["spec"]["api"]), seed["spec"]["api"]
    del ours["spec"]["names"]["shortNames"]
    (version,) = ours["spec"]["versions"]
    del version["additionalPrinterColumns"]
    root = version["schema"]["openAPIV3Schema"]
    del root["properties"]["status"]
    spec = root["properties"]["spec"]
    for schema in (root, spec, *spec["properties"].values()):
        assert schema.pop("description")
        schema.pop("x-kubernetes-validations", None)
    assert ours == theirs


@pytest.mark.parametrize("path", examples("postgresql"), ids=lambda path: path.stem)
def test_every_example_renders_objects_that_cloudnativepg_accepts(path: Path) -> None:
    written = yaml.safe_load(path.read_text("utf-8"))
    request = request_of(PROMISE, written["metadata"]["name"], written["spec"])
    assert accepted(PROMISE, written)
    output = render_valid(PROMISE, request)
    assert output.only("Cluster")["metadata"]["namespace"] == written["metadata"]["namespace"]


def test_a_request_without_a_version_gets_16() -> None:
    cluster = render_valid(PROMISE, ask(size="small")).only("Cluster")
    assert cluster["spec"]["imageName"] == "ghcr.io/cloudnative-pg/postgresql:16"


@pytest.mark.parametrize("spec", [None, {}], ids=["no spec", "an empty spec"])
def test_a_request_that_says_nothing_is_a_small_one(spec: dict[str, Any] | None) -> None:
    output = render_valid(PROMISE, request_of(PROMISE, "orders", spec))
    assert output.only("Cluster")["spec"]["instances"] == 1
    assert output.only("Cluster")["spec"]["imageName"].endswith(":16")


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_only_what_has_standbys_gets_a_pool(size: str) -> None:
    output = render_valid(PROMISE, ask(size=size))
    assert output.only("Cluster")["spec"]["instances"] == SIZES[size]
    assert set(output.files) == ({"cluster.yaml"} if size == "small" else {"cluster.yaml", "pooler.yaml"})


def test_the_status_says_how_to_connect() -> None:
    small = render_valid(PROMISE, ask(size="small")).status
    assert small["host"] == "orders-rw.default.svc"
    assert small["port"] == 5432
    assert small["secretName"] == "orders-app"
    assert small["version"] == "16"
    assert render_valid(PROMISE, ask(size="large")).status["host"] == "orders-pooler.default.svc"


@pytest.mark.slow
@given(name=NAMES, size=st.sampled_from(sorted(SIZES)), version=st.from_regex(SUPPORTED, fullmatch=True))
def test_whatever_the_schema_lets_in_renders_valid_objects(name: str, size: str, version: str) -> None:
    output = render_valid(PROMISE, ask(name, size=size, version=version))
    cluster = output.only("Cluster")
    assert cluster["spec"]["imageName"] == f"ghcr.io/cloudnative-pg/postgresql:{version}"
    for item in output.objects():
        assert len(item["metadata"]["name"]) <= 63


@pytest.mark.slow
@given(version=st.text(max_size=20))
def test_a_version_that_cannot_run_is_refused_in_words(version: str) -> None:
    outcome = render(PROMISE, ask(size="small", version=version))
    if SUPPORTED.fullmatch(version):
        assert not isinstance(outcome, Failure)
    else:
        assert isinstance(outcome, Failure)
        assert outcome.reason == "Refused"
        assert "major version" in outcome.message


@pytest.mark.parametrize("name", ["a" * 51, "orders.eu", "1st"])
def test_a_name_that_no_cluster_may_have_is_refused_by_the_api_in_words(name: str) -> None:
    assert "at most 50 lower-case letters" in refusals(ask(name, size="small"))


@pytest.mark.parametrize("spec", [None, {}, {"size": "small"}, {"size": "medium"}, {"size": "large"}])
@pytest.mark.parametrize("before", [None, {}, {"size": "small"}, {"size": "medium"}, {"size": "large"}])
def test_a_database_grows_and_never_shrinks(before: dict[str, Any] | None, spec: dict[str, Any] | None) -> None:
    old, new = (request_of(PROMISE, "orders", size) for size in (before, spec))
    answer = ADMISSION.admit(new, old)
    sizes = [SIZES[(size or {}).get("size", "small")] for size in (before, spec)]
    assert isinstance(answer, Admitted) == (sizes[1] >= sizes[0])
    if not isinstance(answer, Admitted):
        assert "does not shrink" in str(answer[0])


def test_the_operator_comes_with_the_promise() -> None:
    kinds = [item["kind"] for item in PROMISE["spec"]["dependencies"]]
    assert kinds[0] == "Namespace"
    assert kinds.count("CustomResourceDefinition") == 10
    assert "Deployment" in kinds


def test_the_promise_is_small_enough_for_plain_kubectl_apply() -> None:
    import orjson

    assert len(orjson.dumps(PROMISE)) < 240 * 1024

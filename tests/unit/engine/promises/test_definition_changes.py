"""What a definition was before leaves no trace, except what others wrote (docs/architecture.md)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generated_apis import apis, definition_of
from troth.engine.promises.definition_changes import (
    definition_patch,
    immutable_field,
    missing_stored_versions,
    stored_version,
)
from troth.engine.promises.definitions import Definition, read_definition
from troth.engine.status.patch import apply_patch

Object = dict[str, Any]
Path = tuple[str, ...]

SHARED: tuple[Path, ...] = (("metadata", "labels"), ("metadata", "annotations"), ("spec", "conversion"))
CERTIFICATE = {"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": "bWluZQ=="}}}}}


class Server:
    """Keeps one definition as the API server does: it merges, completes, and records who wrote the shared parts."""

    def __init__(self, definition: Mapping[str, Any], manager: str = "troth") -> None:
        self._obj: Object = {}
        self._managers: dict[Path, set[str]] = {}
        self.patch(definition, manager)

    def patch(self, patch: Mapping[str, Any], manager: str = "troth") -> None:
        """Takes a merge patch. Whoever changes a field owns it from then on."""
        before = dict(leaves(self._obj))
        self._obj = completed(apply_patch(self._obj, patch))
        after = dict(leaves(self._obj))
        self._managers = {
            path: {manager} if before.get(path) != value else self._managers.get(path, set())
            for path, value in after.items()
        }

    def claim(self, path: Path, manager: str) -> None:
        """Somebody applies the value that is there already, and owns it, too."""
        self._managers[path].add(manager)

    def keep(self, definition: Mapping[str, Any]) -> None:
        """Does what the operator does, and once more, which writes nothing."""
        if patch := definition_patch(self.definition, definition):
            self.patch(patch)
        assert definition_patch(self.definition, definition) is None

    @property
    def definition(self) -> Definition:
        records: dict[str, Object] = {}
        for path, managers in self._managers.items():
            for manager in managers:
                inner = records.setdefault(manager, {})
                for step in path:
                    inner = inner.setdefault(f"f:{step}", {})
        fields = [{"manager": manager, "fieldsV1": record} for manager, record in records.items()]
        status = {
            "conditions": [{"type": "Established", "status": "True"}],
            "storedVersions": [version["name"] for version in self._obj["spec"]["versions"]],
        }
        metadata = {**self._obj["metadata"], "managedFields": fields}
        return read_definition(copy.deepcopy({**self._obj, "metadata": metadata, "status": status}))

    @property
    def meaning(self) -> Object:
        """What the definition says, without differences that the API server does not keep."""
        spec = self._obj["spec"]
        return {
            "labels": self._obj["metadata"].get("labels") or {},
            "annotations": self._obj["metadata"].get("annotations") or {},
            "versions": [stored_version(version) for version in spec["versions"]],
            "names": {name: value for name, value in spec["names"].items() if value},
            "conversion": spec["conversion"],
        }


def leaves(obj: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """The fields of the shared parts."""

    def below(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                yield from below(inner, (*path, key))
        else:
            yield path, value

    for part in SHARED:
        value: Any = obj
        for step in part:
            value = value.get(step) or {}
        if value:
            yield from below(value, part)


def completed(obj: Object) -> Object:
    spec = obj["spec"]
    kind = spec["names"]["kind"]
    spec["names"] = {"singular": kind.lower(), "listKind": f"{kind}List", **spec["names"]}
    spec.setdefault("conversion", {"strategy": "None"})
    service = spec["conversion"].get("webhook", {}).get("clientConfig", {}).get("service")
    if service:
        service.setdefault("port", 443)
    return obj


@pytest.mark.slow
@settings(max_examples=50)
@given(before=apis(), after=apis())
def test_an_api_that_follows_another_is_what_it_would_be_alone(before: Object, after: Object) -> None:
    server = Server(definition_of(before))
    server.keep(definition_of(after))
    assert server.meaning == Server(definition_of(after)).meaning


EDITS = st.dictionaries(
    st.tuples(
        st.just("metadata"),
        st.sampled_from(["labels", "annotations"]),
        st.sampled_from(["team", "tier", "note", "theirs"]),
    ),
    st.sampled_from(["a", "x"]),
)


@pytest.mark.slow
@settings(max_examples=50)
@given(before=apis(), after=apis(), edits=EDITS, claims=st.booleans())
def test_what_others_wrote_stays_and_what_only_we_wrote_goes(
    before: Object, after: Object, edits: dict[Path, str], claims: bool
) -> None:
    server = Server(definition_of(before))
    for (_, part, name), text in edits.items():
        server.patch({"metadata": {part: {name: text}}}, "somebody")
        if claims:
            server.claim(("metadata", part, name), "somebody")
    server.keep(definition_of(after))
    alone = Server(definition_of(after)).meaning
    for part in ("labels", "annotations"):
        wrote = {
            name: text
            for (_, where, name), text in edits.items()
            if where == part and (claims or before["metadata"].get(part, {}).get(name) != text)
        }
        assert server.meaning[part] == {**wrote, **alone[part]}
    assert server.meaning | {"labels": {}, "annotations": {}} == alone | {"labels": {}, "annotations": {}}


def api(*, annotations: Mapping[str, str] | None = None, **spec: Any) -> Object:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}},
    }
    return {
        "metadata": {"annotations": dict(annotations or {})},
        "spec": {
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [version],
            **spec,
        },
    }


SERVICE = {"service": {"namespace": "default", "name": "convert"}}


def webhook(**client: Any) -> Object:
    inner = {"conversionReviewVersions": ["v1"], "clientConfig": client or SERVICE}
    return {"strategy": "Webhook", "webhook": inner}


@pytest.mark.parametrize("promised", [{}, {"caBundle": "Cg=="}])
def test_a_certificate_that_an_injector_is_asked_for_is_left_to_it(promised: Object) -> None:
    service = {"service": {"namespace": "default", "name": "convert"}, **promised}
    asks = {"cert-manager.io/inject-ca-from": "default/convert"}
    desired = definition_of(api(annotations=asks, conversion=webhook(**service)))
    server = Server(desired)
    server.patch(CERTIFICATE, "cert-manager-cainjector")
    assert definition_patch(server.definition, desired) is None
    moved = {**service, "service": {"namespace": "default", "name": "other"}}
    server.keep(definition_of(api(annotations=asks, conversion=webhook(**moved))))
    client: Object = server.meaning["conversion"]["webhook"]["clientConfig"]
    assert client["service"]["name"] == "other"
    assert client["caBundle"] == "bWluZQ=="


def test_a_certificate_that_nobody_was_asked_for_is_put_back() -> None:
    desired = definition_of(
        api(conversion=webhook(service={"namespace": "default", "name": "convert"}, caBundle="Cg=="))
    )
    server = Server(desired)
    server.patch(CERTIFICATE, "somebody")
    server.keep(desired)
    assert server.meaning["conversion"]["webhook"]["clientConfig"]["caBundle"] == "Cg=="


def test_a_webhook_that_moves_from_a_service_to_a_url_has_only_one_of_them_whoever_wrote_it() -> None:
    server = Server(definition_of(api(conversion=webhook())), "somebody")
    server.keep(definition_of(api(conversion=webhook(url="https://convert.example.com"))))
    assert server.meaning["conversion"]["webhook"]["clientConfig"] == {"url": "https://convert.example.com"}
    server.keep(definition_of(api(conversion=webhook())))
    assert set(server.meaning["conversion"]["webhook"]["clientConfig"]) == {"service"}


def test_what_kratix_wrote_for_the_promise_goes_as_if_we_had_written_it() -> None:
    noted = definition_of(api(annotations={"note": "ours"}, conversion=webhook()))
    server = Server(noted, "manager")
    assert definition_patch(server.definition, noted) is None
    server.keep(definition_of(api()))
    assert server.meaning["annotations"] == {}
    assert server.meaning["conversion"] == {"strategy": "None"}


def test_what_another_controller_with_the_name_of_kratixs_wrote_stays() -> None:
    server = Server(definition_of(api()))
    server.patch({"metadata": {"annotations": {"note": "theirs"}}}, "manager")
    server.keep(definition_of(api()))
    assert server.meaning["annotations"] == {"note": "theirs"}


def test_what_can_never_be_changed_is_named() -> None:
    server = Server(definition_of(api()))
    assert immutable_field(server.definition, definition_of(api())) == ""
    other = definition_of(api(names={"plural": "things", "kind": "Other"}))
    assert immutable_field(server.definition, other) == "spec.names.kind"
    server.patch({"spec": {"scope": "Cluster"}}, "somebody")
    assert definition_patch(server.definition, definition_of(api())) == {"spec": {"scope": "Namespaced"}}
    assert immutable_field(server.definition, definition_of(api())) == "spec.scope"


def test_a_version_in_which_requests_may_be_stored_is_missed() -> None:
    first = api()["spec"]["versions"][0]
    server = Server(definition_of(api(versions=[first, {**first, "name": "v2", "storage": False}])))
    assert missing_stored_versions(server.definition, definition_of(api())) == ("v2",)
    assert missing_stored_versions(Server(definition_of(api())).definition, definition_of(api())) == ()


def test_a_wish_that_the_api_server_refuses_is_not_passed_over_in_silence() -> None:
    server = Server(definition_of(api()))
    patch = definition_patch(server.definition, definition_of(api(preserveUnknownFields=True)))
    assert patch == {"spec": {"preserveUnknownFields": True}}

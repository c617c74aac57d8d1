"""Applies objects for a test, and removes all of them afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.waiting import SAFE
from troth.dev import ControlPlane
from troth.dev.apiserver import ApiServer


class Manifests:
    """Applies objects with kubectl, as a person would, and removes them again."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane = plane
        self._namespace = namespace
        self._applied: dict[str, str] = {}  # URL path -> URL path of the Promise's own kind, or empty

    def __call__(self, *objects: Mapping[str, Any] | str) -> None:
        """Apply objects or YAML. Raises CommandFailed, with the server's message, when one of them is refused."""
        stream = "\n---\n".join(item if isinstance(item, str) else json.dumps(item) for item in objects)
        answer = self._plane.kubectl(
            *("apply", "--server-side", "--force-conflicts", "--output=json", f"--namespace={self._namespace}"),
            *("--filename", "-"),
            input=stream,
        )
        with self._plane.api.connected():
            for applied in _documents(answer.stdout):
                self._applied.setdefault(_path(self._plane.api, applied), _crd_path(applied))

    def remove(self, within: float = SAFE) -> None:
        """Delete everything, the newest first. Finalizers are removed, since the operator may be gone."""
        api = self._plane.api
        with api.connected():
            for path, crd in reversed(self._applied.items()):
                if crd:
                    _delete_instances(api, crd)
                for target in filter(None, (path, crd)):
                    _delete(api, target, within)
        self._applied.clear()


def _delete(api: ApiServer, path: str, within: float) -> None:
    deadline = time.monotonic() + within
    while api.request("DELETE", path)[0] != 404:
        api.request("PATCH", path, {"metadata": {"finalizers": None}})
        assert time.monotonic() < deadline, f"{path} could not be deleted"
        time.sleep(0.02)


def _delete_instances(api: ApiServer, crd_path: str) -> None:
    status, crd = api.request("GET", crd_path)
    if status != 200:
        return
    group, plural = crd["spec"]["group"], crd["spec"]["names"]["plural"]
    version = next(version["name"] for version in crd["spec"]["versions"] if version["served"])
    _, listing = api.request("GET", f"/apis/{group}/{version}/{plural}")
    for item in listing.get("items", ()):
        metadata = item["metadata"]
        _delete(api, f"/apis/{group}/{version}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}", 10)


def _path(api: ApiServer, item: Mapping[str, Any]) -> str:
    group, _, version = item["apiVersion"].rpartition("/")
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    _, listing = api.request("GET", root)
    plural = next(
        resource["name"]
        for resource in listing["resources"]
        if resource["kind"] == item["kind"] and "/" not in resource["name"]
    )
    metadata = item["metadata"]
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{namespace}/{plural}/{metadata['name']}"


def _crd_path(item: Mapping[str, Any]) -> str:
    if item["kind"] != "Promise" or not item["spec"].get("api"):
        return ""
    return f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{item['spec']['api']['metadata']['name']}"


def _documents(text: str) -> Iterator[Mapping[str, Any]]:
    """The objects in a text, which has one object, a List, or several objects in a row."""
    decoder = json.JSONDecoder()
    position = 0
    while position < len(text):
        document, end = decoder.raw_decode(text, position)
        yield from document["items"] if document["kind"] == "List" else [document]
        position = end + len(text[end:]) - len(text[end:].lstrip())

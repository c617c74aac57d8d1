"""The calls that Troth makes to an API server, for any kind, with plain objects in and out.

One method for each verb, typed errors, no generated models: an object is plain JSON, within the bounds of
`troth.api.nesting`, and code that needs a typed view decodes it once, where it enters. A call costs about half a
millisecond of CPU, most of it HTTP.

Lists come in pages whose size follows the size of their objects, so that parsing a page takes a few milliseconds at
most. Parsing in a thread would not help, since orjson holds the interpreter's lock.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import orjson

from troth.api import InvalidObject, Resource
from troth.api import labels as names
from troth.budget import Budget
from troth.kube.discovery import Discovery
from troth.kube.errors import AnswerTooLong, Gone, TooLarge
from troth.kube.reading import read_document, read_object, read_page
from troth.kube.transport import JSON, Login, Observer, Transport
from troth.kube.watch import Lines, WatchEvent, read_event

Object = dict[str, Any]

LARGEST_BODY: Final = 3 * 1024 * 1024
"""The largest object, in bytes, that an API server reads, whatever its storage would accept."""

FIELD_MANAGER: Final = names.FIELD_MANAGER
_APPLY: Final = "application/apply-patch+yaml"
_MERGE_PATCH: Final = "application/merge-patch+json"
_JSON_PATCH: Final = "application/json-patch+json"

_FIRST_PAGE = 20
_MORE = 25
_FEWER = 8
_PAGE_BYTES = 192 * 1024  # measured: 4 ms to parse
_LIST_STARTS = 5
_WRITES_IN_FLIGHT = 64 * 1024 * 1024
_WATCH_SECONDS = 290

# An apply is read as YAML. JSON is YAML, except for these characters: YAML 1.1 takes U+0085, U+2028 and U+2029 for
# line breaks and folds them away with the spaces around them, and refuses the others. So they are sent as escapes.
_NOT_YAML = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")


class Listing(NamedTuple):
    """Objects, and the resource version of the collection at which they were read: a watch goes on from there."""

    items: list[Object]
    resource_version: str


class Client:
    """A client of one API server. Close it when done; it may be used from one event loop only."""

    def __init__(
        self,
        login: Login,
        *,
        deadline: float = 30.0,
        connections: int = 64,
        user_agent: str = "troth",
        random: Random | None = None,
        on_call: Observer | None = None,
        patience: float | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            login: the server and the credentials (`load_credentials`).
            deadline: seconds that a call may take, all its attempts together. For a list, it holds for each page.
            connections: how many calls may be on their way at once; watches are not counted.
            user_agent: what the server's logs and audit show.
            random: adds jitter to delays.
            on_call: is called after each call with its verb, path, status (0 without an answer) and seconds.
            patience: for how many seconds of a call a server that does not answer is tried again; None for as long as
                the call may take.
        """
        self._random = random or Random()  # noqa: S311 - spreads delays, guards nothing
        self._transport = Transport(
            login,
            connections=connections,
            user_agent=user_agent,
            random=self._random,
            on_call=on_call,
            patience=patience,
        )
        self._deadline = deadline
        self._budget = Budget(_WRITES_IN_FLIGHT)
        self._discovery = Discovery(self._read_document)

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self._transport.server

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """Returns the object. Raises NotFound."""
        return await self._read(_path(resource, namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Listing:
        """Returns all objects, in one namespace or in all; begins again when the next page has expired on the server.

        ``limit`` is the largest number of objects in one page. Raises Gone when pages expired in each of five attempts.
        """
        start = 1
        while True:
            items: list[Object] = []
            version = ""
            try:
                pages = self.list_pages(
                    resource,
                    namespace,
                    label_selector=label_selector,
                    field_selector=field_selector,
                    limit=limit,
                )
                async with aclosing(pages):
                    async for page in pages:
                        items += page.items
                        version = page.resource_version
                return Listing(items, version)
            except Gone:
                if start == _LIST_STARTS:
                    raise
                start += 1

    async def list_pages(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        retry: bool = True,
    ) -> AsyncGenerator[Listing, None]:
        """Yields all objects, page by page; every page has the same resource version.

        Raises:
            Gone: the rest of the pages expired; begin again.
        """
        path = _path(resource, namespace)
        size = min(limit, _FIRST_PAGE)
        query: dict[str, str] = {"labelSelector": label_selector} if label_selector else {}
        if field_selector:
            query["fieldSelector"] = field_selector
        while True:
            query["limit"] = str(size)
            try:
                body = await self._transport.call("GET", path, query=query, deadline=self._deadline, retry=retry)
            except AnswerTooLong:
                if size == 1:
                    raise
                size = max(1, size // _FEWER)
                continue
            items, metadata = await read_page(body)
            if items and "kind" not in items[0]:  # built-in kinds leave it out of lists
                for item in items:
                    item.update(apiVersion=resource.api_version, kind=resource.kind)
            yield Listing(items, str(metadata.get("resourceVersion") or ""))
            if not metadata.get("continue"):
                return
            query["continue"] = str(metadata["continue"])
            # Large objects may follow small ones, so the size of a page grows by a limited factor.
            size = max(1, min(limit, _PAGE_BYTES * max(1, len(items)) // len(body), _MORE * size))

    async def watch(
        self, resource: Resource, *, resource_version: str, namespace: str = "", label_selector: str = ""
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yields the changes since a resource version, with bookmarks, until the server ends the stream (about 5 min).

        Raises:
            Gone: the version is too old; list again.
            ApiError: the server refused the watch, or ended it with an error.
            ConnectionFailed: the connection was lost, or nothing came for 75 s.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(_WATCH_SECONDS + self._random.randrange(30)),
        }
        if label_selector:
            query["labelSelector"] = label_selector
        lines = Lines()
        chunks = self._transport.stream(_path(resource, namespace), query=query, deadline=self._deadline)
        async with aclosing(chunks):
            async for chunk in chunks:
                for line in lines.feed(chunk):
                    yield await read_event(line)

    async def create(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        field_manager: str = FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """Creates the object and returns it as it is now. Raises AlreadyExists."""
        path = _path(resource, _namespace(resource, obj))
        return await self._write("POST", path, obj, JSON, _query(field_manager, dry_run=dry_run))

    async def apply(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        field_manager: str = FIELD_MANAGER,
        force: bool = True,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply: sets the fields of ``obj``, and removes those that only an earlier apply of ours set.

        Raises:
            Conflict: without ``force``, a field belongs to another manager.
        """
        query = _query(field_manager, dry_run=dry_run)
        query["force"] = "true" if force else "false"
        path = _path(resource, _namespace(resource, obj), _name(obj), subresource)
        return await self._write("PATCH", path, obj, _APPLY, query)

    async def merge_patch(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any],
        *,
        namespace: str = "",
        subresource: str = "",
        resource_version: str | None = None,
        field_manager: str = FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """Applies a JSON merge patch. With a ``resource_version``, raises Conflict if the object has another one."""
        if resource_version is not None:
            patch = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": resource_version}}
        path = _path(resource, namespace, name, subresource)
        return await self._write("PATCH", path, patch, _MERGE_PATCH, _query(field_manager, dry_run=dry_run))

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        patch: Sequence[Mapping[str, Any]],
        *,
        namespace: str = "",
        subresource: str = "",
        field_manager: str = FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """Applies the operations of a JSON patch, all or none. Raises Invalid when a ``test`` fails."""
        path = _path(resource, namespace, name, subresource)
        return await self._write("PATCH", path, patch, _JSON_PATCH, _query(field_manager, dry_run=dry_run))

    async def replace(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        subresource: str = "",
        field_manager: str = FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """Replaces the object. With a ``metadata.resourceVersion``, raises Conflict if the object has another one."""
        path = _path(resource, _namespace(resource, obj), _name(obj), subresource)
        return await self._write("PUT", path, obj, JSON, _query(field_manager, dry_run=dry_run))

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str | None = None,
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> Object:
        """Deletes the object. Returns the object if finalizers still keep it, and a Status otherwise.

        Raises:
            NotFound: there is no such object.
            Conflict: the object has another uid.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        query = {"dryRun": "All"} if dry_run else {}
        return await self._write("DELETE", _path(resource, namespace, name), options, JSON, query)

    async def find_resource(self, api_version: str, kind: str, *, refresh: bool = False) -> Resource | None:
        """Returns the resource of a kind, or None if the server does not serve it now. Known kinds come from a cache.

        ``refresh`` asks the server for a known kind, too, for example after a NotFound with `kind_missing`.
        """
        return await self._discovery.find(api_version, kind, refresh=refresh)

    async def version(self) -> Mapping[str, str]:
        """Returns the server's version information, with a ``gitVersion`` such as ``v1.36.3``."""
        return await self._read_document("/version")

    async def openapi(self) -> Object:
        """Returns the OpenAPI (version 2) of everything that the server serves: one document of some megabytes."""
        return await self._read_document("/openapi/v2")

    async def close(self) -> None:
        """Closes all connections. Calls that have not been answered fail."""
        await self._transport.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _read(self, path: str) -> Object:
        return await read_object(await self._transport.call("GET", path, deadline=self._deadline))

    async def _read_document(self, path: str) -> Object:
        return await read_document(await self._transport.call("GET", path, deadline=self._deadline))

    async def _write(
        self, method: str, path: str, body: object, content_type: str, query: Mapping[str, str]
    ) -> Object:
        packed = _pack(body)
        if len(packed) > LARGEST_BODY:
            raise TooLarge(413, "", f"it has {len(packed)} bytes, and an API server reads {LARGEST_BODY} at most")
        # Room for what is sent, the answer, and the objects that both are made into.
        async with self._budget.hold(4 * len(packed)):
            answer = await self._transport.call(
                method,
                path,
                query=query,
                body=_as_yaml(packed) if content_type is _APPLY else packed,
                content_type=content_type,
                deadline=self._deadline,
            )
            return await read_object(answer)


def _pack(body: object) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:  # too deep, a number of more than 64 bits, or a lone surrogate
        raise InvalidObject("", f"cannot be written as JSON: {error}") from None


def _as_yaml(body: bytes) -> bytes:
    return _NOT_YAML.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), body)


def _path(resource: Resource, namespace: str, name: str = "", subresource: str = "") -> str:
    # Names come from people and templates: one with a slash or dots must not become another path.
    return resource.path(_segment(namespace, "metadata.namespace"), _segment(name, "metadata.name"), subresource)


def _segment(name: str, field: str) -> str:
    if name in {".", ".."} or "/" in name or "%" in name:
        raise InvalidObject(field, f"{name!r} cannot be a name", "leave out '/', '%', '.' and '..'")
    return quote(name, safe=":")


def _name(obj: Mapping[str, Any]) -> str:
    name: str = obj.get("metadata", {}).get("name", "")
    if not name:
        raise InvalidObject("metadata.name", "is missing")
    return name


def _namespace(resource: Resource, obj: Mapping[str, Any]) -> str:
    if not resource.namespaced:
        return ""
    namespace: str = obj.get("metadata", {}).get("namespace", "")
    if not namespace:
        raise InvalidObject("metadata.namespace", f"is missing; a {resource.kind} lives in a namespace")
    return namespace


def _query(field_manager: str, *, dry_run: bool) -> dict[str, str]:
    query = {"fieldManager": field_manager}
    if dry_run:
        query["dryRun"] = "All"
    return query

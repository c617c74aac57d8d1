"""Serves the webhook with which API servers convert requests between the versions of a Promise's API.

A path ``/convert/NAME`` converts the objects of the definition of that name, by what the definition itself declares
(`troth.engine.promises.conversion.installing`). The webhook keeps nothing and reads nothing but definitions, so it does
not matter which replica is asked, or who asks: an answer contains nothing that was not in the question.

Questions are answered in threads of the webhook's own. To convert a request of 50 KB takes more than 10 ms, and to make
a converter for two schemas of 750 KB takes 150 ms, in which the event loop would stand still. In threads that stores
use as well, a slow store would hold up the API server.

Rejected: *a process of its own* (one more thing that has to run for each request that is read in another version, and
it would need its own informer of definitions); *the server of the probes* (it has no TLS, and its clients are others).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import orjson
from aiohttp import web

from troth.api import InvalidObject
from troth.app.serving_certificate import Held, NoCertificate, load_certificate
from troth.app.web import listen
from troth.controllers.conversion import ConversionEndpoint
from troth.engine.promises.conversion.converting import Converter, NotConverted
from troth.engine.promises.conversion.installing import converter_of
from troth.engine.promises.conversion.reviews import Review, answer, read_review, refusal, say_why
from troth.engine.promises.definitions import Definition
from troth.kube import Client, Informer, KubeError
from troth.kube.credentials import use_certificate

logger = logging.getLogger(__name__)

LARGEST_REVIEW: Final = 8 * 1024 * 1024
"""Bytes of the largest question that is answered. API servers mostly ask about one object at a time."""

_AT_ONCE: Final = 2
_READ_WITHIN: Final = 10.0
_LISTED_WITHIN: Final = 8.0
_MOST_CONVERTERS: Final = 200
_LOOK_AT_CERTIFICATE: Final = 3600.0


class ConversionServer:
    """Serves conversions until it is closed.

    Args:
        endpoint: how API servers reach it; it gets the certificate of the authority and the port.
        definitions: the definitions on the cluster.
        client: reads and writes the Secret with the certificate.
        namespace: the namespace of that Secret.
        clock: the time.
    """

    def __init__(
        self,
        endpoint: ConversionEndpoint,
        definitions: Informer[Definition],
        client: Client,
        namespace: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._endpoint = endpoint
        self._definitions = definitions
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._held: Held | None = None
        self._converters: dict[str, tuple[str, Converter]] = {}
        self._threads = ThreadPoolExecutor(_AT_ONCE, "conversion")
        self._runner: web.AppRunner | None = None

    async def start(self, host: str | None, port: int) -> None:
        """Opens the port, with a certificate. A second call does nothing.

        Raises:
            NoCertificate: there is none.
            KubeError: the API server did not answer.
        """
        if self._runner is not None:
            return
        await self.renew()
        application = web.Application(client_max_size=LARGEST_REVIEW)
        application.router.add_post("/convert/{definition}", self._convert)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)
        self._endpoint.port = await listen(self._runner, host, port, self._context)

    async def renew(self) -> bool:
        """Reads the certificate, and makes a new one in time. Returns whether API servers need to know another one."""
        held = await load_certificate(self._client, self._namespace, self._endpoint.names, self._clock())
        if held != self._held:
            use_certificate(self._context, held.serving.certificate, held.serving.key)
        before, self._held = self._held, held
        self._endpoint.authority = held.authority.certificate
        return before is not None and before.authority.certificate != held.authority.certificate

    async def keep_certificate(self, changed: Callable[[], None]) -> None:
        """Looks at the certificate every hour. ``changed`` is called when the definitions need another authority."""
        while True:
            await asyncio.sleep(_LOOK_AT_CERTIFICATE)
            try:
                if await self.renew():
                    changed()
            except (KubeError, NoCertificate) as error:
                logger.warning("the certificate of the conversion webhook was not looked at: %s", error)

    async def close(self) -> None:
        """Closes the port."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # ---- answers

    async def _convert(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["definition"]
        try:
            async with asyncio.timeout(_READ_WITHIN):
                body = await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        definition = await self._definition(name)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, self._answer, name, definition, body)
        except orjson.JSONDecodeError:
            raise web.HTTPBadRequest(text="the body is not JSON\n") from None
        return web.Response(body=found, content_type="application/json")

    async def _definition(self, name: str) -> Definition | None:
        """Returns a definition on the cluster, or None if it does not exist or is not known in time."""
        try:
            async with asyncio.timeout(_LISTED_WITHIN):
                await self._definitions.synced.wait()
        except TimeoutError:
            return None
        return self._definitions.get("", name)

    def _answer(self, name: str, definition: Definition | None, body: bytes) -> bytes:
        """Returns the answer to a question. It runs in a thread.

        Raises:
            orjson.JSONDecodeError: the question is not JSON.
        """
        uid = ""
        try:
            review = read_review(orjson.loads(body))
            uid = review.uid
            found = self._converted(name, definition, review)
        except InvalidObject as error:
            found = refusal(uid, f"the requests of {name} cannot be converted: {error}")
        return orjson.dumps(found)

    def _converted(self, name: str, definition: Definition | None, review: Review) -> dict[str, Any]:
        if definition is None:
            return refusal(review.uid, f"the operator of Troth does not know the definition {name}")
        converter = self._converter(name, definition)
        objects = []
        for obj in review.objects:
            converted = converter.convert(obj, review.version)
            if isinstance(converted, NotConverted):
                return refusal(review.uid, say_why(obj, converted, review.version))
            objects.append(converted.object)
        return answer(review, objects)

    def _converter(self, name: str, definition: Definition) -> Converter:
        version = f"{definition.metadata.uid}/{definition.metadata.resource_version}"
        known = self._converters.get(name)
        if known is not None and known[0] == version:
            return known[1]
        made = converter_of(definition.metadata.annotations, definition.spec)
        if len(self._converters) >= _MOST_CONVERTERS:
            self._converters.clear()
        self._converters[name] = (version, made)
        return made

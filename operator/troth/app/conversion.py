"""Serves the webhook with which API servers convert requests between the versions of a Promise's API.

A path ``/convert/NAME`` converts the objects of the definition of that name, by what the definition itself declares
(`troth.engine.promises.conversion.installing`). The webhook keeps nothing and reads nothing but definitions, so it does
not matter which replica is asked, or who asks: an answer contains nothing that was not in the question.

Rejected: *a process of its own* (one more thing that has to run for each request that is read in another version, and
it would need its own informer of definitions); *the server of the probes* (it has no TLS, and its clients are others).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
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
_TURN: Final = 0.002
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
        self._converters: dict[tuple[str, str], Converter] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
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

    # ---- answers

    async def _convert(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["definition"]
        uid = ""
        try:
            async with asyncio.timeout(_READ_WITHIN):
                body = await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        async with self._turns:
            try:
                review = read_review(orjson.loads(body))
                uid = review.uid
                found = await self._answer(name, review)
            except orjson.JSONDecodeError:
                raise web.HTTPBadRequest(text="the body is not JSON\n") from None
            except InvalidObject as error:
                found = refusal(uid, f"the requests of {name} cannot be converted: {error}")
            return web.Response(body=orjson.dumps(found), content_type="application/json")

    async def _answer(self, name: str, review: Review) -> dict[str, Any]:
        converter = await self._converter(name)
        if converter is None:
            return refusal(review.uid, f"the operator of Troth does not know the definition {name}")
        objects = []
        began = time.monotonic()
        for obj in review.objects:
            converted = converter.convert(obj, review.version)
            if isinstance(converted, NotConverted):
                return refusal(review.uid, say_why(obj, converted, review.version))
            objects.append(converted.object)
            if time.monotonic() - began > _TURN:
                await asyncio.sleep(0)
                began = time.monotonic()
        return answer(review, objects)

    async def _converter(self, name: str) -> Converter | None:
        """Returns the converter of a definition, or None if the definition does not exist."""
        try:
            async with asyncio.timeout(_LISTED_WITHIN):
                await self._definitions.synced.wait()
        except TimeoutError:
            return None
        live = self._definitions.get("", name)
        if live is None:
            return None
        key = (name, f"{live.metadata.uid}/{live.metadata.resource_version}")
        if key not in self._converters:
            if len(self._converters) >= _MOST_CONVERTERS:
                self._converters.clear()
            self._converters[key] = converter_of(live.metadata.annotations, live.spec)
        return self._converters[key]

"""The proxy: hands requests on to the emulator, unless the fault set for their service has it otherwise.

A request that carries no AWS signature and goes to ``/faults`` is for the proxy itself:

- ``GET /faults`` answers ``{"faults": {service: fault}, "counts": {service: {requests, struck}}}``.
- ``POST /faults`` with ``{service: {field: value}}`` changes faults and answers the same; ``null`` for a service ends
  its fault. Fields are those of ``Fault``.
"""

import asyncio
import random
from collections import Counter, defaultdict
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from yarl import URL

from local.faults.batches import divided
from local.faults.fault import Fault, InvalidFaultError, Mode
from local.faults.refusals import Refusal, throttled, unavailable
from local.faults.services import SERVICES, Call, call_of

CONTROL_PATH = "/faults"
# Of one connection only (RFC 9110, 7.6.1), or written anew on this side.
_NOT_HANDED_ON = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "te", "transfer-encoding", "upgrade"}
)
_LARGEST_BODY = 64 * 1024 * 1024
_LONGEST_ANSWER_SECONDS = 120


class FaultProxy:
    """Stands before the emulator.

    Args:
        upstream: the emulator's address, without a trailing slash.
        seed: for faults that strike with a probability.
    """

    def __init__(self, upstream: str, seed: int = 0) -> None:
        self._upstream = upstream
        self._chance = random.Random(seed)  # noqa: S311 - not a secret
        self._faults = dict.fromkeys(SERVICES, Fault())
        self._counts: dict[str, Counter[str]] = {service: Counter() for service in SERVICES}
        self._under_way: dict[str, dict[int, web.Request]] = defaultdict(dict)
        self._runner: web.AppRunner | None = None
        self._client: ClientSession | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Start listening; port 0 takes a free one, which ``port`` then names.

        Raises:
            OSError: the port is taken.
        """
        timeout = ClientTimeout(total=None, sock_read=_LONGEST_ANSWER_SECONDS)
        self._client = ClientSession(
            auto_decompress=False, cookie_jar=DummyCookieJar(), timeout=timeout, connector=TCPConnector(limit=0)
        )
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening; requests under way are cut off."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    def set(self, service: str, fault: Fault) -> None:
        """Set a service's fault; one that is down loses the connections of the requests it was answering, too."""
        self._faults[service] = fault
        if fault.mode is Mode.DOWN and not fault.operations and fault.probability == 1:
            for request in list(self._under_way[service].values()):
                _cut_off(request)

    # Requests.

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == CONTROL_PATH and "Authorization" not in request.headers:
            return await self._control(request)
        call = call_of(request.method, request.headers)
        if call.service not in self._faults:
            return await self._hand_on(request, await request.read())
        self._counts[call.service]["requests"] += 1
        self._under_way[call.service][id(request)] = request
        try:
            return await self._through_fault(request, call, self._faults[call.service])
        finally:
            del self._under_way[call.service][id(request)]

    async def _through_fault(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        body = await request.read()
        if not fault.concerns(call.operation):
            return await self._hand_on(request, body)
        if fault.latency_ms:
            await asyncio.sleep(fault.latency_ms / 1000)
        if fault.mode is Mode.FAILED_ENTRIES:
            return await self._with_failed_entries(request, call, body, fault)
        if fault.mode is Mode.NORMAL or self._chance.random() >= fault.probability:
            return await self._hand_on(request, body)
        return await self._strike(request, call, body, fault)

    async def _strike(self, request: web.Request, call: Call, body: bytes, fault: Fault) -> web.StreamResponse:
        self._struck(call)
        match fault.mode:
            case Mode.UNAVAILABLE:
                return _refused(unavailable(call.service))
            case Mode.THROTTLED:
                return _refused(throttled(call.service))
            case Mode.ANSWER_LOST:
                answer = await self._hand_on(request, body)
                _cut_off(request)
                return answer
        _cut_off(request)
        return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)

    async def _with_failed_entries(
        self, request: web.Request, call: Call, body: bytes, fault: Fault
    ) -> web.StreamResponse:
        batch = divided(call, body, lambda: self._chance.random() < fault.probability)
        if batch is None:
            return await self._hand_on(request, body)
        self._struck(call)
        forwarded = batch.forwarded()
        if forwarded is None:
            return web.Response(body=batch.answer(b""), content_type="application/x-amz-json-1.1")
        answer = await self._hand_on(request, forwarded)
        if answer.status != HTTPStatus.OK or not isinstance(answer.body, bytes):
            return answer
        return web.Response(body=batch.answer(answer.body), content_type=answer.content_type)

    def _struck(self, call: Call) -> None:
        self._counts[call.service]["struck"] += 1
        self._faults[call.service] = self._faults[call.service].after_striking()

    async def _hand_on(self, request: web.Request, body: bytes) -> web.Response:
        if self._client is None:
            raise web.HTTPServiceUnavailable
        # The host stays as it was signed; what the caller escaped stays as it was written.
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _NOT_HANDED_ON]
        target = URL(f"{self._upstream}{request.raw_path}", encoded=True)
        try:
            async with self._client.request(
                request.method, target, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                response = web.Response(status=answer.status, reason=answer.reason, body=await answer.read())
                for name, value in answer.headers.items():
                    if name.lower() not in _NOT_HANDED_ON:
                        response.headers.add(name, value)
                if request.method == "HEAD" and "Content-Length" in answer.headers:
                    response.headers["Content-Length"] = answer.headers["Content-Length"]
                return response
        except (ClientError, TimeoutError):
            # The emulator is gone or cut us off: so do we.
            _cut_off(request)
            return web.Response(status=HTTPStatus.BAD_GATEWAY)

    # Control.

    async def _control(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            try:
                self._change(await request.json())
            except (InvalidFaultError, ValueError, AttributeError) as error:
                return web.json_response({"detail": str(error)}, status=HTTPStatus.BAD_REQUEST)
        return web.json_response(
            {
                "faults": {service: _plain(fault) for service, fault in self._faults.items()},
                "counts": {
                    service: {"requests": count["requests"], "struck": count["struck"]}
                    for service, count in self._counts.items()
                },
            }
        )

    def _change(self, changes: dict[str, Any]) -> None:
        unknown = changes.keys() - self._faults.keys()
        if unknown:
            raise InvalidFaultError(f"no faults for {min(unknown)!r}, only for {', '.join(SERVICES)}")
        changed = {
            service: self._faults[service].changed(fields) if fields is not None else Fault()
            for service, fields in changes.items()
        }
        for service, fault in changed.items():
            self.set(service, fault)


def _plain(fault: Fault) -> dict[str, Any]:
    return {
        "mode": fault.mode.value,
        "latency_ms": fault.latency_ms,
        "probability": fault.probability,
        "operations": list(fault.operations),
        "count": fault.count,
    }


def _refused(refusal: Refusal) -> web.Response:
    return web.Response(status=refusal.status, text=refusal.body, content_type=refusal.content_type)


def _cut_off(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()

"""The address integrators use locally: hands every request to the deployed API's address in the emulator."""

import asyncio
import json

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, web
from yarl import URL

from local.stack.ports import HOST

# Those that belong to one connection (RFC 9110, 7.6.1), and those that this side writes anew.
_NOT_HANDED_ON = frozenset(
    {
        "connection",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_LARGEST_BODY = 10 * 1024 * 1024  # API Gateway's limit
_LONGEST_ANSWER_SECONDS = 60
_CHUNK = 64 * 1024
# Each request under way is a process of its own in the emulator, as on Lambda; this machine cannot hold Lambda's many.
# Requests beyond these wait for their turn. Long polls have places of their own, so that they hold up nobody.
REQUESTS_AT_ONCE = 4
LONG_POLLS_AT_ONCE = 32
_LONG_POLL_PARAMETERS = frozenset({"wait", "wait_for"})


class FrontDoor:
    """A reverse proxy on 127.0.0.1.

    Args:
        upstream: the API's address in the emulator, without a trailing slash.
        port: where to listen.
    """

    def __init__(self, upstream: str, port: int) -> None:
        self._upstream = upstream
        self._port = port
        self._runner: web.AppRunner | None = None
        self._client: ClientSession | None = None
        self._requests = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._long_polls = asyncio.Semaphore(LONG_POLLS_AT_ONCE)

    async def start(self) -> None:
        """Start listening.

        Raises:
            OSError: the port is taken.
        """
        timeout = ClientTimeout(total=None, sock_read=_LONGEST_ANSWER_SECONDS)
        self._client = ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar(), timeout=timeout)
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._hand_on)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()

    async def stop(self) -> None:
        """Stop listening; requests under way are cut off."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    async def _hand_on(self, request: web.Request) -> web.StreamResponse:
        if self._client is None:
            raise web.HTTPServiceUnavailable
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _NOT_HANDED_ON]
        headers += [("X-Forwarded-For", request.remote or HOST), ("X-Forwarded-Proto", "http")]
        body = await request.read()
        # Encoded already: what the caller escaped stays as it was written.
        target = URL(f"{self._upstream}{request.raw_path}", encoded=True)
        places = self._long_polls if _LONG_POLL_PARAMETERS & request.query.keys() else self._requests
        try:
            async with (
                places,
                self._client.request(
                    request.method, target, headers=headers, data=body or None, allow_redirects=False
                ) as answer,
            ):
                response = web.StreamResponse(status=answer.status, reason=answer.reason)
                for name, value in answer.headers.items():
                    if name.lower() not in _NOT_HANDED_ON:
                        response.headers.add(name, value)
                await response.prepare(request)
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (ClientError, TimeoutError) as error:
            return _unavailable(error)


def _unavailable(error: Exception) -> web.Response:
    problem = {
        "type": "about:blank",
        "title": "Service unavailable",
        "status": 503,
        "code": "service_unavailable",
        "detail": f"the local AWS emulator does not answer ({type(error).__name__})",
    }
    return web.Response(status=503, text=json.dumps(problem), content_type="application/problem+json")

"""The local address of the API: what goes in and comes out unchanged."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import ClientSession, web
from yarl import URL

from local.stack.front_door import REQUESTS_AT_ONCE, FrontDoor
from local.stack.ports import HOST, free_port

Asking = Callable[[ClientSession, str], Awaitable[None]]


def _through_the_door(answer: Callable[[web.Request], Awaitable[web.StreamResponse]], ask: Asking) -> None:
    async def run() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        upstream = web.AppRunner(application)
        await upstream.setup()
        port = free_port(0)
        await web.TCPSite(upstream, HOST, port).start()
        door_port = free_port(0)
        door = FrontDoor(f"http://{HOST}:{port}/_aws/execute-api/abc/local", door_port)
        await door.start()
        try:
            async with ClientSession(auto_decompress=False) as client:
                await ask(client, f"http://{HOST}:{door_port}")
        finally:
            await door.stop()
            await upstream.cleanup()

    asyncio.run(run())


def test_path_and_query_arrive_as_they_were_written() -> None:
    """Escapes are neither undone nor done again."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.raw_path)

    async def ask(client: ClientSession, door: str) -> None:
        async with client.get(URL(f"{door}/v1/a%2Fb/%C3%A9?x=%20%26&x=2+3", encoded=True)) as got:
            assert await got.text() == "/_aws/execute-api/abc/local/v1/a%2Fb/%C3%A9?x=%20%26&x=2+3"

    _through_the_door(answer, ask)


def test_method_body_and_headers_arrive_and_the_callers_address_is_added() -> None:
    """Every method; bodies as bytes; the connection's own headers stay behind."""

    async def answer(request: web.Request) -> web.Response:
        assert "Keep-Alive" not in request.headers
        said = [request.method, request.headers["Idempotency-Key"], request.headers["X-Forwarded-For"]]
        return web.Response(body=" ".join(said).encode() + await request.read())

    async def ask(client: ClientSession, door: str) -> None:
        for method in ("POST", "PATCH", "DELETE"):
            headers = {"Idempotency-Key": "k", "Keep-Alive": "5"}
            async with client.request(method, door, headers=headers, data=b"\x00\xff") as got:
                assert await got.read() == f"{method} k 127.0.0.1".encode() + b"\x00\xff"

    _through_the_door(answer, ask)


def test_status_repeated_headers_and_bytes_come_back() -> None:
    """Redirects are not followed, compressed bodies not unpacked, repeated headers not merged."""

    async def answer(_: web.Request) -> web.Response:
        response = web.Response(status=307, body=b"\x1f\x8bnot really gzip", headers={"Content-Encoding": "gzip"})
        response.headers.add("Location", "/elsewhere")
        response.headers.add("X-Many", "1")
        response.headers.add("X-Many", "2")
        return response

    async def ask(client: ClientSession, door: str) -> None:
        async with client.get(door, allow_redirects=False) as got:
            assert got.status == 307
            assert got.headers.getall("X-Many") == ["1", "2"]
            assert got.headers["Location"] == "/elsewhere"
            assert await got.read() == b"\x1f\x8bnot really gzip"

    _through_the_door(answer, ask)


def test_an_answer_is_handed_on_as_it_comes() -> None:
    """The first part of a long answer is there before its end is written."""
    first_read = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await asyncio.wait_for(first_read.wait(), 10)
        await response.write(b"second")
        return response

    async def ask(client: ClientSession, door: str) -> None:
        async with client.get(door) as got:
            assert await got.content.readexactly(5) == b"first"
            first_read.set()
            assert await got.content.read() == b"second"

    _through_the_door(answer, ask)


def test_a_crowd_waits_for_its_turn_and_long_polls_hold_up_nobody() -> None:
    """More requests than this machine can hold processes for are answered all the same, a few at a time."""
    under_way = most = 0
    woken = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        nonlocal under_way, most
        if "wait" in request.query:
            await asyncio.wait_for(woken.wait(), 10)
            return web.Response()
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return web.Response()

    async def ask(client: ClientSession, door: str) -> None:
        async def status(query: str = "") -> int:
            async with client.get(door + query) as got:
                return got.status

        polls = [asyncio.create_task(status("/?wait=20")) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert set(await asyncio.gather(*(status() for _ in range(40)))) == {200}
        woken.set()
        assert set(await asyncio.gather(*polls)) == {200}
        assert 1 < most <= REQUESTS_AT_ONCE

    _through_the_door(answer, ask)


def test_without_the_emulator_the_answer_says_so() -> None:
    """A problem document with 503, not a closed connection."""

    async def run() -> None:
        door_port = free_port(0)
        door = FrontDoor(f"http://{HOST}:{free_port(0)}", door_port)
        await door.start()
        async with ClientSession() as client, client.get(f"http://{HOST}:{door_port}/health") as got:
            assert got.status == 503
            assert (await got.json(content_type="application/problem+json"))["code"] == "service_unavailable"
        await door.stop()

    asyncio.run(run())

"""The one port: control API, proxy and WebSocket on it, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

from local.whatsapp.server import Options, Simulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def _play(scenario: Callable[[Simulator], Awaitable[None]], state: Path) -> None:
    async def run() -> None:
        simulator = Simulator(Options(state=state))
        await simulator.start()
        try:
            await scenario(simulator)
        finally:
            await simulator.stop()

    asyncio.run(run())


async def _exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(65536), 5)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return answer


def test_json_without_a_content_type_and_two_requests_on_one_connection(tmp_path: Path) -> None:
    """A POST as curl sends it is understood, and a connection serves several requests."""

    async def scenario(simulator: Simulator) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        body = b'{"number":"5511977770001"}'
        for status in (b"201", b"200"):
            writer.write(b"POST /phones HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert head.startswith(b"HTTP/1.1 " + status)
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            assert b"5511977770001" in await reader.readexactly(length)
        writer.close()

    _play(scenario, tmp_path)


def test_proxy_leads_to_whatsapp_only(tmp_path: Path) -> None:
    """Tunnels to other hosts are refused, so a redirected process reaches nothing else through it."""

    async def scenario(simulator: Simulator) -> None:
        for host in ("example.com", "evil-whatsapp.com", "whatsapp.net.evil.test"):
            answer = await _exchange(simulator.port, f"CONNECT {host}:443 HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 403")

    _play(scenario, tmp_path)


def test_tunnel_is_trusted_through_the_bundle_and_upgrades(tmp_path: Path) -> None:
    """A tunnel to the chat host has a certificate the bundle vouches for, and takes a WebSocket upgrade."""

    async def scenario(simulator: Simulator) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        writer.write(b"CONNECT web.whatsapp.com:443 HTTP/1.1\r\nhost: web.whatsapp.com\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        context = ssl.create_default_context(cafile=str(tmp_path / "ca-bundle.pem"))
        loop = asyncio.get_running_loop()
        inner_reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(inner_reader)
        transport = await loop.start_tls(writer.transport, protocol, context, server_hostname="web.whatsapp.com")
        assert transport is not None
        inner_reader.set_transport(transport)
        transport.write(
            b"GET /ws/chat HTTP/1.1\r\nhost: web.whatsapp.com\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"sec-websocket-extensions: permessage-deflate\r\n\r\n"
        )
        head = (await asyncio.wait_for(inner_reader.readuntil(b"\r\n\r\n"), 5)).lower()
        assert head.startswith(b"http/1.1 101")
        assert b"s3pplmbitxaq9kygzzhzrbk+xoo=" in head
        assert b"permessage-deflate" not in head
        transport.abort()

    _play(scenario, tmp_path)


def test_nonsense_on_the_port_is_closed(tmp_path: Path) -> None:
    """Bytes that are no HTTP end the connection and nothing else."""

    async def scenario(simulator: Simulator) -> None:
        assert await _exchange(simulator.port, b"\x16\x03\x01\x00\x00 nonsense\r\n\r\n") == b""
        assert b"healthy" in await _exchange(simulator.port, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")

    _play(scenario, tmp_path)

"""The one port: HTTP, the CONNECT proxy with its own TLS, WebSocket, media, and the control API.

A client is told to use the simulator as its proxy. It asks for a tunnel to WhatsApp's hosts; the simulator
answers the tunnel itself, with a certificate of its own authority. Inside, ``/ws/chat`` becomes a WebSocket
and everything else is the media service. Plain HTTP requests outside a tunnel are the control API.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import h11
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request
from wsproto.utilities import ProtocolError

from local.whatsapp.connection import ClientConnection, Services
from local.whatsapp.media import MAXIMUM_UPLOAD_BYTES, MediaStore

CHAT_PATH = "/ws/chat"
_TUNNEL_HOSTS = (".whatsapp.com", ".whatsapp.net")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HttpRequest:
    """A request with its whole body."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class HttpResponse:
    """A response with its whole body."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"


ControlApi = Callable[[HttpRequest], Awaitable[HttpResponse]]


@dataclass(frozen=True)
class Door:
    """What every connection to the port shares."""

    services: Services
    tls: ssl.SSLContext
    media: MediaStore
    control: ControlApi


class HttpConnection(asyncio.Protocol):
    """One TCP (or tunnelled) connection, until it becomes something else."""

    def __init__(self, door: Door, *, inside_tunnel: bool = False) -> None:
        self._door = door
        self._inside = inside_tunnel
        self._http = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport | None = None
        self._early = bytearray()
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._busy = False
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start reading; data that came before is read now."""
        self._transport = cast("asyncio.Transport", transport)
        if self._early:
            early, self._early = bytes(self._early), bytearray()
            self.data_received(early)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Drop what was running for this connection."""
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed the HTTP parser."""
        if self._transport is None:
            self._early += data
            return
        try:
            self._http.receive_data(data)
            self._advance()
        except h11.RemoteProtocolError as error:
            _log.info("not HTTP: %s", error)
            self._transport.close()

    def _advance(self) -> None:
        while not self._busy:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._request, self._body = event, bytearray()
                if self._takes_over(event):
                    return
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAXIMUM_UPLOAD_BYTES:
                    raise h11.RemoteProtocolError("body too large")
            elif isinstance(event, h11.EndOfMessage):
                self._dispatch()
            else:
                if isinstance(event, h11.ConnectionClosed) and self._transport is not None:
                    self._transport.close()
                return

    def _takes_over(self, request: h11.Request) -> bool:
        """Handle requests after which the connection is no longer HTTP."""
        target = request.target.decode("ascii", "replace")
        if request.method == b"CONNECT" and not self._inside:
            self._tunnel(target)
            return True
        upgrade = any(name == b"upgrade" and value.lower() == b"websocket" for name, value in request.headers)
        if upgrade and target.startswith(CHAT_PATH):
            self._upgrade(request)
            return True
        return False

    def _tunnel(self, target: str) -> None:
        host = target.rpartition(":")[0]
        if not host.endswith(_TUNNEL_HOSTS):
            self._respond(HttpResponse(403, b"this proxy leads to WhatsApp's hosts only\n", "text/plain"), close=True)
            return
        if self._transport is None:
            return
        self._transport.pause_reading()
        self._transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._run(self._start_tls())

    async def _start_tls(self) -> None:
        if self._transport is None:
            return
        inner = HttpConnection(self._door, inside_tunnel=True)
        try:
            secured = await asyncio.get_running_loop().start_tls(
                self._transport, inner, self._door.tls, server_side=True
            )
        except (OSError, ssl.SSLError) as error:
            _log.warning("TLS inside the tunnel failed: %s", error)
            self._transport.abort()
            return
        if secured is None:
            return
        inner.connection_made(secured)

    def _upgrade(self, request: h11.Request) -> None:
        if self._transport is None:
            return
        protocol = WebSocketConnection(self._transport, self._door.services)
        self._transport.set_protocol(protocol)
        protocol.upgrade(request)
        trailing, _closed = self._http.trailing_data
        if trailing:
            protocol.data_received(trailing)

    def _dispatch(self) -> None:
        request = self._request
        if request is None:
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        whole = HttpRequest(
            request.method.decode("ascii"), request.target.decode("ascii", "replace"), headers, bytes(self._body)
        )
        if self._inside:
            self._respond(self._serve_media(whole))
            return
        self._busy = True
        self._run(self._control(whole))

    def _serve_media(self, request: HttpRequest) -> HttpResponse:
        path = request.target.partition("?")[0]
        if request.method == "POST":
            return HttpResponse(200, self._door.media.upload(path, request.body))
        found = self._door.media.download(path)
        if found is None:
            return HttpResponse(404, b"")
        return HttpResponse(200, found, "application/octet-stream")

    async def _control(self, request: HttpRequest) -> None:
        response = await self._door.control(request)
        self._busy = False
        self._respond(response)
        self._advance()

    def _respond(self, response: HttpResponse, *, close: bool = False) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        headers = [("content-type", response.content_type), ("content-length", str(len(response.body)))]
        if close:
            headers.append(("connection", "close"))
        out = self._http.send(h11.Response(status_code=response.status, headers=headers)) or b""
        out += self._http.send(h11.Data(data=response.body)) or b""
        out += self._http.send(h11.EndOfMessage()) or b""
        transport.write(out)
        if close or self._http.our_state is h11.MUST_CLOSE:
            transport.close()
        elif self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()

    def _run(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class WebSocketConnection(asyncio.Protocol):
    """The chat socket: one frame of the Noise stream per binary message."""

    def __init__(self, transport: asyncio.Transport, services: Services) -> None:
        self._transport = transport
        self._socket = WSConnection(ConnectionType.SERVER)
        self._client = ClientConnection(self, services)

    def upgrade(self, request: h11.Request) -> None:
        """Answer the upgrade request; extensions that the client offers are not taken."""
        self._socket.initiate_upgrade_connection(list(request.headers), request.target.decode("ascii", "replace"))
        for event in self._socket.events():
            if isinstance(event, Request):
                self._transport.write(self._socket.send(AcceptConnection()))

    def data_received(self, data: bytes) -> None:
        """Feed the WebSocket parser."""
        try:
            self._socket.receive_data(data)
            for event in self._socket.events():
                if isinstance(event, BytesMessage):
                    self._client.received(bytes(event.data))
                elif isinstance(event, Ping):
                    self._transport.write(self._socket.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self._transport.write(self._socket.send(event.response()))
                    self._transport.close()
        except ProtocolError as error:
            _log.info("not a WebSocket: %s", error)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell the client connection."""
        self._client.lost()

    def write(self, messages: list[bytes]) -> None:
        """Send binary messages."""
        if messages and not self._transport.is_closing():
            self._transport.write(b"".join(self._socket.send(BytesMessage(data=message)) for message in messages))

    def close(self) -> None:
        """Close after what was written."""
        if not self._transport.is_closing():
            if self._socket.state is ConnectionState.OPEN:
                self._transport.write(self._socket.send(CloseConnection(code=1000)))
            self._transport.close()

    def abort(self) -> None:
        """Cut the line."""
        self._transport.abort()

"""One client's connection: frames, handshake, then encrypted stanzas."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from local.whatsapp.binary_xml import BinaryXmlError, Node
from local.whatsapp.login import Login, LoginRefusedError, read_payload
from local.whatsapp.noise import HEADER, Established, NoiseError, ServerHandshake
from local.whatsapp.protobuf import ProtobufError

if TYPE_CHECKING:
    from local.whatsapp.accounts import Device
    from local.whatsapp.certificates import NoiseCredentials
    from local.whatsapp.network import Network
    from local.whatsapp.pairing import Pairing, Registration
    from local.whatsapp.stanzas import Stanzas

_MAXIMUM_FRAME = 1 << 24
_LINGER_S = 0.25  # a client that sees the line close before it handled the last stanza would just dial again
_log = logging.getLogger(__name__)


class Line(Protocol):
    """The message transport under a connection: a WebSocket."""

    def write(self, messages: list[bytes]) -> None:
        """Send binary messages."""

    def close(self) -> None:
        """Close after what was written."""

    def abort(self) -> None:
        """Cut the line."""


@dataclass(frozen=True)
class Services:
    """What connections share."""

    network: Network
    credentials: NoiseCredentials
    pairing: Pairing
    login: Login
    stanzas: Stanzas


class ClientConnection:
    """A client on a line, before and after it is known which device it is."""

    registration: Registration

    def __init__(self, line: Line, services: Services) -> None:
        self._line = line
        self._services = services
        self._network = services.network
        self._handshake: ServerHandshake | None = ServerHandshake(
            services.credentials.static, services.credentials.chain
        )
        self._established: Established | None = None
        self._buffer = bytearray()
        self._header_seen = False
        self._said_hello = False
        self._device: Device | None = None
        self._held_back: list[bytes] = []
        self._delayed: deque[tuple[float, bytes]] = deque()
        self._closing = False
        self._silent_until = 0.0
        self._unheard: list[bytes] = []
        self.is_open = True
        self._network.counters.add("sockets.opened")

    # From the line

    def received(self, data: bytes) -> None:
        """Take bytes from the line; once the connection is being closed they no longer count."""
        if self._closing:
            return
        if asyncio.get_running_loop().time() < self._silent_until:
            self._unheard.append(data)
            return
        self._buffer += data
        try:
            self._read_frames()
        except (NoiseError, ProtobufError, BinaryXmlError, ValueError) as error:
            _log.warning("a client's bytes are not the protocol: %s", error)
            self._network.counters.add("protocol_errors")
            self.abort()
        self._network.flush_soon(self)

    def _read_frames(self) -> None:
        if not self._header_seen:
            if len(self._buffer) < len(HEADER):
                return
            if self._buffer[: len(HEADER)] != HEADER:
                raise NoiseError("unknown protocol header")
            del self._buffer[: len(HEADER)]
            self._header_seen = True
        while len(self._buffer) >= 3 and self.is_open:
            size = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < size + 3:
                return
            frame = bytes(self._buffer[3 : size + 3])
            del self._buffer[: size + 3]
            self._frame(frame)

    def _frame(self, frame: bytes) -> None:
        if self._established is not None:
            self._stanza(self._network.codec.decode(self._established.inbound.decrypt(frame)))
            return
        handshake = self._handshake
        if handshake is None:
            return
        if not self._said_hello:
            self._said_hello = True
            self._frame_out(handshake.answer_hello(frame))
            return
        self._handshake = None
        self._established = handshake.finish(frame)
        self._identify(self._established)

    def _identify(self, established: Established) -> None:
        payload = read_payload(established.payload, established.client_static)
        if payload.registration is not None:
            self.registration = payload.registration
            self._services.pairing.begin(self)
            return
        try:
            device = self._services.login.admit(payload, established.client_static)
        except LoginRefusedError as refused:
            self._network.counters.add(f"login.refused.{refused.node.text('reason')}")
            self.send(refused.node)
            self.close()
            return
        self._device = device
        self._services.login.take_over(device, self)

    def _stanza(self, node: Node) -> None:
        if self._device is None:
            self._services.pairing.accept(self, node)
        elif self._network.faults.loses(node.tag):
            self._network.counters.add("lost.from_client")
        else:
            self._services.stanzas.handle(self._device, node)

    def lost(self) -> None:
        """The line is gone."""
        if not self.is_open:
            return
        self.is_open = False
        self._network.counters.add("sockets.closed")
        if self._device is not None:
            self._services.login.leave(self._device, self)
        else:
            self._services.pairing.forget(self)

    # To the line

    def send(self, node: Node) -> None:
        """Encrypt a stanza; it leaves when the state is committed."""
        if self._established is None or self._closing or not self.is_open:
            return
        self._network.counters.add(f"sent.{node.tag}")
        self._frame_out(self._established.outbound.encrypt(self._network.codec.encode(node)))

    def _frame_out(self, frame: bytes) -> None:
        if len(frame) >= _MAXIMUM_FRAME:
            raise ValueError("frame too large")
        self._held_back.append(len(frame).to_bytes(3, "big") + frame)
        self._network.flush_soon(self)

    def flush(self) -> None:
        """Write what was held back; with latency, or in silence, later."""
        loop = asyncio.get_running_loop()
        due = max(loop.time() + self._network.faults.latency_ms / 1000, self._silent_until)
        if self._delayed:
            due = max(due, self._delayed[-1][0])
        held, self._held_back = self._held_back, []
        if due <= loop.time() and not self._delayed:
            self._line.write(held)
            return
        self._delayed.extend((due, frame) for frame in held)
        loop.call_at(due, self._write_delayed)

    def _write_delayed(self) -> None:
        now = asyncio.get_running_loop().time()
        ready = []
        while self._delayed and self._delayed[0][0] <= now + 0.001:
            ready.append(self._delayed.popleft()[1])
        self._line.write(ready)

    def silence(self, seconds: float) -> None:
        """Neither read nor write for a while; then everything comes at once."""
        loop = asyncio.get_running_loop()
        self._silent_until = loop.time() + seconds
        loop.call_at(self._silent_until + 0.005, self._listen_again)

    def _listen_again(self) -> None:
        unheard, self._unheard = self._unheard, []
        for data in unheard:
            self.received(data)

    def close(self) -> None:
        """Close after what was sent."""
        if self._closing:
            return
        self._closing = True
        self._network.flush_soon(self)
        asyncio.get_running_loop().call_later(_LINGER_S, self._line.close)
        if self._device is not None:
            self._services.login.leave(self._device, self)

    def abort(self) -> None:
        """Cut the line, as a broken network does."""
        self._line.abort()
        self.lost()

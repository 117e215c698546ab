"""Login of linked companions: who may, what the server answers, and what follows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.whatsapp import protobuf
from local.whatsapp.binary_xml import Node
from local.whatsapp.clock import epoch_text
from local.whatsapp.jid import PHONE_SERVER, Jid
from local.whatsapp.pairing import Registration

if TYPE_CHECKING:
    from local.whatsapp.accounts import Device, Outlet
    from local.whatsapp.network import Network

LOGGED_OUT, TEMPORARILY_BANNED, OUTDATED, UNAVAILABLE = 401, 402, 405, 503


class LoginRefusedError(Exception):
    """The login ends with this ``failure`` stanza."""

    def __init__(self, node: Node) -> None:
        super().__init__(f"login refused with {node.text('reason')}")
        self.node = node


@dataclass(frozen=True)
class ClientPayload:
    """The parts of a client's payload that decide: a registration, or the address of a linked device."""

    registration: Registration | None
    username: str
    device: int


def read_payload(payload: bytes, noise_key: bytes) -> ClientPayload:
    """Read what a client says of itself in its last handshake message.

    Raises:
        ProtobufError: it is malformed.
    """
    fields = protobuf.decode(payload)
    pairing = protobuf.blob(fields, 19)
    registration = None
    if pairing:
        parts = protobuf.decode(pairing)
        signed = (
            int.from_bytes(protobuf.blob(parts, 4), "big"),
            protobuf.blob(parts, 5),
            protobuf.blob(parts, 6),
        )
        registration = Registration(
            noise_key, protobuf.blob(parts, 3), int.from_bytes(protobuf.blob(parts, 1), "big"), signed
        )
    return ClientPayload(registration, str(protobuf.integer(fields, 1)), protobuf.integer(fields, 18))


def _failure(reason: int, **attrs: str) -> LoginRefusedError:
    return LoginRefusedError(Node("failure", {"reason": str(reason), "location": "sim", **attrs}))


class Login:
    """Decides on logins and puts a connection in its device's place."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def admit(self, payload: ClientPayload, noise_key: bytes) -> Device:
        """The device that logs in.

        Raises:
            LoginRefusedError: unknown device, banned, outdated, or maintenance.
        """
        if self._network.faults.maintenance:
            raise _failure(UNAVAILABLE)
        device = self._network.directory.device(Jid(payload.username, PHONE_SERVER, payload.device))
        if device is None or device.is_primary or device.noise_key != noise_key:
            raise _failure(LOGGED_OUT)
        self._check_restrictions(device)
        return device

    def _check_restrictions(self, device: Device) -> None:
        restrictions = device.account.restrictions
        if restrictions.failure_once is not None:
            reason, restrictions.failure_once = restrictions.failure_once, None
            self._network.save(device.account)
            raise _failure(reason)
        if restrictions.outdated:
            raise _failure(OUTDATED)
        if restrictions.ban_code is not None:
            left = 0 if restrictions.ban_until is None else int(restrictions.ban_until - time.time())
            if restrictions.ban_until is None or left > 0:
                raise _failure(TEMPORARILY_BANNED, code=str(restrictions.ban_code), expire=str(max(left, 1)))
            restrictions.ban_code = restrictions.ban_until = None
            self._network.save(device.account)

    def take_over(self, device: Device, outlet: Outlet) -> None:
        """Put a connection in the device's place; an older one is closed as replaced."""
        if device.outlet is not None:
            self._network.counters.add("login.replaced_older")
            device.outlet.send(replaced())
            device.outlet.close()
        device.outlet, device.active = outlet, False
        self._network.counters.add("login")
        outlet.send(
            Node("success", {"t": epoch_text(), "lid": device.lid, "location": "sim", "props": "0", "creation": "0"})
        )

    def activate(self, device: Device, request: Node) -> None:
        """Answer the client's switch to active, and send what waited for it."""
        self._network.reply_result(device, request)
        if request.child("passive") is not None:
            device.active = False
            return
        if not device.active:
            device.active = True
            self._network.flush_queue(device)

    def leave(self, device: Device, outlet: Outlet) -> None:
        """A connection is gone; a newer one of the same device stays."""
        if device.outlet is outlet:
            device.outlet, device.active = None, False


def replaced() -> Node:
    """The stream error for a connection whose place another one took."""
    return Node("stream:error", {}, [Node("conflict", {"type": "replaced"})])

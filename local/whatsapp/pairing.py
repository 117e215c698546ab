"""Linking a companion: by QR code or by eight letters, from the server's and from the phone's side."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from local.whatsapp import protobuf
from local.whatsapp.accounts import MAXIMUM_COMPANIONS, Account, Device
from local.whatsapp.binary_xml import Attribute, Node
from local.whatsapp.clock import epoch_text
from local.whatsapp.code_pairing import WRAPPED_SIZE, CodeOffer, shared_secret, unwrap, wrap
from local.whatsapp.jid import SERVER
from local.whatsapp.network import Network, error_of, result_of
from local.whatsapp.signal.keys import verify

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCES = 6
FIRST_CODE_S = 60.0
NEXT_CODE_S = 20.0
_PHONE_ANSWER_S = 10.0
_CODE_LIFETIME_S = 180.0


class PairingError(Exception):
    """Linking did not work; the message says why and may be shown to the person holding the phone."""


class UnknownCodeError(PairingError):
    """The code is not one that is being shown now: mistyped, expired, or used before."""


@dataclass(frozen=True)
class Registration:
    """What a new companion says of itself when it connects."""

    noise_key: bytes
    identity: bytes
    registration_id: int
    signed_prekey: tuple[int, bytes, bytes]


class UnpairedConnection(Protocol):
    """A connection whose device is not linked yet."""

    registration: Registration

    def send(self, node: Node) -> None:
        """Send a stanza."""

    def close(self) -> None:
        """Close after what was sent."""

    @property
    def is_open(self) -> bool:
        """Whether the socket is still there."""


@dataclass
class Attempt:
    """One companion waiting to be linked."""

    connection: UnpairedConnection
    references: list[bytes]
    started_at: float
    code: CodeOffer | None = None
    outcome: asyncio.Future[Device] | None = None
    pending: Device | None = None
    stanza_id: str = ""


class Pairing:
    """All companions that wait to be linked.

    Args:
        network: the network.
        clock: monotonic seconds.
    """

    def __init__(self, network: Network, clock: Callable[[], float] = time.monotonic) -> None:
        self._network = network
        self._clock = clock
        self._attempts: dict[UnpairedConnection, Attempt] = {}
        self._entered: dict[bytes, tuple[Account, asyncio.Future[Device]]] = {}
        self._next_id = 0

    def begin(self, connection: UnpairedConnection) -> None:
        """Give a new companion its QR references."""
        references = [base64.b64encode(os.urandom(18)) for _ in range(REFERENCES)]
        self._attempts[connection] = Attempt(connection, references, self._clock())
        listed = [Node("ref", {}, reference) for reference in references]
        connection.send(self._request([Node("pair-device", {}, listed)]))
        self._network.counters.add("pairing.started")

    def forget(self, connection: UnpairedConnection) -> None:
        """The companion's connection is gone."""
        attempt = self._attempts.pop(connection, None)
        if attempt is not None and attempt.outcome is not None and not attempt.outcome.done():
            attempt.outcome.set_exception(PairingError("the companion disconnected while it was being linked"))

    def _request(self, content: list[Node]) -> Node:
        self._next_id += 1
        attrs: dict[str, Attribute] = {
            "from": SERVER,
            "type": "set",
            "id": f"pair-{self._next_id}",
            "t": epoch_text(),
            "xmlns": "md",
        }
        return Node("iq", attrs, content)

    # The companion's stanzas

    def accept(self, connection: UnpairedConnection, node: Node) -> None:
        """Handle a stanza of a companion that is not linked yet."""
        attempt = self._attempts.get(connection)
        if attempt is None or node.tag != "iq":
            return
        if attempt.outcome is not None and node.text("id") == attempt.stanza_id:
            self._conclude(attempt, node)
            return
        registration = node.child("link_code_companion_reg")
        if registration is not None and node.text("type") == "set":
            self._code_stage(attempt, node, registration)
        elif node.text("type") in ("get", "set"):
            connection.send(result_of(node))

    def _conclude(self, attempt: Attempt, node: Node) -> None:
        outcome, device = attempt.outcome, attempt.pending
        if outcome is None or outcome.done() or device is None:
            return
        sign = node.child("pair-device-sign")
        if node.text("type") != "result" or sign is None:
            error = node.child("error")
            outcome.set_exception(
                PairingError(f"the companion refused: {error.text('text') if error else 'no reason'}")
            )
            return
        if not _is_countersigned(device, sign):
            outcome.set_exception(PairingError("the companion's signature is wrong"))
            return
        self._network.link(device)
        self._network.counters.add("pairing.linked")
        outcome.set_result(device)
        attempt.connection.send(Node("stream:error", {"code": "515"}))
        attempt.connection.close()

    # QR

    async def scan(self, account: Account, code: str) -> Device:
        """The phone of ``account`` scans a QR code; returns the linked companion.

        Args:
            account: whose phone scans.
            code: the text inside the QR code.

        Raises:
            UnknownCodeError: nobody shows this code now.
            PairingError: the companion refused, or the account has its four companions already.
        """
        fields = code.strip().rpartition("#")[2].split(",")
        if len(fields) < 4:
            raise UnknownCodeError("this is not a WhatsApp linking code")
        reference = fields[0].encode()
        attempt = next((known for known in self._attempts.values() if reference in known.references), None)
        if attempt is None or not attempt.connection.is_open or not self._is_shown(attempt, reference):
            raise UnknownCodeError("the code has expired or was used before; scan the one shown now")
        try:
            secret = base64.b64decode(fields[3], validate=True)
            identity = base64.b64decode(fields[2], validate=True)
        except binascii.Error as error:
            raise UnknownCodeError("this is not a WhatsApp linking code") from error
        if identity != attempt.connection.registration.identity:
            raise UnknownCodeError("the code does not belong to the companion that shows it")
        return await self._link(attempt, account, secret)

    def _is_shown(self, attempt: Attempt, reference: bytes) -> bool:
        position = attempt.references.index(reference)
        return self._clock() - attempt.started_at <= FIRST_CODE_S + NEXT_CODE_S * (position + 1)

    async def _link(self, attempt: Attempt, account: Account, secret: bytes) -> Device:
        if len(account.companions) >= MAXIMUM_COMPANIONS:
            raise PairingError(f"this phone already has {MAXIMUM_COMPANIONS} linked devices")
        if attempt.outcome is not None:
            raise UnknownCodeError("the code is being used by another phone")
        connection = attempt.connection
        registration = connection.registration
        number = account.next_device
        account.next_device += 1
        self._network.save(account)
        device = Device(
            account, number, registration.identity, registration.registration_id, registration.signed_prekey,
            noise_key=registration.noise_key,
        )  # fmt: skip
        attempt.pending = device
        attempt.outcome = asyncio.get_running_loop().create_future()
        stanza = self._request([Node("pair-success", {}, _success(account, device, secret))])
        attempt.stanza_id = stanza.text("id")
        connection.send(stanza)
        self._network.flush_soon()
        try:
            return await asyncio.wait_for(attempt.outcome, _PHONE_ANSWER_S)
        except TimeoutError as error:
            raise PairingError("the companion did not answer") from error
        finally:
            self._attempts.pop(connection, None)

    # Eight letters

    def _code_stage(self, attempt: Attempt, request: Node, registration: Node) -> None:
        if registration.text("stage") == "companion_hello":
            self._code_hello(attempt, request, registration)
        elif registration.text("stage") == "companion_finish" and attempt.code is not None:
            attempt.connection.send(result_of(request))
            asyncio.get_running_loop().create_task(self._code_finish(attempt, attempt.code, registration))
        else:
            attempt.connection.send(error_of(request, 400, "bad-request"))

    def _code_hello(self, attempt: Attempt, request: Node, registration: Node) -> None:
        jid, wrapped = registration.jid("jid"), registration.child("link_code_pairing_wrapped_companion_ephemeral_pub")
        if jid is None or wrapped is None or len(wrapped.data()) != WRAPPED_SIZE:
            attempt.connection.send(error_of(request, 400, "bad-request"))
            return
        reference = base64.b64encode(os.urandom(18))
        attempt.code = CodeOffer(jid.user, reference, wrapped.data(), self._clock() + _CODE_LIFETIME_S)
        answer = Node(
            "link_code_companion_reg", {"stage": "companion_hello"}, [Node("link_code_pairing_ref", {}, reference)]
        )
        attempt.connection.send(result_of(request, [answer]))

    async def enter_code(self, account: Account, code: str) -> Device:
        """The phone of ``account`` gets the eight letters typed in; returns the linked companion.

        Raises:
            UnknownCodeError: no companion shows a code for this number, or another one.
            PairingError: the companion refused.
        """
        letters = code.replace("-", "").strip().upper()
        attempt = self._waiting_for(account)
        offer = attempt.code
        if offer is None or len(letters) != 8:
            raise UnknownCodeError("a code has eight letters, such as ABCD-EFGH")
        offer.companion_ephemeral = await asyncio.to_thread(unwrap, letters, offer.wrapped_ephemeral)
        wrapped = await asyncio.to_thread(wrap, letters, offer.ephemeral.public)
        outcome: asyncio.Future[Device] = asyncio.get_running_loop().create_future()
        self._entered[offer.reference] = (account, outcome)
        content = [
            Node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, wrapped),
            Node("primary_identity_pub", {}, account.keys.identity.public),
            Node("link_code_pairing_ref", {}, offer.reference),
        ]
        self._next_id += 1
        attrs: dict[str, Attribute] = {
            "from": SERVER,
            "type": "link_code_companion_reg",
            "id": f"code-{self._next_id}",
            "t": epoch_text(),
        }
        registration = Node("link_code_companion_reg", {"stage": "primary_hello"}, content)
        attempt.connection.send(Node("notification", attrs, [registration]))
        self._network.flush_soon()
        try:
            return await asyncio.wait_for(outcome, _PHONE_ANSWER_S)
        except TimeoutError as error:
            raise PairingError("the companion did not answer") from error
        finally:
            self._entered.pop(offer.reference, None)

    def _waiting_for(self, account: Account) -> Attempt:
        for attempt in reversed(self._attempts.values()):
            offer = attempt.code
            if offer is None or offer.number not in (account.user, account.number):
                continue
            if attempt.connection.is_open and self._clock() <= offer.expires_at:
                return attempt
        raise UnknownCodeError("no companion is waiting for a code from this number")

    async def _code_finish(self, attempt: Attempt, offer: CodeOffer, registration: Node) -> None:
        entered = self._entered.get(offer.reference)
        if entered is None:
            return
        account, outcome = entered
        try:
            secret = shared_secret(account, attempt.connection.registration.identity, offer, registration)
            device = await self._link(attempt, account, secret)
        except (PairingError, ValueError) as error:
            if not outcome.done():
                outcome.set_exception(
                    error if isinstance(error, PairingError) else UnknownCodeError("the code is wrong")
                )
            return
        if not outcome.done():
            outcome.set_result(device)


def _success(account: Account, device: Device, secret: bytes) -> list[Node]:
    keys = account.keys
    raw_id = int.from_bytes(hashlib.sha256(account.user.encode()).digest()[:4], "big")
    details = protobuf.encode([(1, raw_id), (2, int(time.time())), (3, device.number), (4, 0), (5, 0)])
    signature = keys.identity.sign(b"\x06\x00" + details + device.identity)
    signed = protobuf.encode([(1, details), (2, keys.identity.public), (3, signature)])
    container = protobuf.encode([(1, signed), (2, hmac.digest(secret, signed, "sha256"))])
    return [
        Node("device-identity", {}, container),
        Node("biz", {"name": account.name}) if account.name else Node("biz"),
        Node("device", {"jid": device.jid, "lid": device.lid}),
        Node("platform", {"name": "android"}),
    ]


def _is_countersigned(device: Device, sign: Node) -> bool:
    """Whether the companion signed, with its own identity, the identity the phone gave it."""
    signed = sign.child("device-identity")
    if signed is None:
        return False
    fields = protobuf.decode(signed.data())
    message = b"\x06\x01" + protobuf.blob(fields, 1) + device.identity + device.account.keys.identity.public
    return verify(device.identity, message, protobuf.blob(fields, 4))

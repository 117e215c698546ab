"""Linking by QR code from the phone's side, with a companion that needs no socket."""

from __future__ import annotations

import asyncio
import base64
import hmac
from typing import TYPE_CHECKING

import pytest

from local.whatsapp import protobuf
from local.whatsapp.binary_xml import Attribute, Node
from local.whatsapp.jid import SERVER, Jid
from local.whatsapp.pairing import FIRST_CODE_S, NEXT_CODE_S, Pairing, PairingError, Registration, UnknownCodeError
from local.whatsapp.signal.keys import verify
from local.whatsapp.signal.party import SIGNED_PREKEY_ID, PartyKeys
from tests.local.whatsapp.companion import Bench, play

if TYPE_CHECKING:
    from pathlib import Path

CLINIC = "5511988880001"
SECRET = b"s" * 32


class Waiting:
    """A companion that shows codes."""

    def __init__(self, pairing: Pairing, name: str = "companion") -> None:
        self.keys = PartyKeys(name.encode().ljust(32, b"."))
        signed = (SIGNED_PREKEY_ID, self.keys.signed_prekey.public, self.keys.signature)
        self.registration = Registration(b"n" * 32, self.keys.identity.public, 1, signed)
        self.pairing = pairing
        self.seen: list[Node] = []
        self.is_open = True
        self.answers = True
        self.signs_wrongly = False
        pairing.begin(self)

    def send(self, node: Node) -> None:
        self.seen.append(node)
        success = node.child("pair-success")
        if success is not None and self.answers:
            self._answer(node, success)

    def close(self) -> None:
        self.is_open = False

    def code(self, number: int = 0) -> str:
        device = self.seen[0].child("pair-device")
        assert device is not None
        reference = device.children()[number].data().decode()
        keys = [self.registration.noise_key, self.registration.identity, SECRET]
        encoded = ",".join(base64.b64encode(key).decode() for key in keys)
        return f"https://wa.me/settings/linked_devices#{reference},{encoded},1"

    def _answer(self, node: Node, success: Node) -> None:
        """Check what the client checks, then countersign or refuse."""
        container_node = success.child("device-identity")
        assert container_node is not None
        container = protobuf.decode(container_node.data())
        signed = protobuf.blob(container, 1)
        fields = protobuf.decode(signed)
        key, details = protobuf.blob(fields, 2), protobuf.blob(fields, 1)
        authentic = hmac.digest(SECRET, signed, "sha256") == protobuf.blob(container, 2)
        message = b"\x06\x00" + details + self.registration.identity
        attrs: dict[str, Attribute] = {"to": SERVER, "id": node.text("id")}
        if not (authentic and verify(key, message, protobuf.blob(fields, 3))):
            error = Node("error", {"code": "401", "text": "hmac-mismatch"})
            self.pairing.accept(self, Node("iq", {**attrs, "type": "error"}, [error]))
            return
        countersignature = self.keys.identity.sign(b"\x06\x01" + details + self.registration.identity + key)
        if self.signs_wrongly:
            countersignature = bytes(64)
        countersigned = protobuf.encode([(1, details), (3, protobuf.blob(fields, 3)), (4, countersignature)])
        sign = Node("pair-device-sign", {}, [Node("device-identity", {"key-index": "1"}, countersigned)])
        self.pairing.accept(self, Node("iq", {**attrs, "type": "result"}, [sign]))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_scan_links_and_tells_the_address(tmp_path: Path) -> None:
    """A scan makes device 1 with both addresses, and ends the stream so that the client logs in."""

    async def scenario(bench: Bench) -> None:
        pairing = Pairing(bench.network)
        waiting = Waiting(pairing)
        account = bench.network.register(CLINIC)
        device = await pairing.scan(account, waiting.code())
        assert (device.number, device.noise_key) == (1, waiting.registration.noise_key)
        assert account.companions == [device]
        success = waiting.seen[1].child("pair-success")
        assert success is not None
        address = success.child("device")
        assert address is not None
        assert address.attrs == {"jid": Jid(CLINIC, device=1), "lid": Jid(account.lid, "lid", 1)}
        assert waiting.seen[-1] == Node("stream:error", {"code": "515"})
        assert not waiting.is_open
        with pytest.raises(UnknownCodeError):
            await pairing.scan(account, waiting.code())

    play(scenario, tmp_path)


def test_codes_expire_one_after_the_other(tmp_path: Path) -> None:
    """The first code is good for a minute and the grace of the next one, each later one for its own time."""

    async def scenario(bench: Bench) -> None:
        clock = Clock()
        pairing = Pairing(bench.network, clock)
        waiting = Waiting(pairing)
        account = bench.network.register(CLINIC)
        clock.now = FIRST_CODE_S + NEXT_CODE_S + 1
        with pytest.raises(UnknownCodeError, match="expired"):
            await pairing.scan(account, waiting.code(0))
        assert (await pairing.scan(account, waiting.code(1))).number == 1

    play(scenario, tmp_path)


def test_code_of_another_companion_is_refused(tmp_path: Path) -> None:
    """A reference with somebody else's keys does not link anybody; a foreign secret is refused by the client."""

    async def scenario(bench: Bench) -> None:
        pairing = Pairing(bench.network)
        first, second = Waiting(pairing, "first"), Waiting(pairing, "second")
        account = bench.network.register(CLINIC)
        mixed = first.code().split(",")[0] + "," + second.code().partition(",")[2]
        with pytest.raises(UnknownCodeError, match="does not belong"):
            await pairing.scan(account, mixed)
        parts = first.code().split(",")
        parts[3] = base64.b64encode(b"another secret of 32 bytes......").decode()
        with pytest.raises(PairingError, match="hmac-mismatch"):
            await pairing.scan(account, ",".join(parts))
        forger = Waiting(pairing, "forger")
        forger.signs_wrongly = True
        with pytest.raises(PairingError, match="signature is wrong"):
            await pairing.scan(account, forger.code())
        assert account.companions == []

    play(scenario, tmp_path)


def test_companion_that_goes_away_or_a_fifth_one(tmp_path: Path) -> None:
    """A companion that disconnects while it is being linked fails the scan; four companions are the limit."""

    async def scenario(bench: Bench) -> None:
        pairing = Pairing(bench.network)
        account = bench.network.register(CLINIC)
        silent = Waiting(pairing, "silent")
        silent.answers = False
        scan = asyncio.ensure_future(pairing.scan(account, silent.code()))
        await asyncio.sleep(0)
        pairing.forget(silent)
        with pytest.raises(PairingError, match="disconnected"):
            await scan
        for number in range(4):
            await pairing.scan(account, Waiting(pairing, f"companion {number}").code())
        with pytest.raises(PairingError, match="4 linked devices"):
            await pairing.scan(account, Waiting(pairing, "fifth").code())
        assert [device.number for device in account.companions] == [2, 3, 4, 5]

    play(scenario, tmp_path)

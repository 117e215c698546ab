"""What a phone remembers goes to its companions as one chunk, and into no list of messages."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from local.whatsapp import protobuf
from local.whatsapp.content import PROTOCOL
from local.whatsapp.signal.session import hkdf
from tests.local.whatsapp.companion import Bench, Companion, play

if TYPE_CHECKING:
    from pathlib import Path

    from local.whatsapp.binary_xml import Node

CLINIC, ANA, BIA = "5511988880001", "5511977770001", "5511977770002"
DAY_S = 86_400


def announced(companion: Companion, node: Node) -> dict[int, protobuf.FieldValue]:
    """What a peer message says of a chunk."""
    encrypted, sender = node.child("enc"), node.jid("from")
    assert encrypted is not None
    assert sender is not None
    plain = protobuf.decode(companion.party.decrypt(sender, encrypted.text("type"), encrypted.data()))
    return protobuf.decode(protobuf.blob(protobuf.decode(protobuf.blob(plain, PROTOCOL)), 6))


def fields_of(chunk: bytes) -> list[tuple[int, protobuf.FieldValue]]:
    return list(protobuf.iterate(zlib.decompress(chunk)))


def decrypted(path: Path, key: bytes) -> bytes:
    """A file of the media service, as whoever has its key reads it."""
    body = path.read_bytes()
    material = hkdf(key, b"WhatsApp History Keys", 80)
    decryptor = Cipher(algorithms.AES(material[16:48]), modes.CBC(material[:16])).decryptor()
    padded = decryptor.update(body[:-10]) + decryptor.finalize()
    return padded[: -padded[-1]]


def peer_messages(companion: Companion) -> list[Node]:
    return [node for node in companion.device.queue.values() if node.text("category") == "peer"]


def test_a_new_companion_is_told_the_phones_history_and_a_linked_one_what_is_added(tmp_path: Path) -> None:
    """Whom with and when last, newest as given; the ledger and the phones' lists stay as they were."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=CLINIC)
        past = [{"with": ANA, "days_ago": 30}]
        answer = await bench.post(f"/phones/{CLINIC}/history", conversations=past)
        assert answer == {"remembered": 1, "companions_told": 0}
        companion = bench.companion(CLINIC)
        (node,) = peer_messages(companion)
        fields = fields_of(protobuf.blob(announced(companion, node), 11))
        (chat,) = [protobuf.decode(value) for number, value in fields if number == 2 and isinstance(value, bytes)]
        ana = bench.network.directory.dialled(ANA)
        assert ana is not None
        assert protobuf.blob(chat, 1).decode() == f"{ana.lid}@lid"
        assert protobuf.integer(chat, 12) == pytest.approx(time.time() - 30 * DAY_S, abs=60)
        assert dict(fields)[1] == 0
        past = [{"with": f"+{BIA}"}]
        assert (await bench.post(f"/phones/{CLINIC}/history", conversations=past))["companions_told"] == 1
        told = announced(companion, peer_messages(companion)[1])
        name = protobuf.blob(told, 5).decode().partition("?")[0].rpartition("/")[2]
        more = fields_of(decrypted(tmp_path / "media" / name, protobuf.blob(told, 3)))
        assert [number for number, _ in more].count(2) == 2
        assert dict(more)[1] == 3
        assert await bench.get("/ledger") == await bench.get(f"/phones/{CLINIC}/messages") == []

    play(scenario, tmp_path)


def test_a_phone_without_a_past_or_switched_off_tells_nothing(tmp_path: Path) -> None:
    """Linking costs nothing more than before, and another clinic's companion hears nothing."""

    async def scenario(bench: Bench) -> None:
        companion, other = bench.companion(CLINIC), bench.companion("5511988880002")
        assert peer_messages(companion) == []
        await bench.post(f"/phones/{CLINIC}/offline")
        past = [{"with": ANA, "days_ago": 1}]
        assert (await bench.post(f"/phones/{CLINIC}/history", conversations=past))["companions_told"] == 0
        assert peer_messages(companion) == peer_messages(other) == []

    play(scenario, tmp_path)


@pytest.mark.parametrize(
    ("past", "field"),
    [
        (None, "conversations"),
        (["5511977770001"], "conversations"),
        ([{"days_ago": 1}], "with"),
        ([{"with": "Ana"}], "with"),
        ([{"with": ANA, "days_ago": -1}], "days_ago"),
    ],
)
def test_a_past_that_cannot_be_is_refused_whole(tmp_path: Path, past: object, field: str) -> None:
    """The answer names the field, and nothing of it is remembered."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=CLINIC)
        listed = [{"with": BIA}, *past] if isinstance(past, list) else past
        status, problem = await bench.call("POST", f"/phones/{CLINIC}/history", {"conversations": listed})
        assert (status, problem["field"]) == (422, field)
        assert peer_messages(bench.companion(CLINIC)) == []

    play(scenario, tmp_path)

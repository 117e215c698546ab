"""The bytes of a vault object: what was packed comes back, anything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_runner import vault_format
from session_runner.vault_format import Kind, VaultDamagedError, unpack

CLINIC, CHANNEL = "cli_a", "chn_a"


def pack(kind: Kind, clinic: str, channel: str, snapshot: bytes, nonce: bytes = b"n" * 16) -> bytes:
    return vault_format.pack(kind, clinic, channel, snapshot, nonce=nonce)


@given(st.binary(max_size=4096))
def test_a_packed_snapshot_comes_back_unchanged(snapshot: bytes) -> None:
    assert unpack(pack(Kind.SNAPSHOT, CLINIC, CHANNEL, snapshot), CLINIC, CHANNEL) == (Kind.SNAPSHOT, snapshot)


@given(st.binary(max_size=512), st.data())
def test_a_changed_byte_is_never_taken_for_a_session(snapshot: bytes, data: st.DataObject) -> None:
    body = bytearray(pack(Kind.SNAPSHOT, CLINIC, CHANNEL, snapshot))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    try:
        kind, found = unpack(bytes(body), CLINIC, CHANNEL)
    except VaultDamagedError:
        return
    assert found == snapshot
    assert kind is Kind.TOMBSTONE or body[place] != pack(Kind.SNAPSHOT, CLINIC, CHANNEL, snapshot)[place]


@given(st.binary(min_size=1, max_size=2048), st.data())
def test_a_truncated_object_is_refused(snapshot: bytes, data: st.DataObject) -> None:
    body = pack(Kind.SNAPSHOT, CLINIC, CHANNEL, snapshot)
    with pytest.raises(VaultDamagedError):
        unpack(body[: data.draw(st.integers(0, len(body) - 1))], CLINIC, CHANNEL)


@pytest.mark.parametrize(("clinic", "channel"), [("cli_b", CHANNEL), (CLINIC, "chn_b"), ("cli_achn_a", "")])
def test_another_clinics_or_channels_object_is_refused(clinic: str, channel: str) -> None:
    with pytest.raises(VaultDamagedError, match="another channel"):
        unpack(pack(Kind.SNAPSHOT, CLINIC, CHANNEL, b"keys"), clinic, channel)


def test_appended_bytes_are_refused() -> None:
    with pytest.raises(VaultDamagedError):
        unpack(pack(Kind.SNAPSHOT, CLINIC, CHANNEL, b"keys") + b"more", CLINIC, CHANNEL)


def test_two_writes_of_the_same_snapshot_differ_so_that_their_etags_do() -> None:
    assert pack(Kind.SNAPSHOT, CLINIC, CHANNEL, b"keys", b"1" * 16) != pack(
        Kind.SNAPSHOT, CLINIC, CHANNEL, b"keys", b"2" * 16
    )

"""Objects of version 1 are read as long as they are whole and the channel's own."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.aws.envelopes import DataKey
from session_runner.vault.format import unpack
from session_runner.vault.object import Kind, Marks, VaultDamagedError
from tests.runner.vault.version_one import HEADER, pack

CLINIC, CHANNEL = "cli_a", "chn_a"
METADATA = {"epoch": "3", "sequence": "9", "nonce": "6e" * 16, "clean": "true"}


def no_keys(clinic_id: str, key_id: bytes) -> DataKey:
    raise AssertionError("version 1 needs no data key")


def read(
    body: bytes, clinic: str = CLINIC, channel: str = CHANNEL, metadata: dict[str, str] = METADATA
) -> tuple[Marks, bytes]:
    return unpack(body, clinic, channel, metadata, no_keys)


@given(st.binary(max_size=4096))
def test_a_packed_snapshot_comes_back_unchanged(snapshot: bytes) -> None:
    marks, found = read(pack(Kind.SNAPSHOT, CLINIC, CHANNEL, snapshot))
    assert found == snapshot
    assert marks == Marks(Kind.SNAPSHOT, 3, 9, "6e" * 16, clean=True)


@given(st.binary(max_size=512), st.data())
def test_a_changed_byte_is_never_taken_for_another_session(snapshot: bytes, data: st.DataObject) -> None:
    body = bytearray(pack(Kind.SNAPSHOT, CLINIC, CHANNEL, snapshot))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    try:
        _, found = read(bytes(body))
    except VaultDamagedError:
        return
    assert found == snapshot


@given(st.binary(min_size=1, max_size=2048), st.data())
def test_a_truncated_object_is_refused(snapshot: bytes, data: st.DataObject) -> None:
    body = pack(Kind.SNAPSHOT, CLINIC, CHANNEL, snapshot)
    with pytest.raises(VaultDamagedError):
        read(body[: data.draw(st.integers(0, len(body) - 1))])


@pytest.mark.parametrize(("clinic", "channel"), [("cli_b", CHANNEL), (CLINIC, "chn_b"), ("cli_achn_a", "")])
def test_another_clinics_or_channels_object_is_refused(clinic: str, channel: str) -> None:
    with pytest.raises(VaultDamagedError, match="another channel"):
        read(pack(Kind.SNAPSHOT, CLINIC, CHANNEL, b"keys"), clinic, channel)


def test_appended_bytes_are_refused() -> None:
    with pytest.raises(VaultDamagedError):
        read(pack(Kind.SNAPSHOT, CLINIC, CHANNEL, b"keys") + b"more")


def test_a_promise_of_more_than_any_session_is_refused_before_anything_is_inflated() -> None:
    body = pack(Kind.SNAPSHOT, CLINIC, CHANNEL, b"keys")
    with pytest.raises(VaultDamagedError, match="larger"):
        read(body[: HEADER.size - 8] + struct.pack(">Q", 1 << 40) + body[HEADER.size :])


@pytest.mark.parametrize("missing", METADATA)
def test_without_its_marks_it_is_refused(missing: str) -> None:
    metadata = {name: value for name, value in METADATA.items() if name != missing}
    with pytest.raises(VaultDamagedError, match="without"):
        read(pack(Kind.SNAPSHOT, CLINIC, CHANNEL, b"keys"), metadata=metadata)


def test_an_epoch_that_is_no_number_is_refused() -> None:
    with pytest.raises(VaultDamagedError, match="without"):
        read(pack(Kind.SNAPSHOT, CLINIC, CHANNEL, b"keys"), metadata={**METADATA, "epoch": "many"})

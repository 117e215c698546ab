"""The bytes of a vault object: what was packed comes back, anything else is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.aws.envelopes import DataKey, SealBrokenError
from recado.kernel.errors import DataErasedError
from session_runner.vault import format as vault_format
from session_runner.vault.format import unpack
from session_runner.vault.object import Kind, Marks, VaultDamagedError

CLINIC, CHANNEL = "cli_a", "chn_a"
KEY = DataKey(CLINIC, b"key of a", b"a" * 32)
MARKS = Marks(Kind.SNAPSHOT, epoch=7, sequence=12, nonce="6e" * 16, clean=True)
HEADER_BYTES = 59


def key_of(clinic_id: str, key_id: bytes) -> DataKey:
    """Every clinic's key; all have the same id here, so that nothing but the encryption tells them apart."""
    if key_id != KEY.key_id:
        raise SealBrokenError
    return KEY if clinic_id == CLINIC else DataKey(clinic_id, KEY.key_id, b"b" * 32)


def pack(snapshot: bytes, marks: Marks = MARKS, key: DataKey = KEY) -> bytes:
    return vault_format.pack(marks, snapshot, clinic_id=CLINIC, channel_id=CHANNEL, key=key)


def read(body: bytes, clinic: str = CLINIC, channel: str = CHANNEL) -> tuple[Marks, bytes]:
    return unpack(body, clinic, channel, {}, key_of)


@given(
    st.binary(max_size=4096),
    st.builds(
        Marks,
        kind=st.sampled_from(Kind),
        epoch=st.integers(0, 2**64 - 1),
        sequence=st.integers(0, 2**64 - 1),
        nonce=st.binary(min_size=16, max_size=16).map(bytes.hex),
        clean=st.booleans(),
    ),
)
def test_snapshot_and_marks_come_back_unchanged(snapshot: bytes, marks: Marks) -> None:
    assert read(pack(snapshot, marks)) == (marks, snapshot)


@given(st.binary(max_size=512), st.data())
def test_a_changed_byte_is_refused_wherever_it_is(snapshot: bytes, data: st.DataObject) -> None:
    """Also in epoch, sequence and clean mark: they are bound to the encryption."""
    body = bytearray(pack(snapshot))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VaultDamagedError):
        read(bytes(body))


@given(st.binary(max_size=2048), st.data())
def test_a_truncated_object_is_refused(snapshot: bytes, data: st.DataObject) -> None:
    body = pack(snapshot)
    with pytest.raises(VaultDamagedError):
        read(body[: data.draw(st.integers(0, len(body) - 1))])


def test_appended_bytes_are_refused() -> None:
    with pytest.raises(VaultDamagedError):
        read(pack(b"keys") + b"more")


@pytest.mark.parametrize(("clinic", "channel"), [("cli_b", CHANNEL), (CLINIC, "chn_b"), ("cli_achn_a", "")])
def test_another_clinics_or_channels_object_is_refused(clinic: str, channel: str) -> None:
    with pytest.raises(VaultDamagedError, match="another channel"):
        read(pack(b"keys"), clinic, channel)


def test_another_channels_object_is_refused_even_under_the_right_key() -> None:
    """Channels of one clinic share its key: what tells them apart is what the encryption is bound to."""
    with pytest.raises(VaultDamagedError, match="another channel"):
        unpack(pack(b"keys"), CLINIC, "chn_b", {}, lambda *_: KEY)


def test_the_wrong_key_opens_nothing() -> None:
    wrong = replace(KEY, secret=b"w" * 32)
    with pytest.raises(VaultDamagedError):
        read(pack(b"keys", key=wrong))


def test_a_key_that_the_clinic_never_had_is_damage_and_an_erased_one_is_not() -> None:
    """Damage is looked into, an erased key is meant."""
    with pytest.raises(VaultDamagedError):
        read(pack(b"keys", key=replace(KEY, key_id=b"unknown!")))

    def erased(clinic_id: str, key_id: bytes) -> DataKey:
        raise DataErasedError

    with pytest.raises(DataErasedError):
        unpack(pack(b"keys"), CLINIC, CHANNEL, {}, erased)


def test_a_version_to_come_is_refused() -> None:
    body = pack(b"keys")
    with pytest.raises(VaultDamagedError, match="version 3"):
        read(body[:8] + b"\x03" + body[9:])


def test_nothing_of_a_session_shows_and_it_is_compressed() -> None:
    snapshot = b"SQLite format 3\0" * 1000
    body = pack(snapshot)
    assert b"SQLite" not in body
    assert len(body) < len(snapshot) // 10


def test_two_writes_of_the_same_differ_so_that_their_etags_do() -> None:
    one, other = pack(b"keys"), pack(b"keys")
    assert one != other
    assert one[HEADER_BYTES : HEADER_BYTES + 12] != other[HEADER_BYTES : HEADER_BYTES + 12]

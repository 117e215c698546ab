"""Clinics' data keys: one per clinic whoever makes it, kept for an hour, bound to the clinic, erased for good."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from recado.aws import clients, data_keys, fencing, settings
from recado.aws.data_keys import DataKeyItem
from recado.aws.envelopes import DataKey, SealBrokenError
from recado.kernel.errors import DataErasedError, ServiceUnavailableError
from tests.support.aws import REGION, EmulatedAws
from tests.support.clock import FixedClock

AURORA, BRISA = "cli_aurora", "cli_brisa"


@pytest.fixture
def asked(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """The KMS operations that were called, each with its encryption context."""
    calls: list[tuple[str, dict[str, str]]] = []

    def noted(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(**given: Any) -> Any:
            calls.append((name, given["EncryptionContext"]))
            return method(**given)

        return call

    for name in ("generate_data_key", "decrypt", "encrypt"):
        monkeypatch.setattr(clients.kms(), name, noted(name, getattr(clients.kms(), name)))
    return calls


def test_a_clinics_key_is_made_once_and_unwrapped_ever_after(asked: list[tuple[str, dict[str, str]]]) -> None:
    """The second process finds what the first made; the context names the clinic both times."""
    made = data_keys.current(AURORA)
    data_keys.forget()
    assert data_keys.current(AURORA) == made
    assert len(made.secret) == 32
    context = {"clinic": AURORA, "purpose": "data_key"}
    assert asked == [("generate_data_key", context), ("decrypt", context)]


def test_two_clinics_have_two_keys(aws: EmulatedAws) -> None:
    """Nothing is shared."""
    one, other = data_keys.current(AURORA), data_keys.current(BRISA)
    assert one.secret != other.secret
    assert one.key_id != other.key_id


def test_only_the_wrapped_key_is_stored(aws: EmulatedAws) -> None:
    """Under the clinic's own partition, without an expiry."""
    key = data_keys.current(AURORA)
    (item,) = aws.items("keys")
    assert (item["pk"], item["sk"]) == (f"clinic#{AURORA}", "data_key")
    assert "expires_at" not in item
    assert key.secret not in bytes(item["wrapped"])
    assert key.secret.hex() not in repr(key)
    assert str(key.secret) not in repr(key)


def test_processes_that_race_to_make_a_key_agree_on_one(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """All find no key, all make one, one is stored, all use that one."""
    barrier = threading.Barrier(8, timeout=30)
    generate = clients.kms().generate_data_key

    def together(**given: Any) -> Any:
        barrier.wait()
        return generate(**given)

    monkeypatch.setattr(clients.kms(), "generate_data_key", together)
    # Without memory, as eight processes are to each other.
    monkeypatch.setattr(data_keys, "_from_memory", lambda *_: None)
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: data_keys.current(AURORA), range(8)))
    assert len({(key.key_id, key.secret) for key in keys}) == 1
    assert len(aws.items("keys")) == 1


def test_a_key_is_kept_for_less_than_an_hour(asked: list[Any], clock: FixedClock) -> None:
    """Within the hour nobody is asked again; at its end, KMS is."""
    data_keys.current(AURORA, clock=clock)
    clock.advance(minutes=59)
    key = data_keys.current(AURORA, clock=clock)
    assert data_keys.of(AURORA, key.key_id, clock=clock) is key
    assert len(asked) == 1
    clock.advance(minutes=1)
    data_keys.of(AURORA, key.key_id, clock=clock)
    assert len(asked) == 2


def test_no_more_keys_are_kept_than_the_bound(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was not used for longest is forgotten first."""
    monkeypatch.setattr(data_keys, "_MOST_KEPT", 2)
    data_keys.current(AURORA)
    data_keys.current(BRISA)
    data_keys.current(AURORA)
    data_keys.current("cli_third")
    assert len(asked) == 3
    data_keys.current(AURORA)
    assert len(asked) == 3
    data_keys.current(BRISA)
    assert len(asked) == 4


def test_another_clinics_key_in_a_clinics_place_is_refused(aws: EmulatedAws) -> None:
    """Whoever can write the table cannot hand one clinic's data to another: KMS refuses the context."""
    key = data_keys.current(AURORA)
    (item,) = aws.items("keys")
    item["pk"] = f"clinic#{BRISA}"
    boto3.resource("dynamodb", region_name=REGION).Table(settings.table_names().keys_table).put_item(Item=item)
    with pytest.raises(SealBrokenError):
        data_keys.of(BRISA, key.key_id)
    with pytest.raises(SealBrokenError):
        data_keys.current(BRISA)


def test_a_key_the_clinic_never_had_is_not_found(aws: EmulatedAws) -> None:
    """Neither with a key of its own nor without one; and asking makes none."""
    key = data_keys.current(AURORA)
    with pytest.raises(SealBrokenError):
        data_keys.of(BRISA, key.key_id)
    assert len(aws.items("keys")) == 1
    data_keys.current(BRISA)
    with pytest.raises(SealBrokenError):
        data_keys.of(BRISA, key.key_id)


def test_inside_a_clinics_fence_no_other_clinics_kept_key_is_given_away(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS would refuse the item and the unwrapping; what is in memory must not be the way round that."""
    key = data_keys.current(AURORA)
    data_keys.current(BRISA)
    monkeypatch.setattr(data_keys, "present_clinic", lambda: BRISA)
    with pytest.raises(SealBrokenError):
        data_keys.current(AURORA)
    with pytest.raises(SealBrokenError):
        data_keys.of(AURORA, key.key_id)
    assert data_keys.current(BRISA).clinic_id == BRISA
    assert fencing.present_clinic() is None


def test_an_erased_key_is_gone_for_good(aws: EmulatedAws, clock: FixedClock) -> None:
    """Not a byte of the wrapped key is left, and the clinic never gets another: all would think the old was meant."""
    key = data_keys.current(AURORA, clock=clock)
    data_keys.erase(AURORA, clock=clock)
    for _ in range(2):
        with pytest.raises(DataErasedError):
            data_keys.of(AURORA, key.key_id, clock=clock)
        with pytest.raises(DataErasedError):
            data_keys.current(AURORA, clock=clock)
        data_keys.forget()
    (item,) = aws.items("keys")
    assert "wrapped" not in item


def test_erasing_twice_keeps_the_first_moment_and_spares_the_other_clinic(aws: EmulatedAws, clock: FixedClock) -> None:
    """Repeating it after a lost answer does no harm."""
    other = data_keys.current(BRISA, clock=clock)
    data_keys.erase(AURORA, clock=clock)
    first = DataKeyItem.find(f"clinic#{AURORA}", "data_key")
    clock.advance(hours=1)
    data_keys.erase(AURORA, clock=clock)
    again = DataKeyItem.find(f"clinic#{AURORA}", "data_key")
    assert first
    assert again
    assert again.erased_at == first.erased_at
    assert data_keys.current(BRISA, clock=clock) == other


def test_a_key_erased_while_it_is_being_made_stays_erased(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first seal that races with the erasing loses."""
    generate = clients.kms().generate_data_key

    def late(**given: Any) -> Any:
        data_keys.erase(AURORA)
        return generate(**given)

    monkeypatch.setattr(clients.kms(), "generate_data_key", late)
    with pytest.raises(DataErasedError):
        data_keys.current(AURORA)


@pytest.mark.parametrize("operation", ["generate_data_key", "decrypt"])
@pytest.mark.parametrize(
    ("code", "raised"), [("ThrottlingException", ServiceUnavailableError), ("AccessDeniedException", ClientError)]
)
def test_an_outage_and_our_own_mistakes_are_told_apart(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch, operation: str, code: str, raised: type[Exception]
) -> None:
    """Neither is ever taken for an erased key."""
    if operation == "decrypt":
        data_keys.current(AURORA)
        data_keys.forget()

    def fail(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code}}, operation)

    monkeypatch.setattr(clients.kms(), operation, fail)
    with pytest.raises(raised):
        data_keys.current(AURORA)


def test_two_encryptions_of_the_same_are_not_the_same() -> None:
    """The nonce is drawn anew each time: GCM breaks when one is used twice."""
    key = DataKey(AURORA, bytes(8), bytes(32))
    assert key.encrypt(b"words", b"") != key.encrypt(b"words", b"")
    assert key.decrypt(key.encrypt(b"words", b"here"), b"here") == b"words"

"""Each clinic's data key: made once, kept wrapped by KMS, unwrapped for at most an hour, erased for good.

The table ``keys`` has no point-in-time recovery, so that erasing a clinic's key makes unreadable whatever was sealed
under it, in copies and backups too. The encryption context names the clinic
(https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html), so that KMS refuses to unwrap one
clinic's key as another's, and rights can be limited to a clinic.
"""

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import BinaryAttribute

from recado.aws.attributes import MomentAttribute
from recado.aws.clients import kms
from recado.aws.envelopes import KEY_ID_BYTES, DataKey, SealBrokenError
from recado.aws.failures import code_of, is_passing
from recado.aws.fencing import present_clinic
from recado.aws.models import ClinicItem, ConditionFailedError
from recado.aws.settings import sealing_key
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import DataErasedError, ServiceUnavailableError

KEPT_FOR = timedelta(hours=1)
_CLOCK = SystemClock()
_MOST_KEPT = 1024
_REFUSED = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class DataKeyItem(ClinicItem):
    """A clinic's wrapped data key, or the mark that it was erased: such an item has no key any more."""

    table = "keys"

    key_id = BinaryAttribute(legacy_encoding=False)
    wrapped = BinaryAttribute(legacy_encoding=False, null=True)
    made_at = MomentAttribute()
    erased_at = MomentAttribute(null=True)


@dataclass(frozen=True, slots=True)
class _Kept:
    key: DataKey
    until: datetime


_kept: OrderedDict[str, _Kept] = OrderedDict()
_guard = threading.Lock()


def current(clinic_id: str, *, clock: Clock = _CLOCK) -> DataKey:
    """Return the key to seal a clinic's secrets with, made now if the clinic has none yet.

    Args:
        clinic_id: the clinic.
        clock: tells how long an unwrapped key has been kept.

    Raises:
        DataErasedError: the clinic's key was erased; it never gets another one.
        SealBrokenError: what is stored as its key is another clinic's, or damaged.
        ServiceUnavailableError: the store or KMS does not answer.
    """
    return _from_memory(clinic_id, clock) or _keep(_read(clinic_id) or _make(clinic_id, clock), clock)


def of(clinic_id: str, key_id: bytes, *, clock: Clock = _CLOCK) -> DataKey:
    """Return the key under which something was sealed for a clinic.

    Args:
        clinic_id: the clinic.
        key_id: what the sealed thing says of its key.
        clock: tells how long an unwrapped key has been kept.

    Raises:
        DataErasedError: the clinic's key was erased.
        SealBrokenError: the clinic never had this key, or what is stored as its key is another clinic's or damaged.
        ServiceUnavailableError: the store or KMS does not answer.
    """
    key = _from_memory(clinic_id, clock)
    if key is None and (found := _read(clinic_id)):
        key = _keep(found, clock)
    if key is None or key.key_id != key_id:
        raise SealBrokenError("this was sealed under a key that is not the clinic's")
    return key


def erase(clinic_id: str, *, clock: Clock = _CLOCK) -> None:
    """Erase a clinic's key for good: what was sealed under it can never be read again, nor anything new be sealed.

    Other processes may hold the unwrapped key for up to an hour more. Erasing twice changes nothing.

    Raises:
        ServiceUnavailableError: the store does not answer.
    """
    now = clock.now()
    mark = DataKeyItem(*_place(clinic_id), key_id=bytes(KEY_ID_BYTES), made_at=now, erased_at=now)
    try:
        mark.store(DataKeyItem.erased_at.does_not_exist())
    except ConditionFailedError:
        pass  # It is erased already; the first moment stands.
    finally:
        with _guard:
            _kept.pop(clinic_id, None)


def forget() -> None:
    """Forget all unwrapped keys, for another environment."""
    with _guard:
        _kept.clear()


def _from_memory(clinic_id: str, clock: Clock) -> DataKey | None:
    if present_clinic() not in {None, clinic_id}:
        # AWS would refuse this caller the item, so our memory must not give it away either.
        raise SealBrokenError("the key of another clinic is asked for")
    with _guard:
        kept = _kept.get(clinic_id)
        if kept is None or kept.until <= clock.now():
            _kept.pop(clinic_id, None)
            return None
        _kept.move_to_end(clinic_id)
        return kept.key


def _keep(key: DataKey, clock: Clock) -> DataKey:
    with _guard:
        _kept[key.clinic_id] = _Kept(key, clock.now() + KEPT_FOR)
        _kept.move_to_end(key.clinic_id)
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return key


def _read(clinic_id: str) -> DataKey | None:
    item = DataKeyItem.find(*_place(clinic_id))
    if item is None:
        return None
    if item.wrapped is None:
        raise DataErasedError
    try:
        answer = kms().decrypt(KeyId=sealing_key(), CiphertextBlob=item.wrapped, EncryptionContext=_context(clinic_id))
    except (ClientError, BotoCoreError) as error:
        if code_of(error) in _REFUSED:
            raise SealBrokenError("this is not the clinic's key") from error
        raise _unavailable(error) from error
    return DataKey(clinic_id, item.key_id, answer["Plaintext"])


def _make(clinic_id: str, clock: Clock) -> DataKey:
    try:
        made = kms().generate_data_key(KeyId=sealing_key(), KeySpec="AES_256", EncryptionContext=_context(clinic_id))
    except (ClientError, BotoCoreError) as error:
        raise _unavailable(error) from error
    key = DataKey(clinic_id, secrets.token_bytes(KEY_ID_BYTES), made["Plaintext"])
    item = DataKeyItem(*_place(clinic_id), key_id=key.key_id, wrapped=made["CiphertextBlob"], made_at=clock.now())
    try:
        item.store(DataKeyItem.pk.does_not_exist())
    except ConditionFailedError:
        # Somebody else was first, or our own write whose answer was lost: what is stored is the clinic's key.
        stored = _read(clinic_id)
        if stored is None:
            raise ServiceUnavailableError("The key store contradicts itself.") from None
        return stored
    return key


def _place(clinic_id: str) -> tuple[str, str]:
    return f"clinic#{clinic_id}", "data_key"


def _context(clinic_id: str) -> dict[str, str]:
    return {"clinic": clinic_id, "purpose": "data_key"}


def _unavailable(error: Exception) -> Exception:
    return ServiceUnavailableError("The key store does not answer.") if is_passing(error) else error

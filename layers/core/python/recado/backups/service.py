"""Making backups hour by hour, and checking them."""

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from recado.aws.logging import logger
from recado.backups import table
from recado.backups.model import (
    CopiedObject,
    Difference,
    Manifest,
    RunReport,
    StoredObject,
    configuration_key,
    copy_key,
    hour_of,
    latest_key,
    manifest_key,
    prefix_of,
)
from recado.backups.storage import SourceChangedError, Storage, VaultObject
from recado.clinics import service as clinics
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import RecadoError

PROGRESS_KEY = "progress.json"
_PLATFORM = "platform"
_CLINICS_PER_PAGE = 100
_COPY_TRIES = 3


def run(hour: datetime, *, clock: Clock | None = None, has_time: Callable[[], bool] = lambda: True) -> RunReport:
    """Back up every clinic that has no backup of this hour yet.

    Safe to repeat. One clinic's failure does not keep the others from theirs. A run that is out of time notes where
    it stopped, and the next one, in this hour or a later one, begins there.

    Args:
        hour: the hour to back up for.
        clock: the clock; the machine's if omitted.
        has_time: asked before each clinic.
    """
    clock = clock or SystemClock()
    hour = hour_of(hour)
    storage = Storage()
    last = _stopped_after(storage)
    waiting = _rotated(_all_clinics(), last)
    backed_up: list[str] = []
    failed: list[str] = []
    present = 0
    for position, clinic_id in enumerate(waiting):
        if not has_time():
            _note_progress(storage, last)
            return RunReport(tuple(backed_up), present, tuple(failed), len(waiting) - position)
        last = clinic_id
        try:
            if storage.exists(manifest_key(clinic_id, hour)):
                present += 1
            else:
                _back_up(clinic_id, hour, storage, clock)
                backed_up.append(clinic_id)
        except (RecadoError, ClientError, BotoCoreError, SourceChangedError, ValueError):
            logger("backup").exception("a clinic could not be backed up", extra={"clinic_id": clinic_id})
            failed.append(clinic_id)
    _note_progress(storage, "")
    return RunReport(tuple(backed_up), present, tuple(failed), 0)


def load_manifest(clinic_id: str, hour: datetime) -> Manifest | None:
    """Return the manifest of a clinic's hour, None if there is no whole backup of it.

    Raises:
        ValueError: the manifest is damaged.
    """
    text = Storage().read(manifest_key(clinic_id, hour_of(hour)))
    return Manifest.from_json(text.decode()) if text is not None else None


def verify(manifest: Manifest) -> list[Difference]:
    """Read everything a manifest names and return what is not as it says; an empty list means the backup is sound."""
    storage = Storage()
    differences = []
    for expected in (manifest.configuration, *manifest.objects):
        kind = _difference(expected, manifest.clinic_id, storage)
        if kind is not None:
            differences.append(Difference(expected.key, kind))
    return differences


def _difference(expected: StoredObject, clinic_id: str, storage: Storage) -> str | None:
    if not expected.key.startswith(prefix_of(clinic_id)):
        return "foreign"
    found = storage.examine(expected.key)
    if found is None:
        return "missing"
    if found.size != expected.size:
        return "size"
    return "content" if found.sha256 != expected.sha256 else None


def _back_up(clinic_id: str, hour: datetime, storage: Storage, clock: Clock) -> None:
    items = table.configuration(clinic_id)
    content = gzip.compress(json.dumps(items, separators=(",", ":"), ensure_ascii=False).encode(), mtime=0)
    digest = hashlib.sha256(content).hexdigest()
    configuration = StoredObject(configuration_key(clinic_id, hour, digest), len(content), digest)
    storage.write(configuration.key, content, clinic_id)
    earlier = _earlier_copies(clinic_id, storage, clock)
    objects: list[CopiedObject] = []
    for source in storage.vault_objects(prefix_of(clinic_id)):
        known = earlier.get(source)
        copied = known or _copy(source, clinic_id, storage, clock)
        if copied is not None:
            objects.append(copied)
    manifest = Manifest(
        clinic_id=clinic_id,
        hour=hour,
        made_at=clock.now(),
        configuration=configuration,
        configuration_items=len(items),
        objects=tuple(objects),
        copied=sum(1 for one in objects if one not in earlier.values()),
    )
    text = manifest.to_json().encode()
    if storage.write(manifest_key(clinic_id, hour), text, clinic_id, once=True):
        storage.write(latest_key(clinic_id), text, clinic_id)


def _earlier_copies(clinic_id: str, storage: Storage, clock: Clock) -> dict[VaultObject, CopiedObject]:
    text = storage.read(latest_key(clinic_id))
    if text is None:
        return {}
    try:
        latest = Manifest.from_json(text.decode())
    except ValueError:
        logger("backup").warning("the latest manifest is damaged: copying anew", extra={"clinic_id": clinic_id})
        return {}
    now = clock.now()
    return {VaultObject(one.source_key, one.source_etag): one for one in latest.objects if one.is_fresh(now)}


def _copy(source: VaultObject, clinic_id: str, storage: Storage, clock: Clock) -> CopiedObject | None:
    for _ in range(_COPY_TRIES):
        try:
            stored = storage.copy(source, copy_key(source.key, source.etag, clinic_id), clinic_id)
        except SourceChangedError:
            newer = storage.vault_object(source.key)
            if newer is None:
                # Deleted since it was listed: a channel that is gone is not backed up.
                return None
            source = newer
            continue
        return CopiedObject(stored.key, stored.size, stored.sha256, source.key, source.etag, clock.now())
    raise SourceChangedError(source.key)


def _all_clinics() -> list[str]:
    found: list[str] = []
    key = None
    while True:
        page = clinics.list_clinics(_CLINICS_PER_PAGE, key)
        found += [clinic.clinic_id for clinic in page.items]
        key = page.last_key
        if key is None:
            return sorted(found)


def _rotated(clinic_ids: Sequence[str], after: str) -> list[str]:
    return [one for one in clinic_ids if one > after] + [one for one in clinic_ids if one <= after]


def _stopped_after(storage: Storage) -> str:
    text = storage.read(PROGRESS_KEY)
    try:
        return str(json.loads(text)["after"]) if text else ""
    except (ValueError, KeyError, TypeError):
        # The note only orders the clinics: without it, a run begins with the first.
        logger("backup").warning("the note of where the last run stopped is damaged")
        return ""


def _note_progress(storage: Storage, after: str) -> None:
    storage.write(PROGRESS_KEY, json.dumps({"after": after}).encode(), _PLATFORM)

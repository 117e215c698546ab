"""What a backup of one clinic and hour is made of, and where it lies in the bucket.

Everything of a clinic lies under ``clinic/<id>/``, so that a role, a lifecycle rule or an erasure can name it whole.

A word of warning to whoever restores: a WhatsApp session is a ratchet, and an old copy that is opened breaks the
decryption of what came after it. Copies are for a vault that is lost, not for turning a session back in time.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from recado.kernel.clock import from_text, to_text

VERSION = 1
REFRESH_AFTER = timedelta(days=7)
"""An unchanged object is copied anew after this long, so that a lifecycle rule never ends a copy still in use."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of the backup bucket with what it must look like."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CopiedObject(StoredObject):
    """The copy of an object of the vault, as it was at one ETag."""

    source_key: str
    source_etag: str
    copied_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Say whether a later backup may still refer to this copy."""
        return now - self.copied_at < REFRESH_AFTER


@dataclass(frozen=True, slots=True)
class Manifest:
    """A clinic's backup of one hour; it is written last, so where it exists the backup is whole."""

    clinic_id: str
    hour: datetime
    made_at: datetime
    configuration: StoredObject
    configuration_items: int
    objects: tuple[CopiedObject, ...]
    copied: int

    def to_json(self) -> str:
        """Write the manifest."""
        return json.dumps(
            {
                "version": VERSION,
                "clinic_id": self.clinic_id,
                "hour": to_text(self.hour),
                "made_at": to_text(self.made_at),
                "configuration": asdict(self.configuration),
                "objects": [asdict(one) | {"copied_at": to_text(one.copied_at)} for one in self.objects],
                "counts": {
                    "configuration_items": self.configuration_items,
                    "objects": len(self.objects),
                    "objects_copied": self.copied,
                    "bytes": self.configuration.size + sum(one.size for one in self.objects),
                },
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a manifest.

        Raises:
            ValueError: it is damaged: not JSON, of another version, incomplete, or its counts do not add up.
        """
        try:
            plain: dict[str, Any] = json.loads(text)
            if plain["version"] != VERSION:
                raise ValueError("the manifest is of another version")
            manifest = cls(
                clinic_id=plain["clinic_id"],
                hour=from_text(plain["hour"]),
                made_at=from_text(plain["made_at"]),
                configuration=StoredObject(**plain["configuration"]),
                configuration_items=plain["counts"]["configuration_items"],
                objects=tuple(
                    CopiedObject(**one | {"copied_at": from_text(one["copied_at"])}) for one in plain["objects"]
                ),
                copied=plain["counts"]["objects_copied"],
            )
            counted = json.loads(manifest.to_json())["counts"]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("the manifest is damaged") from error
        if counted != plain["counts"]:
            raise ValueError("the manifest's counts do not add up")
        return manifest


@dataclass(frozen=True, slots=True)
class Difference:
    """How a backup differs from its manifest: ``missing``, ``size``, ``content`` or ``foreign`` (not the clinic's)."""

    key: str
    kind: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did; clinics left for want of time come first in the next run."""

    backed_up: tuple[str, ...]
    present: int
    failed: tuple[str, ...]
    left: int


def hour_of(moment: datetime) -> datetime:
    """Return the full hour, in UTC, that a moment belongs to."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def prefix_of(clinic_id: str) -> str:
    """Return what all keys of a clinic begin with, in the vault and in the backup bucket."""
    return f"clinic/{clinic_id}/"


def manifest_key(clinic_id: str, hour: datetime) -> str:
    """Return the key of the manifest of a clinic's hour."""
    return f"{prefix_of(clinic_id)}manifests/{hour:%Y-%m-%dT%H}.json"


def latest_key(clinic_id: str) -> str:
    """Return the key of the copy of the clinic's latest manifest."""
    return f"{prefix_of(clinic_id)}latest.json"


def configuration_key(clinic_id: str, hour: datetime, sha256: str) -> str:
    """Return the key of a clinic's configuration; with its hash, so that two runs cannot overwrite each other's."""
    return f"{prefix_of(clinic_id)}configuration/{hour:%Y-%m-%dT%H}-{sha256[:16]}.json.gz"


def copy_key(source_key: str, etag: str, clinic_id: str) -> str:
    """Return the key of the copy of a vault object at one ETag: another content is another object."""
    return f"{prefix_of(clinic_id)}vault/{source_key.removeprefix(prefix_of(clinic_id))}/{etag}"

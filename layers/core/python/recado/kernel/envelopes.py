"""The three envelopes that cross process borders: commands to a shard, entries from a runner, events on the bus."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from recado.kernel.clock import from_text, to_text


@dataclass(frozen=True, slots=True)
class _Envelope:
    def to_json(self) -> str:
        """Write the envelope as compact JSON."""
        plain = {key: to_text(value) if isinstance(value, datetime) else value for key, value in asdict(self).items()}
        return json.dumps(plain, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read an envelope.

        Raises:
            ValueError: not JSON, a field is missing or one is unknown.
        """
        return cls.from_mapping(json.loads(text))

    @classmethod
    def from_mapping(cls, plain: Any) -> Self:
        """Read an envelope from decoded JSON.

        Raises:
            ValueError: not a mapping, a field is missing, unknown or of the wrong type.
        """
        if not isinstance(plain, Mapping):
            raise ValueError("an envelope is a JSON object")  # noqa: TRY004 - callers treat all bad input alike
        values = dict(plain)
        try:
            for declared in fields(cls):
                if declared.type is datetime:
                    values[declared.name] = from_text(values[declared.name])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"bad {cls.__name__.lower()} envelope: {error}") from error


@dataclass(frozen=True, slots=True)
class Command(_Envelope):
    """An instruction to a shard, sent over its SQS queue.

    ``expires_at`` bounds commands somebody waits for: one that arrives later is dropped, not carried out.
    """

    command_id: str
    kind: str
    clinic_id: str
    channel_id: str
    issued_at: datetime
    expires_at: datetime
    data: dict[str, Any] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True, slots=True)
class Entry(_Envelope):
    """What a runner saw or did, on its way through the ingest queue to the recorder.

    ``entry_id`` is the event id derived from what makes the fact unique, so that an entry sent twice is
    recorded once. ``sequence`` rises per channel in the order the runner saw things; gaps are allowed.
    """

    entry_id: str
    kind: str
    clinic_id: str
    channel_id: str
    shard_id: str
    epoch: int
    sequence: int
    observed_at: datetime
    data: dict[str, Any] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True, slots=True)
class Event(_Envelope):
    """A fact on the bus: ids and facts only, no message text and no number in clear."""

    id: str
    type: str
    clinic_id: str
    channel_id: str
    sequence: int
    timestamp: datetime
    data: dict[str, Any] = field(default_factory=dict)
    version: int = 1

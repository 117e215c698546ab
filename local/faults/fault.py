"""What goes wrong with a service, and how often."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

_LONGEST_LATENCY_MS = 120_000


class Mode(StrEnum):
    """How a service fails."""

    NORMAL = "normal"
    DOWN = "down"  # the connection is closed, also under requests that are being answered
    UNAVAILABLE = "unavailable"  # 503, and nothing is done
    THROTTLED = "throttled"  # refused with the service's own throttling error, and nothing is done
    ANSWER_LOST = "answer_lost"  # done, then the connection is closed before the answer
    FAILED_ENTRIES = "failed_entries"  # some entries of a batch are refused inside an answer of 200


class InvalidFaultError(ValueError):
    """A fault was described in a way that means nothing; says which field."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One service's fault.

    Attributes:
        mode: how it fails.
        latency_ms: how long every request waits before anything else happens to it, whatever the mode.
        probability: how likely the mode strikes a request (an entry, for ``failed_entries``).
        operations: only these (``PutItem``, ``PutEvents``, for S3 the HTTP method); all when empty.
        count: how many more requests it strikes, then it is over; None for as long as it is set.
    """

    mode: Mode = Mode.NORMAL
    latency_ms: int = 0
    probability: float = 1.0
    operations: tuple[str, ...] = ()
    count: int | None = None

    def concerns(self, operation: str) -> bool:
        """Say whether requests of this kind fail at all."""
        return not self.operations or operation in self.operations

    def changed(self, fields: Mapping[str, Any]) -> "Fault":
        """Return the fault with these fields replaced.

        Raises:
            InvalidFaultError: a field is unknown or has a value it cannot have.
        """
        unknown = fields.keys() - asdict(self).keys()
        if unknown:
            raise InvalidFaultError(f"unknown field {min(unknown)!r}")
        plain = {**asdict(self), **fields}
        try:
            changed = replace(
                self,
                mode=Mode(plain["mode"]),
                latency_ms=int(plain["latency_ms"]),
                probability=float(plain["probability"]),
                operations=tuple(str(name) for name in plain["operations"]),
                count=None if plain["count"] is None else int(plain["count"]),
            )
        except (TypeError, ValueError) as error:
            raise InvalidFaultError(str(error)) from error
        if not 0 <= changed.latency_ms <= _LONGEST_LATENCY_MS or not 0 <= changed.probability <= 1:
            raise InvalidFaultError("latency_ms is 0 to 120000, probability 0 to 1")
        return changed

    def after_striking(self) -> "Fault":
        """Return what is left of the fault once it has struck a request."""
        if self.count is None:
            return self
        return replace(self, count=self.count - 1) if self.count > 1 else replace(self, count=None, mode=Mode.NORMAL)

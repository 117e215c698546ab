"""Whether a session, and whether a host, is well. Pure: what was measured in, the finding out."""

from dataclasses import dataclass, field
from enum import StrEnum

ERROR_WINDOW_SECONDS = 300.0
RESTART_WINDOW_SECONDS = 600.0


@dataclass(slots=True)
class Window:
    """How often something happened in the last so many seconds; moments are monotonic."""

    seconds: float
    moments: list[float] = field(default_factory=list)

    def add(self, now: float) -> None:
        """It happened now."""
        self.moments = [*self._recent(now), now]

    def count(self, now: float) -> int:
        """Return how often it happened."""
        return len(self._recent(now))

    def _recent(self, now: float) -> list[float]:
        return [moment for moment in self.moments if now - moment < self.seconds]


class Condition(StrEnum):
    """How a session is: ``UNHEALTHY`` asks for a new incarnation, ``DEGRADED`` is only reported."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class SessionVitals:
    """What is measured of a running session.

    Attributes:
        connected: whether WhatsApp has accepted it.
        thread_alive: whether its thread in the host runs.
        keepalive_failures: WhatsApp's answers to keep-alives missed in a row.
        last_frame_age: seconds since something last came in; None: nothing yet.
        errors: in the last ``ERROR_WINDOW_SECONDS``.
        restarts: new incarnations in the last ``RESTART_WINDOW_SECONDS``.
    """

    connected: bool
    thread_alive: bool = True
    keepalive_failures: int = 0
    last_frame_age: float | None = None
    errors: int = 0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """From where on a session is not well.

    Attributes:
        errors: so many in the window are too many.
        restarts: so many in the window, and a further one will not help.
        keepalive_failures: so many in a row, and nothing heard for ``silence`` seconds: connected in name only. A
            quiet clinic hears nothing for hours, so silence alone proves nothing.
        silence: see there.
    """

    errors: int = 5
    restarts: int = 3
    keepalive_failures: int = 3
    silence: float = 120.0


@dataclass(frozen=True, slots=True)
class Finding:
    """How a session is and, unless it is well, a short word why."""

    condition: Condition
    reason: str = ""


_WELL = Finding(Condition.HEALTHY)


def judge_session(vitals: SessionVitals, limits: SessionLimits | None = None) -> Finding:
    """Say how a session is.

    One that is not connected is only reported: convergence already waits for it, tries again and gives it a new
    incarnation when its patience ends.
    """
    limits = limits or SessionLimits()
    if not vitals.connected:
        return Finding(Condition.DEGRADED, "not_connected")
    if not vitals.thread_alive:
        return Finding(Condition.UNHEALTHY, "thread_ended")
    worn_out = vitals.restarts >= limits.restarts
    reason = _trouble(vitals, limits)
    if reason == "silent" or (reason == "errors" and not worn_out):
        return Finding(Condition.UNHEALTHY, reason)
    if reason or worn_out:
        return Finding(Condition.DEGRADED, reason or "restarts")
    return _WELL


def _trouble(vitals: SessionVitals, limits: SessionLimits) -> str:
    if vitals.keepalive_failures >= limits.keepalive_failures:
        silent = vitals.last_frame_age is None or vitals.last_frame_age >= limits.silence
        return "silent" if silent else "keepalive"
    return "errors" if vitals.errors >= limits.errors else ""


@dataclass(frozen=True, slots=True)
class HostVitals:
    """What is measured of a host: its Python threads, descriptors, proportional set size and age in seconds."""

    threads: int
    descriptors: int
    memory_bytes: int
    age: float


@dataclass(frozen=True, slots=True)
class HostLimits:
    """From where on a host is replaced.

    Every start of a session leaks about three descriptors that nothing but the end of the process gives back.
    ``rest`` is the age in seconds before which no host is replaced, whatever it measures: a limit that is too low
    must not keep sessions moving for ever.
    """

    threads: int
    descriptors: int
    memory_bytes: int
    rest: float = 300.0


@dataclass(frozen=True, slots=True)
class MonitorLimits:
    """From where on the health monitor acts.

    Attributes:
        session: for sessions.
        host: for hosts that wear out; None: never replaced.
        answer_seconds: how long a host may take to say how it is.
    """

    session: SessionLimits = field(default_factory=SessionLimits)
    host: HostLimits | None = None
    answer_seconds: float = 10.0


def judge_host(vitals: HostVitals, limits: HostLimits) -> str | None:
    """Return why a host should be replaced, None when it should not."""
    if vitals.age < limits.rest:
        return None
    for name in ("descriptors", "threads", "memory_bytes"):
        if getattr(vitals, name) >= getattr(limits, name):
            return name
    return None


def memory_of(smaps_rollup: str) -> int:
    """Return the proportional set size in bytes from the text of ``/proc/<pid>/smaps_rollup``; 0 when it has none."""
    for line in smaps_rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0

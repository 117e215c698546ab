"""Clinics, events and a poster that answers as it is told."""

from collections.abc import Mapping
from datetime import timedelta

from recado.kernel.envelopes import Event
from recado.kernel.ids import Prefix, new_id
from recado.webhooks.addresses import AddressGuard
from recado.webhooks.transport import Outcome, Poster
from tests.support.clock import FixedClock

CLINIC = new_id(Prefix.CLINIC)
OTHER_CLINIC = new_id(Prefix.CLINIC)
CHANNEL = new_id(Prefix.CHANNEL)
PUBLIC = AddressGuard(resolver=lambda _host, _port: ["93.184.215.14"])


class ScriptedPoster(Poster):
    """Answers as it is told, one outcome a try, and keeps what was posted; the last outcome repeats."""

    def __init__(self, *outcomes: Outcome) -> None:
        super().__init__(PUBLIC)
        self.outcomes = list(outcomes)
        self.posts: list[tuple[str, dict[str, str], bytes]] = []

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        self.posts.append((url, dict(headers), body))
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


def answered(status: int, retry_after: float | None = None) -> Outcome:
    return Outcome(status, None, 12, timedelta(seconds=retry_after) if retry_after else None)


def failed(error: str) -> Outcome:
    return Outcome(None, error, 10_000)


def happened(clock: FixedClock, kind: str = "message.received", clinic_id: str = CLINIC, **data: object) -> Event:
    return Event(
        id=new_id(Prefix.EVENT, clock.now()),
        type=kind,
        clinic_id=clinic_id,
        channel_id=CHANNEL,
        sequence=17,
        timestamp=clock.now(),
        data=dict(data),
    )

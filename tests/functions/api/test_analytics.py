"""Volumes over HTTP."""

from datetime import UTC, datetime

import pytest

from recado.analytics import service as analytics
from recado.clinics.model import Scope
from recado.kernel.envelopes import Event
from recado.kernel.ids import Prefix, new_id
from tests.functions.api.support import Caller, assert_problem

_DAY = "start=2026-11-22T00:00:00Z&end=2026-11-23T00:00:00Z"


def _count(clinic: Caller, channel_id: str, kind: str, hour: int) -> None:
    at = datetime(2026, 11, 22, hour, 30, tzinfo=UTC)
    analytics.count(Event(new_id(Prefix.EVENT), kind, clinic.clinic_id, channel_id, 1, at))


def test_messages_are_counted_by_hour_and_channel(aurora: Caller) -> None:
    """Both directions in one row, with totals; hours without messages are left out."""
    one, two = sorted([aurora.channel("one"), aurora.channel("two")])
    for kind, channel_id, hour in [
        ("message.received", one, 13),
        ("message.sent", one, 13),
        ("message.sent", one, 13),
        ("message.sent", two, 13),
        ("message.sent", one, 15),
        ("message.delivered", one, 15),
    ]:
        _count(aurora, channel_id, kind, hour)
    body = aurora.get(f"analytics/volume?{_DAY}").json()
    shown = [(row["hour"], row["channel_id"], row["inbound"], row["outbound"]) for row in body["data"]]
    assert shown == [
        ("2026-11-22T13:00:00.000Z", one, 1, 2),
        ("2026-11-22T13:00:00.000Z", two, 0, 1),
        ("2026-11-22T15:00:00.000Z", one, 0, 1),
    ]
    assert body["totals"] == {"inbound": 1, "outbound": 4}
    assert (body["start"], body["end"]) == ("2026-11-22T00:00:00.000Z", "2026-11-23T00:00:00.000Z")
    only = aurora.get(f"analytics/volume?{_DAY}&channel_id={two}").json()
    assert only["totals"] == {"inbound": 0, "outbound": 1}


def test_neither_another_clinic_nor_a_limited_key_sees_more_than_its_own(aurora: Caller, brisa: Caller) -> None:
    """Counts tell how a business goes."""
    mine, other = aurora.channel("mine"), aurora.channel("other")
    for channel_id in (mine, other):
        _count(aurora, channel_id, "message.sent", 13)
    limited = aurora.limited(channels={mine})
    assert limited.get(f"analytics/volume?{_DAY}").json()["totals"] == {"inbound": 0, "outbound": 1}
    assert_problem(limited.get(f"analytics/volume?{_DAY}&channel_id={other}"), 404, "channel_not_found")
    assert brisa.get(f"analytics/volume?{_DAY}").json()["data"] == []
    unfit = aurora.limited(Scope.MESSAGES_READ).get(f"analytics/volume?{_DAY}")
    assert_problem(unfit, 403, "insufficient_scope")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "start=2026-11-22T00:00:00Z",
        "start=2026-11-22T00:00:00Z&end=2026-11-22T00:00:00Z",
        "start=2026-11-23T00:00:00Z&end=2026-11-22T00:00:00Z",
        "start=2026-01-01T00:00:00Z&end=2026-03-01T00:00:00Z",
        "start=2026-11-22&end=2026-11-23",
        f"{_DAY}&granularity=day",
    ],
)
def test_bad_periods_are_refused(aurora: Caller, query: str) -> None:
    """Both ends, in order, with time zones, at most 31 days."""
    answer = aurora.get(f"analytics/volume?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")

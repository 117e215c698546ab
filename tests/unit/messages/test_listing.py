"""Lists of messages."""

from datetime import UTC, datetime, timedelta

import pytest

from recado.aws.models import Key, Page
from recado.contacts import service as contacts
from recado.contacts.model import Resolution
from recado.kernel.errors import ChannelNotFoundError, ClinicNotFoundError, InvalidCursorError
from recado.messages import service
from recado.messages.model import Direction, Message, Party
from recado.messages.service import Filters, listing
from tests.support.aws import EmulatedAws
from tests.unit.messages.conftest import EPOCH, PATIENT, START, Desk

CREATED = datetime(2026, 8, 3, tzinfo=UTC)


def channel_page(desk: Desk, limit: int = 100, start: Key | None = None, **filters: object) -> Page[Message]:
    return service.list_channel(
        desk.clinic_id,
        desk.channel_id,
        limit=limit,
        start=start,
        filters=Filters(**filters),  # type: ignore[arg-type]
        created_at=CREATED,
        clock=desk.clock,
    )


def clinic_page(desk: Desk, limit: int = 100, start: Key | None = None, **filters: object) -> Page[Message]:
    return service.list_clinic(
        desk.clinic_id,
        limit=limit,
        start=start,
        filters=Filters(**filters),  # type: ignore[arg-type]
        created_at=CREATED,
        clock=desk.clock,
    )


def ids(page: Page[Message]) -> list[str]:
    return [message.message_id for message in page.items]


@pytest.fixture
def over_months(desk: Desk) -> list[str]:
    """Ids of inbound messages from August to November, newest first."""
    moments = [datetime(2026, month, day, tzinfo=UTC) for month in (8, 9, 11) for day in (5, 6, 20)]
    written = [service.record_inbound(desk.observed(f"IN{n}", at))[0] for n, at in enumerate(moments)]
    return [message.message_id for message in reversed(written)]


def test_a_channels_messages_come_newest_first_across_months(desk: Desk, over_months: list[str]) -> None:
    """A list walks back through the months, an empty one in between included."""
    assert ids(channel_page(desk)) == over_months
    assert ids(clinic_page(desk)) == over_months


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9])
def test_pages_follow_each_other_without_gap_or_repeat(desk: Desk, over_months: list[str], limit: int) -> None:
    """Whatever the page size, going on at last_key gives every message once."""
    for pages in (channel_page, clinic_page):
        seen, start = [], None
        while True:
            page = pages(desk, limit, start)
            assert len(page.items) <= limit
            seen += ids(page)
            if page.last_key is None:
                break
            start = page.last_key
        assert seen == over_months


def test_a_message_written_while_paging_does_not_shift_the_pages(desk: Desk, over_months: list[str]) -> None:
    """Going on means: older than the last one seen."""
    first = channel_page(desk, 4)
    desk.accept()
    assert ids(channel_page(desk, 100, first.last_key)) == over_months[4:]


def test_since_and_until_bound_the_list(desk: Desk, over_months: list[str]) -> None:
    """Since is inclusive, until exclusive."""
    since, until = datetime(2026, 8, 6, tzinfo=UTC), datetime(2026, 11, 6, tzinfo=UTC)
    expected = over_months[2:8]
    assert ids(channel_page(desk, since=since, until=until)) == expected
    assert ids(clinic_page(desk, since=since, until=until)) == expected
    assert ids(clinic_page(desk, since=since, until=until, contact=PATIENT)) == expected


def test_direction_and_channels_filter(desk: Desk, over_months: list[str]) -> None:
    """A key that is limited to some channels sees theirs only; a direction leaves the other out."""
    sent = desk.accept().message.message_id
    other = Desk(desk.clock, desk.clinic_id, "chn_01jd0000000000000000000000").accept().message.message_id
    assert ids(channel_page(desk, direction=Direction.OUTBOUND)) == [sent]
    assert ids(channel_page(desk, direction=Direction.INBOUND)) == over_months
    assert set(ids(clinic_page(desk, direction=Direction.OUTBOUND))) == {sent, other}
    assert ids(clinic_page(desk, direction=Direction.OUTBOUND, channels=frozenset({desk.channel_id}))) == [sent]
    assert ids(clinic_page(desk, channels=frozenset())) == []
    assert ids(channel_page(desk, channels=frozenset({"chn_01jd0000000000000000000000"}))) == []
    assert other not in ids(channel_page(desk, contact=Party(e164="+5511977770001")))


def test_a_chat_is_one_list_under_number_and_lid(desk: Desk) -> None:
    """Messages filed under the number, before the LID was known, and under the LID belong to one chat."""
    queued = desk.accept().message.message_id
    begun = desk.begun()
    service.record_sent(begun, EPOCH, "3EB0", START, lid=PATIENT.lid, clock=desk.clock)
    answer = service.record_inbound(desk.observed("IN", desk.clock.advance(60)))[0].message_id
    stranger = Party(lid="900000002@lid")
    service.record_inbound(desk.observed("OTHER", chat=stranger, sender=stranger))
    contacts.remember(
        desk.clinic_id, Resolution("+5511977770001", "+551177770001", None, PATIENT.lid, True, desk.clock.now())
    )
    for contact in (PATIENT, Party(e164="+5511977770001")):
        page = service.list_chat(desk.clinic_id, contact, limit=10, clock=desk.clock)
        assert set(ids(page)) == {answer, begun.message_id, queued}
        assert ids(page) == sorted(ids(page), reverse=True)
    first = service.list_chat(desk.clinic_id, PATIENT, limit=2, clock=desk.clock)
    rest = service.list_chat(desk.clinic_id, PATIENT, limit=2, start=first.last_key, clock=desk.clock)
    assert ids(first) + ids(rest) == ids(page)


@pytest.mark.parametrize("asked", ["+5511977770001", "+551177770001"])
def test_a_chat_is_found_with_and_without_the_ninth_digit(desk: Desk, asked: str) -> None:
    """WhatsApp knows many Brazilian mobiles without the ninth digit; both forms name the same contact."""
    old_form = Party(e164="+551177770001", lid=PATIENT.lid)
    message, _ = service.record_inbound(desk.observed("IN", chat=old_form, sender=old_form))
    contacts.remember(
        desk.clinic_id, Resolution("+551177770001", "+551177770001", None, PATIENT.lid, True, desk.clock.now())
    )
    queued = desk.accept().message
    other = Party(e164="+551177770002", lid="900000002@lid")
    service.record_inbound(desk.observed("OTHER", chat=other, sender=other))
    page = service.list_chat(desk.clinic_id, Party(e164=asked), limit=10, clock=desk.clock)
    assert set(ids(page)) == {message.message_id, queued.message_id}


def test_the_other_clinic_sees_nothing_and_its_cursors_do_not_work(
    desk: Desk, neighbour: Desk, over_months: list[str]
) -> None:
    """Lists are bound to their clinic and channel, and so is where they go on."""
    theirs = neighbour.accept().message.message_id
    assert ids(clinic_page(neighbour)) == ids(channel_page(neighbour)) == [theirs]
    assert theirs not in ids(clinic_page(desk))
    assert ids(service.list_chat(neighbour.clinic_id, PATIENT, limit=9, clock=desk.clock)) == [theirs]
    cursor = channel_page(desk, 1).last_key
    assert cursor is not None
    for foreign in (channel_page, clinic_page):
        with pytest.raises(InvalidCursorError):
            foreign(neighbour, 10, cursor)
    with pytest.raises(InvalidCursorError):
        service.list_chat(neighbour.clinic_id, PATIENT, limit=9, start=cursor, clock=desk.clock)
    with pytest.raises(InvalidCursorError):
        channel_page(desk, 10, {"pk": cursor["pk"], "sk": {"S": "message#nonsense"}})


def test_a_filter_that_matches_nothing_reads_a_bounded_number_of_messages(
    desk: Desk, over_months: list[str], monkeypatch: pytest.MonkeyPatch, aws: EmulatedAws
) -> None:
    """A page may be short and say that more follows; it never reads on without end."""
    monkeypatch.setattr(listing, "_MOST_READ", 4)
    page = channel_page(desk, 10, direction=Direction.OUTBOUND)
    assert page.items == []
    assert page.last_key is not None
    assert page.last_key["sk"]["S"] == f"message#{over_months[3]}"


def test_a_message_from_a_clock_that_runs_ahead_is_listed(desk: Desk) -> None:
    """A message dated a few hours into the next month is seen today."""
    desk.clock.advance(days=8, hours=10)
    message, _ = service.record_inbound(
        desk.observed("AHEAD", datetime(2026, 12, 1, 3, tzinfo=UTC), observed_at=desk.clock.now())
    )
    assert ids(channel_page(desk)) == [message.message_id]
    assert ids(channel_page(desk, until=desk.clock.now())) == []


def test_lists_of_what_does_not_exist_are_refused(desk: Desk) -> None:
    """Without a given creation time the channel and the clinic are looked up, within the clinic."""
    with pytest.raises(ChannelNotFoundError):
        service.list_channel(desk.clinic_id, desk.channel_id, limit=1, clock=desk.clock)
    with pytest.raises(ClinicNotFoundError):
        service.list_clinic(desk.clinic_id, limit=1, clock=desk.clock)


def test_a_list_does_not_walk_beyond_the_creation(desk: Desk, aws: EmulatedAws) -> None:
    """Months before the channel existed are not asked for."""
    with aws.counting_calls() as calls:
        service.list_channel(
            desk.clinic_id,
            desk.channel_id,
            limit=5,
            created_at=desk.clock.now() - timedelta(days=1),
            clock=desk.clock,
        )
    assert calls == ["Query", "Query"]

"""Who a clinic knows: those who wrote, those its own phone wrote to, and those in its phone's history."""

from datetime import timedelta

import pytest

from recado.contacts import service as contacts
from recado.contacts.model import KNOWN_FOR, WAITS_FOR, Acquaintance, Contact, KnownBy, PastConversation, Resolution
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock

ANA, LID = "+5511977770001", "900000001@lid"


def known(clinic_id: str, name: str, clock: FixedClock) -> Contact:
    return contacts.contacts_named(clinic_id, [name], clock=clock)[name]


def meet(clinic_id: str, clock: FixedClock, by: KnownBy = KnownBy.INBOUND, e164: str | None = ANA) -> None:
    contacts.meet(clinic_id, e164, LID, by, clock.now(), clock=clock)


@pytest.mark.parametrize("name", [ANA, ANA.removeprefix("+"), LID])
def test_who_wrote_is_waited_for_then_known_under_number_and_lid(
    aurora: str, brisa: str, clock: FixedClock, name: str
) -> None:
    assert known(aurora, name, clock).acquaintance(clock.now()) is Acquaintance.STRANGER
    meet(aurora, clock)
    assert known(aurora, name, clock).acquaintance(clock.now()) is Acquaintance.WAITING
    clock.advance(WAITS_FOR.total_seconds())
    assert known(aurora, name, clock).acquaintance(clock.now()) is Acquaintance.KNOWN
    assert known(brisa, name, clock) == Contact()


def test_a_contact_is_forgotten_a_year_after_the_last_sign(aurora: str, clock: FixedClock) -> None:
    meet(aurora, clock)
    clock.advance(KNOWN_FOR.total_seconds() - 60)
    meet(aurora, clock)
    clock.advance(KNOWN_FOR.total_seconds() - 60)
    assert known(aurora, ANA, clock).known_since is not None
    clock.advance(120)
    assert known(aurora, ANA, clock) == Contact()


def test_whom_the_clinics_phone_wrote_to_is_known_and_not_waited_for(aurora: str, clock: FixedClock) -> None:
    meet(aurora, clock, KnownBy.PHONE)
    contact = known(aurora, ANA, clock)
    assert (contact.known_by, contact.wrote_at) == (KnownBy.PHONE, None)
    assert contact.acquaintance(clock.now()) is Acquaintance.KNOWN
    assert contacts.cached(aurora, ANA, clock=clock) is None


def test_an_answer_of_whatsapp_and_a_sign_do_not_overwrite_each_other(aurora: str, clock: FixedClock) -> None:
    """The answer is asked for again in time although the contact is kept for longer."""
    meet(aurora, clock)
    clock.advance(60)
    answer = Resolution(ANA, ANA, None, LID, True, clock.now())
    contacts.remember(aurora, answer)
    assert contacts.cached(aurora, ANA, clock=clock) == answer
    assert known(aurora, ANA, clock).known_since == clock.now() - timedelta(seconds=60)
    clock.advance(timedelta(days=30).total_seconds())
    assert contacts.cached(aurora, ANA, clock=clock) is None
    assert known(aurora, ANA, clock).acquaintance(clock.now()) is Acquaintance.KNOWN


def test_who_writes_has_an_account_so_answering_asks_nothing(aurora: str, clock: FixedClock) -> None:
    contacts.remember(aurora, Resolution(ANA, None, None, None, False, clock.now()))
    clock.advance(1)
    meet(aurora, clock)
    answer = contacts.cached(aurora, ANA, clock=clock)
    assert answer is not None
    assert (answer.on_whatsapp, answer.lid) == (True, LID)


def test_a_conversation_costs_a_write_a_quarter_of_an_hour(aurora: str, clock: FixedClock, aws: EmulatedAws) -> None:
    meet(aurora, clock)
    first = clock.now()
    clock.advance(14 * 60)
    meet(aurora, clock)
    assert known(aurora, ANA, clock).wrote_at == first
    clock.advance(60)
    meet(aurora, clock)
    assert known(aurora, ANA, clock).wrote_at == clock.now()


def test_a_number_with_the_ninth_digit_is_known_by_what_wrote_without_it(aurora: str, clock: FixedClock) -> None:
    registered = "+551177770001"
    contacts.remember(aurora, Resolution(ANA, registered, None, LID, True, clock.now()))
    contacts.meet(aurora, registered, None, KnownBy.INBOUND, clock.now(), clock=clock)
    assert known(aurora, ANA, clock).acquaintance(clock.now()) is Acquaintance.WAITING
    # Of the former it is still remembered what WhatsApp said.
    assert known(aurora, ANA, clock).resolution == contacts.cached(aurora, ANA, clock=clock)


@pytest.mark.parametrize(("asked", "registered"), [(ANA, "+551177770001"), ("+551177770001", ANA)])
def test_both_forms_of_a_brazilian_number_are_the_same_person_before_whatsapp_was_asked(
    aurora: str, clock: FixedClock, asked: str, registered: str
) -> None:
    past = PastConversation(registered, LID, clock.now() - timedelta(days=3))
    contacts.meet_in_history(aurora, [past], clock=clock)
    for name in (asked, asked.removeprefix("+")):
        assert known(aurora, name, clock).acquaintance(clock.now()) is Acquaintance.KNOWN
    other = "+5511977770002"
    assert set(contacts.contacts_named(aurora, [asked, registered, other], clock=clock)) == {asked, registered, other}
    assert known(aurora, other, clock) == Contact()


def test_a_late_told_sign_takes_nothing_back(aurora: str, clock: FixedClock) -> None:
    meet(aurora, clock)
    earlier = clock.now() - timedelta(days=3)
    contacts.meet(aurora, ANA, LID, KnownBy.INBOUND, earlier, clock=clock)
    assert known(aurora, ANA, clock).wrote_at == clock.now()


def in_history(clinic_id: str, clock: FixedClock, *days_ago: float, lid: str | None = LID) -> int:
    past = [PastConversation(ANA, lid, clock.now() - timedelta(days=days)) for days in days_ago]
    return contacts.meet_in_history(clinic_id, past, clock=clock)


@pytest.mark.parametrize("name", [ANA, ANA.removeprefix("+"), LID])
def test_whom_the_phone_has_talked_to_is_known_to_this_clinic_alone(
    aurora: str, brisa: str, clock: FixedClock, name: str
) -> None:
    assert in_history(aurora, clock, 30) == 2
    contact = known(aurora, name, clock)
    assert contact.acquaintance(clock.now()) is Acquaintance.KNOWN
    assert (contact.known_by, contact.wrote_at) == (KnownBy.HISTORY, None)
    assert known(brisa, name, clock) == Contact()


@pytest.mark.parametrize(
    ("days_ago", "is_known"), [(0, True), (364.9, True), (365, False), (366, False), (4000, False)]
)
def test_a_conversation_counts_for_a_year_from_its_last_message(
    aurora: str, clock: FixedClock, days_ago: float, *, is_known: bool
) -> None:
    in_history(aurora, clock, days_ago)
    assert (known(aurora, ANA, clock).known_since is not None) is is_known
    clock.advance(max(KNOWN_FOR.total_seconds() - days_ago * 86400, 0) + 1)
    assert known(aurora, ANA, clock) == Contact()


def test_history_told_again_or_out_of_order_writes_nothing_and_takes_nothing_back(
    aurora: str, clock: FixedClock
) -> None:
    assert in_history(aurora, clock, 40, 10, 90) == 2
    assert in_history(aurora, clock, 10) == in_history(aurora, clock, 300) == 0
    clock.advance((KNOWN_FOR - timedelta(days=11)).total_seconds())
    assert known(aurora, ANA, clock).acquaintance(clock.now()) is Acquaintance.KNOWN


def test_history_keeps_what_a_sign_and_whatsapp_have_told(aurora: str, clock: FixedClock) -> None:
    meet(aurora, clock)
    before = known(aurora, ANA, clock)
    assert in_history(aurora, clock, 0, 30) == 0
    clock.advance(60)
    assert in_history(aurora, clock, 0) == 2
    assert known(aurora, ANA, clock) == before


def test_a_sign_after_the_history_is_noted_as_ever(aurora: str, clock: FixedClock) -> None:
    in_history(aurora, clock, 30)
    meet(aurora, clock)
    contact = known(aurora, ANA, clock)
    assert contact.acquaintance(clock.now()) is Acquaintance.WAITING
    assert contact.known_by is KnownBy.HISTORY


def test_a_phones_clock_that_is_ahead_keeps_nobody_for_longer(aurora: str, clock: FixedClock) -> None:
    in_history(aurora, clock, -300)
    clock.advance(KNOWN_FOR.total_seconds())
    assert known(aurora, ANA, clock) == Contact()

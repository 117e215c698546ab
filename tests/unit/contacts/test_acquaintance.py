"""Who a clinic knows: those who wrote, and those whom somebody wrote to from the clinic's own phone."""

from datetime import timedelta

import pytest

from recado.contacts import service as contacts
from recado.contacts.model import KNOWN_FOR, WAITS_FOR, Acquaintance, Contact, KnownBy, Resolution
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


def test_a_late_told_sign_takes_nothing_back(aurora: str, clock: FixedClock) -> None:
    meet(aurora, clock)
    earlier = clock.now() - timedelta(days=3)
    contacts.meet(aurora, ANA, LID, KnownBy.INBOUND, earlier, clock=clock)
    assert known(aurora, ANA, clock).wrote_at == clock.now()

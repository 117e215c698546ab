"""What WhatsApp said about a number is remembered, per clinic and not for ever."""

from datetime import timedelta

import pytest

from recado.contacts import service as contacts
from recado.contacts.model import Resolution
from tests.support.clock import FixedClock

NUMBER = "+5511977770001"


def _resolution(clock: FixedClock, *, on_whatsapp: bool = True) -> Resolution:
    return Resolution(
        e164=NUMBER,
        registered_e164="+551177770001" if on_whatsapp else None,
        jid="551177770001@s.whatsapp.net" if on_whatsapp else None,
        lid="123456789012345@lid" if on_whatsapp else None,
        on_whatsapp=on_whatsapp,
        checked_at=clock.now(),
    )


@pytest.mark.parametrize("on_whatsapp", [True, False])
def test_an_answer_is_remembered_for_its_clinic_only(
    aurora: str, brisa: str, clock: FixedClock, on_whatsapp: bool
) -> None:
    """The clinic that asked has the answer; the other has not."""
    contacts.remember(aurora, _resolution(clock, on_whatsapp=on_whatsapp))
    assert contacts.cached(aurora, NUMBER, clock=clock) == _resolution(clock, on_whatsapp=on_whatsapp)
    assert contacts.cached(brisa, NUMBER, clock=clock) is None


@pytest.mark.parametrize(("on_whatsapp", "life"), [(True, timedelta(days=30)), (False, timedelta(hours=24))])
def test_an_answer_is_asked_for_again_in_time(
    aurora: str, clock: FixedClock, on_whatsapp: bool, life: timedelta
) -> None:
    """A positive answer holds 30 days, a negative one 24 hours, although DynamoDB deletes it later."""
    contacts.remember(aurora, _resolution(clock, on_whatsapp=on_whatsapp))
    clock.advance(life.total_seconds() - 1)
    assert contacts.cached(aurora, NUMBER, clock=clock) is not None
    clock.advance(1)
    assert contacts.cached(aurora, NUMBER, clock=clock) is None


def test_an_older_answer_does_not_replace_a_newer(aurora: str, clock: FixedClock) -> None:
    """Answers that arrive out of order leave the newest."""
    old = _resolution(clock, on_whatsapp=False)
    clock.advance(60)
    contacts.remember(aurora, _resolution(clock))
    contacts.remember(aurora, old)
    assert contacts.cached(aurora, NUMBER, clock=clock) == _resolution(clock)

"""A WhatsApp number is held by one channel of the platform."""

import threading

import pytest

from recado.channels import service as channels
from recado.channels.model import UnexpectedNumberError
from recado.kernel.errors import ChannelNotFoundError, NumberInUseError
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock
from tests.unit.channels.conftest import PHONE, Stage


def _guards(aws: EmulatedAws) -> dict[str, str]:
    return {item["pk"]: item["channel_id"] for item in aws.items("core") if item["sk"] == "number"}


def test_a_number_is_taken_with_the_channel(stage: Stage, aws: EmulatedAws) -> None:
    """Guard and channel are written together; taking it again changes nothing."""
    linked = channels.claim_number(*stage.names, PHONE, "1@lid", clock=stage.clock)
    stage.clock.advance(60)
    again = channels.claim_number(*stage.names, PHONE, None, clock=stage.clock)
    assert linked == again == stage.channel()
    assert (linked.phone, linked.lid) == (PHONE, "1@lid")
    assert _guards(aws) == {"number#5511988880001": stage.channel_id}


def test_the_other_clinic_cannot_take_it_and_is_told_nothing(stage: Stage, others: Stage, aws: EmulatedAws) -> None:
    """Who holds it is not disclosed, and the refused channel stays unlinked."""
    stage.link()
    with pytest.raises(NumberInUseError) as refused:
        channels.claim_number(*others.names, PHONE, "1@lid")
    assert stage.clinic_id not in refused.value.detail
    assert PHONE not in refused.value.detail
    assert others.channel().phone is None
    assert _guards(aws) == {"number#5511988880001": stage.channel_id}


def test_another_channel_of_the_same_clinic_cannot_take_it_either(stage: Stage) -> None:
    """One number, one channel."""
    stage.link()
    second = channels.create(stage.clinic_id, "Agenda")
    with pytest.raises(NumberInUseError):
        channels.claim_number(stage.clinic_id, second.channel_id, PHONE, None)


def test_of_parallel_claims_one_wins(aurora: str, brisa: str, clock: FixedClock, aws: EmulatedAws) -> None:
    """The guard decides."""
    stages = [Stage(clinic, channels.create(clinic, "x").channel_id, clock) for clinic in (aurora, brisa) * 2]
    won: list[str] = []

    def claim(stage: Stage) -> None:
        try:
            channels.claim_number(*stage.names, PHONE, None)
        except NumberInUseError:
            return
        won.append(stage.channel_id)

    threads = [threading.Thread(target=claim, args=(stage,)) for stage in stages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(_guards(aws).values()) == won
    assert [stage.channel_id for stage in stages if stage.channel().phone] == won


def test_a_released_number_can_be_taken_by_anybody(stage: Stage, others: Stage, aws: EmulatedAws) -> None:
    """After the phone was unlinked, the number is free and the channel has to be linked again."""
    stage.link()
    channels.release_number(*stage.names)
    channels.release_number(*stage.names)
    channel = stage.channel()
    assert (channel.phone, channel.lid, channel.paired_at) == (None, None, None)
    assert channels.claim_number(*others.names, PHONE, None).phone == PHONE
    channels.release_number(*stage.names)
    assert _guards(aws) == {"number#5511988880001": others.channel_id}


def test_another_phone_takes_the_place_of_the_first(stage: Stage, aws: EmulatedAws) -> None:
    """Linking another number frees the one before."""
    stage.link()
    stage.clock.advance(60)
    linked = channels.claim_number(*stage.names, "+5511988880002", "2@lid", clock=stage.clock)
    assert (linked.phone, linked.lid, linked.paired_at) == ("+5511988880002", "2@lid", stage.clock.now())
    assert stage.channel() == linked
    assert _guards(aws) == {"number#5511988880002": stage.channel_id}


def test_a_channel_that_waits_for_a_number_takes_no_other(aurora: str, clock: FixedClock) -> None:
    """The wrong phone is refused; the right one is taken as WhatsApp has registered it, without its ninth digit."""
    channel = channels.create(aurora, "Recepção", expected_phone="+55 11 98888-0001", clock=clock)
    with pytest.raises(UnexpectedNumberError):
        channels.claim_number(aurora, channel.channel_id, "+5511988880002", None)
    assert channels.get(aurora, channel.channel_id).phone is None
    assert channels.claim_number(aurora, channel.channel_id, "+551188880001", None).phone == "+551188880001"


def test_a_deleted_channel_takes_no_number(stage: Stage, aws: EmulatedAws) -> None:
    """A scan that comes too late links nothing."""
    channels.request_delete(*stage.names)
    with pytest.raises(ChannelNotFoundError):
        channels.claim_number(*stage.names, PHONE, None)
    assert _guards(aws) == {}

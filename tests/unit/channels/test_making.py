"""Channels are made, found, listed and renamed in their own clinic."""

import threading

import pytest

from recado.aws.models import Page
from recado.channels import service as channels
from recado.channels.model import ChannelState, Desired
from recado.kernel.errors import (
    ChannelExistsError,
    ChannelNotFoundError,
    ClinicNotFoundError,
    InvalidCursorError,
    InvalidPhoneNumberError,
    InvalidRequestError,
    NoShardAvailableError,
)
from recado.kernel.ids import Prefix, is_id, new_id
from recado.shards import service as shards
from recado.shards.model import MOST_CHANNELS
from recado.shards.table import ShardRecord, shard_key
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock
from tests.unit.channels.conftest import Stage


def _loads() -> dict[str, int]:
    return {shard.shard_id: shard.channels for shard in shards.declared()}


def test_a_channel_is_kept_as_it_was_made(aurora: str, clock: FixedClock) -> None:
    """All fields come back; it is placed, wants nothing and waits to be connected."""
    made = channels.create(aurora, " Recepção ", "recepcao", "(11) 98888-0001", clock=clock)
    assert is_id(Prefix.CHANNEL, made.channel_id)
    assert channels.get(aurora, made.channel_id) == made
    assert (made.name, made.external_id, made.expected_phone) == ("Recepção", "recepcao", "+5511988880001")
    assert (made.state, made.desired, made.next_action) == (ChannelState.CREATED, Desired.NONE, "connect")
    assert made.shard_id == "shard-001"


def test_channels_spread_over_the_shards(aurora: str, brisa: str) -> None:
    """Each goes where there is least, whosever it is."""
    for clinic in (aurora, brisa, aurora, brisa):
        channels.create(clinic, "Recepção")
    assert _loads() == {"shard-001": 2, "shard-002": 2}


def test_an_external_id_names_one_channel_of_its_clinic(stage: Stage, brisa: str) -> None:
    """A second one is refused and takes no place; the other clinic may use the same id."""
    before = _loads()
    with pytest.raises(ChannelExistsError) as refused:
        channels.create(stage.clinic_id, "Outra", "recepcao")
    assert refused.value.field == "external_id"
    assert _loads() == before
    assert len(channels.list_channels(stage.clinic_id).items) == 1
    assert channels.create(brisa, "Recepção", "recepcao").clinic_id == brisa


def test_of_parallel_makers_of_one_external_id_one_succeeds(aurora: str, aws: EmulatedAws) -> None:
    """The guard decides, not the reading before it."""
    made, refused = [], []

    def create() -> None:
        try:
            made.append(channels.create(aurora, "Recepção", "recepcao"))
        except ChannelExistsError as error:
            refused.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 5)
    assert sum(_loads().values()) == 1


@pytest.mark.parametrize(
    ("name", "external_id", "phone", "error", "field"),
    [
        ("", None, None, InvalidRequestError, "name"),
        ("x", "", None, InvalidRequestError, "external_id"),
        ("x", "x" * 101, None, InvalidRequestError, "external_id"),
        ("x", "a\nb", None, InvalidRequestError, "external_id"),
        ("x", None, "999", InvalidPhoneNumberError, "expected_phone"),
        ("x", None, "123456789@lid", InvalidPhoneNumberError, "expected_phone"),
    ],
)
def test_what_will_not_do_is_refused_by_name(
    aurora: str, *, name: str, external_id: str | None, phone: str | None, error: type[Exception], field: str
) -> None:
    """The error names the field, and no channel is made."""
    with pytest.raises(error) as refused:
        channels.create(aurora, name, external_id, phone)
    assert refused.value.field == field  # type: ignore[attr-defined]
    assert channels.list_channels(aurora) == Page([])


def test_a_clinic_that_is_not_there_gets_no_channel(aws: EmulatedAws) -> None:
    """Channels belong to somebody."""
    with pytest.raises(ClinicNotFoundError):
        channels.create(new_id(Prefix.CLINIC), "Recepção")


def test_a_shard_that_fills_up_meanwhile_is_passed_over(aurora: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is tried; when none is left, that is said."""
    ShardRecord(*shard_key("shard-001"), channels=MOST_CHANNELS).store()
    monkeypatch.setattr(shards, "place", lambda _clinic_id: ["shard-001", "shard-002"])
    assert channels.create(aurora, "Recepção").shard_id == "shard-002"
    ShardRecord(*shard_key("shard-002"), channels=MOST_CHANNELS).store()
    with pytest.raises(NoShardAvailableError):
        channels.create(aurora, "Recepção")


def test_the_other_clinic_cannot_reach_a_channel(stage: Stage, others: Stage) -> None:
    """By no use case, although it knows the id; and what it tries changes nothing."""
    before = stage.channel()
    for attempt in (
        lambda: channels.get(others.clinic_id, stage.channel_id),
        lambda: channels.rename(others.clinic_id, stage.channel_id, "x"),
        lambda: channels.request_connect(others.clinic_id, stage.channel_id, "qr"),
        lambda: channels.request_disconnect(others.clinic_id, stage.channel_id),
        lambda: channels.request_logout(others.clinic_id, stage.channel_id, 0),
        lambda: channels.request_restart(others.clinic_id, stage.channel_id),
        lambda: channels.request_delete(others.clinic_id, stage.channel_id),
        lambda: channels.claim_number(others.clinic_id, stage.channel_id, "+5511988880009", None),
        lambda: channels.release_number(others.clinic_id, stage.channel_id),
        lambda: channels.finish_delete(others.clinic_id, stage.channel_id),
        lambda: channels.reserve_sequences(others.clinic_id, stage.channel_id, 1),
        lambda: Stage(others.clinic_id, stage.channel_id, stage.clock).report("connected"),
    ):
        with pytest.raises(ChannelNotFoundError):
            attempt()
    assert stage.channel() == before
    assert [channel.channel_id for channel in channels.list_channels(others.clinic_id).items] == [others.channel_id]


def test_channels_are_listed_page_by_page(aurora: str, brisa: str, clock: FixedClock) -> None:
    """In the order of making, without deleted ones, each once; another clinic's place in the list is refused."""
    made = []
    for number in range(5):
        made.append(channels.create(aurora, f"Canal {number}", f"canal-{number}", clock=clock).channel_id)
        channels.create(brisa, f"Canal {number}", clock=clock)
        clock.advance(1)
    channels.request_delete(aurora, made.pop(2), clock=clock)
    seen: list[str] = []
    page = channels.list_channels(aurora, 3)
    while True:
        seen += [channel.channel_id for channel in page.items]
        if page.last_key is None:
            break
        page = channels.list_channels(aurora, 3, page.last_key)
    assert seen == made
    with pytest.raises(InvalidCursorError):
        channels.list_channels(aurora, 3, channels.list_channels(brisa, 3).last_key)


def test_a_channel_can_be_called_something_else(stage: Stage) -> None:
    """Its name changes and nothing else that matters."""
    before = stage.channel()
    stage.clock.advance(60)
    after = channels.rename(*stage.names, " Agenda ", clock=stage.clock)
    assert (after.name, after.updated_at) == ("Agenda", stage.clock.now())
    assert (after.state, after.desired_version) == (before.state, before.desired_version)
    assert stage.channel() == after


def test_a_shard_finds_its_channels(stage: Stage, others: Stage) -> None:
    """Of all clinics, those placed on it; a channel without a place is on none."""
    on_first = channels.list_for_shard("shard-001")
    on_second = channels.list_for_shard("shard-002")
    assert [channel.channel_id for channel in on_first] == [stage.channel_id]
    assert [channel.channel_id for channel in on_second] == [others.channel_id]
    channels.request_delete(*stage.names)
    assert channels.list_for_shard("shard-001") == []

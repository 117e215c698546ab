"""Requests store what is wanted and nudge the runner."""

import pytest

from recado.channels import model, store
from recado.channels import service as channels
from recado.channels.model import Channel, ChannelState, Desired, PairingMethod
from recado.channels.table import ChannelRecord
from recado.kernel.errors import (
    ChannelNotFoundError,
    ChannelStateError,
    InvalidPhoneNumberError,
    InvalidRequestError,
    ServiceUnavailableError,
)
from recado.shards import service as shards
from tests.support.aws import EmulatedAws
from tests.unit.channels.conftest import Stage


def _nudges(aws: EmulatedAws, stage: Stage) -> int:
    commands = aws.commands(stage.channel().shard_id)
    for command in commands:
        assert (command.kind, command.clinic_id, command.channel_id) == ("channel.reconcile", *stage.names)
        assert command.expires_at > command.issued_at
    return len(commands)


def test_a_wish_is_stored_and_its_runner_nudged_once(stage: Stage, aws: EmulatedAws) -> None:
    """Connect, and connect again: one wish, one nudge."""
    first = channels.request_connect(*stage.names, "qr", clock=stage.clock)
    second = channels.request_connect(*stage.names, PairingMethod.QR, clock=stage.clock)
    assert first == second == stage.channel()
    assert (first.state, first.desired) == (ChannelState.PAIRING, Desired.CONNECTED)
    assert _nudges(aws, stage) == 1


def test_linking_by_code_reads_the_number(stage: Stage) -> None:
    """The number may come in any notation; without one, or with nonsense, the request is refused."""
    asked = channels.request_connect(*stage.names, "code", "(11) 98888-0001", clock=stage.clock)
    assert asked.pairing is not None
    assert (asked.pairing.method, asked.pairing.phone) == (PairingMethod.CODE, "+5511988880001")
    with pytest.raises(InvalidPhoneNumberError):
        channels.request_connect(*stage.names, "code", "999")
    with pytest.raises(InvalidRequestError):
        channels.request_connect(*stage.names, "code")


def test_every_wish_of_a_linked_channel(stage: Stage, aws: EmulatedAws) -> None:
    """Restart, disconnect, connect and log out, each stored and nudged."""
    stage.link()
    assert _nudges(aws, stage) == 1
    assert channels.request_restart(*stage.names, clock=stage.clock).restart_requested_at == stage.clock.now()
    assert channels.request_disconnect(*stage.names, clock=stage.clock).desired is Desired.DISCONNECTED
    stage.report("disconnected")
    assert channels.request_connect(*stage.names, "qr", clock=stage.clock).state is ChannelState.CONNECTING
    stage.report("connected")
    asked = channels.request_logout(*stage.names, 17, clock=stage.clock)
    assert (asked.desired, asked.drain_sequence) == (Desired.LOGGED_OUT, 17)
    assert _nudges(aws, stage) == 4
    assert stage.channel() == asked


def test_a_nudge_that_is_lost_does_not_lose_the_wish(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The wish is stored, the request succeeds, and the failure is counted; the runner reads once a minute anyway."""

    def fail(*_: object) -> None:
        raise ServiceUnavailableError

    monkeypatch.setattr(shards, "send_command", fail)
    assert channels.request_connect(*stage.names, "qr").desired is Desired.CONNECTED
    assert stage.channel().desired is Desired.CONNECTED
    assert "NudgesFailed" in capsys.readouterr().out


def test_a_wish_between_reading_and_writing_is_not_lost(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that comes in between makes the request start again, and both are there in the end."""
    stage.link()
    really = ChannelRecord.change
    interrupted: list[bool] = []

    def change(self: ChannelRecord, actions: object, condition: object = None) -> None:
        if not interrupted:
            interrupted.append(True)
            stage.report("disconnected")
        really(self, actions, condition)  # type: ignore[arg-type]

    monkeypatch.setattr(ChannelRecord, "change", change)
    channels.request_disconnect(*stage.names)
    channel = stage.channel()
    assert (channel.state, channel.desired) == (ChannelState.DISCONNECTED, Desired.DISCONNECTED)


def test_writes_that_never_get_through_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that others change without end is an outage, not an endless loop."""
    sequence = 100

    def restless(channel: Channel) -> Channel:
        nonlocal sequence
        sequence += 1
        stage.sequence = sequence
        stage.report("connecting")
        return model.renamed(channel, f"name {sequence}", stage.clock.now())

    with pytest.raises(ServiceUnavailableError):
        store.change(stage.channel, restless)


def test_a_channel_never_linked_is_deleted_at_once(stage: Stage, aws: EmulatedAws) -> None:
    """Tombstone, external id and place go in one step; the id can be used again."""
    gone = channels.request_delete(*stage.names, clock=stage.clock)
    assert gone.state is ChannelState.DELETED
    for attempt in (channels.get, channels.request_delete):
        with pytest.raises(ChannelNotFoundError):
            attempt(*stage.names)
    assert [shard.channels for shard in shards.declared()] == [0, 0]
    assert {item["sk"].partition("#")[0] for item in aws.items("core")} == {"clinic", "channel"}
    assert channels.create(stage.clinic_id, "Recepção", "recepcao").state is ChannelState.CREATED


def test_a_linked_channel_is_deleted_when_its_runner_has_unlinked_it(
    stage: Stage, others: Stage, aws: EmulatedAws
) -> None:
    """Until then it is there, wanted gone; after it nothing of it is left but the tombstone, and others keep theirs."""
    stage.link()
    others.link("+5511988880002")
    asked = channels.request_delete(*stage.names, 5, clock=stage.clock)
    assert (asked.desired, asked.state, asked.drain_sequence) == (Desired.DELETED, ChannelState.CONNECTED, 5)
    assert channels.request_delete(*stage.names, 9) == asked
    gone = channels.finish_delete(*stage.names, clock=stage.clock)
    assert channels.finish_delete(*stage.names) == gone
    assert (gone.state, gone.phone, gone.shard_id) == (ChannelState.DELETED, None, "")
    guards = {(item["pk"], item["sk"]) for item in aws.items("core") if not item["sk"].startswith("c")}
    assert guards == {("number#5511988880002", "number"), (f"clinic#{others.clinic_id}", "external_id#recepcao")}
    assert sum(shard.channels for shard in shards.declared()) == 1
    assert others.channel().state is ChannelState.CONNECTED


def test_nothing_is_finished_that_nobody_asked_for(stage: Stage) -> None:
    """A runner cannot delete on its own."""
    stage.link()
    with pytest.raises(ChannelStateError):
        channels.finish_delete(*stage.names)
    assert stage.channel().state is ChannelState.CONNECTED


def test_a_phone_linked_in_the_moment_of_deletion_is_unlinked_first(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the scan wins the race, the channel waits for its runner instead of losing a linked device."""
    really = store.change

    def change(read: object, decide: object) -> object:
        outcome = really(read, decide)  # type: ignore[arg-type]
        channels.claim_number(*stage.names, "+5511988880001", None)
        return outcome

    monkeypatch.setattr(store, "change", change)
    asked = channels.request_delete(*stage.names)
    assert asked.state is not ChannelState.DELETED
    assert (stage.channel().desired, stage.channel().phone) == (Desired.DELETED, "+5511988880001")
    assert channels.finish_delete(*stage.names).state is ChannelState.DELETED

"""What may be asked of a channel, and what becomes of the wish. Pure."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.channels import model
from recado.channels.model import Channel, ChannelState, Desired, NextAction, Pairing, PairingMethod
from recado.kernel.errors import ChannelStateError, InvalidRequestError
from tests.unit.channels.strategies import START, channels

if TYPE_CHECKING:
    from collections.abc import Callable

S = ChannelState
NOW = START + timedelta(hours=1)
QR, CODE = PairingMethod.QR, PairingMethod.CODE


def _channel(state: ChannelState = S.CREATED, *, linked: bool = False, desired: Desired = Desired.NONE) -> Channel:
    return Channel(
        clinic_id="cli_a",
        channel_id="chn_a",
        name="Recepção",
        external_id=None,
        expected_phone=None,
        shard_id="shard-001",
        created_at=START,
        updated_at=START,
        state_since=START,
        state=state,
        desired=desired,
        phone="+5511988880001" if linked else None,
        paired_at=START if linked else None,
    )


def test_connecting_an_unlinked_channel_begins_with_linking() -> None:
    """It is "pairing" from the moment of the request, with what to do next."""
    by_qr = model.connect(_channel(), QR, None, NOW)
    assert (by_qr.state, by_qr.desired, by_qr.pairing) == (S.PAIRING, Desired.CONNECTED, Pairing(QR, None, NOW))
    assert (by_qr.next_action, by_qr.state_since, by_qr.desired_version) == (NextAction.SCAN_QR, NOW, 1)
    by_code = model.connect(_channel(), CODE, "+5511988880001", NOW)
    assert by_code.next_action is NextAction.ENTER_CODE


def test_linking_by_code_needs_the_number() -> None:
    """WhatsApp issues a code for a number only."""
    with pytest.raises(InvalidRequestError) as refused:
        model.connect(_channel(), CODE, None, NOW)
    assert refused.value.field == "phone"


@pytest.mark.parametrize("linked", [True, False])
def test_asking_again_for_the_same_changes_nothing(linked: bool) -> None:
    """Connect twice is connect once: no second session, no second QR code."""
    once = model.connect(_channel(S.DISCONNECTED, linked=linked), QR, None, NOW)
    assert model.connect(once, QR, None, NOW + timedelta(seconds=5)) is once


def test_another_way_of_linking_takes_the_place_of_the_first() -> None:
    """Who cannot scan can ask for a code instead."""
    by_qr = model.connect(_channel(), QR, None, NOW)
    by_code = model.connect(by_qr, CODE, "+5511988880001", NOW)
    assert by_code.pairing == Pairing(CODE, "+5511988880001", NOW)
    assert by_code.desired_version == by_qr.desired_version + 1


def test_connecting_what_is_connected_changes_nothing() -> None:
    """A standing connection is left alone, unless it was about to be closed."""
    channel = _channel(S.CONNECTED, linked=True, desired=Desired.CONNECTED)
    assert model.connect(channel, QR, None, NOW) is channel
    closing = replace(channel, desired=Desired.DISCONNECTED)
    assert model.connect(closing, QR, None, NOW).desired is Desired.CONNECTED
    assert model.connect(closing, QR, None, NOW).state is S.CONNECTED


@pytest.mark.parametrize("state", [S.DISCONNECTED, S.REPLACED, S.OUTDATED, S.FAILED])
def test_a_linked_channel_connects_without_linking(state: ChannelState) -> None:
    """No QR code is asked for what is linked, and a waiting runner tries at once."""
    wanted = model.connect(_channel(state, linked=True, desired=Desired.CONNECTED), QR, None, NOW)
    assert (wanted.state, wanted.pairing, wanted.desired_version) == (S.CONNECTING, None, 1)


def test_a_ban_is_waited_for() -> None:
    """Connecting during a ban would make it longer."""
    banned = replace(_channel(S.BANNED, linked=True), ban_expires_at=NOW)
    assert banned.next_action is NextAction.WAIT_FOR_BAN_TO_END
    with pytest.raises(ChannelStateError):
        model.connect(banned, QR, None, NOW - timedelta(seconds=1))
    assert model.connect(banned, QR, None, NOW).state is S.CONNECTING


def test_disconnecting_keeps_the_phone_linked() -> None:
    """Only the wish changes; the state follows when the runner has done it."""
    channel = _channel(S.CONNECTED, linked=True, desired=Desired.CONNECTED)
    asked = model.disconnect(channel, NOW)
    assert (asked.desired, asked.state, asked.paired_at) == (Desired.DISCONNECTED, S.CONNECTED, START)
    assert model.disconnect(asked, NOW) is asked
    created = _channel()
    assert model.disconnect(created, NOW) is created


def test_logging_out_drains_first() -> None:
    """What was accepted before is still sent; asking again does not move the line."""
    asked = model.log_out(_channel(S.CONNECTED, linked=True, desired=Desired.CONNECTED), 42, NOW)
    assert (asked.desired, asked.drain_sequence) == (Desired.LOGGED_OUT, 42)
    assert model.log_out(asked, 99, NOW) is asked
    done = _channel(S.LOGGED_OUT)
    assert model.log_out(done, 1, NOW) is done
    with pytest.raises(ChannelStateError):
        model.log_out(_channel(), 0, NOW)


def test_connecting_after_logging_out_forgets_the_drain() -> None:
    """The line drawn for the logout means nothing to the next connection."""
    again = model.connect(replace(_channel(S.LOGGED_OUT), drain_sequence=42), QR, None, NOW)
    assert (again.state, again.drain_sequence) == (S.PAIRING, None)


def test_only_a_wanted_connection_can_be_restarted() -> None:
    """A restart is a wish of its own, each time."""
    channel = _channel(S.CONNECTED, linked=True, desired=Desired.CONNECTED)
    asked = model.restart(channel, NOW)
    assert (asked.restart_requested_at, asked.desired_version) == (NOW, 1)
    for other in (_channel(), _channel(S.DISCONNECTED, linked=True, desired=Desired.DISCONNECTED)):
        with pytest.raises(ChannelStateError):
            model.restart(other, NOW)


@given(channels().map(lambda channel: replace(channel, desired=Desired.DELETED)), st.data())
def test_nothing_leads_back_from_the_wish_to_delete(channel: Channel, data: st.DataObject) -> None:
    """Once deletion was asked for, every other request is refused, in every state."""
    requests: list[Callable[[], Channel]] = [
        lambda: model.connect(channel, QR, None, NOW),
        lambda: model.disconnect(channel, NOW),
        lambda: model.log_out(channel, 0, NOW),
        lambda: model.restart(channel, NOW),
    ]
    request = data.draw(st.sampled_from(requests))
    with pytest.raises(ChannelStateError):
        request()
    assert model.delete(channel, 7, NOW) is channel


@given(channels(), st.sampled_from(["connect", "disconnect", "log_out", "restart", "delete"]))
def test_every_change_of_wish_has_a_version_of_its_own(channel: Channel, name: str) -> None:
    """Either nothing changes at all, or the version rises by one; requests never touch what reports say."""
    requests = {
        "connect": lambda: model.connect(channel, QR, None, NOW),
        "disconnect": lambda: model.disconnect(channel, NOW),
        "log_out": lambda: model.log_out(channel, 0, NOW),
        "restart": lambda: model.restart(channel, NOW),
        "delete": lambda: model.delete(channel, None, NOW),
    }
    try:
        after = requests[name]()
    except ChannelStateError:
        return
    if after is not channel:
        assert after.desired_version == channel.desired_version + 1
        assert after.updated_at == NOW
    for field in ("state_sequence", "reported_state", "changed_sequence", "previous_state", "phone", "paired_at"):
        assert getattr(after, field) == getattr(channel, field)


@given(channels())
def test_people_are_always_told_what_to_do(channel: Channel) -> None:
    """Every channel has a next action, and waiting is only said when somebody else is at it."""
    assert channel.next_action in NextAction
    if channel.next_action is NextAction.WAIT:
        assert channel.state is S.CONNECTING or channel.desired is Desired.CONNECTED


@given(channels())
def test_a_tombstone_tells_no_number(channel: Channel) -> None:
    """What stays of a deleted channel holds neither number nor place."""
    tombstone = model.deleted(channel, NOW)
    assert tombstone.state is S.DELETED
    assert "+5511988880001" not in repr(tombstone)
    assert tombstone.shard_id == ""

"""A session against a fake host: it converges, survives what happens to hosts and links, and says so."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recado.channels.model import ChannelState, Desired, Pairing, PairingMethod, UnexpectedNumberError
from recado.channels.proxies import ProxyNotAllowedError
from recado.kernel.clock import from_text
from recado.kernel.errors import DataErasedError, NumberInUseError
from recado.messages.status import MessageStatus
from session_runner.hosts.errors import HostError, NotSentError
from session_runner.sessions.convergence import Phase
from session_runner.sessions.reconnect import Backoff
from session_runner.sessions.session import Session
from session_runner.vault.object import Kind, VaultDamagedError
from session_runner.vault.vault import Stored
from tests.runner.fakes import CHANNEL, CLINIC, EPOCH, START, FakeHost, MemoryChannels, World, a_channel, until

C = ChannelState
PHONE, LID = "+5511988880001", "7@lid"
KEY = (CLINIC, CHANNEL)
REQUEST = Pairing(PairingMethod.QR, None, START)
LINKED = {"phone": PHONE, "lid": LID, "paired_at": START}
SNAPSHOT = Stored("1", EPOCH - 1, 1, "n", clean=True, kind=Kind.SNAPSHOT, snapshot=b"keys")

Scenario = Callable[[World, Session], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("session_runner.vault.credentials.prepare_unclean", lambda path: 0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A linked channel that should be connected, its credentials in the vault."""
    channel = a_channel(state=C.DISCONNECTED, desired=Desired.CONNECTED, **LINKED)
    world = World(tmp_path, channels=MemoryChannels(channel))
    world.vault.stored[KEY] = SNAPSHOT
    return world


def play(world: World, scenario: Scenario, **around: Any) -> None:
    async def whole() -> None:
        session = Session(world.channels.channel, world.around(**around), lambda _: None)
        world.on_notice = session.on_notice
        world.on_lost = lambda _, seat: session.on_host_lost(seat)
        session.begin()
        session.nudge()
        try:
            await scenario(world, session)
        finally:
            await session.shut_down(5)
            session.sender.cancel()

    asyncio.run(whole())


async def connected(world: World, session: Session) -> FakeHost:
    await until(lambda: world.states()[-1:] == [("connected", None)], "connected")
    return world.hosts[-1]


def started_with(host: FakeHost) -> bytes:
    return Path(host.asked("start_session")[0]["database"]).read_bytes()


async def told(world: World, *states: tuple[ChannelState, str | None]) -> None:
    wanted = [(state.value, reason) for state, reason in states]
    await until(lambda: world.states()[-len(wanted) :] == wanted, f"{wanted}, not {world.states()}")


def test_a_new_owner_claims_the_vault_before_it_connects(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        claimed = world.vault.stored[KEY]
        assert (claimed.epoch, claimed.clean) == (EPOCH, False)
        assert started_with(host) == b"keys"
        await told(world, (C.CONNECTING, None), (C.CONNECTED, None))

    play(world, scenario)


def test_session_files_are_for_our_eyes_only(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        await connected(world, session)
        assert session.credentials.database.stat().st_mode & 0o777 == 0o600
        assert session.credentials.database.parent.stat().st_mode & 0o777 == 0o700

    play(world, scenario)


def test_a_dead_hosts_session_goes_on_with_the_live_file_on_another_host(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        first = await connected(world, session)
        session.credentials.database.write_bytes(b"keys that went on")
        first.kill()
        await until(lambda: len(world.hosts) == 2 and session.connected.is_set(), "connected on another host")
        assert started_with(world.hosts[1]) == b"keys that went on"
        one, other = (host.asked("start_session")[0]["incarnation"] for host in world.hosts)
        assert one != other
        await told(world, (C.DISCONNECTED, "host_lost"), (C.CONNECTING, None), (C.CONNECTED, None))

    play(world, scenario)


def test_notices_of_an_earlier_incarnation_change_nothing(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        await connected(world, session)
        before = world.states()
        late = {"kind": "session_event", "event": "logged_out", "channel_id": CHANNEL, "incarnation": "an earlier one"}
        session.on_notice(late)
        await asyncio.sleep(0.05)
        assert world.states() == before
        assert session.connected.is_set()

    play(world, scenario)


def test_an_orderly_end_leaves_a_clean_snapshot_and_says_why(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        await session.shut_down(5)
        kinds = [kind for kind, _ in host.requests]
        assert kinds.index("stop_session") < len(kinds) - 1 - kinds[::-1].index("snapshot")
        assert world.vault.stored[KEY].clean
        await told(world, (C.DISCONNECTED, "runner_stopped"))

    play(world, scenario)


def test_a_restart_makes_the_clean_snapshot_unclean_before_it_connects(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        world.channels.change(desired=Desired.DISCONNECTED)
        session.nudge()
        await until(lambda: session.state is C.DISCONNECTED and world.vault.stored[KEY].clean, "cleanly disconnected")
        gate: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        host.answers["start_session"] = [gate]
        world.channels.change(desired=Desired.CONNECTED)
        session.nudge()
        await until(lambda: len(host.asked("start_session")) == 2, "about to connect")
        assert not world.vault.stored[KEY].clean
        gate.set_result({"state": "connecting"})

    play(world, scenario)


def test_an_unlinked_phone_buries_the_credentials_and_gives_the_number_up(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        host.event(CHANNEL, "logged_out", reason="device_removed", on_connect=False)
        await told(world, (C.LOGGED_OUT, "unlinked_by_phone"))
        assert world.vault.stored[KEY].kind is Kind.TOMBSTONE
        assert world.channels.made("release_number") == [None]
        assert world.facts("channel.state")[-1]["desired_version"] == 1
        await asyncio.sleep(0.05)
        assert len(host.asked("start_session")) == 1

    play(world, scenario)


def test_a_ban_is_told_with_its_end_and_nothing_is_tried_before(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        host.event(CHANNEL, "banned", code=101, expire_seconds=600)
        await told(world, (C.BANNED, "ban_101"))
        assert world.facts("channel.state")[-1]["ban_expires_at"] == "2026-11-22T13:10:00.000Z"
        session.nudge()
        await asyncio.sleep(0.05)
        assert len(host.asked("start_session")) == 1
        world.clock.advance(601)
        session.nudge()
        await until(lambda: session.state is C.CONNECTED, "connected after the ban")

    play(world, scenario)


def test_the_third_replacement_in_ten_minutes_is_final_until_somebody_asks(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        for _ in range(2):
            host.event(CHANNEL, "replaced")
            await told(world, (C.DISCONNECTED, "stream_replaced"))
            await until(lambda: session.view.phase is Phase.ABSENT, "stopped")
            world.clock.advance(6)
            session.nudge()
            await until(lambda: session.state is C.CONNECTED, "connected again")
        host.event(CHANNEL, "replaced")
        await told(world, (C.REPLACED, "replaced_elsewhere"))
        session.nudge()
        await asyncio.sleep(0.05)
        assert len(host.asked("start_session")) == 3
        world.channels.change(desired=Desired.CONNECTED)
        session.nudge()
        await until(lambda: session.state is C.CONNECTED, "connected when asked")

    play(world, scenario)


def test_a_refused_version_is_told_and_not_retried(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        host.event(CHANNEL, "outdated")
        await told(world, (C.OUTDATED, "client_outdated"))
        assert world.facts("channel.state")[-1]["desired_version"] is None
        world.clock.advance(3600)
        session.nudge()
        await asyncio.sleep(0.05)
        assert len(host.asked("start_session")) == 1

    play(world, scenario)


def test_a_start_that_fails_is_tried_again_after_a_pause(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        await connected(world, session)
        host = world.hosts[0]
        host.answers["start_session"] = [HostError("internal_error")]
        host.event(CHANNEL, "pump_ended", reason="marshal")
        await told(world, (C.DISCONNECTED, "start_internal_error"))
        world.clock.advance(10)
        session.nudge()
        await until(lambda: session.state is C.CONNECTED, "connected after the pause")

    play(world, scenario)


def test_a_host_that_cannot_stop_a_session_is_killed_before_its_successor_starts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("session_runner.sessions.incarnations.STOP_SECONDS", 0.0)

    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        host.answers["stop_session"] = [HostError("timeout")]
        world.channels.change(restart_requested_at=START + timedelta(hours=1))
        session.nudge()
        await until(lambda: len(world.hosts) == 2 and session.connected.is_set(), "connected on another host")
        assert host.exited.done()

    play(world, scenario)


def test_lost_credentials_are_told_and_the_number_given_up(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        await told(world, (C.LOGGED_OUT, "credentials_lost"))
        assert world.hosts == []
        assert world.channels.made("release_number") == [None]

    world.vault.stored.clear()
    play(world, scenario)


def test_a_damaged_vault_object_is_told_and_left_as_it_is(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        await told(world, (C.FAILED, "vault_damaged"))
        assert world.vault.stored[KEY] == SNAPSHOT
        assert world.hosts == []

    world.vault.error = VaultDamagedError("altered")
    play(world, scenario)


@pytest.mark.parametrize("desired", [Desired.CONNECTED, Desired.LOGGED_OUT])
def test_credentials_under_an_erased_key_are_lost_credentials(world: World, desired: Desired) -> None:
    async def scenario(world: World, session: Session) -> None:
        await told(world, (C.LOGGED_OUT, "data_erased"))
        assert world.channels.made("release_number") == [None]
        assert world.hosts == []

    world.channels.change(desired=desired)
    world.vault.error = DataErasedError()
    play(world, scenario)


def test_a_session_a_newer_owner_holds_is_not_connected(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        await asyncio.sleep(0.1)
        assert world.hosts == []
        assert world.vault.stored[KEY].epoch == EPOCH + 1

    world.vault.stored[KEY] = replace(SNAPSHOT, epoch=EPOCH + 1)
    play(world, scenario)


def test_logging_out_drains_unlinks_and_buries(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        accepted = [world.messages.accept() for _ in range(5)]
        world.channels.change(desired=Desired.LOGGED_OUT, drain_sequence=5)
        session.nudge()
        await told(world, (C.LOGGED_OUT, "requested"))
        assert [world.messages.status(message) for message in accepted] == [MessageStatus.SENT] * 5
        kinds = [kind for kind, _ in host.requests]
        assert kinds.index("logout") > max(place for place, kind in enumerate(kinds) if kind == "send_text")
        assert world.vault.stored[KEY].kind is Kind.TOMBSTONE

    play(world, scenario)


def test_logging_out_while_disconnected_connects_first(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        await told(world, (C.LOGGED_OUT, "requested"))
        kinds = [kind for kind, _ in world.hosts[0].requests]
        assert kinds.index("start_session") < kinds.index("logout")

    world.channels.change(desired=Desired.LOGGED_OUT, drain_sequence=0)
    play(world, scenario)


def test_a_deleted_channel_is_logged_out_and_forgotten(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        await connected(world, session)
        left = world.messages.accept()
        world.channels.change(desired=Desired.DELETED)
        session.nudge()
        await until(lambda: world.channels.deleted, "the channel is gone")
        await told(world, (C.LOGGED_OUT, "requested"), (C.DELETED, "requested"))
        assert world.messages.status(left) in {MessageStatus.SENT, MessageStatus.FAILED}
        assert world.messages.rows == {}
        assert world.hosts[0].asked("logout")

    play(world, scenario)


# Pairing.


@pytest.fixture
def unpaired(tmp_path: Path) -> World:
    channel = a_channel(state=C.PAIRING, desired=Desired.CONNECTED, pairing=REQUEST)
    return World(tmp_path, channels=MemoryChannels(channel))


async def pairing(world: World) -> FakeHost:
    await until(lambda: world.hosts and world.hosts[-1].asked("pair"), "a pairing is under way")
    return world.hosts[-1]


def pair(host: FakeHost) -> None:
    Path(host.asked("pair")[0]["database"]).write_bytes(b"keys")
    host.notice("paired", jid="5511988880001:3@s.whatsapp.net", lid=LID, phone=PHONE)


def test_a_code_is_kept_for_those_who_may_fetch_it_and_not_in_the_fact(unpaired: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await pairing(world)
        host.notice("pairing_code", method="qr", code="https://wa.me/#secret", expires_at="2026-11-22T13:01:00.000Z")
        await until(lambda: world.facts("channel.qr_ready"), "it is told")
        assert world.channels.made("put_pairing_code") == ["https://wa.me/#secret"]
        assert world.facts("channel.qr_ready") == [{"method": "qr", "expires_at": "2026-11-22T13:01:00.000Z"}]

    play(unpaired, scenario)


def test_that_pairing_has_begun_is_told_once_though_the_item_says_so_already(unpaired: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        (await pairing(world)).kill()
        await until(lambda: session.view.phase is Phase.ABSENT, "noticed")
        world.clock.advance(10)
        session.nudge()
        await until(lambda: len(world.hosts) == 2 and world.hosts[1].asked("pair"), "begun anew")
        assert world.states() == [("pairing", None)]

    play(unpaired, scenario)


def test_a_linked_phone_moves_from_the_disposable_host_to_an_ordinary_one(unpaired: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        disposable = await pairing(world)
        pair(disposable)
        await until(lambda: session.state is C.CONNECTED, "connected")
        assert disposable.exited.done()
        assert world.hosts[-1] is not disposable
        assert world.channels.made("claim_number") == [PHONE]
        stored = world.vault.stored[KEY]
        assert (stored.snapshot, stored.clean, stored.epoch) == (b"keys", False, EPOCH)
        assert world.channels.made("remove_pairing_code")

    play(unpaired, scenario)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(NumberInUseError(), "number_in_use"), (UnexpectedNumberError(), "unexpected_number")],
)
def test_a_number_that_may_not_be_linked_is_unlinked_again(unpaired: World, error: Exception, reason: str) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await pairing(world)
        pair(host)
        await told(world, (C.REJECTED, reason))
        assert host.asked("logout")
        assert world.vault.stored == {}
        assert not session.credentials.database.exists()
        assert world.facts("channel.state")[-1]["desired_version"] == 1
        await asyncio.sleep(0.05)
        assert len(world.hosts) == 1

    unpaired.channels.error = error
    play(unpaired, scenario)


@pytest.mark.parametrize(
    ("reason", "told_as"),
    [
        ("timeout", (C.DISCONNECTED, "pairing_timed_out")),
        ("passkey_required", (C.FAILED, "pairing_passkey_required")),
        ("client_outdated", (C.OUTDATED, "pairing_client_outdated")),
    ],
)
def test_a_pairing_that_comes_to_nothing_is_told_and_not_wanted_any_more(
    unpaired: World, reason: str, told_as: tuple[ChannelState, str]
) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await pairing(world)
        host.notice("pairing_ended", reason=reason)
        await told(world, told_as)
        assert world.facts("channel.state")[-1]["desired_version"] == 1
        assert host.exited.done()
        await asyncio.sleep(0.05)
        assert len(world.hosts) == 1

    play(unpaired, scenario)


def test_a_pairing_nobody_wants_any_more_is_broken_off(unpaired: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await pairing(world)
        world.channels.change(desired=Desired.DISCONNECTED, pairing=None)
        session.nudge()
        await told(world, (C.DISCONNECTED, "requested"))
        assert host.exited.done()

    play(unpaired, scenario)


def test_a_pairing_whose_host_dies_is_begun_anew(unpaired: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await pairing(world)
        host.kill()
        await until(lambda: session.view.phase is Phase.ABSENT, "noticed")
        world.clock.advance(10)
        session.nudge()
        await until(lambda: len(world.hosts) == 2 and world.hosts[1].asked("pair"), "begun anew")

    play(unpaired, scenario)


def test_a_pairing_whose_host_is_dead_before_it_is_asked_is_begun_anew(
    unpaired: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = FakeHost.request

    async def dying_first(host: FakeHost, kind: str, *, timeout: float | None = None, **payload: Any) -> dict[str, Any]:  # noqa: ASYNC109
        if host is unpaired.hosts[0]:
            host.kill()
            raise NotSentError("host_gone", "the host is not running")
        return await request(host, kind, timeout=timeout, **payload)

    async def scenario(world: World, session: Session) -> None:
        await until(lambda: bool(world.hosts) and world.hosts[0].exited.done(), "asked in vain")
        await until(lambda: session.view.phase is Phase.ABSENT, "noticed")
        world.clock.advance(10)
        session.nudge()
        await until(lambda: len(world.hosts) == 2 and world.hosts[1].asked("pair"), "begun anew")
        assert C.FAILED not in [fact["state"] for fact in world.facts("channel.state")]

    monkeypatch.setattr(FakeHost, "request", dying_first)
    play(unpaired, scenario)


def test_attempts_that_come_to_nothing_end_in_failed_until_somebody_asks_anew(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        host.answers["start_session"] = [HostError("no_schema")] * 3
        host.event(CHANNEL, "pump_ended", reason="unreachable")
        await told(world, (C.FAILED, "start_no_schema"))
        await until(lambda: session.view.phase is Phase.ABSENT, "stopped")
        tries = len(host.asked("start_session"))
        session.nudge()
        await asyncio.sleep(0.05)
        assert len(host.asked("start_session")) == tries, "nobody asked"
        host.answers["start_session"] = []
        world.channels.change()
        session.nudge()
        await told(world, (C.CONNECTED, None))

    play(world, scenario, connect_attempts=3, backoff=Backoff(0.0, 0.0))


def test_a_planned_attempt_is_told_with_its_moment(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        host.event(CHANNEL, "connect_failure", reason="generic")
        await told(world, (C.DISCONNECTED, "generic"))
        fact = world.facts("channel.state")[-1]
        assert START < from_text(fact["retry_at"]) <= START + timedelta(seconds=2)

    play(world, scenario)


def test_a_session_that_is_not_connected_in_time_is_begun_anew_and_counted(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        host.event(CHANNEL, "disconnected")
        await told(world, (C.DISCONNECTED, "connection_lost"))
        world.clock.advance(301)
        session.nudge()
        await told(world, (C.DISCONNECTED, "not_connected_in_time"))
        world.clock.advance(2)
        session.nudge()
        await told(world, (C.CONNECTED, None))

    play(world, scenario)


def test_a_lost_connection_through_a_proxy_is_looked_into_after_a_minute(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        host.event(CHANNEL, "disconnected")
        await told(world, (C.DISCONNECTED, "connection_lost"))
        world.channels.proxy_error = OSError("no such name")
        world.clock.advance(61)
        session.nudge()
        await told(world, (C.DISCONNECTED, "not_connected_in_time"))
        world.clock.advance(2)
        session.nudge()
        await told(world, (C.DISCONNECTED, "proxy_unreachable"))

    world.channels.channel = replace(world.channels.channel, proxy_address="proxy.example.com:443")
    play(world, scenario)


def test_a_session_goes_through_its_channels_proxy_and_pairs_through_it(world: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        host = await connected(world, session)
        assert host.asked("start_session")[0]["proxy"] == world.channels.proxy

    world.channels.proxy = "http://u:p@203.0.113.9:3128"
    play(world, scenario)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (OSError("no such name"), C.DISCONNECTED, "proxy_unreachable"),
        (ProxyNotAllowedError(), C.FAILED, "proxy_not_allowed"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_and_nothing_dials_directly(
    world: World, error: Exception, state: ChannelState, reason: str
) -> None:
    async def scenario(world: World, session: Session) -> None:
        await told(world, (state, reason))
        assert world.hosts == []
        world.channels.proxy_error = None
        world.channels.proxy = "http://203.0.113.9:3128"
        world.channels.change()
        session.nudge()
        host = await connected(world, session)
        assert host.asked("start_session")[0]["proxy"] == world.channels.proxy

    world.channels.proxy_error = error
    play(world, scenario)


def test_a_pairing_goes_through_the_channels_proxy_or_not_at_all(unpaired: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        await told(world, (C.FAILED, "pairing_proxy_unreachable"))
        assert world.hosts == []
        world.channels.proxy_error = None
        world.channels.proxy = "http://203.0.113.9:3128"
        world.channels.change(pairing=replace(REQUEST, requested_at=START + timedelta(seconds=1)))
        session.nudge()
        host = await pairing(world)
        assert host.asked("pair")[0]["proxy"] == world.channels.proxy

    unpaired.channels.proxy_error = OSError("no such name")
    play(unpaired, scenario)


def test_a_pairing_that_kills_every_host_ends_in_failed_until_somebody_asks_anew(unpaired: World) -> None:
    async def scenario(world: World, session: Session) -> None:
        for number in range(5):
            await until(lambda: len(world.hosts) > number, "a host")  # noqa: B023 - asked at once
            await until(lambda: world.hosts[number].asked("pair"), "it pairs")  # noqa: B023
            world.hosts[number].kill()
        await told(world, (C.FAILED, "pairing_host_lost"))
        assert len(world.hosts) == 5
        world.channels.change(pairing=replace(REQUEST, requested_at=START + timedelta(hours=1)))
        session.nudge()
        await until(lambda: len(world.hosts) == 6, "begun anew")

    play(unpaired, scenario, backoff=Backoff(0.0, 0.0))

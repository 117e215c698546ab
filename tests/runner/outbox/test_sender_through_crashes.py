"""Whatever fails and wherever the process dies: each message leaves at most once, in order, with one result."""

import asyncio
import tempfile
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recado.messages.gate import Approach, OpenGate, Verdict
from recado.messages.model import Message
from recado.messages.policy import MOST_RESENDS, SendPolicy, Uncertain
from recado.messages.status import MessageStatus, is_settled
from session_runner.hosts.errors import HostError, HostGone, NotSentError, RefusedError, UnknownOutcomeError
from session_runner.outbox.sender import Sender
from tests.runner.fakes import EPOCH, FakeHost, MemoryMessages, World, a_channel
from tests.runner.outbox.test_sender import ANA, RUI, Line

OUTCOMES = {
    "sent": None,
    "locked": RefusedError("server_error", "", {"status": "463"}),
    "not_sent": NotSentError("not_connected"),
    "timeout": UnknownOutcomeError("timeout"),
    "gone": HostGone("host_gone"),
    "refused": RefusedError("server_error", "", {"status": "479"}),
}
MAY_HAVE_LEFT = {"sent", "timeout", "gone"}


class ProcessDiesError(Exception):
    """The process ends here."""


class DyingMessages(MemoryMessages):
    """The messages room, with deaths of the process before or after chosen writes."""

    deaths: dict[int, str]
    writes = 0

    def _called(self, name: str, *, quiet: bool = False) -> None:
        super()._called(name, quiet=quiet)
        if name in {"get", "outbox_rows", "send_policy"}:
            return
        self.writes += 1
        if self.deaths.get(self.writes) == "before":
            raise ProcessDiesError

    def _put(self, message: Any) -> Any:
        put = super()._put(message)
        if self.deaths.get(self.writes) == "after":
            raise ProcessDiesError
        return put


class DurableLock(OpenGate):
    """A gate whose lock outlives the process, which may die before or after the lock is written."""

    def __init__(self, rooms: DyingMessages) -> None:
        self.rooms = rooms
        self.until: datetime | None = None

    def may_send(self, message: Message, approach: Approach) -> Verdict:
        if self.until is None or self.rooms.clock.now() >= self.until:
            return Verdict(allowed=True)
        return Verdict(False, "reachout_locked", self.until)

    def after_refusal(self, message: Message, code: str) -> Verdict | None:
        if code != "463":
            return None
        self.rooms._called("after_refusal")
        self.until = self.rooms.clock.now() + timedelta(hours=24)
        if self.rooms.deaths.get(self.rooms.writes) == "after":
            raise ProcessDiesError
        return Verdict(False, "reachout_locked", self.until)


class RecordingHost(FakeHost):
    """A host that follows a plan of outcomes and notes what may have left."""

    plan: list[str]
    history: list[tuple[str, str]]

    async def request(self, kind: str, *, timeout: float | None = None, **payload: Any) -> dict[str, Any]:  # noqa: ASYNC109
        if kind != "send_text":
            return await super().request(kind, timeout=timeout, **payload)
        outcome = self.plan.pop(0) if self.plan else "sent"
        self.history.append((payload["text"], outcome))
        error: HostError | None = OUTCOMES[outcome]
        if error is not None:
            raise error
        return self._usual(kind, payload)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    chats=st.lists(st.sampled_from([ANA, RUI]), min_size=1, max_size=6),
    plan=st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=12),
    deaths=st.dictionaries(st.integers(1, 24), st.sampled_from(["before", "after"]), max_size=5),
    policy=st.sampled_from(list(Uncertain)),
)
def test_nothing_is_lost_silently_doubled_or_reordered(
    chats: list[str], plan: list[str], deaths: dict[int, str], policy: Uncertain
) -> None:
    """By the policy ``resend`` a message may leave again, but never without a line of its history that says so."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        rooms = DyingMessages(world.clock)
        rooms.deaths = deaths
        world.messages = rooms
        rooms.policy = SendPolicy(policy)
        world.gate = DurableLock(rooms)
        accepted = [rooms.accept(e164) for e164 in chats]
        history = asyncio.run(_drain(world, list(plan)))
        left = Counter(text for text, outcome in history if outcome in MAY_HAVE_LEFT)
        assert rooms.rows == {}
        facts = Counter((row.data["message_id"], row.data["status"]) for row in world.journal.pending(1000))
        assert {message_id for message_id, _ in facts} == {message.message_id for message in accepted}
        for message in accepted:
            status = rooms.status(message)
            assert is_settled(status)
            stored = rooms.messages[message.message_id]
            put_back = [change for change in stored.history if change.code == "resent"]
            assert left[message.text or ""] <= 1 + len(put_back), history
            assert len(put_back) == stored.resends <= (MOST_RESENDS if policy is Uncertain.RESEND else 0)
            assert facts[message.message_id, status.value] == 1 or status is MessageStatus.UNCERTAIN
            told = {told_status for told_id, told_status in facts if told_id == message.message_id}
            assert told == {change.status.value for change in stored.history if is_settled(change.status)}
            if status is MessageStatus.SENT:
                assert (message.text, "sent") in history
            if status is MessageStatus.FAILED and not stored.resends:
                assert left[message.text or ""] == 0
        for chat in (ANA, RUI):
            own = [message.text for message in accepted if message.to.e164 == chat]
            # A message that goes out again stands where it stood: nothing of its chat has overtaken it.
            order = [own.index(text) for text, _ in history if text in own]
            assert order == sorted(order), history


async def _drain(world: World, plan: list[str]) -> list[tuple[str, str]]:
    host = RecordingHost(lambda _: None, 1)
    host.plan, host.history = plan, []
    for epoch in range(EPOCH, EPOCH + 60):
        sender = Sender(Line(host, a_channel()), world.around(epoch=epoch))
        try:
            await sender._pass()
        except ProcessDiesError:
            continue
        if not world.messages.rows:
            break
        world.clock.advance(24 * 3600)
    return host.history

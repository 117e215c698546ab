"""Whatever fails and wherever the process dies: each message leaves at most once, in order, with one result."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recado.messages.status import MessageStatus, is_settled
from session_runner.host_errors import HostError, HostGone, NotSentError, RefusedError, UnknownOutcomeError
from session_runner.outbox import Sender
from tests.runner.fakes import EPOCH, FakeHost, MemoryMessages, World, a_channel
from tests.runner.outbox.test_sender import ANA, RUI, Line

OUTCOMES = {
    "sent": None,
    "not_sent": NotSentError("not_connected"),
    "timeout": UnknownOutcomeError("timeout"),
    "gone": HostGone("host_gone"),
    "refused": RefusedError("server_error", "", {"status": "463"}),
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
        if name in {"get", "outbox_rows"}:
            return
        self.writes += 1
        if self.deaths.get(self.writes) == "before":
            raise ProcessDiesError

    def _put(self, message: Any) -> Any:
        put = super()._put(message)
        if self.deaths.get(self.writes) == "after":
            raise ProcessDiesError
        return put


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
)
def test_nothing_is_lost_doubled_or_reordered(chats: list[str], plan: list[str], deaths: dict[int, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        rooms = DyingMessages(world.clock)
        rooms.deaths = deaths
        world.messages = rooms
        accepted = [rooms.accept(e164) for e164 in chats]
        history = asyncio.run(_drain(world, list(plan)))
        left = Counter(text for text, outcome in history if outcome in MAY_HAVE_LEFT)
        assert all(count == 1 for count in left.values()), history
        assert rooms.rows == {}
        facts = Counter(row.data["message_id"] for row in world.journal.pending(1000))
        assert facts == Counter({message.message_id: 1 for message in accepted})
        for message in accepted:
            status = rooms.status(message)
            assert is_settled(status)
            if status is MessageStatus.SENT:
                assert (message.text, "sent") in history
            if status is MessageStatus.FAILED:
                assert left[message.text or ""] == 0
        for chat in (ANA, RUI):
            own = [message.text for message in accepted if message.to.e164 == chat]
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
    return host.history

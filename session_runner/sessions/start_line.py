"""The line of sessions that want to connect: so many starts a second for the whole shard, messages waiting go first.

After a task or a network was lost, all sessions of a shard come back at once. A thousand log-ins in one second would
look to WhatsApp like nothing a person does, and starve the process; the gaps are uneven so that shards which came back
together do not knock in step.
"""

import asyncio
import heapq
import itertools
import random


class StartLine:
    """Lets sessions pass one after another; after a pause the first few pass at once.

    Args:
        per_second: how many a second.
        burst: how many may pass without waiting after a pause.
        chance: where the unevenness comes from.
    """

    def __init__(self, per_second: float, burst: int = 1, chance: random.Random | None = None) -> None:
        self._gap = 1.0 / per_second
        self._burst = burst
        self._chance = chance or random.Random()  # noqa: S311 - jitter
        self._following = 0.0
        self._numbers = itertools.count()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._serving: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether somebody would have to wait now."""
        return bool(self._waiting) or self._following > asyncio.get_running_loop().time()

    async def pass_through(self, *, urgent: bool = False) -> None:
        """Wait for our turn.

        Args:
            urgent: go before those who are not: there are messages to send.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not urgent, next(self._numbers), turn))
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve(), name="start line")
        await turn

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            now = loop.time()
            self._following = max(self._following, now - self._gap * (self._burst - 1))
            if self._following > now:
                # Who is next is decided after the wait: somebody more urgent may have come.
                await asyncio.sleep(self._following - now)
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():  # not cancelled meanwhile
                self._following += self._gap * self._chance.uniform(0.5, 1.5)
                turn.set_result(None)

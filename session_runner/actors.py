"""An actor: tasks done one after another in the order they were posted, and after them one look at what is next."""

import asyncio
from collections.abc import Awaitable, Callable

from aws_lambda_powertools import Logger

RETRY_SECONDS = (1.0, 30.0)

Task = Callable[[], Awaitable[None]]


class Actor:
    """Does tasks in order; a task that fails is logged, and what is next is looked at again after a pause.

    Args:
        look: called whenever nothing is left to do; returns the seconds after which it wants to be called again,
            None for not before something is posted.
        failed: called after a failure, before the pause.
        fatal: errors after which nothing more is done.
        logger: for failures.
        fields: log fields.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[float | None]],
        *,
        failed: Callable[[], None],
        fatal: tuple[type[Exception], ...],
        logger: Logger,
        fields: dict[str, object],
    ) -> None:
        self._look = look
        self._failed = failed
        self._fatal = fatal
        self._logger = logger
        self._fields = fields
        self._mailbox: asyncio.Queue[Task | None] = asyncio.Queue()
        self._ended = False
        self._running: asyncio.Task[None] | None = None

    def begin(self, name: str) -> None:
        """Start working."""
        self._running = asyncio.create_task(self._run(), name=name)

    def post(self, task: Task | None = None) -> None:
        """Have a task done, or only have the next thing looked at."""
        self._mailbox.put_nowait(task)

    def end(self) -> None:
        """Do nothing more after the task under way."""
        self._ended = True
        self.post()

    async def ended(self) -> None:
        """Wait until the task under way is done; ``end`` must have been called, by another."""
        if self._running:
            await asyncio.wait({self._running})

    async def _run(self) -> None:
        wait: float | None = 0.0
        retry = RETRY_SECONDS[0]
        while not self._ended:
            task = await self._following(wait)
            if self._ended:
                return
            try:
                if task is not None:
                    await task()
                wait = await self._look() if self._mailbox.empty() else 0.0
                retry = RETRY_SECONDS[0]
            except self._fatal:
                self._logger.exception("giving the session up", extra=self._fields)
                self._failed()
                return
            except Exception:
                self._logger.exception("session step failed, trying again", extra=self._fields)
                self._failed()
                wait, retry = retry, min(retry * 2, RETRY_SECONDS[1])

    async def _following(self, wait: float | None) -> Task | None:
        try:
            async with asyncio.timeout(wait):
                return await self._mailbox.get()
        except TimeoutError:
            return None

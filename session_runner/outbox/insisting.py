"""Calls of the messages room that are repeated until its store answers, for as long as the lease is ours."""

import asyncio
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from recado.kernel.errors import ServiceUnavailableError
from session_runner.ports import Surroundings

RETRY_SECONDS = (0.2, 5.0)

P = ParamSpec("P")
T = TypeVar("T")


class LeaseLostError(Exception):
    """The lease is no longer provably ours: nothing may be sent or decided in its name."""


class Insisting:
    """Calls until the store answers: a result that is known must not be lost to a throttle.

    Args:
        around: what all sessions share.
        fields: the log fields of the channel.
    """

    def __init__(self, around: Surroundings, fields: Mapping[str, object]) -> None:
        self._around = around
        self._fields = dict(fields)

    async def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function and return what it returns, or raise what it raises.

        Raises:
            LeaseLostError: the store does not answer, and the lease is not provably ours any more.
        """
        wait = RETRY_SECONDS[0]
        while True:
            try:
                return await self._around.blocking(function, *args, **kwargs)
            except ServiceUnavailableError:
                if not self._around.lease_held():
                    raise LeaseLostError from None
                self._around.logger.warning("the messages table does not answer", extra=self._fields)
                await asyncio.sleep(wait)
                wait = min(wait * 2, RETRY_SECONDS[1])

"""Blocking calls (boto3, PynamoDB, SQLite, files) in a bounded set of threads, never on the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Blocking:
    """Runs blocking functions and awaits their results.

    Args:
        threads: how many may run at once; further ones queue.
        name: the threads' name in dumps and logs.
    """

    def __init__(self, threads: int, name: str = "blocking") -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function in a thread and return what it returns, or raise what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args, **kwargs))

    def close(self) -> None:
        """Take no more calls; those under way end in their own time."""
        self._threads.shutdown(wait=False, cancel_futures=True)

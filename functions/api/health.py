"""Whether the platform works: five checks at once, each with a time-out of its own."""

import asyncio
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from functions.api.settings import HEALTH_CHECK_SECONDS, api_settings
from recado.aws.logging import logger

Verdict = Literal["healthy", "unhealthy"]
Details = dict[str, Any]

_MEGABYTE = 1024 * 1024
_LEAST_FREE_DISK = 32 * _MEGABYTE
_MOST_MEMORY_SHARE = 0.9


class UnhealthyError(Exception):
    """A check found something wrong; carries its figures."""

    def __init__(self, details: Details) -> None:
        super().__init__("unhealthy")
        self.details = details


Check = Callable[[], Details]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check found and how long it took."""

    status: Verdict
    response_time_ms: float
    details: Details = field(default_factory=dict)


async def examine(checks: Mapping[str, Check], timeout_seconds: float = HEALTH_CHECK_SECONDS) -> dict[str, Outcome]:
    """Run all checks at once.

    Args:
        checks: by name, functions that return figures or raise; they may block.
        timeout_seconds: how long each may take; one that hangs is unhealthy and holds up nobody.
    """
    # Threads of their own: a check that hangs must not use up the threads that serve requests.
    executor = ThreadPoolExecutor(max_workers=len(checks), thread_name_prefix="health")
    try:
        outcomes = await asyncio.gather(
            *(_outcome(name, check, executor, timeout_seconds) for name, check in checks.items())
        )
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
    return dict(zip(checks, outcomes, strict=True))


async def _outcome(name: str, check: Check, executor: ThreadPoolExecutor, timeout_seconds: float) -> Outcome:
    started = time.perf_counter()
    status: Verdict = "unhealthy"
    details: Details
    try:
        future = asyncio.get_running_loop().run_in_executor(executor, check)
        details = await asyncio.wait_for(future, timeout_seconds)
        status = "healthy"
    except UnhealthyError as error:
        details = error.details
    except TimeoutError:
        details = {"error": "timed_out"}
    except Exception as error:  # noqa: BLE001 - whatever breaks a check is its result
        details = {"error": type(error).__name__}
    if status == "unhealthy":
        logger("api").warning("health check failed", extra={"check": name, "details": details})
    return Outcome(status, round((time.perf_counter() - started) * 1000, 1), details)


def verdict(outcomes: Mapping[str, Outcome]) -> Verdict:
    """Return healthy if every check is."""
    return "healthy" if all(outcome.status == "healthy" for outcome in outcomes.values()) else "unhealthy"


def check_memory() -> Details:
    """Compare the most memory this process has held with what Lambda gives it.

    Raises:
        UnhealthyError: more than nine tenths of it were used.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    used = peak if sys.platform == "darwin" else peak * 1024
    limit_mb = api_settings().memory_mb
    details: Details = {"used_mb": used // _MEGABYTE, "limit_mb": limit_mb}
    if limit_mb and used > limit_mb * _MEGABYTE * _MOST_MEMORY_SHARE:
        raise UnhealthyError(details)
    return details


def check_disk() -> Details:
    """Look at the space left for temporary files.

    Raises:
        UnhealthyError: less than 32 MiB are left.
    """
    usage = shutil.disk_usage(tempfile.gettempdir())
    details: Details = {"free_mb": usage.free // _MEGABYTE, "total_mb": usage.total // _MEGABYTE}
    if usage.free < _LEAST_FREE_DISK:
        raise UnhealthyError(details)
    return details

"""Many sessions that come back at once: paced, with messages waiting first, and in step with nobody."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable

from session_runner.sessions.start_line import StartLine


class Never(random.Random):
    """Chance without surprises: the middle of every range."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def play(line: StartLine, scenario: Callable[[StartLine], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario(line)

    asyncio.run(whole())


def test_a_crowd_passes_at_the_rate_and_those_with_messages_first() -> None:
    async def scenario(line: StartLine) -> None:
        passed: list[str] = []
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def start(name: str, *, urgent: bool) -> None:
            await line.pass_through(urgent=urgent)
            passed.append(name)

        await asyncio.gather(
            *(start(f"quiet {number}", urgent=False) for number in range(10)),
            *(start(f"urgent {number}", urgent=True) for number in range(5)),
        )
        assert [name.split()[0] for name in passed] == ["urgent"] * 5 + ["quiet"] * 10
        assert passed[5:] == [f"quiet {number}" for number in range(10)], "in the order in which they came"
        assert loop.time() - began >= 14 * 0.01 * 0.99

    play(StartLine(100.0, chance=Never()), scenario)


def test_somebody_more_urgent_goes_before_those_who_wait_already() -> None:
    async def scenario(line: StartLine) -> None:
        passed: list[str] = []

        async def start(name: str, *, urgent: bool) -> None:
            await line.pass_through(urgent=urgent)
            passed.append(name)

        first = [asyncio.create_task(start(f"quiet {number}", urgent=False)) for number in range(3)]
        while not passed:  # noqa: ASYNC110 - a turn of the loop or two
            await asyncio.sleep(0)
        assert line.busy
        await asyncio.gather(start("urgent", urgent=True), *first)
        assert passed.index("urgent") == 1, passed

    play(StartLine(10.0, chance=Never()), scenario)


def test_the_gaps_are_uneven_and_those_who_left_are_passed_over() -> None:
    async def scenario(line: StartLine) -> None:
        loop = asyncio.get_running_loop()
        moments: list[float] = []

        async def start() -> None:
            await line.pass_through()
            moments.append(loop.time())

        tasks = [asyncio.create_task(start()) for _ in range(12)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(moments) == 11
        gaps = [after - before for before, after in itertools.pairwise(moments)]
        assert max(gaps) - min(gaps) > 0.001, gaps

    play(StartLine(100.0, chance=random.Random(4)), scenario)  # noqa: S311 - jitter, the same in every run


def test_after_a_pause_the_first_few_pass_at_once() -> None:
    async def scenario(line: StartLine) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(line.pass_through() for _ in range(5)))
        assert loop.time() - began < 0.9
        assert line.busy

    play(StartLine(1.0, burst=5, chance=Never()), scenario)

"""How long a message takes through the platform, beside the client alone on the same simulator in the same run.

Sending is measured from the start of the API request to the simulator's acceptance of the stanza; receiving from the
moment the contact presses send to the webhook's arrival (to the client's callback for the bare client).
"""

import asyncio
import time

from tests.bench.bare_process import BareProcess
from tests.bench.figures import Figures, figures, moment
from tests.bench.platform import Clinic, Phones, Receiver

_PARALLEL = 8
_WAIT_SECONDS = 120.0


class Latency:
    """One clinic, one bare client and their contacts, measured in turn."""

    def __init__(self, phones: Phones, clinic: Clinic, bare: BareProcess, hooks: Receiver, contacts: list[str]) -> None:
        self._phones = phones
        self._clinic = clinic
        self._bare = bare
        self._hooks = hooks
        self._contacts = contacts

    async def send(self, paced: int, burst: int, gap_s: float) -> Figures:
        """Measure sending: paced messages for the latency, then as many at once as the API takes for the rate."""
        begun = await self._send_paced([f"paced out {number}" for number in range(paced)], gap_s)
        ours = await self._durations(begun)
        rate = await self._burst_rate([f"burst out {number}" for number in range(burst)])
        bare = await self._send_bare([f"bare out {number}" for number in range(paced)], gap_s)
        texts = [f"bare burst {number}" for number in range(burst)]
        answer = await self._bare.ask({"send": {"to": self._contacts[0], "texts": texts, "gap_s": 0}})
        return figures(ours, rate, bare, burst / answer["seconds"])

    async def receive(self, paced: int, burst: int, gap_s: float) -> Figures:
        """Measure receiving in the same two ways."""
        ours = await self._receive("paced in", self._clinic.number, paced, gap_s)
        ours_burst = await self._receive("burst in", self._clinic.number, burst, 0)
        bare = await self._receive("bare in", self._bare.number, paced, gap_s)
        bare_burst = await self._receive("bare burst in", self._bare.number, burst, 0)
        return figures(ours[0], burst / ours_burst[1], bare[0], burst / bare_burst[1])

    async def _send_paced(self, texts: list[str], gap_s: float) -> dict[str, float]:
        begun = {}
        for number, text in enumerate(texts):
            begun[text] = time.time()
            await self._clinic.send(self._contacts[number % len(self._contacts)], text)
            await asyncio.sleep(gap_s)
        return begun

    async def _burst_rate(self, texts: list[str]) -> float:
        slots = asyncio.Semaphore(_PARALLEL)
        started = time.time()

        async def one(number: int, text: str) -> None:
            async with slots:
                await self._clinic.send(self._contacts[number % len(self._contacts)], text)

        await asyncio.gather(*(one(number, text) for number, text in enumerate(texts)))
        accepted = await self._accepted(set(texts))
        return len(texts) / (max(accepted.values()) - started)

    async def _send_bare(self, texts: list[str], gap_s: float) -> list[float]:
        request = {"to": self._contacts[0], "texts": texts, "gap_s": gap_s}
        answer = await self._bare.ask({"send": request})
        return await self._durations(dict(zip(texts, answer["started"], strict=True)))

    async def _durations(self, begun: dict[str, float]) -> list[float]:
        accepted = await self._accepted(set(begun))
        return [accepted[text] - start for text, start in begun.items()]

    async def _accepted(self, texts: set[str]) -> dict[str, float]:
        async with asyncio.timeout(_WAIT_SECONDS):
            while True:
                rows = [row for row in await self._phones.ledger() if row["text"] in texts]
                if {row["text"] for row in rows} == texts:
                    return {row["text"]: moment(row["accepted_at"]) for row in rows}
                await asyncio.sleep(0.2)

    async def _receive(self, prefix: str, number: str, count: int, gap_s: float) -> tuple[list[float], float]:
        begun = {}
        for index in range(count):
            text = f"{prefix} {index}"
            begun[text] = time.time()
            await self._phones.send(self._contacts[index % len(self._contacts)], number, text)
            await asyncio.sleep(gap_s)
        arrived = await self._arrived(begun, to_bare=number == self._bare.number)
        return [arrived[text] - start for text, start in begun.items()], max(arrived.values()) - min(begun.values())

    async def _arrived(self, begun: dict[str, float], *, to_bare: bool) -> dict[str, float]:
        async with asyncio.timeout(_WAIT_SECONDS):
            while True:
                arrived = (await self._bare.ask({"received": True}))["texts"] if to_bare else self._hooked()
                if begun.keys() <= arrived.keys():
                    return {text: arrived[text] for text in begun}
                await asyncio.sleep(0.2)

    def _hooked(self) -> dict[str, float]:
        return {
            hook["body"]["data"]["text"]["body"]: moment(hook["received_at"])
            for hook in self._hooks.received()
            if hook["body"]["type"] == "message.received"
        }

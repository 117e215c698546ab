"""Clinics, channels and contacts, and the paced talk between them that goes on whatever breaks."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.bench.platform import Addresses, Clinic, Phones
from tests.chaos.records import Sent

_CHANNELS_PER_CLINIC = 5
_PAIRINGS_AT_ONCE = 3
_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 20.0
INSIST_SECONDS = 240.0
Send = Callable[[Clinic, str, int], Coroutine[None, None, None]]


class Traffic:
    """The talk of a run.

    Args:
        addresses: the stack's.
        sessions: how many channels.
        contacts: how many contacts each has.
        rate: messages a second in each direction.
        run: what every text begins with.
        insist: for how many seconds a message is asked to be sent, with the same key, until the API answers.
    """

    def __init__(
        self,
        addresses: Addresses,
        *,
        sessions: int,
        contacts: int,
        rate: float,
        run: str,
        insist: float = INSIST_SECONDS,
    ) -> None:
        self._addresses = addresses
        self._sessions = sessions
        self._per_channel = contacts
        self._rate = rate
        self._run = run
        self._insist = insist
        self.phones = Phones(addresses.phones)
        self.channels: list[Clinic] = []
        self.contacts: dict[str, list[str]] = {}
        self.out: list[Sent] = []
        self.inward: list[Sent] = []
        self.unanswered = 0
        self._chance = random.Random(run)  # noqa: S311 - test numbers and pauses
        base = self._chance.randrange(10**4)
        self._numbers = (f"55119{70000000 + base * 1000 + index}" for index in itertools.count())
        self._ending = asyncio.Event()

    @property
    def numbers(self) -> frozenset[str]:
        """The clinics' numbers."""
        return frozenset(channel.number for channel in self.channels)

    async def prepare(self) -> None:
        """Make clinics with up to five channels each, link every channel, and put the contacts on WhatsApp."""
        pairing = asyncio.Semaphore(_PAIRINGS_AT_ONCE)

        async def link(channel: Clinic) -> None:
            async with pairing:
                number = next(self._numbers)
                await channel.pair(self.phones, number)
                self.contacts[number] = [next(self._numbers) for _ in range(self._per_channel)]
                for contact in self.contacts[number]:
                    await self.phones.register(contact)

        count = min(self._sessions, max(2, -(-self._sessions // _CHANNELS_PER_CLINIC)))
        clinics = [await Clinic.create(self._addresses, f"Chaos {index}") for index in range(count)]
        further = (Clinic.beside(clinics[index % count]) for index in itertools.count())
        self.channels = clinics + list(itertools.islice(further, self._sessions - count))
        await asyncio.gather(*(link(channel) for channel in self.channels))

    async def spare_channel(self) -> tuple[Clinic, str]:
        """Return a further channel, not linked yet, and a phone's number that it may be linked to."""
        return Clinic.beside(self.channels[0]), next(self._numbers)

    async def talk(self) -> None:
        """Send both ways until told to end, then wait for what is under way to be accepted."""
        await asyncio.gather(self._stream(self._send_out, 0.0), self._stream(self._send_in, 0.5))

    def end(self) -> None:
        """Have ``talk`` begin nothing new."""
        self._ending.set()

    async def close(self) -> None:
        """Close all connections."""
        await self.phones.close()
        for channel in self.channels:
            await channel.close()

    async def _stream(self, send: Send, shift: float) -> None:
        started = time.monotonic() + shift / self._rate
        under_way: set[asyncio.Task[None]] = set()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, started + number / self._rate - time.monotonic()))
            if self._ending.is_set():
                break
            channel = self.channels[number % len(self.channels)]
            turns = number // len(self.channels) + (self._per_channel // 2 if send == self._send_in else 0)
            contact = self.contacts[channel.number][turns % self._per_channel]
            under_way.add(task := asyncio.create_task(send(channel, contact, number)))
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)

    async def _send_out(self, channel: Clinic, contact: str, number: int) -> None:
        text = f"{self._run} out {number}"
        asked, until = datetime.now(UTC), time.monotonic() + self._insist
        wait = _RETRY_SECONDS
        # As an integrator should: the same key until there is an answer.
        while time.monotonic() < until:
            try:
                message_id = await channel.send(contact, text, key=text.replace(" ", "-"))
            except httpx.HTTPError:
                # More and more rarely: what piles up in minutes of outage would else keep the API from ever recovering.
                await asyncio.sleep(wait * self._chance.uniform(0.5, 1.0))
                wait = min(wait * 2, _LONGEST_RETRY_SECONDS)
            else:
                self.out.append(Sent(text, channel.number, contact, asked, datetime.now(UTC), message_id))
                return
        self.unanswered += 1

    async def _send_in(self, channel: Clinic, contact: str, number: int) -> None:
        text = f"{self._run} in {number}"
        asked = datetime.now(UTC)
        try:
            message_id = await self.phones.send(contact, channel.number, text)
        except httpx.HTTPError:
            # The simulator was being killed: a person would see that the message did not leave.
            self.unanswered += 1
        else:
            self.inward.append(Sent(text, channel.number, contact, asked, datetime.now(UTC), message_id))


async def connected(phones: Phones, numbers: frozenset[str]) -> frozenset[str]:
    """Return which of these numbers have a connected companion."""
    listed: list[dict[str, Any]] = await phones.call("GET", "/phones")
    return frozenset(
        phone["number"]
        for phone in listed
        if phone["number"] in numbers
        and any(device["device"] > 0 and device["connected"] for device in phone["devices"])
    )

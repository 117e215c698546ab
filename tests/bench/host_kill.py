"""Kills a host with SIGKILL in the middle of traffic and counts what became of every message."""

import asyncio
import time
from collections import Counter
from typing import TypedDict

from tests.bench.platform import Addresses, Clinic, Phones
from tests.bench.processes import hosts, runner

_SETTLE_SECONDS = 90.0


class HostKill(TypedDict):
    """Seconds until every session was connected again, and the fate of the messages around the kill.

    ``lost``: accepted by the API, neither at its contact nor marked failed or uncertain. ``uncertain``: marked so for
    the clinic to decide. ``doubled``: at its contact more than once. ``inbound_lost``: not in the message log.
    """

    recovery_s: float
    lost: int
    doubled: int
    uncertain: int
    inbound_lost: int
    messages: int


async def host_kill(
    addresses: Addresses, phones: Phones, clinic: Clinic, contacts: list[str], *, seconds: float
) -> HostKill:
    """Send in both directions once a second for some chats, kill a host half way, and compare."""
    sent: dict[str, str] = {}
    inward: list[str] = []

    async def talk() -> None:
        ends = time.monotonic() + seconds
        for number in range(10**6):
            if time.monotonic() > ends:
                return
            contact = contacts[number % len(contacts)]
            text = f"kill out {number}"
            sent[text] = await clinic.send(contact, text)
            await asyncio.sleep(0.1)
            inward.append(f"kill in {number}")
            await phones.send(contact, clinic.number, inward[-1])
            await asyncio.sleep(0.1)

    async def kill() -> float:
        await asyncio.sleep(seconds / 2)
        hosts(runner(addresses.state))[0].kill()
        killed = time.monotonic()
        await _connected(phones, clinic.number, wanted=False)
        await _connected(phones, clinic.number, wanted=True)
        return time.monotonic() - killed

    _, recovery = await asyncio.gather(talk(), kill())
    return await _count(phones, clinic, sent, inward, recovery)


async def _connected(phones: Phones, number: str, *, wanted: bool) -> None:
    async with asyncio.timeout(60):
        while True:
            listed = {phone["number"]: phone for phone in await phones.call("GET", "/phones")}
            linked = [device for device in listed[number]["devices"] if device["device"] > 0]
            if any(device["connected"] for device in linked) is wanted:
                return
            await asyncio.sleep(0.01)


async def _count(phones: Phones, clinic: Clinic, sent: dict[str, str], inward: list[str], recovery: float) -> HostKill:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        at_contact = Counter(row["text"] for row in await phones.ledger() if row["direction"] == "from_client")
        statuses = {message["message_id"]: message["status"] for message in await clinic.messages("outbound")}
        logged = {message["text"]["body"] for message in await clinic.messages("inbound") if message.get("text")}
        told = Counter(statuses.get(message_id) for message_id in sent.values())
        unsettled = told["queued"] + told["sending"] + len([text for text in inward if text not in logged])
        if not unsettled or time.monotonic() > deadline:
            break
        await asyncio.sleep(1)
    marked = {"failed", "uncertain"}
    return HostKill(
        recovery_s=round(recovery, 2),
        lost=sum(text not in at_contact and statuses.get(key) not in marked for text, key in sent.items()),
        doubled=sum(max(0, at_contact[text] - 1) for text in sent),
        uncertain=told["uncertain"],
        inbound_lost=sum(text not in logged for text in inward),
        messages=len(sent) + len(inward),
    )

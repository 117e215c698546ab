"""Two clinics and their patients talk for a while in both directions; then every record must agree to the message.

``python -m tests.bench.soak --out 1000 --in 1000``: the simulator's ledger, the message log and the receiver are
compared by the unique text of each message. The receiver is killed and started again half way.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.platform import Addresses, Clinic, Phones, Receiver, receiver
from tests.bench.stack import running_stack

_SETTLE_SECONDS = 180.0


@dataclass(slots=True)
class Soak:
    """The figures of one soak; ``lost_*``, ``doubled`` and ``foreign`` are what must not happen."""

    out_accepted: int = 0
    out_at_contact: int = 0
    in_sent: int = 0
    in_logged: int = 0
    in_webhooked: int = 0
    lost_ours: int = 0
    lost_key_reuse: int = 0
    doubled: int = 0
    foreign: int = 0
    repeated_deliveries: int = 0
    messages_per_second: float = 0.0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Traffic:
    """What was sent: text → the clinic it belongs to."""

    out: dict[str, str] = field(default_factory=dict)
    inward: dict[str, str] = field(default_factory=dict)


class Ensemble:
    """Two clinics with their contacts, and the counts of what each record holds of their talk."""

    def __init__(self, addresses: Addresses, contacts: int, prefix: str) -> None:
        self._addresses = addresses
        self._run = prefix
        self.phones = Phones(addresses.phones)
        base = random.Random(prefix).randrange(10**5)  # noqa: S311 - test numbers
        self._numbers = [f"55119{70000000 + base * 100 + index}" for index in range(2 * contacts + 2)]
        self.clinics: list[Clinic] = []
        self.contacts: dict[str, list[str]] = {}
        self._per_clinic = contacts

    async def prepare(self, hooks: Receiver) -> None:
        """Create both clinics, link their numbers, register the contacts and the webhook endpoints."""
        remaining = iter(self._numbers)
        for name in ("Aurora", "Brisa"):
            clinic = await Clinic.create(self._addresses, f"Soak {name}")
            await clinic.subscribe(hooks, ["message.*"])
            await clinic.pair(self.phones, next(remaining))
            self.contacts[clinic.clinic_id] = list(itertools.islice(remaining, self._per_clinic))
            for number in self.contacts[clinic.clinic_id]:
                await self.phones.register(number)
            self.clinics.append(clinic)

    async def talk(self, traffic: Traffic, out: int, inward: int, per_second: float) -> None:
        """Send both ways at once, round the chats, so that one chat sees at most one message a second each way."""
        await asyncio.gather(
            self._stream(out, per_second, traffic.out, self._send_out),
            self._stream(inward, per_second, traffic.inward, self._send_in),
        )

    async def _stream(self, count: int, per_second: float, sent: dict[str, str], send: Any) -> None:
        started = time.monotonic()
        pending: set[asyncio.Task[None]] = set()
        for number in range(count):
            await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
            clinic = self.clinics[number % 2]
            contact = self.contacts[clinic.clinic_id][number // 2 % self._per_clinic]
            pending.add(task := asyncio.create_task(send(clinic, contact, number, sent)))
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)

    async def _send_out(self, clinic: Clinic, contact: str, number: int, sent: dict[str, str]) -> None:
        text = f"{self._run} out {number}"
        await clinic.send(contact, text, key=text.replace(" ", "-"))
        sent[text] = clinic.clinic_id

    async def _send_in(self, clinic: Clinic, contact: str, number: int, sent: dict[str, str]) -> None:
        text = f"{self._run} in {number}"
        await self.phones.send(contact, clinic.number, text)
        sent[text] = clinic.clinic_id

    async def at_contacts(self) -> Counter[str]:
        """Return how often each text was decrypted at a contact, by the simulator's own ledger."""
        rows = await self.phones.ledger()
        return Counter(row["text"] for row in rows if row["direction"] == "from_client" and row["text"])

    async def logged(self) -> list[tuple[str, str]]:
        """Return (clinic id, text) of every inbound message in the message logs."""
        return [
            (clinic.clinic_id, message["text"]["body"])
            for clinic in self.clinics
            for message in await clinic.messages("inbound")
        ]

    async def repeated_keys(self) -> int:
        """Return how often a client repeated a (ratchet key, counter): each such message is lost at the contact."""
        return int((await self.phones.call("GET", "/ledger/summary"))["repeated_keys_by_client"])

    async def close(self) -> None:
        """Close all connections."""
        await self.phones.close()
        for clinic in self.clinics:
            await clinic.close()


def _inbound_hooks(received: list[dict[str, Any]]) -> tuple[list[tuple[str, str]], int]:
    """Return (clinic id, text) once per event, and how many deliveries only repeated an event."""
    bodies = [hook["body"] for hook in received if hook["body"]["type"] == "message.received"]
    seen = {body["id"]: body for body in bodies}
    return [(body["clinic_id"], body["data"]["text"]["body"]) for body in seen.values()], len(bodies) - len(seen)


async def soak(
    addresses: Addresses, *, out: int, inward: int, contacts: int, per_second: float, restart_receiver: bool
) -> Soak:
    """Run one soak against a running stack and compare all records.

    Args:
        addresses: where the stack listens.
        out: messages from the clinics to their contacts, in all.
        inward: messages from the contacts to the clinics, in all.
        contacts: contacts of each clinic.
        per_second: messages a second in each direction.
        restart_receiver: kill the webhook receiver half way and start it again.
    """
    prefix = f"s{time.time_ns():x}"
    result, traffic = Soak(), Traffic()
    with tempfile.TemporaryDirectory(prefix="recado-soak-") as scratch:
        async with receiver(Path(scratch) / "webhooks.jsonl") as hooks:
            ensemble = Ensemble(addresses, contacts, prefix)
            await ensemble.prepare(hooks)
            reuse_before = await ensemble.repeated_keys()
            started = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ensemble.talk(traffic, out, inward, per_second))
                if restart_receiver:
                    tasks.create_task(_restart(hooks, max(out, inward) / per_second / 2))
            result.messages_per_second = round((out + inward) / (time.monotonic() - started), 2)
            await _settle(ensemble, hooks, traffic)
            await _compare(ensemble, hooks, traffic, result)
            result.lost_key_reuse = min(await ensemble.repeated_keys() - reuse_before, result.lost_ours)
            result.lost_ours -= result.lost_key_reuse
            result.seconds = round(time.monotonic() - started, 1)
            await ensemble.close()
    return result


async def _restart(hooks: Receiver, after: float) -> None:
    await asyncio.sleep(after)
    await hooks.kill()
    await asyncio.sleep(3)
    await hooks.start()


async def _settle(ensemble: Ensemble, hooks: Receiver, traffic: Traffic) -> None:
    """Wait until everything sent has arrived everywhere, or nothing has moved for a while."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    last, last_moved = -1, time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - last_moved < _SETTLE_SECONDS / 3:
        there = len((await ensemble.at_contacts()).keys() & traffic.out.keys())
        hooked = len({text for _, text in _inbound_hooks(hooks.received())[0]} & traffic.inward.keys())
        if there == len(traffic.out) and hooked == len(traffic.inward):
            return
        if there + hooked != last:
            last, last_moved = there + hooked, time.monotonic()
        await asyncio.sleep(1)


async def _compare(ensemble: Ensemble, hooks: Receiver, traffic: Traffic, result: Soak) -> None:
    at_contacts = await ensemble.at_contacts()
    logged = await ensemble.logged()
    hooked, result.repeated_deliveries = _inbound_hooks(hooks.received())
    result.out_accepted, result.in_sent = len(traffic.out), len(traffic.inward)
    result.out_at_contact = sum(text in at_contacts for text in traffic.out)
    records = {"log": logged, "webhook": hooked}
    for name, record in records.items():
        times = Counter(text for _, text in record)
        result.doubled += sum(count - 1 for count in times.values())
        result.foreign += sum(traffic.inward.get(text, clinic) != clinic for clinic, text in record)
        missing = [text for text in traffic.inward if text not in times]
        result.lost_ours += len(missing)
        result.problems += [f"not in the {name}: {text}" for text in missing[:5]]
    result.in_logged = len({text for _, text in logged} & traffic.inward.keys())
    result.in_webhooked = len({text for _, text in hooked} & traffic.inward.keys())
    missing = [text for text in traffic.out if text not in at_contacts]
    result.lost_ours += len(missing)
    result.doubled += sum(at_contacts[text] - 1 for text in traffic.out if text in at_contacts)
    result.problems += [f"not at its contact: {text}" for text in missing[:5]]


def main() -> int:
    """Run the soak of the command line and return 0 if nothing was lost by us, doubled or misplaced."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=int, default=1000, help="messages from clinics to contacts")
    parser.add_argument("--in", type=int, default=1000, dest="inward", help="messages from contacts to clinics")
    parser.add_argument("--contacts", type=int, default=25, help="contacts of each clinic")
    parser.add_argument("--per-second", type=float, default=3.0, help="messages a second in each direction")
    arguments = parser.parse_args()
    with running_stack() as addresses:
        result = asyncio.run(
            soak(
                addresses,
                out=arguments.out,
                inward=arguments.inward,
                contacts=arguments.contacts,
                per_second=arguments.per_second,
                restart_receiver=True,
            )
        )
    print(json.dumps(asdict(result), ensure_ascii=False))
    return 1 if result.lost_ours or result.doubled or result.foreign else 0


if __name__ == "__main__":
    sys.exit(main())

"""Services that are away, lose answers or refuse; WhatsApp and the network doing the same."""

import asyncio
import random
import time
from datetime import UTC, datetime

from tests.chaos.options import Step
from tests.chaos.records import Kill
from tests.chaos.scene import Scene


class Outages:
    """Acts on what the platform stands on.

    Args:
        scene: what all acts share.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def outage(self, step: Step, chance: random.Random) -> None:
        epoch = self._scene.tasks.epoch
        began = time.monotonic()
        await self._scene.set_faults({step.service: {"mode": "down"}})
        await asyncio.sleep(self._scene.options.outage_seconds)
        await self._scene.set_faults({step.service: None})
        self._scene.figures.outages.append(step.service)
        await self._scene.note_new_owner(epoch)
        await self._scene.until_back()
        self._scene.tell(f"  {step.service} was down; all well {time.monotonic() - began:.1f} s after its begin")

    async def flaky(self, step: Step, chance: random.Random) -> None:
        lost = {"mode": "answer_lost", "probability": 0.1}
        await self._scene.set_faults(
            {
                "dynamodb": lost,
                "s3": lost,
                "sqs": {"mode": "failed_entries", "probability": 0.2},
                "events": {"mode": "failed_entries", "probability": 0.3},
            }
        )
        await asyncio.sleep(self._scene.options.outage_seconds)
        await self._scene.set_faults({"dynamodb": None, "s3": None, "sqs": None, "events": None})
        await self._scene.until_back()
        self._scene.tell("  answers of dynamodb and s3 were lost, entries of sqs and events failed")

    async def drop(self, step: Step, chance: random.Random) -> None:
        numbers = sorted(self._scene.traffic.numbers)
        chosen = chance.sample(numbers, max(1, len(numbers) // 2))
        at = datetime.now(UTC)
        await asyncio.gather(*(self._scene.traffic.phones.call("POST", f"/phones/{number}/drop") for number in chosen))
        self._scene.note(Kill(step.act, at, frozenset(chosen), 0.0))
        await self._scene.until_back()
        self._scene.tell(f"  {len(chosen)} sockets dropped")

    async def silence(self, step: Step, chance: random.Random) -> None:
        number = chance.choice(sorted(self._scene.traffic.numbers))
        await self._scene.traffic.phones.call("POST", f"/phones/{number}/silence", {"seconds": 5})
        await asyncio.sleep(5)
        self._scene.tell("  one session heard nothing for 5 s")

    async def kill_whatsapp(self, step: Step, chance: random.Random) -> None:
        at = datetime.now(UTC)
        await asyncio.to_thread(self._scene.stack.kill, "whatsapp")
        self._scene.note(Kill(step.act, at, self._scene.traffic.numbers, 0.0))
        await self._scene.until_back()
        self._scene.tell("  WhatsApp's simulator was killed and is there again")

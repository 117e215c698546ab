"""What is done to the platform, one act at a time; each returns when all sessions are connected again."""

import random
from collections.abc import Awaitable, Callable, Mapping

from tests.chaos.kills import Kills
from tests.chaos.losses import Losses
from tests.chaos.options import Act, Step
from tests.chaos.outages import Outages
from tests.chaos.scene import Scene

Do = Callable[[Step, random.Random], Awaitable[None]]


class Acts:
    """Does what a plan says.

    Args:
        scene: what all acts share.
    """

    def __init__(self, scene: Scene) -> None:
        kills, losses, outages = Kills(scene), Losses(scene), Outages(scene)
        self._acts: Mapping[Act, Do] = {
            Act.HOST_KILL: kills.host,
            Act.PAIRING_HOST_KILL: kills.pairing_host,
            Act.SUPERVISOR_KILL: kills.supervisor,
            Act.SUPERVISOR_FREEZE: kills.freeze_supervisor,
            Act.DISK_FULL: kills.fill_disk,
            Act.TASK_LOSS: losses.lose,
            Act.TASK_LOSS_UNTOLD: losses.lose,
            Act.TASK_LOSS_SPILLED: losses.lose,
            Act.DRAIN: losses.drain,
            Act.STALE_OWNER: losses.stale_owner,
            Act.OUTAGE: outages.outage,
            Act.FLAKY: outages.flaky,
            Act.DROP: outages.drop,
            Act.SILENCE: outages.silence,
            Act.WHATSAPP_KILL: outages.kill_whatsapp,
        }

    async def do(self, step: Step) -> None:
        """Do one act.

        Raises:
            TimeoutError: the sessions did not come back.
        """
        await self._acts[step.act](step, random.Random(step.draw))  # noqa: S311 - replayable on purpose

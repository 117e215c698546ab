"""How large a chaos run is, and what its seed makes of it."""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Act(StrEnum):
    """Something that happens to the platform during a run."""

    HOST_KILL = "host_kill"
    PAIRING_HOST_KILL = "pairing_host_kill"
    TASK_LOSS = "task_loss"
    TASK_LOSS_UNTOLD = "task_loss_untold"
    TASK_LOSS_SPILLED = "task_loss_spilled"
    SUPERVISOR_KILL = "supervisor_kill"
    SUPERVISOR_FREEZE = "supervisor_freeze"
    DISK_FULL = "disk_full"
    DRAIN = "drain"
    STALE_OWNER = "stale_owner"
    OUTAGE = "outage"
    FLAKY = "flaky"
    DROP = "drop"
    SILENCE = "silence"
    WHATSAPP_KILL = "whatsapp_kill"


@dataclass(frozen=True, slots=True)
class Step:
    """One act of a plan.

    Attributes:
        act: what happens.
        after: seconds of quiet before it.
        service: the AWS service concerned, for an outage; for a task loss, one that is down meanwhile (or empty).
        draw: decides what else is left to chance inside the act, such as which host.
    """

    act: Act
    after: float
    service: str = ""
    draw: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is asked to be.

    Attributes:
        seed: of the plan: the same options and seed give the same acts in the same order.
        sessions: connected channels.
        sessions_per_host: how many of them share a host.
        contacts: contacts of each channel.
        rate: messages a second in each direction, over all channels.
        host_kills, task_losses, drains, stale_owners, pairing_host_kills: how many of each.
        untold_losses: how many further tasks are lost while ECS does not tell of it, so that the lease has to be waited
            for.
        spilled_losses: how many further tasks are lost while SQS is away and facts lie in S3.
        supervisor_kills, supervisor_freezes: how often the supervisor alone is killed, or frozen past its lease.
        disk_fulls: how often no file of the hosts can grow for a while.
        whatsapp_faults: how many each of dropped sockets, silences and kills of the simulator.
        outages: the services that are down in turn.
        flaky: how many stretches in which answers get lost and entries of batches fail.
        outage_seconds: how long an outage lasts.
        drain_latency_ms: added to every request to S3 during a drain.
        gap: least and most seconds of quiet before an act.
        quiet_seconds: after the last act, traffic goes on for so long.
        settle_seconds: how long to wait for everything to arrive.
        still_seconds: after how long without any arrival the rest is given up.
        keep: whether the stack's folder with all logs stays.
    """

    seed: int = 1
    sessions: int = 10
    sessions_per_host: int = 5
    contacts: int = 3
    rate: float = 3.0
    host_kills: int = 5
    task_losses: int = 2
    untold_losses: int = 1
    spilled_losses: int = 1
    supervisor_kills: int = 1
    supervisor_freezes: int = 1
    disk_fulls: int = 1
    drains: int = 1
    stale_owners: int = 1
    pairing_host_kills: int = 1
    whatsapp_faults: int = 1
    outages: Sequence[str] = ("events", "sqs", "dynamodb", "s3")
    flaky: int = 1
    outage_seconds: float = 10.0
    drain_latency_ms: int = 50
    gap: tuple[float, float] = (1.0, 4.0)
    quiet_seconds: float = 5.0
    settle_seconds: float = 900.0
    still_seconds: float = 90.0
    keep: bool = False


_COUNTED = (
    *("host-kills", "pairing-host-kills", "supervisor-kills", "supervisor-freezes", "disk-fulls"),
    *("task-losses", "untold-losses", "spilled-losses", "drains", "stale-owners", "flaky", "whatsapp-faults"),
)


def plan(options: Options) -> list[Step]:
    """Return the acts of a run, in an order that its seed decides.

    The first task loss, if EventBridge is among the outages, falls into an outage of EventBridge.
    """
    chance = random.Random(options.seed)  # noqa: S311 - replayable on purpose
    counts = {
        Act.HOST_KILL: options.host_kills,
        Act.PAIRING_HOST_KILL: options.pairing_host_kills,
        Act.TASK_LOSS_UNTOLD: options.untold_losses,
        Act.SUPERVISOR_KILL: options.supervisor_kills,
        Act.SUPERVISOR_FREEZE: options.supervisor_freezes,
        Act.DISK_FULL: options.disk_fulls,
        Act.DRAIN: options.drains,
        Act.STALE_OWNER: options.stale_owners,
        Act.FLAKY: options.flaky,
        Act.DROP: options.whatsapp_faults,
        Act.SILENCE: options.whatsapp_faults,
        Act.WHATSAPP_KILL: options.whatsapp_faults,
    }
    chosen = [(act, "") for act, count in counts.items() for _ in range(count)]
    chosen += [(Act.OUTAGE, service) for service in options.outages]
    chosen += [(Act.TASK_LOSS_SPILLED, "sqs")] * options.spilled_losses
    meanwhile = "events" if "events" in options.outages else ""
    chosen += [(Act.TASK_LOSS, meanwhile if number == 0 else "") for number in range(options.task_losses)]
    chance.shuffle(chosen)
    return [Step(act, chance.uniform(*options.gap), service, chance.randrange(2**31)) for act, service in chosen]


def parsed(arguments: Sequence[str] | None = None) -> Options:
    """Return the options of a command line."""
    standard = Options()
    lines = argparse.ArgumentParser(prog="python -m tests.chaos", description="Breaks a whole local stack on purpose.")
    lines.add_argument("--seed", type=int, default=None, help="of the plan; printed, so that a run can be repeated")
    for name in ("sessions", "sessions-per-host", "contacts", "drain-latency-ms"):
        lines.add_argument(f"--{name}", type=int, default=getattr(standard, name.replace("-", "_")))
    for name in _COUNTED:
        lines.add_argument(f"--{name}", type=int, default=None, help="how many")
    for name in ("rate", "outage-seconds", "quiet-seconds", "settle-seconds", "still-seconds"):
        lines.add_argument(f"--{name}", type=float, default=getattr(standard, name.replace("-", "_")))
    lines.add_argument(
        "--gap", type=float, nargs=2, default=standard.gap, metavar="SECONDS", help="least and most quiet before an act"
    )
    lines.add_argument("--only", action="store_true", help="nothing happens but what is asked for by name")
    lines.add_argument("--outages", default=None, help="services, separated by commas")
    lines.add_argument("--keep", action="store_true", help="keep the stack's folder with all logs")
    given = vars(lines.parse_args(arguments))
    given["gap"] = tuple(given["gap"])
    only = given.pop("only")
    for name in (counted.replace("-", "_") for counted in _COUNTED):
        if given[name] is None:
            given[name] = 0 if only else getattr(standard, name)
    if given["outages"] is None:
        given["outages"] = "" if only else ",".join(standard.outages)
    given["outages"] = tuple(name for name in given["outages"].split(",") if name)
    if given["seed"] is None:
        given["seed"] = random.SystemRandom().randrange(2**31)
    return Options(**given)

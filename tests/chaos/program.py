"""One run from the empty stack to the verdict."""

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.stack import addresses_of
from tests.chaos.acts import Acts
from tests.chaos.gathering import gather, unsettled
from tests.chaos.options import Options, plan
from tests.chaos.records import Records
from tests.chaos.scene import Figures, Scene
from tests.chaos.tasks import Tasks
from tests.chaos.traffic import INSIST_SECONDS, Traffic
from tests.chaos.verdict import Verdict, judge
from tests.support.running_stack import RunningStack

_SHARD = "shard-001"
# What the recorder fails on comes again soon, by its own doing. What it could not even postpone or delete (SQS was
# away) comes again after six times its time-out, which is six minutes: right for AWS, where nobody waits for the end
# of a run. Shortened here to no less than one handling may take on a busy machine, and the deliveries allowed raised,
# so that outages of seconds stand for outages of minutes.
_INGEST_VISIBILITY_SECONDS = "60"
_INGEST_RECEIVES = 50
_RECORDED_SECONDS = 8.0


def run(options: Options, tell: Callable[[str], None]) -> dict[str, Any]:
    """Run chaos against a stack of its own and return the figures.

    Args:
        options: how much of it.
        tell: prints what happens.
    """
    folder = Path(tempfile.mkdtemp(prefix="recado-chaos-"))
    stack = RunningStack(folder / "stack")
    tell(f"chaos with seed {options.seed} in {folder}")
    stack.start("--no-demo", "--no-runners", "--faults")
    try:
        _shorten_retries(stack)
        return asyncio.run(_run(stack, folder, options, tell))
    finally:
        stack.stop()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


async def _run(stack: RunningStack, folder: Path, options: Options, tell: Callable[[str], None]) -> dict[str, Any]:
    environment = stack.described["runners"][_SHARD]
    tasks = Tasks(environment, folder / "tasks", sessions_per_host=options.sessions_per_host)
    traffic = Traffic(
        addresses_of(stack),
        sessions=options.sessions,
        contacts=options.contacts,
        rate=options.rate,
        run=f"c{options.seed:x}",
        insist=INSIST_SECONDS + options.outage_seconds,
    )
    scene = Scene(stack, tasks, traffic, options, tell)
    acts = Acts(scene)
    started = time.monotonic()
    try:
        await tasks.start()
        await tasks.until_running()
        await traffic.prepare()
        tell(f"{options.sessions} sessions linked after {time.monotonic() - started:.1f} s")
        talking = asyncio.create_task(traffic.talk())
        for number, step in enumerate(steps := plan(options), start=1):
            await asyncio.sleep(step.after)
            tell(f"[{time.monotonic() - started:6.1f} s] {number}/{len(steps)} {step.act} {step.service}")
            await acts.do(step)
        await asyncio.sleep(options.quiet_seconds)
        traffic.end()
        await talking
        left = await _settle(stack, traffic, options)
        tell(f"settled with {left} open after {time.monotonic() - started:.1f} s")
        records = Records(kills=scene.figures.kills, takeovers=tasks.takeovers)
        await gather(stack, traffic, records)
        figures = _figures(options, scene.figures, judge(records), traffic, tasks)
        return {**figures, "unrecorded": await asyncio.to_thread(_unrecorded, stack)}
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(150):
                await tasks.stop()
        await scene.close()
        await traffic.close()


async def _settle(stack: RunningStack, traffic: Traffic, options: Options) -> int:
    """Wait until everything has its end; return how many have not when time is up or nothing moves any more.

    What comes in and is lost never has an end: once nothing is left for the recorder, it is not waited for.
    """
    deadline = moved = time.monotonic()
    deadline += options.settle_seconds
    last = (-1, -1)
    while True:
        left = await unsettled(traffic)
        if left != last:
            last, moved = left, time.monotonic()
        out, inward = left
        recorded = not out and not await asyncio.to_thread(_unrecorded, stack)
        patience = min(_RECORDED_SECONDS, options.still_seconds) if recorded else options.still_seconds
        if not out + inward or time.monotonic() > deadline or time.monotonic() - moved > patience:
            return out + inward
        await asyncio.sleep(1)


def _figures(options: Options, figures: Figures, verdict: Verdict, traffic: Traffic, tasks: Tasks) -> dict[str, Any]:
    out, inward = verdict.outbound, verdict.inbound
    drains = figures.drains
    return {
        "seed": options.seed,
        "host_kills": figures.host_kills,
        "pairing_host_kills": figures.pairing_host_kills,
        "supervisor_kills": figures.supervisor_kills,
        "supervisor_freezes": figures.supervisor_freezes,
        "disk_fulls": figures.disk_fulls,
        "orphans": figures.orphans,
        "task_losses": figures.task_losses,
        "spilled": {
            "losses": figures.spilled_losses,
            "batches": figures.spilled_batches,
            "left": figures.spilled_left,
        },
        "stale_owners": figures.stale_owners,
        "outages": figures.outages,
        "sessions": len(traffic.channels),
        "out_accepted": len(traffic.out),
        "out": asdict(out),
        "out_lost": out.lost,
        "out_doubled_silently": out.doubled_silently,
        "out_held": out.held,
        "out_of_order": verdict.out_of_order,
        "lost_key_reuse": out.lost_key_reuse,
        "uncertain": out.uncertain,
        "uncertain_at_contact": verdict.uncertain_at_contact,
        "in_flight_at_kills": verdict.in_flight_at_kills,
        "in_sent": len(traffic.inward),
        "in": asdict(inward),
        "in_lost": inward.lost_in_window + inward.lost_outside_window,
        "in_lost_outside_window": inward.lost_outside_window,
        "in_doubled": verdict.in_doubled,
        "foreign": verdict.foreign,
        "unanswered": traffic.unanswered,
        "recovery_host_s": _spread(figures.recovery_host),
        "recovery_task_s": _spread(figures.recovery_task),
        "recovery_task_without_evidence_s": _spread(figures.recovery_untold),
        "recovery_supervisor_s": _spread(figures.recovery_supervisor),
        "recovery_frozen_s": _spread(figures.recovery_pause),
        "stale": {
            "messages": verdict.stale_messages,
            "snapshots": verdict.stale_snapshots,
            "displaced": figures.displaced,
            "keepalives_meanwhile": figures.stale_keepalives,
        },
        "drain": {
            "sessions": sum(drain["sessions"] for drain in drains),
            "seconds": max((drain["seconds"] for drain in drains), default=0.0),
            "unclean": sum(drain["unclean"] for drain in drains),
        },
        "runner_errors": tasks.complaints(),
        "problems": verdict.problems,
        "sums": out.total() == len(traffic.out) and inward.total() == len(traffic.inward),
    }


def _spread(seconds: list[float]) -> dict[str, float | None]:
    if not seconds:
        return {"p50": None, "max": None}
    return {"p50": round(median(seconds), 2), "max": round(max(seconds), 2)}


def failures(figures: dict[str, Any]) -> list[str]:
    """Return what must not be in a run's figures and is."""
    must_be_nothing = {
        "out_lost": figures["out_lost"],
        "out_doubled_silently": figures["out_doubled_silently"],
        "out_held": figures["out_held"],
        "out_of_order": figures["out_of_order"],
        "in_lost_outside_window": figures["in_lost_outside_window"],
        "in_doubled": figures["in_doubled"],
        "foreign": figures["foreign"],
        "stale messages": figures["stale"]["messages"],
        "stale snapshots": figures["stale"]["snapshots"],
        "displaced": figures["stale"]["displaced"],
        "unclean": figures["drain"]["unclean"],
        "hosts that outlived their supervisor": figures["orphans"],
        "spilled batches that nobody handed on": figures["spilled"]["left"],
    }
    found = [f"{name}: {count}" for name, count in must_be_nothing.items() if count]
    if figures["uncertain"] > figures["in_flight_at_kills"]:
        found.append(f"uncertain: {figures['uncertain']} of {figures['in_flight_at_kills']} in flight")
    if found and figures["unrecorded"]:
        found.append(f"unrecorded: {figures['unrecorded']} when time was up; what counts as lost may be on its way")
    if not figures["sums"]:
        found.append("the classes do not sum to what was accepted")
    return found


def _unrecorded(stack: RunningStack) -> int:
    """Return how many messages of the runners still wait for the recorder, or are being recorded."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = stack.environment["RECADO_INGEST_QUEUE_URL"]
    attributes = stack.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def _shorten_retries(stack: RunningStack) -> None:
    sqs = stack.aws("sqs")
    url = stack.environment["RECADO_INGEST_QUEUE_URL"]
    named = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
    policy = json.dumps({**json.loads(named), "maxReceiveCount": _INGEST_RECEIVES})
    attributes = {"VisibilityTimeout": _INGEST_VISIBILITY_SECONDS, "RedrivePolicy": policy}
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)

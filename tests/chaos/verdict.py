"""The ledger comparison: what became of each message, in classes that sum to what was accepted. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from tests.chaos.records import Kill, LedgerRow, Logged, Records, Sent, VaultVersion

_WAITING = {"queued", "sending"}
_ENDED_UNSENT = {"failed", "expired", "suppressed"}
_SENT = {"sent", "delivered", "read"}
_EXAMPLES = 10
# Clocks are one machine's, but a moment is written down a little before or after what it names.
_SLACK = timedelta(seconds=0.5)


@dataclass(slots=True)
class Outbound:
    """Each accepted message is in exactly one of these.

    ``lost_key_reuse``: the client used a Signal key twice, the contact could not read it (the ledger says so).
    """

    sent_once: int = 0
    held: int = 0
    uncertain: int = 0
    failed: int = 0
    resent_visibly: int = 0
    lost_key_reuse: int = 0
    lost: int = 0
    doubled_silently: int = 0

    def total(self) -> int:
        """Return the sum of the classes."""
        return sum(asdict(self).values())


@dataclass(slots=True)
class Inbound:
    """Each message that a contact sent is in exactly one of these."""

    logged: int = 0
    lost_in_window: int = 0
    lost_outside_window: int = 0

    def total(self) -> int:
        """Return the sum of the classes."""
        return sum(asdict(self).values())


@dataclass(slots=True)
class Verdict:
    """What a run shows."""

    outbound: Outbound = field(default_factory=Outbound)
    inbound: Inbound = field(default_factory=Inbound)
    uncertain_at_contact: int = 0
    in_doubled: int = 0
    foreign: int = 0
    out_of_order: int = 0
    in_flight_at_kills: int = 0
    stale_messages: int = 0
    stale_snapshots: int = 0
    problems: list[str] = field(default_factory=list)


def judge(records: Records) -> Verdict:
    """Compare all records of a run."""
    verdict = Verdict()
    _judge_outbound(records, verdict)
    _judge_inbound(records, verdict)
    verdict.out_of_order = _out_of_order(records, verdict.problems)
    verdict.in_flight_at_kills = sum(in_flight(kill, records) for kill in records.kills)
    verdict.stale_messages = _stale_messages(records, verdict.problems)
    verdict.stale_snapshots = stale_snapshots(records.vault)
    return verdict


def _judge_outbound(records: Records, verdict: Verdict) -> None:
    logged = {message.message_id: message for message in records.logged_out}
    arrived = Counter(row.text for row in records.ledger if row.outbound and row.text)
    unread = {row.whatsapp_id for row in records.ledger if row.outbound and row.error == "repeated_key"}
    classes = verdict.outbound
    for sent in records.out:
        message = logged.get(sent.message_id)
        times = arrived[sent.text]
        name = _class_of(message, times, unread)
        setattr(classes, name, getattr(classes, name) + 1)
        verdict.uncertain_at_contact += name == "uncertain" and times > 0
        if name in {"lost", "doubled_silently", "held"}:
            status = f"{message.status} {message.code or ''}" if message else "not in the log"
            _note(verdict.problems, f"{name}: {sent.text!r} is {status}, {times} times at its contact")


def _class_of(message: Logged | None, times: int, unread: set[str]) -> str:
    if times > 1:
        return "doubled_silently"
    if message is None:
        return "lost"
    if message.status == "uncertain":
        return "uncertain"
    if times == 1:
        return "sent_once"
    if message.status in _WAITING:
        return "held"
    if message.status in _ENDED_UNSENT:
        return "failed"
    return "lost_key_reuse" if message.whatsapp_id in unread else "lost"


def _judge_inbound(records: Records, verdict: Verdict) -> None:
    times = Counter(message.text for message in records.logged_in)
    acknowledged = {row.text: row for row in records.ledger if not row.outbound and row.text and row.acknowledged_at}
    own = {sent.text: records.clinic_of.get(sent.number) for sent in records.inward}
    verdict.foreign = sum(own.get(one.text, one.clinic_id) != one.clinic_id for one in records.logged_in)
    verdict.in_doubled = sum(count - 1 for text, count in times.items() if text in own)
    for sent in records.inward:
        if times[sent.text]:
            verdict.inbound.logged += 1
            continue
        row = acknowledged.get(sent.text)
        if row is not None and _in_window(row, sent.number, records.kills):
            verdict.inbound.lost_in_window += 1
            continue
        verdict.inbound.lost_outside_window += 1
        said = f"acknowledged {row.acknowledged_at}" if row else "never acknowledged"
        _note(verdict.problems, f"inbound lost outside the window: {sent.text!r} to {sent.number[-4:]}, {said}")


def _in_window(row: LedgerRow, number: str, kills: Iterable[Kill]) -> bool:
    moment = row.acknowledged_at
    return moment is not None and any(
        number in kill.numbers and kill.at - timedelta(seconds=kill.window) <= moment <= kill.at + _SLACK
        for kill in kills
    )


def in_flight(kill: Kill, records: Records) -> int:
    """Return how many sends may have been under way when a kill struck.

    A channel sends one message at a time, so this counts the channels that it took down and that had a message
    accepted before and not ended: the first of those was under way, or about to be.
    """
    ended = {message.message_id: message.ended_at for message in records.logged_out}
    busy = set()
    for sent in records.out:
        end = ended.get(sent.message_id)
        if sent.number in kill.numbers and sent.asked_at <= kill.at + _SLACK and (end is None or end >= kill.at):
            busy.add(sent.number)
    return len(busy)


def _out_of_order(records: Records, problems: list[str]) -> int:
    """Count messages that overtook one of the same chat whose 202 was there before they were asked for."""
    arrived: dict[str, Any] = {}
    for row in records.ledger:
        if row.outbound and row.text and row.accepted_at:
            arrived.setdefault(row.text, row.accepted_at)
    chats: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    for sent in records.out:
        if sent.text in arrived:
            chats[sent.number, sent.contact].append(sent)
    overtakers = 0
    for chat in chats.values():
        chat.sort(key=lambda sent: sent.asked_at)
        for place, later in enumerate(chat):
            for earlier in chat[:place]:
                if earlier.answered_at < later.asked_at and arrived[earlier.text] > arrived[later.text]:
                    overtakers += 1
                    _note(problems, f"out of order: {later.text!r} before {earlier.text!r}")
                    break
    return overtakers


def _stale_messages(records: Records, problems: list[str]) -> int:
    """Count messages that WhatsApp took from an owner after a newer one had been seen at work."""
    by_whatsapp_id = {one.whatsapp_id: one.message_id for one in records.logged_out if one.whatsapp_id}
    by_text = {sent.text: sent.message_id for sent in records.out}
    stale = 0
    for row in records.ledger:
        message_id = by_whatsapp_id.get(row.whatsapp_id) or by_text.get(row.text or "")
        epoch = records.epochs.get(message_id or "")
        if not row.outbound or row.accepted_at is None or epoch is None:
            continue
        if any(takeover.epoch > epoch and row.accepted_at > takeover.at for takeover in records.takeovers):
            stale += 1
            _note(problems, f"stale: {row.text!r} was sent under epoch {epoch} at {row.accepted_at}")
    return stale


def stale_snapshots(versions: Iterable[VaultVersion]) -> int:
    """Count versions that were written over a newer owner's: an epoch never falls along an object's sequence."""
    objects: Mapping[str, list[VaultVersion]] = defaultdict(list)
    for version in versions:
        objects[version.key].append(version)
    stale = 0
    for history in objects.values():
        highest = 0
        for version in sorted(history, key=lambda one: one.sequence):
            stale += version.epoch < highest
            highest = max(highest, version.epoch)
    return stale


def _note(problems: list[str], sentence: str) -> None:
    if len(problems) < _EXAMPLES:
        problems.append(sentence)

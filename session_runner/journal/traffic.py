"""What the facts that leave a journal say about traffic: messages by direction and type, results, receipts."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from session_runner.health.metrics import Metrics
from session_runner.journal.journal import JournalRow


def traffic_of(row: JournalRow) -> Iterator[tuple[str, str]]:
    """Yield name and event type of the counts that a fact adds to."""
    if row.kind == "message.received":
        yield "Messages", f"inbound.{row.data.get('type', 'unsupported')}"
    elif row.kind == "message.phone_sent":
        yield "Messages", f"outbound_by_phone.{row.data.get('type', 'unsupported')}"
    elif row.kind == "message.undecryptable":
        yield "Messages", "inbound.undecryptable"
    elif row.kind == "message.result":
        if row.data.get("status") == "sent":
            yield "Messages", "outbound.text"
        yield "MessageResults", f"message.{row.data.get('status')}"
    elif row.kind == "message.receipt":
        yield "Receipts", f"message.{row.data.get('receipt')}"
    elif row.kind == "message.unmapped":
        yield "Errors", "unmapped"


def count_traffic(metrics: Metrics, rows: Iterable[JournalRow]) -> None:
    """Count facts as they leave the journal, into the queue or into S3."""
    for row in rows:
        for name, event_type in traffic_of(row):
            metrics.count(name, event_type=event_type)


def count_published(metrics: Metrics, rows: Iterable[JournalRow], now: datetime) -> None:
    """Count facts that the queue has taken, and take down the slowest one's time from being seen to being taken."""
    rows = list(rows)
    count_traffic(metrics, rows)
    if rows:
        oldest = min(row.observed_at for row in rows)
        metrics.observe("PublishSeconds", max((now - oldest).total_seconds(), 0.0))

"""Attempts that are due later: SQS holds back up to 15 minutes, a row in a minute's bucket holds back longer."""

from collections.abc import Callable
from datetime import datetime, timedelta

from recado.webhooks import queue
from recado.webhooks.commands import AttemptRequest
from recado.webhooks.table import due as table
from recado.webhooks.table.due import DueAttempt

_MINUTE = timedelta(minutes=1)
# Rows are moved up to a minute early and SQS holds back the rest, so that they are due to the second.
_AHEAD = _MINUTE
# The mark stays this far behind: rows are written at least 15 minutes ahead, so none can appear behind it.
_BEHIND = timedelta(minutes=2)
# Without a mark the store is new (leases and buckets are never restored), and an hour covers the first run's delay.
_FIRST_LOOK_BACK = timedelta(hours=1)
_PAGE = 100


def schedule(request: AttemptRequest, at: datetime, now: datetime) -> None:
    """See to it that an attempt is queued when it is due; doing so twice does no harm.

    Raises:
        ServiceUnavailableError: the queue or the store does not answer.
    """
    if at - now <= queue.LONGEST_DELAY:
        queue.send(request, at - now)
    else:
        table.insert(DueAttempt(request, at))


def move_due(now: datetime, *, has_time: Callable[[], bool] = lambda: True) -> int:
    """Move what is due within a minute from the buckets to the queue.

    A row is deleted after the queue has taken it, so a crash between the two queues an attempt twice, which its
    claim makes harmless. Minutes that were missed are made good.

    Args:
        now: the moment.
        has_time: asked before each portion; once it says no, the next run goes on where this one stopped.

    Returns:
        How many attempts were queued.

    Raises:
        ServiceUnavailableError: the queue or the store does not answer; the next run goes on.
    """
    minute = _floor(table.drained() or now - _FIRST_LOOK_BACK)
    moved = 0
    while minute <= now + _AHEAD and has_time():
        rows = table.bucket(minute, _PAGE)
        if rows:
            queue.send_all([(due.request, due.at - now) for due in rows])
            table.delete(rows)
            moved += len(rows)
        if len(rows) < _PAGE:
            minute += _MINUTE
    table.set_drained(min(minute, _floor(now - _BEHIND)))
    return moved


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)

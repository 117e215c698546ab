"""The ledger: what the simulator itself saw happen to each message, so that "nothing lost" can be measured.

One row per message a client sent (``from_client``), and one per message and receiving companion
(``to_client``). Only the simulator writes it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from local.whatsapp.clock import now_text

if TYPE_CHECKING:
    from local.whatsapp.accounts import Device
    from local.whatsapp.state import State, Value

FROM_CLIENT, TO_CLIENT = "from_client", "to_client"
_COLUMNS = (
    "sequence", "id", "direction", "sender", "recipient", "device", "accepted_at", "delivered_at",
    "acknowledged_at", "read_at", "text", "decrypted", "error",
)  # fmt: skip
_KEPT_RATCHETS = 16
_KEPT_COUNTERS = 8192


class KeyWatch:
    """Watches that no sender uses a (ratchet key, counter) twice towards the same receiver.

    A frame that is sent again as a whole (same message id) is no repeat. A client's repeats towards others are
    counted apart from those in copies for its own account, which nobody misses. Kept in memory only.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], OrderedDict[bytes, dict[int, str]]] = {}
        self.by_clients = 0
        self.in_own_copies = 0
        self.by_contacts = 0

    def note(self, sender: Device, receiver: Device, position: tuple[bytes, int], message_id: str) -> bool:
        """Record a use; returns whether it is a repeat under another message id."""
        ratchet, counter = position
        pair = self._seen.setdefault((str(sender.lid), str(receiver.lid)), OrderedDict())
        counters = pair.setdefault(ratchet, {})
        if len(pair) > _KEPT_RATCHETS:
            pair.popitem(last=False)
        earlier = counters.setdefault(counter, message_id)
        if len(counters) > _KEPT_COUNTERS:
            del counters[next(iter(counters))]
        if earlier == message_id:
            return False
        if sender.is_primary:
            self.by_contacts += 1
        elif sender.account is receiver.account:
            self.in_own_copies += 1
        else:
            self.by_clients += 1
        return True

    def reset(self) -> None:
        """Set the counts to zero; what was seen stays seen."""
        self.by_clients = self.in_own_copies = self.by_contacts = 0


class Ledger:
    """Rows about messages, in the state file."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.keys = KeyWatch()

    def is_known(self, message_id: str, sender: str) -> bool:
        """Whether this client's message was accepted before."""
        rows = self._state.query(
            "SELECT 1 FROM ledger WHERE id = ? AND sender = ? AND direction = ? AND accepted_at IS NOT NULL",
            (message_id, sender, FROM_CLIENT),
        )
        return bool(rows)

    def accepted_from_client(self, sender: Device, recipient: str, message_id: str, error: str | None = None) -> None:
        """A client's message was taken (or refused, with an error)."""
        self._state.execute(
            "INSERT INTO ledger (id, direction, sender, recipient, device, accepted_at, error)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " accepted_at = excluded.accepted_at, error = excluded.error",
            (
                message_id, FROM_CLIENT, sender.account.number, recipient, sender.number,
                None if error else now_text(), error,
            ),
        )  # fmt: skip

    def accepted_to_client(self, sender: str, receiver: Device, message_id: str) -> None:
        """A message for a companion was put into its queue."""
        self._state.execute(
            "INSERT OR IGNORE INTO ledger (id, direction, sender, recipient, device, accepted_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (message_id, TO_CLIENT, sender, receiver.account.number, receiver.number, now_text()),
        )

    def text_to_clients(self, sender: str, message_id: str, text: str | None) -> None:
        """Note what a contact wrote."""
        self._state.execute(
            "UPDATE ledger SET text = ? WHERE id = ? AND sender = ? AND direction = ?",
            (text, message_id, sender, TO_CLIENT),
        )

    def delivered(self, receiver: Device, message_id: str, sender: str) -> None:
        """A message was handed to a device."""
        self._mark("delivered_at", receiver, message_id, sender)

    def acknowledged(self, receiver: Device, message_id: str, sender: str) -> None:
        """A device said that it has a message."""
        self._mark("acknowledged_at", receiver, message_id, sender)

    def read(self, receiver: Device, message_id: str, sender: str) -> None:
        """A device said that a message was read."""
        self._mark("read_at", receiver, message_id, sender)

    def _mark(self, column: str, receiver: Device, message_id: str, sender: str) -> None:
        moment, recipient = now_text(), receiver.account.number
        if sender != recipient:
            self._state.execute(
                f"UPDATE ledger SET {column} = COALESCE({column}, ?)"  # noqa: S608 - column names above
                " WHERE id = ? AND sender = ? AND direction = ? AND recipient = ?",
                (moment, message_id, sender, FROM_CLIENT, recipient),
            )
        if not receiver.is_primary:
            self._state.execute(
                f"UPDATE ledger SET {column} = COALESCE({column}, ?)"  # noqa: S608 - column names above
                " WHERE id = ? AND sender = ? AND direction = ? AND device = ?",
                (moment, message_id, sender, TO_CLIENT, receiver.number),
            )

    def decrypted(self, sender: str, recipient: str, message_id: str, text: str | None) -> None:
        """A contact decrypted a client's message."""
        self._state.execute(
            "UPDATE ledger SET decrypted = 1, text = ?, error = NULL"
            " WHERE id = ? AND sender = ? AND direction = ? AND recipient = ?",
            (text, message_id, sender, FROM_CLIENT, recipient),
        )

    def failed(self, sender: str, recipient: str, message_id: str, error: str) -> None:
        """A contact could not decrypt a client's message (yet)."""
        self._state.execute(
            "UPDATE ledger SET error = ? WHERE id = ? AND sender = ? AND direction = ? AND recipient = ?"
            " AND decrypted = 0",
            (error, message_id, sender, FROM_CLIENT, recipient),
        )

    def rows(self, sender: str, recipient: str, after: int, limit: int) -> list[dict[str, Any]]:
        """Rows after a cursor, oldest first; empty sender or recipient means any."""
        conditions, values = ["sequence > ?"], [after]
        filters: list[Value] = [*values]
        for column, wanted in (("sender", sender), ("recipient", recipient)):
            if wanted:
                conditions.append(f"{column} = ?")
                filters.append(wanted)
        statement = f"SELECT {', '.join(_COLUMNS)} FROM ledger WHERE {' AND '.join(conditions)}"  # noqa: S608
        found = self._state.query(f"{statement} ORDER BY sequence LIMIT ?", (*filters, limit))
        return [_row(dict(zip(_COLUMNS, row, strict=True))) for row in found]

    def summary(self) -> dict[str, Any]:
        """Counts over all rows, by direction and in total."""
        rows = self._state.query(f"SELECT direction, {_COUNTS} FROM ledger GROUP BY direction")  # noqa: S608
        directions = {str(row[0]): _counts(row[1:]) for row in rows}
        empty = _counts((0,) * len(_COUNT_NAMES))
        parts = {name: directions.get(name, empty) for name in (FROM_CLIENT, TO_CLIENT)}
        total = {name: sum(part[name] for part in parts.values()) for name in _COUNT_NAMES}
        repeats = {
            "repeated_keys_by_client": self.keys.by_clients,
            "repeated_keys_in_own_copies": self.keys.in_own_copies,
            "repeated_keys_by_contacts": self.keys.by_contacts,
        }
        return {**total, **repeats, **parts}

    def summary_by_sender(self) -> dict[str, dict[str, int]]:
        """Counts for each sending account."""
        rows = self._state.query(f"SELECT sender, {_COUNTS} FROM ledger GROUP BY sender ORDER BY sender")  # noqa: S608
        return {str(row[0]): _counts(row[1:]) for row in rows}

    def reset(self) -> None:
        """Forget all rows."""
        self._state.execute("DELETE FROM ledger")
        self.keys.reset()


_COUNT_NAMES = ("messages", "accepted", "delivered", "acknowledged", "read", "decrypted", "errors")
_COUNTS = (
    "COUNT(*), COUNT(accepted_at), COUNT(delivered_at), COUNT(acknowledged_at), COUNT(read_at),"
    " COALESCE(SUM(decrypted), 0), COUNT(error)"
)


def _counts(values: tuple[Value, ...]) -> dict[str, int]:
    return {name: int(str(value)) for name, value in zip(_COUNT_NAMES, values, strict=True)}


def _row(raw: dict[str, Any]) -> dict[str, Any]:
    raw["cursor"] = str(raw.pop("sequence"))
    raw["from"], raw["to"] = raw.pop("sender"), raw.pop("recipient")
    raw["decrypted"] = bool(raw["decrypted"])
    return raw

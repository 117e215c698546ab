"""Batch calls of which a part fails: the refused entries are cut out before, and told as failed after."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.faults.refusals import failed_event, failed_message
from local.faults.services import Call

_BATCHES = {("events", "PutEvents"), ("sqs", "SendMessageBatch"), ("sqs", "DeleteMessageBatch")}


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch call, divided.

    Attributes:
        call: the call.
        entries: all its entries.
        refused: the places of those that fail.
        document: the whole request.
    """

    call: Call
    entries: list[dict[str, Any]]
    refused: frozenset[int]
    document: dict[str, Any]

    def forwarded(self) -> bytes | None:
        """Return the request with the other entries; None when none is left."""
        left = [entry for place, entry in enumerate(self.entries) if place not in self.refused]
        return json.dumps({**self.document, "Entries": left}).encode() if left else None

    def answer(self, forwarded: bytes) -> bytes:
        """Return the answer to the whole request, given the service's to the forwarded one (empty for none)."""
        document = json.loads(forwarded) if forwarded else {}
        if self.call.service == "events":
            taken = iter(document.get("Entries", []))
            told = [failed_event() if place in self.refused else next(taken) for place in range(len(self.entries))]
            failed = int(document.get("FailedEntryCount", 0)) + len(self.refused)
            return json.dumps({"FailedEntryCount": failed, "Entries": told}).encode()
        failures = [failed_message(str(self.entries[place]["Id"])) for place in sorted(self.refused)]
        document["Failed"] = [*document.get("Failed", []), *failures]
        document.setdefault("Successful", [])
        return json.dumps(document).encode()


def divided(call: Call, body: bytes, strikes: Callable[[], bool]) -> Batch | None:
    """Return the batch with the entries that fail chosen; None if it is no batch call or none of its entries fails.

    Args:
        call: what the request is for.
        body: the request's body.
        strikes: decides for one entry after the other.
    """
    if (call.service, call.operation) not in _BATCHES:
        return None
    document = json.loads(body)
    entries = document["Entries"]
    refused = frozenset(place for place in range(len(entries)) if strikes())
    return Batch(call, entries, refused, document) if refused else None

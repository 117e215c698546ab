"""Collects what every side knows once a run is over."""

import asyncio
from datetime import datetime
from typing import Any

from recado.kernel.clock import from_text
from tests.bench.platform import Clinic
from tests.chaos.records import LedgerRow, Logged, Records
from tests.chaos.traffic import Traffic
from tests.chaos.vault import Vault
from tests.support.running_stack import RunningStack

_ENDS = {"sent", "failed", "uncertain", "expired", "suppressed"}


async def unsettled(traffic: Traffic) -> tuple[int, int]:
    """Return how many messages are still on their way: out without a result, in and not in the log."""
    out, inward = await _logs(traffic)
    ended = {message.message_id for message in out if message.ended_at is not None}
    logged = {message.text for message in inward}
    waiting = sum(sent.message_id not in ended for sent in traffic.out)
    return waiting, sum(sent.text not in logged for sent in traffic.inward)


async def gather(stack: RunningStack, traffic: Traffic, records: Records) -> None:
    """Fill in logs, ledger, epochs and vault."""
    records.out, records.inward = traffic.out, traffic.inward
    records.clinic_of = {channel.number: channel.clinic_id for channel in traffic.channels}
    records.logged_out, records.logged_in = await _logs(traffic)
    records.ledger = [_row(row) for row in await traffic.phones.ledger()]
    records.epochs = await asyncio.to_thread(_epochs, stack)
    records.vault = await asyncio.to_thread(Vault(stack).versions)


async def _logs(traffic: Traffic) -> tuple[list[Logged], list[Logged]]:
    clinics = {channel.clinic_id: channel for channel in traffic.channels}
    both: list[list[Logged]] = []
    for direction in ("outbound", "inbound"):
        found: list[Logged] = []
        for clinic in clinics.values():
            found += [_logged(clinic, message) for message in await clinic.messages(direction)]
        both.append(found)
    return both[0], both[1]


def _logged(clinic: Clinic, message: dict[str, Any]) -> Logged:
    ends = [from_text(line["at"]) for line in message["history"] if line["status"] in _ENDS]
    return Logged(
        message_id=message["message_id"],
        text=message["text"]["body"] if message["text"] else "",
        clinic_id=clinic.clinic_id,
        channel_id=message["channel_id"],
        status=message["status"],
        code=message["code"],
        whatsapp_id=message["whatsapp_id"],
        ended_at=min(ends, default=None),
    )


def _row(row: dict[str, Any]) -> LedgerRow:
    return LedgerRow(
        whatsapp_id=row["id"],
        outbound=row["direction"] == "from_client",
        text=row["text"],
        accepted_at=_moment(row["accepted_at"]),
        acknowledged_at=_moment(row["acknowledged_at"]),
        error=row["error"],
    )


def _moment(text: str | None) -> datetime | None:
    return from_text(text) if text else None


def _epochs(stack: RunningStack) -> dict[str, int]:
    """Return under which epoch each message was begun to be sent: the API does not tell."""
    pages = (
        stack.aws("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.environment["RECADO_MESSAGES_TABLE"],
            FilterExpression="attribute_exists(epoch)",
            ProjectionExpression="message_id, epoch",
        )
    )
    return {
        item["message_id"]["S"]: int(item["epoch"]["N"])
        for page in pages
        for item in page["Items"]
        if "message_id" in item
    }

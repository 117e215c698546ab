"""What the vault costs: a log line and two counts for each write, with refused requests, since S3 bills those too.

The counts have no dimension for clinic or channel, the log line has both; ``docs/vault.md`` shows the query that turns
the lines into PUTs and bytes per channel-day. What botocore repeats by itself after a lost connection is not seen.
"""

from dataclasses import dataclass

from recado.aws.logging import count, logger

_COMPONENT = "runner"


@dataclass(frozen=True, slots=True)
class Usage:
    """What one write took.

    Attributes:
        clinic_id: whose channel.
        channel_id: which channel.
        purpose: claim, snapshot or tombstone.
        clean: whether it was marked clean.
        puts: how many PUT requests were made, refused ones and those without an answer included.
        sent_bytes: how many bytes all of them carried.
        stored: whether the write went through.
    """

    clinic_id: str
    channel_id: str
    purpose: str
    clean: bool
    puts: int
    sent_bytes: int
    stored: bool


def tell(usage: Usage) -> None:
    """Log and count a write."""
    logger(_COMPONENT).info(
        "vault write",
        extra={
            "clinic_id": usage.clinic_id,
            "channel_id": usage.channel_id,
            "purpose": usage.purpose,
            "clean": usage.clean,
            "puts": usage.puts,
            "sent_bytes": usage.sent_bytes,
            "stored": usage.stored,
        },
    )
    count(_COMPONENT, "VaultPuts", usage.puts)
    count(_COMPONENT, "VaultBytes", usage.sent_bytes)

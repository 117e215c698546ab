"""Faults that can be switched on for the whole network."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Faults:
    """What goes wrong, for everybody.

    Attributes:
        latency_ms: delay of everything the server sends to clients, in milliseconds.
        loss: probability (0 to 1) that a message, receipt or ack between server and client vanishes.
        maintenance: whether logins are refused with 503.
        drop_acks: how many further acks for clients' messages are not sent.
    """

    latency_ms: int = 0
    loss: float = 0.0
    maintenance: bool = False
    drop_acks: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0), repr=False)  # noqa: S311 - not a secret

    def loses(self, tag: str) -> bool:
        """Whether this stanza gets lost on the way."""
        return self.loss > 0 and tag in ("message", "receipt", "ack") and self._random.random() < self.loss

    def takes_ack(self) -> bool:
        """Whether the next ack is to be swallowed."""
        if self.drop_acks <= 0:
            return False
        self.drop_acks -= 1
        return True

"""What a clinic wants of sending: a small resource of its own, with a default for each field."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MOST_RESENDS = 2
"""How often the platform itself puts one message back: a number that goes on losing its connection must not end up
writing the same to a patient for ever. A person may decide so more often."""


class Uncertain(StrEnum):
    """What becomes of a message of which nobody knows whether it went out."""

    HOLD = "hold"
    RESEND = "resend"


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """A clinic's wishes.

    Attributes:
        uncertain: ``hold`` leaves it to somebody to decide, ``resend`` sends again, visibly and at most
            ``MOST_RESENDS`` times: the patient may then read it twice.
        updated_at: when it was last changed; None if never.
    """

    uncertain: Uncertain = Uncertain.HOLD
    updated_at: datetime | None = None

    def sends_again(self, resends: int) -> bool:
        """Say whether an uncertain message that was put back so often is put back once more."""
        return self.uncertain is Uncertain.RESEND and resends < MOST_RESENDS

"""Message volumes on the wire."""

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from functions.api.schemas.base import Answer, Given, GivenMoment, Moment, with_example

MAXIMUM_DAYS = 31


class VolumeQuery(Given):
    """Which hours to count; ``start`` is inside, ``end`` outside."""

    start: GivenMoment
    end: GivenMoment
    channel_id: str | None = Field(None, min_length=1, max_length=64)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end must lie after start.")
        if self.end - self.start > timedelta(days=MAXIMUM_DAYS):
            raise ValueError(f"At most {MAXIMUM_DAYS} days can be asked for at once.")
        return self


class VolumeRow(Answer):
    """How many messages one channel had in one hour."""

    hour: Moment
    channel_id: str
    inbound: int
    outbound: int


class Totals(Answer):
    """All messages of the period."""

    inbound: int
    outbound: int


class VolumeAnswer(Answer):
    """Hourly volumes; hours without messages are left out."""

    model_config = with_example(
        {
            "start": "2026-11-22T00:00:00.000Z",
            "end": "2026-11-23T00:00:00.000Z",
            "data": [
                {
                    "hour": "2026-11-22T13:00:00.000Z",
                    "channel_id": "chn_01kb1v00000000000000000000",
                    "inbound": 12,
                    "outbound": 30,
                }
            ],
            "totals": {"inbound": 12, "outbound": 30},
        }
    )

    start: Moment
    end: Moment
    data: list[VolumeRow]
    totals: Totals

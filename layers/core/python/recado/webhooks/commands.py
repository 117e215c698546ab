"""The wire shape of the deliveries queue: which attempt of which delivery to make."""

import json
from dataclasses import asdict, dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """The order to make one attempt.

    ``attempt`` counts from 1. ``postponed`` counts how often the order was put back because the endpoint was busy with
    others; it says nothing about the delivery, so orders that differ only in it are the same.
    """

    clinic_id: str
    webhook_endpoint_id: str
    delivery_id: str
    attempt: int
    postponed: int = field(default=0, compare=False)

    def to_json(self) -> str:
        """Write the order as a queue body."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a queue body.

        Raises:
            ValueError: not JSON, or not of this shape.
        """
        plain = json.loads(text)
        if not isinstance(plain, dict):
            raise ValueError("an attempt request is a JSON object")  # noqa: TRY004 - callers treat all bad input alike
        try:
            request = cls(**plain)
        except TypeError as error:
            raise ValueError(f"bad attempt request: {error}") from error
        texts = (request.clinic_id, request.webhook_endpoint_id, request.delivery_id)
        if not all(isinstance(text, str) and text for text in texts):
            raise ValueError("an attempt request names a clinic, an endpoint and a delivery")
        if not isinstance(request.attempt, int) or request.attempt < 1:
            raise ValueError("attempts count from 1")
        if not isinstance(request.postponed, int) or request.postponed < 0:
            raise ValueError("postponements count from 0")
        return request

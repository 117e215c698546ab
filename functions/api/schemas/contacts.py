"""Checks of numbers on the wire."""

from typing import Annotated

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Given, Moment, with_example

MAXIMUM_NUMBERS = 50


class CheckRequest(Given):
    """Numbers to look up on WhatsApp."""

    model_config = with_example({"numbers": ["(11) 97777-0001", "+5511977770002"]})

    numbers: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(
        min_length=1, max_length=MAXIMUM_NUMBERS
    )


class CheckResult(Answer):
    """What WhatsApp says of one number."""

    input: str
    e164: str
    on_whatsapp: bool
    registered_e164: str | None = Field(
        description="The number under which the account is registered; in Brazil it may lack the ninth digit."
    )
    lid: str | None
    checked_at: Moment


class CheckAnswer(Answer):
    """One result for each number, in the order asked."""

    model_config = with_example(
        {
            "results": [
                {
                    "input": "(11) 97777-0001",
                    "e164": "+5511977770001",
                    "on_whatsapp": True,
                    "registered_e164": "+5511977770001",
                    "lid": "100000000000002@lid",
                    "checked_at": "2026-11-22T13:05:00.000Z",
                }
            ]
        }
    )

    results: list[CheckResult]

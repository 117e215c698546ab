"""What all wire shapes share: refusal of unknown fields, moments, and pages of a list."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from recado.kernel.clock import to_text

T = TypeVar("T")

_EARLIEST, _LATEST = 2000, 2999


def _at_utc(moment: datetime) -> datetime:
    try:
        universal = moment.astimezone(UTC)
    except OverflowError:
        universal = moment.replace(year=1)
    if not _EARLIEST <= universal.year <= _LATEST:
        raise ValueError(f"The year must lie between {_EARLIEST} and {_LATEST}.")
    return universal


Moment = Annotated[datetime, PlainSerializer(to_text, return_type=str)]
"""A moment on its way out: RFC 3339 in UTC with milliseconds."""

GivenMoment = Annotated[AwareDatetime, AfterValidator(_at_utc)]
"""A moment on its way in: any RFC 3339 text with a time zone."""


class Given(BaseModel):
    """A shape that callers send. A field we do not know is refused, never ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Answer(BaseModel):
    """A shape that we send. Every field is always there; null says that there is no value."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class PageQuery(Given):
    """The query parameters of every list."""

    limit: int = Field(50, ge=1, le=100, description="How many to return at most.")
    cursor: str | None = Field(
        None, min_length=1, max_length=2048, description="`next_cursor` of the page before, unchanged."
    )


class Listed(Answer, Generic[T]):
    """One page of a list."""

    data: list[T]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last one.")


def with_example(example: dict[str, Any], *, forbid: bool = True) -> ConfigDict:
    """Return a model configuration that carries the example the documentation shows."""
    return ConfigDict(
        extra="forbid" if forbid else "ignore", from_attributes=True, json_schema_extra={"examples": [example]}
    )

"""How our types are stored in DynamoDB."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pynamodb.attributes import Attribute
from pynamodb.constants import STRING

from recado.kernel.clock import from_text, to_text

_Word = TypeVar("_Word", bound=StrEnum)


class MomentAttribute(Attribute[datetime]):
    """A moment as RFC 3339 text in UTC with milliseconds: sorts by time and reads the same everywhere."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        """Write the moment."""
        return to_text(value)

    def deserialize(self, value: str) -> datetime:
        """Read the moment."""
        return from_text(value)


class WordAttribute(Attribute[_Word], Generic[_Word]):
    """A word of a closed list, stored as its text.

    Args:
        words: the list; a stored text outside of it raises ValueError on reading.
    """

    attr_type = STRING

    def __init__(self, words: type[_Word], **settings: Any) -> None:
        super().__init__(**settings)
        self._words = words

    def serialize(self, value: _Word) -> str:
        """Write the word."""
        return self._words(value).value

    def deserialize(self, value: str) -> _Word:
        """Read the word."""
        return self._words(value)

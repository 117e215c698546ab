"""Turning a room's pages into the API's, with cursors that hold for one list only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from functions.api.schemas.base import Listed, PageQuery
from recado.aws import cursors
from recado.aws.models import Key, Page
from recado.kernel.errors import InvalidCursorError

Item = TypeVar("Item")
Shown = TypeVar("Shown")


@dataclass(frozen=True, slots=True)
class Listing:
    """One list of the API, as a caller asked for it.

    Attributes:
        name: the operation, such as ``list_channels``.
        query: limit, cursor and filters.
        clinic_id: whose list it is; None for lists of the platform.
        parent_id: the channel or endpoint it lies under, if any.
    """

    name: str
    query: PageQuery
    clinic_id: str | None = None
    parent_id: str = ""

    def start(self) -> Key | None:
        """Return where to go on, None for the beginning.

        Raises:
            InvalidCursorError: the cursor belongs to another clinic, list or set of filters.
        """
        if self.query.cursor is None:
            return None
        partition = f"clinic#{self.clinic_id}" if self.clinic_id else None
        try:
            return cursors.decode(self._scope(), self.query.cursor, partition=partition)
        except InvalidCursorError as error:
            raise InvalidCursorError("This cursor was not issued for this list.", field="cursor") from error

    def answer(
        self, page: Page[Item], show: Callable[[Item], Shown], *, keep: Callable[[Item], bool] | None = None
    ) -> Listed[Shown]:
        """Return the page as the API shows it.

        Args:
            page: what the room returned.
            show: turns one item into its wire shape.
            keep: which items this caller may see; None for all.
        """
        items = page.items if keep is None else [item for item in page.items if keep(item)]
        following = cursors.encode(self._scope(), page.last_key) if page.last_key else None
        return Listed(data=[show(item) for item in items], next_cursor=following)

    def _scope(self) -> str:
        # The page size may change from one page to the next; everything else must stay.
        filters: dict[str, Any] = self.query.model_dump(mode="json", exclude={"limit", "cursor"}, exclude_none=True)
        parts = [self.clinic_id or "", self.name, self.parent_id]
        return "\x1f".join(parts + [f"{name}={filters[name]}" for name in sorted(filters)])

"""How many attempts at one endpoint run at once: ``clinic#C#endpoint#W`` / ``place#n`` in the runtime table."""

import random
from datetime import datetime

from pynamodb.attributes import UnicodeAttribute

from recado.aws.attributes import MomentAttribute
from recado.aws.models import ClinicItem, ConditionFailedError


class PlaceItem(ClinicItem):
    """A place that one consumer holds until it is done, or until the time is over."""

    table = "runtime"

    token = UnicodeAttribute()
    until = MomentAttribute()


def take(
    clinic_id: str, webhook_endpoint_id: str, token: str, *, places: int, now: datetime, until: datetime
) -> int | None:
    """Take one of the endpoint's places.

    Args:
        clinic_id: whose endpoint it is.
        webhook_endpoint_id: the endpoint.
        token: names the holder.
        places: how many there are.
        now: the moment; a place whose time is over is free.
        until: when this place is free again, should its holder die.

    Returns:
        The place's number, or None if all are taken.
    """
    free = PlaceItem.until.does_not_exist() | (PlaceItem.until < now) | (PlaceItem.token == token)
    for number in random.sample(range(places), places):
        item = _named(clinic_id, webhook_endpoint_id, number)
        item.token, item.until, item.expires_at = token, until, int(until.timestamp()) + 1
        try:
            item.store(free)
        except ConditionFailedError:
            continue
        return number
    return None


def leave(clinic_id: str, webhook_endpoint_id: str, number: int, token: str) -> None:
    """Give a place back; one that somebody else took over meanwhile stays theirs."""
    try:
        _named(clinic_id, webhook_endpoint_id, number).remove(PlaceItem.token == token)
    except ConditionFailedError:
        return


def _named(clinic_id: str, webhook_endpoint_id: str, number: int) -> PlaceItem:
    return PlaceItem(f"clinic#{clinic_id}#endpoint#{webhook_endpoint_id}", f"place#{number}")

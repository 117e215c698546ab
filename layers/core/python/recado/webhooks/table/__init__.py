"""How the room is stored: endpoints in ``core``, deliveries in ``messages``, due rows and places in ``runtime``."""

from recado.webhooks.table.deliveries import DeliveryItem
from recado.webhooks.table.due import DrainedItem, DueItem
from recado.webhooks.table.endpoints import EndpointCountItem, EndpointItem
from recado.webhooks.table.places import PlaceItem

__all__ = ["DeliveryItem", "DrainedItem", "DueItem", "EndpointCountItem", "EndpointItem", "PlaceItem"]

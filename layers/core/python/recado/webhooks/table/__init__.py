"""How the room is stored: endpoints in ``core``, deliveries in ``messages``, due rows and places in ``runtime``."""

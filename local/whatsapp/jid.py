"""WhatsApp addresses (JIDs): a user on a server, optionally one of its devices."""

from __future__ import annotations

from typing import NamedTuple

PHONE_SERVER = "s.whatsapp.net"
LID_SERVER = "lid"
LEGACY_SERVER = "c.us"


class Jid(NamedTuple):
    """``user@server`` for a person, ``user:device@server`` for one device of a person."""

    user: str
    server: str = PHONE_SERVER
    device: int = 0

    def bare(self) -> Jid:
        """The person, without the device."""
        return self if self.device == 0 else Jid(self.user, self.server)

    def __str__(self) -> str:
        if not self.user:
            return self.server
        return f"{self.user}:{self.device}@{self.server}" if self.device else f"{self.user}@{self.server}"


SERVER = Jid("", PHONE_SERVER)
"""The server itself, as it names itself in stanzas."""


def parse_jid(text: str) -> Jid:
    """Parse ``user[:device]@server``.

    Raises:
        ValueError: there is no server part, or the device is not a number.
    """
    user, separator, server = text.partition("@")
    if not separator:
        raise ValueError("a JID has the form user@server")
    name, _, device = user.partition(":")
    return Jid(name, server, int(device) if device else 0)

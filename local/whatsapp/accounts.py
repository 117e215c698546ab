"""People on WhatsApp: accounts, their devices, and the directory that finds them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from local.whatsapp.jid import LEGACY_SERVER, LID_SERVER, PHONE_SERVER, Jid
from local.whatsapp.signal.party import PartyKeys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.whatsapp.binary_xml import Node

PRIMARY_DEVICE = 0
MAXIMUM_COMPANIONS = 4
_BRAZIL = "55"
_BRAZIL_LONG, _BRAZIL_SHORT = 13, 12


class Outlet(Protocol):
    """Where a connected device's stanzas go: a socket, or a contact inside the simulator."""

    def send(self, node: Node) -> None:
        """Hand one stanza over."""

    def close(self) -> None:
        """End the connection after what was sent."""

    def abort(self) -> None:
        """End the connection at once, as a broken line does."""

    def silence(self, seconds: float) -> None:
        """Neither read nor write for a while; then everything comes at once."""


@dataclass(eq=False, repr=False)
class Device:
    """One device of an account: the phone itself (number 0) or a companion."""

    account: Account
    number: int
    identity: bytes
    registration_id: int
    signed_prekey: tuple[int, bytes, bytes]
    noise_key: bytes = b""
    prekeys: dict[int, bytes] = field(default_factory=dict)
    queue: dict[str, Node] = field(default_factory=dict)
    outlet: Outlet | None = None
    active: bool = False
    held: bool = False

    @property
    def lid(self) -> Jid:
        """The device's hidden address, which stanzas carry."""
        return Jid(self.account.lid, LID_SERVER, self.number)

    @property
    def jid(self) -> Jid:
        """The device's address by phone number."""
        return Jid(self.account.user, PHONE_SERVER, self.number)

    @property
    def is_primary(self) -> bool:
        """Whether this is the phone itself."""
        return self.number == PRIMARY_DEVICE


@dataclass
class Restrictions:
    """What the server does to an account's companions; all absent by default."""

    ban_code: int | None = None
    ban_until: float | None = None
    outdated: bool = False
    failure_once: int | None = None
    send_error: int = 0
    send_error_count: int = 0


@dataclass(eq=False, repr=False)
class Account:
    """A person: ``number`` as people dial it, ``user`` as WhatsApp registered it, ``lid`` the hidden number."""

    number: str
    user: str
    lid: str
    name: str = ""
    is_phone: bool = False
    on_whatsapp: bool = True
    generation: int = 0
    next_device: int = 1
    next_prekey: int = 1
    devices: dict[int, Device] = field(default_factory=dict)
    restrictions: Restrictions = field(default_factory=Restrictions)

    @property
    def jid(self) -> Jid:
        """Address by phone number."""
        return Jid(self.user, PHONE_SERVER)

    @property
    def lid_jid(self) -> Jid:
        """Hidden address."""
        return Jid(self.lid, LID_SERVER)

    @property
    def keys(self) -> PartyKeys:
        """Keys of the phone itself; a reinstalled phone has new ones."""
        label = f"phone {self.user} installation {self.generation}".encode()
        return PartyKeys(hmac.digest(b"whatsapp simulator", label, "sha256"))

    @property
    def companions(self) -> list[Device]:
        """Linked devices, oldest first."""
        return [device for number, device in self.devices.items() if number != PRIMARY_DEVICE]


def lid_for(user: str) -> str:
    """The hidden number of a phone number: 15 digits, always the same."""
    return str(10**14 + int.from_bytes(hashlib.sha256(b"lid " + user.encode()).digest()[:8], "big") % (9 * 10**14))


def other_form(number: str) -> str | None:
    """The same Brazilian mobile number with or without the ninth digit; ``None`` if it has only one form.

    Brazil put a 9 before mobile numbers; WhatsApp kept many accounts under the shorter number.
    """
    if not number.startswith(_BRAZIL):
        return None
    if len(number) == _BRAZIL_LONG and number[4] == "9":
        return number[:4] + number[5:]
    if len(number) == _BRAZIL_SHORT and number[4] in "6789":
        return number[:4] + "9" + number[4:]
    return None


class Directory:
    """All accounts, found by dialled number, registered number or hidden number."""

    def __init__(self) -> None:
        self._by_number: dict[str, Account] = {}
        self._by_user: dict[str, Account] = {}
        self._by_lid: dict[str, Account] = {}

    def add(self, account: Account) -> None:
        """Register an account."""
        self._by_number[account.number] = account
        self._by_user[account.user] = account
        self._by_lid[account.lid] = account

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_number.values())

    def dialled(self, number: str) -> Account | None:
        """The account somebody means who dials this number, with or without the ninth digit."""
        for form in (number, other_form(number)):
            if form is not None:
                found = self._by_number.get(form) or self._by_user.get(form)
                if found is not None:
                    return found
        return None

    def account(self, jid: Jid | None) -> Account | None:
        """The account with exactly this address, on WhatsApp or not."""
        if jid is None:
            return None
        if jid.server == LID_SERVER:
            return self._by_lid.get(jid.user)
        return self._by_user.get(jid.user) if jid.server in (PHONE_SERVER, LEGACY_SERVER) else None

    def device(self, jid: Jid | None) -> Device | None:
        """The device with exactly this address."""
        account = self.account(jid)
        return account.devices.get(jid.device) if account is not None and jid is not None else None

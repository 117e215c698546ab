"""From a recipient as the integrator wrote it to the address WhatsApp knows: cached per clinic, else asked once."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from recado.contacts.model import Contact, Resolution
from recado.kernel.clock import Clock
from recado.messages.model import Party
from session_runner.blocking import Blocking

CHECK_SECONDS = 30.0


class ContactRoom(Protocol):
    """The contacts room (``recado.contacts.service``). Its calls block."""

    def cached(self, clinic_id: str, e164: str) -> Resolution | None:
        """Return what is known of the number, if that is still fresh."""
        ...

    def remember(self, clinic_id: str, resolution: Resolution) -> None:
        """Keep what WhatsApp said of a number."""
        ...

    def contacts_named(self, clinic_id: str, names: Collection[str]) -> dict[str, Contact]:
        """Return what is known of each of these numbers and LIDs."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Where to send to: the JID, and what is known of whose it is."""

    jid: str
    e164: str | None
    lid: str | None


class Recipients:
    """Finds addresses for one clinic.

    Args:
        clinic_id: the clinic; what one has asked is not told to another.
        contacts: the contacts room.
        ask: sends a request to the channel's session (``Session.request``).
    """

    def __init__(
        self,
        clinic_id: str,
        contacts: ContactRoom,
        ask: Callable[..., Awaitable[dict[str, Any]]],
        blocking: Blocking,
        clock: Clock,
    ) -> None:
        self._clinic_id = clinic_id
        self._contacts = contacts
        self._ask = ask
        self._blocking = blocking
        self._clock = clock

    async def find(self, to: Party) -> Address | None:
        """Return the address of a recipient, None when the number has no WhatsApp account.

        Raises:
            HostError: WhatsApp could not be asked.
        """
        if to.e164 is None:
            return Address(to.lid, None, to.lid) if to.lid else None
        known = await self._blocking(self._contacts.cached, self._clinic_id, to.e164)
        if known is None:
            known = (await self.check([to.e164]))[0]
        if not known.on_whatsapp:
            return None
        e164 = known.registered_e164 or to.e164
        return Address(known.jid or jid_of(e164=e164), e164, known.lid or to.lid)

    async def check(self, numbers: list[str]) -> list[Resolution]:
        """Ask WhatsApp about numbers (``+55…``), remember and return the answers in the order asked.

        Raises:
            HostError: WhatsApp could not be asked.
        """
        answer = await self._ask("check_numbers", seconds=CHECK_SECONDS, numbers=numbers)
        found = [self._resolution(result) for result in answer["results"]]
        for resolution in found:
            await self._blocking(self._contacts.remember, self._clinic_id, resolution)
        return found

    def _resolution(self, result: dict[str, Any]) -> Resolution:
        registered = result.get("registered_e164") if result["on_whatsapp"] else None
        return Resolution(
            e164=result["e164"],
            registered_e164=registered,
            jid=jid_of(e164=registered) if registered else None,
            lid=result.get("lid"),
            on_whatsapp=bool(result["on_whatsapp"]),
            checked_at=self._clock.now(),
        )


def jid_of(*, e164: str | None = None, lid: str | None = None) -> str:
    """Return the JID of a number (``+55…``) or of a LID (``…@lid``).

    Raises:
        ValueError: neither was given.
    """
    if e164:
        return f"{e164.removeprefix('+')}@s.whatsapp.net"
    if lid:
        return lid
    raise ValueError("a recipient has a number or a LID")

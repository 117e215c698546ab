"""The phone side of the control API: what a person does with a phone in their hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.whatsapp import content, history
from local.whatsapp.control_api import Answer, ApiError, Call, ControlApi
from local.whatsapp.pairing import Pairing, PairingError, UnknownCodeError

if TYPE_CHECKING:
    from local.whatsapp.accounts import Account
    from local.whatsapp.contact import Contact
    from local.whatsapp.lifecycle import Lifecycle
    from local.whatsapp.media import MediaStore
    from local.whatsapp.network import Network
    from local.whatsapp.state import Value

_RECEIVED = ("id", "sender", "text", "received_at", "type", "reply_to", "read", "sequence")
_SENT = ("id", "recipient", "text", "type", "sent_at", "delivered_at", "read_at", "sequence")


class PhonesApi:
    """Handlers under ``/phones``.

    Args:
        network: the network.
        pairing: companions that wait to be linked.
        lifecycle: for phones that leave WhatsApp.
        contacts: the phone of each account, by number; shared with the simulator.
        media: where phones keep files for their companions.
    """

    def __init__(
        self,
        network: Network,
        pairing: Pairing,
        lifecycle: Lifecycle,
        contacts: dict[str, Contact],
        media: MediaStore,
    ) -> None:
        self._lifecycle = lifecycle
        self._network = network
        self._pairing = pairing
        self._contacts = contacts
        self._media = media

    def add_to(self, api: ControlApi) -> None:
        """Add all routes."""
        api.add("GET", "/phones", self.list_all)
        api.add("POST", "/phones", self.register)
        api.add("GET", "/phones/{number}", self.show)
        api.add("DELETE", "/phones/{number}", self.leave)
        api.add("POST", "/phones/{number}/scan", self.scan)
        api.add("POST", "/phones/{number}/enter-code", self.enter_code)
        api.add("GET", "/phones/{number}/messages", self.messages)
        api.add("POST", "/phones/{number}/messages", self.write)
        api.add("GET", "/phones/{number}/sent", self.sent)
        api.add("POST", "/phones/{number}/read", self.read)
        api.add("POST", "/phones/{number}/typing", self.typing)
        api.add("GET", "/phones/{number}/typing", self.seen_typing)
        api.add("POST", "/phones/{number}/reinstall", self.reinstall)
        api.add("POST", "/phones/{number}/history", self.history)
        api.add("POST", "/phones/{number}/offline", self.offline)
        api.add("POST", "/phones/{number}/online", self.online)

    def account(self, call: Call) -> Account:
        """The account named in the path.

        Raises:
            ApiError: there is none.
        """
        return self._find(call.parameters["number"], "number")

    def _find(self, number: str, field_name: str) -> Account:
        found = self._network.directory.dialled(number.lstrip("+"))
        if found is None:
            raise ApiError(
                404, f"there is no phone with this number; register it with POST /phones ({field_name})", field_name
            )
        return found

    def _contact(self, call: Call) -> Contact:
        return self._contacts[self.account(call).number]

    def list_all(self, call: Call) -> Answer:  # noqa: ARG002 - a handler's signature
        """All phones."""
        return 200, [self._described(account) for account in self._network.directory]

    def show(self, call: Call) -> Answer:
        """One phone."""
        return 200, self._described(self.account(call))

    def _described(self, account: Account) -> dict[str, Any]:
        return {
            "number": account.number,
            "registered_as": account.user,
            "lid": account.lid,
            "name": account.name or None,
            "kind": "phone" if account.is_phone else "contact",
            "on_whatsapp": account.on_whatsapp,
            "online": self._contacts[account.number].online,
            "devices": [
                {"device": device.number, "connected": device.outlet is not None, "waiting": len(device.queue)}
                for device in account.companions
            ],
        }

    def register(self, call: Call) -> Answer:
        """Put a number on WhatsApp; the same number again answers 200."""
        number = _digits(call.text("number"), "number")
        user = _digits(call.optional_text("registered_as") or number, "registered_as")
        found = self._network.directory.dialled(number) or self._network.directory.dialled(user)
        if found is None:
            return 201, self._described(self._network.register(number, user, call.text("name", "")))
        if found.number != number or found.user != user:
            raise ApiError(409, f"this person is known as {found.number}, registered as {found.user}", "number")
        if not found.on_whatsapp:
            found.on_whatsapp = True
            self._network.save(found)
        return 200, self._described(found)

    def leave(self, call: Call) -> Answer:
        """Take a number off WhatsApp; its companions are unlinked."""
        account = self.account(call)
        account.on_whatsapp = False
        self._lifecycle.unlink(account)
        self._network.save(account)
        return 200, self._described(account)

    async def scan(self, call: Call) -> Answer:
        """Scan a QR code; the number is registered if it is new."""
        code = call.text("code")
        account = self._registered(call.parameters["number"])
        try:
            device = await self._pairing.scan(account, code)
        except UnknownCodeError as error:
            raise ApiError(410, str(error), "code") from error
        except PairingError as error:
            raise ApiError(409, str(error), "code") from error
        return 200, {"linked": True, "device": device.number}

    async def enter_code(self, call: Call) -> Answer:
        """Type in the eight letters a companion shows."""
        code = call.text("code")
        account = self._registered(call.parameters["number"])
        try:
            device = await self._pairing.enter_code(account, code)
        except UnknownCodeError as error:
            raise ApiError(410, str(error), "code") from error
        except PairingError as error:
            raise ApiError(409, str(error), "code") from error
        return 200, {"linked": True, "device": device.number}

    def _registered(self, number: str) -> Account:
        digits = _digits(number, "number")
        return self._network.directory.dialled(digits) or self._network.register(digits)

    def messages(self, call: Call) -> Answer:
        """What this phone received and could decrypt, oldest first."""
        account, after = self.account(call), call.cursor("after", 0)
        rows = self._network.state.query(
            f"SELECT {', '.join(_RECEIVED)} FROM received"  # noqa: S608 - column names above
            " WHERE number = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (account.number, after, call.cursor("limit", 1000)),
        )
        return 200, [_message(_RECEIVED, row) for row in rows]

    def sent(self, call: Call) -> Answer:
        """What this phone (or a companion of it) sent, with delivery and read times, oldest first."""
        account, after = self.account(call), call.cursor("after", 0)
        rows = self._network.state.query(
            f"SELECT {', '.join(_SENT)} FROM sent"  # noqa: S608 - column names above
            " WHERE number = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (account.number, after, call.cursor("limit", 1000)),
        )
        return 200, [_message(_SENT, row) for row in rows]

    def write(self, call: Call) -> Answer:
        """Type a message (or a reaction) on this phone."""
        contact = self._contact(call)
        if not contact.account.on_whatsapp:
            raise ApiError(409, "this phone left WhatsApp; register it again with POST /phones", "number")
        recipient = self._find(call.text("to"), "to")
        reaction = call.body.get("reaction")
        if reaction is not None:
            return self._react(contact, recipient, reaction)
        text, reply_to = call.text("text"), call.optional_text("reply_to")
        message = content.text_message(text, reply_to, str(recipient.lid_jid) if reply_to else None)
        damaged = call.flag("damaged", default=False)
        return 201, {"id": contact.write(recipient, message, "text", text, damaged=damaged)}

    def _react(self, contact: Contact, recipient: Account, reaction: object) -> Answer:
        if not isinstance(reaction, dict) or not isinstance(reaction.get("id"), str):
            raise ApiError(422, "'reaction' must be an object with 'id' and 'emoji'", "reaction")
        emoji, target = str(reaction.get("emoji", "")), reaction["id"]
        message = content.reaction_message(emoji, target, str(recipient.lid_jid), from_me=False)
        return 201, {"id": contact.write(recipient, message, "reaction", emoji)}

    def read(self, call: Call) -> Answer:
        """Read messages: those with these ids, or all unread ones of one person."""
        contact = self._contact(call)
        ids, author = call.body.get("ids"), call.optional_text("from")
        if not ids and author is None:
            raise ApiError(422, "give 'ids' or 'from'", "ids")
        if ids and not (isinstance(ids, list) and all(isinstance(item, str) for item in ids)):
            raise ApiError(422, "'ids' must be a list of message ids", "ids")
        rows = self._network.state.query(
            "SELECT DISTINCT id, sender FROM received WHERE number = ? AND (read = 0 OR ?) ORDER BY sequence",
            (contact.account.number, int(bool(ids))),
        )
        wanted = self._find(author, "from").number if author else None
        authors: dict[str, list[str]] = {}
        for message_id, sender in rows:
            if (not ids or message_id in ids) and wanted in (None, sender):
                authors.setdefault(str(sender), []).append(str(message_id))
        for number, message_ids in authors.items():
            contact.read_messages(self._find(number, "from"), message_ids)
        return 200, {"read": sum(len(message_ids) for message_ids in authors.values())}

    def typing(self, call: Call) -> Answer:
        """Show typing to a person."""
        state = call.text("state", "composing")
        if state not in ("composing", "paused"):
            raise ApiError(422, "'state' must be composing or paused", "state")
        self._contact(call).show_typing(self._find(call.text("to"), "to"), state)
        return 200, {"state": state}

    def seen_typing(self, call: Call) -> Answer:
        """Who this phone last saw typing."""
        seen = self._contact(call).typing
        return 200, [{"from": number, "state": state, "at": moment} for number, (state, moment) in seen.items()]

    def reinstall(self, call: Call) -> Answer:
        """Set the phone up anew: new identity, no sessions."""
        account = self.account(call)
        if account.companions:
            raise ApiError(409, "unlink this phone's companions first: setting a phone up anew unlinks them", "number")
        self._contacts[account.number].reinstall(announce=call.flag("announce", default=True))
        return 200, self._described(account)

    def history(self, call: Call) -> Answer:
        """Have the phone remember conversations; its companions are told now, later ones when they are linked."""
        contact, listed = self._contact(call), call.body.get("conversations")
        if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
            raise ApiError(422, "'conversations' must be a list of objects with 'with' and 'days_ago'", "conversations")
        calls = [Call({}, {}, item) for item in listed]
        past = [(_digits(one.text("with"), "with"), one.number("days_ago", 0, highest=20_000)) for one in calls]
        for number, days_ago in past:
            history.remember(self._network, contact.account, self._registered(number), days_ago)
        told = contact.tell_history(contact.account.companions, history.ChunkKind.RECENT, self._media)
        return 200, {"remembered": len(past), "companions_told": told}

    def offline(self, call: Call) -> Answer:
        """Switch the phone off; what comes waits at the server and no receipts go out."""
        contact = self._contact(call)
        contact.go_offline()
        return 200, self._described(contact.account)

    def online(self, call: Call) -> Answer:
        """Switch the phone on again."""
        contact = self._contact(call)
        contact.go_online()
        return 200, self._described(contact.account)


def _digits(number: str, field_name: str) -> str:
    plain = number.removeprefix("+")
    if not plain.isdigit() or not 7 <= len(plain) <= 15 or plain.startswith("0"):
        raise ApiError(422, f"'{field_name}' must be an international number in digits", field_name)
    return plain


def _message(names: tuple[str, ...], row: tuple[Value, ...]) -> dict[str, Any]:
    raw: dict[str, Any] = dict(zip(names, row, strict=True))
    if "sender" in raw:
        raw["from"] = raw.pop("sender")
        raw["read"] = bool(raw["read"])
    else:
        raw["to"] = raw.pop("recipient")
    raw["cursor"] = str(raw.pop("sequence"))
    return raw

"""A phone: a person's primary device, played by the simulator as a Signal party.

To the network it is a connected device like any other, only that its stanzas need no socket. It decrypts
what it gets, answers with receipts, sends what the control API tells it to type, and asks again (or sends
again) when something cannot be decrypted.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from local.whatsapp import content, history
from local.whatsapp.accounts import PRIMARY_DEVICE, Account, Device
from local.whatsapp.binary_xml import Attribute, Node
from local.whatsapp.clock import epoch_text, now_text
from local.whatsapp.prekeys import Prekeys, bundle_from, bundle_nodes
from local.whatsapp.protobuf import ProtobufError
from local.whatsapp.receipts import READ, receipt_ids
from local.whatsapp.signal.messages import InvalidMessageError
from local.whatsapp.signal.party import NoSessionError, Party
from local.whatsapp.signal.session import DuplicateMessageError, Session
from local.whatsapp.signal.storage import dump_sessions, load_sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.whatsapp.jid import Jid
    from local.whatsapp.media import MediaStore
    from local.whatsapp.network import Network

MAXIMUM_RETRIES = 5
_log = logging.getLogger(__name__)


class Contact:
    """One phone.

    Args:
        account: whose phone it is.
        network: the network.
        prekeys: where bundles of other devices come from.
        submit: hands a stanza of this device to the server, as if it had come from a socket.
    """

    def __init__(
        self, account: Account, network: Network, prekeys: Prekeys, submit: Callable[[Device, Node], None]
    ) -> None:
        self.account = account
        self.typing: dict[str, tuple[str, str]] = {}
        self._network = network
        self._prekeys = prekeys
        self._submit = submit
        self._retries: dict[str, int] = {}
        self._party = self._new_party()
        self.go_online()

    def _new_party(self) -> Party[Jid]:
        return Party(self.account.keys, self._load_sessions, self._sessions_changed)

    @property
    def device(self) -> Device:
        """The device this phone is in the network."""
        return self.account.devices[PRIMARY_DEVICE]

    # A connected device

    def send(self, node: Node) -> None:
        """Take a stanza from the server; it is handled before the state is committed."""
        self._network.before_commit(lambda: self._receive(node))

    def close(self) -> None:
        """A phone inside the simulator is not thrown off the line; there is nothing to close."""

    def abort(self) -> None:
        """See :meth:`close`."""

    def silence(self, seconds: float) -> None:
        """A phone inside the simulator has no line that could go silent."""

    @property
    def online(self) -> bool:
        """Whether the phone is reachable."""
        return self.device.active

    def go_online(self) -> None:
        """Connect and take everything that waited."""
        device = self.device
        if not device.active:
            device.outlet, device.active = self, True
            if device.queue:
                self._network.flush_queue(device)

    def go_offline(self) -> None:
        """Disconnect; what arrives now waits at the server."""
        self.device.outlet, self.device.active = None, False

    def reinstall(self, *, announce: bool = True) -> None:
        """Lose all keys and sessions, as a phone that was set up anew.

        Args:
            announce: whether the server tells those who have sessions with it.
        """
        peers = {
            row[0] for row in self._network.state.query(
                "SELECT address FROM session WHERE number = ?", (self.account.number,)
            )
        }  # fmt: skip
        self._network.state.execute("DELETE FROM session WHERE number = ?", (self.account.number,))
        self._network.reinstall(self.account)
        self._party = self._new_party()
        if announce:
            self._tell_of_new_identity({str(peer) for peer in peers})

    def _tell_of_new_identity(self, peers: set[str]) -> None:
        users = {peer.partition("@")[0].partition(":")[0] for peer in peers}
        stamp = epoch_text()
        for account in self._network.directory:
            if account.lid in users:
                for device in account.companions:
                    attrs: dict[str, Attribute] = {
                        "from": self.account.lid_jid, "id": new_message_id(), "type": "encrypt", "t": stamp,
                    }  # fmt: skip
                    self._network.deliver(device, Node("notification", attrs, [Node("identity")]))

    # Sending

    def write(
        self, recipient: Account, message: bytes, kind: str = "text", text: str | None = None, *, damaged: bool = False
    ) -> str:
        """Send a message to a person and copies to the own companions; returns its id.

        Args:
            recipient: whom to.
            message: serialized ``Message``.
            kind: the stanza's type, ``text`` or ``reaction``.
            text: what to show in lists.
            damaged: whether to spoil the ciphertexts, so that the receivers have to ask again.
        """
        message_id = new_message_id()
        self._network.state.execute(
            "INSERT INTO sent (number, id, recipient, text, type, plaintext, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.account.number, message_id, recipient.number, text, kind, message, now_text()),
        )
        copy = content.own_copy(message, str(recipient.lid_jid))
        others = [device for device in recipient.devices.values() if device is not self.device]
        plaintexts = dict.fromkeys(others, message)
        if recipient is not self.account:
            plaintexts |= dict.fromkeys(self.account.companions, copy)
        encrypted = [
            Node("to", {"jid": device.lid}, [self._encrypt(device, plain)]) for device, plain in plaintexts.items()
        ]
        if damaged:
            for target in encrypted:
                for part in target.all("enc"):
                    part.content = part.data()[:-1] + bytes([part.data()[-1] ^ 1])
        attrs: dict[str, Attribute] = {"id": message_id, "type": kind, "to": recipient.lid_jid}
        self._submit(self.device, Node("message", attrs, [Node("participants", {}, encrypted)]))
        self._network.ledger.text_to_clients(self.account.number, message_id, text)
        return message_id

    def _encrypt(self, device: Device, plaintext: bytes, count: int = 0) -> Node:
        address = device.lid
        if not self._party.has_session(address):
            self._party.open_session(address, self._prekeys.take_bundle(device))
        kind, ciphertext = self._party.encrypt(address, plaintext)
        attrs: dict[str, Attribute] = {"v": "2", "type": kind}
        if count:
            attrs["count"] = str(count)
        return Node("enc", attrs, ciphertext)

    def read_messages(self, author: Account, message_ids: list[str]) -> None:
        """Tell an author that their messages were read."""
        first, *more = message_ids
        items = [Node("list", {}, [Node("item", {"id": message_id}) for message_id in more])] if more else None
        attrs: dict[str, Attribute] = {"id": first, "type": "read", "to": author.lid_jid, "t": epoch_text()}
        self._network.state.execute_many(
            "UPDATE received SET read = 1 WHERE number = ? AND id = ?",
            [(self.account.number, message_id) for message_id in message_ids],
        )
        self._submit(self.device, Node("receipt", attrs, items))

    def show_typing(self, recipient: Account, state: str) -> None:
        """Show ``composing`` or ``paused`` to a person."""
        self._submit(self.device, Node("chatstate", {"to": recipient.lid_jid}, [Node(state)]))

    def tell_history(self, devices: list[Device], kind: history.ChunkKind, media: MediaStore) -> int:
        """Send companions what this phone remembers of its conversations; returns to how many it went.

        The ledger, which is about what people write, does not list it.
        """
        message = history.announcement(self._network, media, self.account, kind) if devices and self.online else None
        if message is None:
            return 0
        for device in devices:
            attrs: dict[str, Attribute] = {
                "id": new_message_id(), "from": self.device.lid, "type": "text", "t": epoch_text(),
                "addressing_mode": "lid", "category": "peer",
            }  # fmt: skip
            self._network.deliver(device, Node("message", attrs, [self._encrypt(device, message)]))
        return len(devices)

    # Receiving

    def _receive(self, node: Node) -> None:
        if node.tag == "message":
            self._receive_message(node)
        elif node.tag == "receipt":
            self._receive_receipt(node)
        elif node.tag == "notification":
            self._acknowledge(node)
        elif node.tag == "chatstate":
            self._receive_chat_state(node)

    def _receive_message(self, node: Node) -> None:
        sender = node.jid("from")
        if sender is None:
            return
        author = self._network.sender_of(node)
        encrypted = node.child("enc")
        kind, data = (encrypted.text("type"), encrypted.data()) if encrypted is not None else ("", b"")
        try:
            message = content.read_message(self._party.decrypt(sender, kind, data))
        except DuplicateMessageError:
            self._network.counters.add("contact.duplicate")
            self._network.ledger.failed(author, self.account.number, node.text("id"), "repeated_key")
        except (InvalidMessageError, NoSessionError, ProtobufError) as error:
            self._cannot_decrypt(node, sender, author, error)
            return
        else:
            self._retries.pop(node.text("id"), None)
            self._record(node, author, message)
        own = author == self.account.number
        attrs: dict[str, Attribute] = {"id": node.text("id"), "to": sender}
        if own:
            attrs["type"] = "sender"
        self._submit(self.device, Node("receipt", attrs))

    def _record(self, node: Node, author: str, message: content.MessageContent) -> None:
        number, message_id = self.account.number, node.text("id")
        if author == number:
            if message.destination is None:
                self._network.counters.add("contact.peer_message")
                return
            recipient = self._network.directory.account(node.jid("recipient"))
            self._network.state.execute(
                "INSERT OR IGNORE INTO sent (number, id, recipient, text, type, plaintext, sent_at)"
                " VALUES (?, ?, ?, ?, ?, x'', ?)",
                (number, message_id, recipient.number if recipient else "", message.text, message.type, now_text()),
            )
            return
        self._network.state.execute(
            "INSERT INTO received (number, id, sender, text, type, reply_to, received_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, message_id, author, message.text, message.type, message.reply_to, now_text()),
        )
        self._network.ledger.decrypted(author, number, message_id, message.text)

    def _cannot_decrypt(self, node: Node, sender: Jid, author: str, error: Exception) -> None:
        message_id = node.text("id")
        count = self._retries.get(message_id, 0) + 1
        _log.info("a phone cannot decrypt a message: %s (attempt %d)", error, count)
        self._network.counters.add("contact.undecryptable")
        self._network.ledger.failed(author, self.account.number, message_id, type(error).__name__)
        if count >= MAXIMUM_RETRIES:
            self._submit(self.device, Node("ack", {"class": "message", "id": message_id, "to": sender}))
            return
        self._retries[message_id] = count
        keys = self.account.keys
        attrs: dict[str, Attribute] = {"id": message_id, "to": sender, "type": "retry"}
        retry = {"count": str(count), "id": message_id, "t": node.text("t"), "v": "1"}
        parts = [Node("retry", {**retry}), Node("registration", {}, keys.registration_id.to_bytes(4, "big"))]
        if count > 1 or not self._party.has_session(sender):
            published = [
                part for part in bundle_nodes(self._prekeys.take_bundle(self.device)) if part.tag != "registration"
            ]
            parts.append(Node("keys", {}, published))
        self._submit(self.device, Node("receipt", attrs, parts))

    def _receive_receipt(self, node: Node) -> None:
        self._acknowledge(node)
        kind = node.text("type")
        if kind == "retry":
            self._send_again(node)
            return
        column = "read_at" if kind in READ else "delivered_at"
        self._network.state.execute_many(
            f"UPDATE sent SET {column} = COALESCE({column}, ?) WHERE number = ? AND id = ?",  # noqa: S608
            [(now_text(), self.account.number, message_id) for message_id in receipt_ids(node)],
        )

    def _send_again(self, node: Node) -> None:
        """Answer a retry receipt: the same message again, in a new session if keys came with it."""
        retry, message_id = node.child("retry"), node.text("id")
        rows = self._network.state.query(
            "SELECT plaintext, recipient, type FROM sent WHERE number = ? AND id = ? AND length(plaintext) > 0",
            (self.account.number, message_id),
        )
        device = self._network.directory.device(node.jid("from"))
        if retry is None or device is None or not rows:
            self._network.counters.add("contact.retry_unknown")
            return
        plaintext = rows[0][0] if isinstance(rows[0][0], bytes) else b""
        recipient = self._network.directory.dialled(str(rows[0][1]))
        keys = node.child("keys")
        bundle = bundle_from(node, keys) if keys is not None else None
        if bundle is not None:
            self._party.open_session(device.lid, bundle)
        attrs: dict[str, Attribute] = {
            "id": message_id, "to": device.lid, "type": str(rows[0][2]), "device_fanout": "false",
        }  # fmt: skip
        if device.account is self.account and recipient is not None:
            plaintext = content.own_copy(plaintext, str(recipient.lid_jid))
            attrs["recipient"] = recipient.lid_jid
        again = self._encrypt(device, plaintext, int(retry.text("count") or "1"))
        self._submit(self.device, Node("message", attrs, [again]))

    def _receive_chat_state(self, node: Node) -> None:
        states = node.children()
        if states:
            self.typing[self._network.sender_of(node)] = (states[0].tag, now_text())

    def _acknowledge(self, node: Node) -> None:
        attrs: dict[str, Attribute] = {"class": node.tag, "id": node.text("id")}
        attrs |= {"to": sender} if (sender := node.attrs.get("from")) is not None else {}
        attrs |= {"type": node.text("type")} if node.text("type") else {}
        self._submit(self.device, Node("ack", attrs))

    # Sessions on disk

    def _load_sessions(self, address: Jid) -> list[Session]:
        rows = self._network.state.query(
            "SELECT sessions FROM session WHERE number = ? AND address = ?", (self.account.number, str(address))
        )
        return load_sessions(str(rows[0][0])) if rows else []

    def _sessions_changed(self, address: Jid, sessions: list[Session]) -> None:
        self._network.state.execute(
            "INSERT OR REPLACE INTO session VALUES (?, ?, ?)",
            (self.account.number, str(address), dump_sessions(sessions)),
        )


def new_message_id() -> str:
    """A message id as phones make them: ``3A`` and 18 hexadecimal digits."""
    return "3A" + os.urandom(9).hex().upper()

"""Receipts: a device has a message, has read it, or cannot decrypt it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.whatsapp.binary_xml import Attribute, Node
from local.whatsapp.clock import epoch_text

if TYPE_CHECKING:
    from local.whatsapp.accounts import Account, Device
    from local.whatsapp.jid import Jid
    from local.whatsapp.network import Network

DELIVERED = ("", "inactive")
READ = ("read", "played", "read-self")
_OWN = ("sender", "read-self", "peer_msg", "hist_sync")


class Receipts:
    """Takes receipts, clears queues by them, notes them in the ledger and passes them on."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def accept(self, device: Device, node: Node) -> None:
        """Take a receipt from a device and acknowledge it."""
        network, kind, to = self._network, node.text("type"), node.jid("to")
        target = network.directory.account(to)
        network.counters.add(f"receipt.{kind or 'delivery'}")
        for message_id in receipt_ids(node):
            if kind not in READ:
                network.settled(device, f"message|{message_id}||{to}")
            if target is not None:
                self._note(device, target, message_id, kind)
        self._acknowledge(device, node)
        if target is not None and kind not in _OWN:
            self._pass_on(device, target, node, to)

    def acknowledged(self, device: Device, node: Node) -> None:
        """Take an ack: the device has a stanza that needs no other answer."""
        sender, stanza = node.jid("to"), node.text("class")
        message_id = node.text("id")
        kind = node.text("type") if stanza != "message" else ""
        settled = self._network.settled(device, f"{stanza}|{message_id}|{kind}|{sender}")
        if settled is not None and stanza == "message":
            account = self._network.directory.account(sender)
            if account is not None:
                self._note(device, account, message_id, "")

    def _note(self, device: Device, author: Account, message_id: str, kind: str) -> None:
        ledger = self._network.ledger
        if kind in READ:
            ledger.read(device, message_id, author.number)
        elif kind != "retry":
            ledger.acknowledged(device, message_id, author.number)

    def _acknowledge(self, device: Device, node: Node) -> None:
        attrs: dict[str, Attribute] = {"class": "receipt", "id": node.text("id")}
        attrs |= {"from": to} if (to := node.attrs.get("to")) is not None else {}
        attrs |= {"type": node.text("type")} if node.text("type") else {}
        self._network.hand_over(device, Node("ack", attrs))

    def _pass_on(self, device: Device, target: Account, node: Node, to: Jid | None) -> None:
        attrs: dict[str, Attribute] = {"id": node.text("id"), "from": device.lid, "t": epoch_text()}
        attrs |= {"type": node.text("type")} if node.text("type") else {}
        passed = Node("receipt", attrs, node.content)
        if node.text("type") == "retry":
            author = target.devices.get(to.device if to is not None else 0)
            if author is not None:
                self._network.deliver(author, passed)
            return
        for other in target.devices.values():
            if other is not device:
                self._network.deliver(other, passed)


def receipt_ids(node: Node) -> list[str]:
    """All message ids a receipt is about."""
    listed = node.child("list")
    more = [item.text("id") for item in listed.children()] if listed is not None else []
    return [node.text("id"), *more]

"""The relay: takes a message from one device and puts it into the queues of all it is addressed to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.whatsapp.binary_xml import Attribute, Node
from local.whatsapp.clock import epoch_text
from local.whatsapp.jid import LID_SERVER, PHONE_SERVER, Jid
from local.whatsapp.network import device_list_hash
from local.whatsapp.signal.messages import InvalidMessageError, position_in_chain

if TYPE_CHECKING:
    from local.whatsapp.accounts import Account, Device
    from local.whatsapp.network import Network

_PASSED_ON = ("device-identity", "meta", "biz")
_UNKNOWN_RECIPIENT = 404


class Relay:
    """Routes messages between devices of the network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def accept(self, sender: Device, node: Node) -> None:
        """Take a message from a device, route it and acknowledge it."""
        network, message_id, to = self._network, node.text("id"), node.jid("to")
        if to is None or not message_id:
            network.counters.add("message.malformed")
            return
        if to.server not in (PHONE_SERVER, LID_SERVER):
            network.counters.add("message.unrouted")
            self._acknowledge(sender, node, to)
            return
        if node.child("enc") is not None:
            self._pass_directly(sender, node, to)
            self._acknowledge(sender, node, to)
            return
        recipient = network.directory.account(to)
        number = recipient.number if recipient is not None else to.user
        if self._refused(sender, node, to, number, recipient):
            return
        if not sender.is_primary and network.ledger.is_known(message_id, sender.account.number):
            network.counters.add("message.resent")
        else:
            if not sender.is_primary:
                network.ledger.accepted_from_client(sender, number, message_id)
            self._fan_out(sender, node, recipient)
        self._acknowledge(sender, node, to, recipient)

    def _refused(self, sender: Device, node: Node, to: Jid, number: str, recipient: Account | None) -> bool:
        restrictions = sender.account.restrictions
        error = None
        if not sender.is_primary and restrictions.send_error_count > 0:
            restrictions.send_error_count -= 1
            self._network.save(sender.account)
            error = restrictions.send_error
        elif recipient is None or not recipient.on_whatsapp:
            error = _UNKNOWN_RECIPIENT
        if error is None:
            return False
        if not sender.is_primary:
            self._network.ledger.accepted_from_client(sender, number, node.text("id"), str(error))
        self._acknowledge(sender, node, to, error=error)
        return True

    def _fan_out(self, sender: Device, node: Node, recipient: Account | None) -> None:
        participants = node.child("participants")
        for target in participants.children() if participants is not None else []:
            encrypted = target.child("enc")
            device = self._network.directory.device(target.jid("jid"))
            if device is None or encrypted is None:
                self._network.counters.add("message.device_gone")
                continue
            self._put(sender, device, node, encrypted, recipient)

    def _pass_directly(self, sender: Device, node: Node, to: Jid) -> None:
        """Pass on what is meant for one device: an answer to a retry receipt, or a message to the own phone."""
        device, encrypted = self._network.directory.device(to), node.child("enc")
        if device is None or encrypted is None:
            self._network.counters.add("message.device_gone")
            return
        self._network.counters.add("message.retried" if node.text("category") != "peer" else "message.peer")
        self._put(sender, device, node, encrypted, self._network.directory.account(node.jid("recipient")))

    def _put(self, sender: Device, device: Device, node: Node, encrypted: Node, recipient: Account | None) -> None:
        self._watch(sender, device, node, encrypted)
        attrs: dict[str, Attribute] = {
            "id": node.text("id"),
            "from": sender.lid,
            "type": node.text("type") or "text",
            "t": epoch_text(),
            "addressing_mode": "lid",
        }
        attrs |= {name: node.text(name) for name in ("edit", "category") if node.text(name)}
        if sender.account is device.account:
            if recipient is not None:
                attrs |= {"recipient": recipient.lid_jid, "peer_recipient_pn": recipient.jid}
        else:
            attrs |= {"sender_pn": sender.account.jid, "notify": sender.account.name or sender.account.number}
        extra = [child for child in node.children() if child.tag in _PASSED_ON]
        if encrypted.text("type") != "pkmsg":
            extra = [child for child in extra if child.tag != "device-identity"]
        if not device.is_primary:
            self._network.ledger.accepted_to_client(sender.account.number, device, node.text("id"))
        self._network.deliver(device, Node("message", attrs, [encrypted, *extra]))

    def _watch(self, sender: Device, device: Device, node: Node, encrypted: Node) -> None:
        try:
            position = position_in_chain(encrypted.data(), opens_session=encrypted.text("type") == "pkmsg")
        except InvalidMessageError:
            self._network.counters.add("message.not_signal")
            return
        marked = f"{node.text('id')}#{encrypted.text('count')}"
        if self._network.ledger.keys.note(sender, device, position, marked):
            self._network.counters.add("message.repeated_key")

    def _acknowledge(
        self, sender: Device, node: Node, to: Jid, recipient: Account | None = None, error: int | None = None
    ) -> None:
        if sender.outlet is None:
            return
        if not sender.is_primary and self._network.faults.takes_ack():
            self._network.counters.add("ack.dropped")
            return
        attrs: dict[str, Attribute] = {"class": "message", "id": node.text("id"), "from": to, "t": epoch_text()}
        if error is not None:
            attrs["error"] = str(error)
        elif recipient is not None and not sender.is_primary:
            stale = self._stale_list_hash(sender, node, recipient)
            if stale is not None:
                attrs["phash"] = stale
        self._network.hand_over(sender, Node("ack", attrs))

    def _stale_list_hash(self, sender: Device, node: Node, recipient: Account) -> str | None:
        """The hash of the true device list, if the sender encrypted for another one: it then asks anew."""
        participants = node.child("participants")
        if participants is None:
            return None
        addressed = {jid for target in participants.children() if (jid := target.jid("jid")) is not None}
        everyone = [*recipient.devices.values(), *sender.account.devices.values()]
        true_list = {device.lid for device in everyone if self._network.serves(device)}
        if addressed == true_list - {sender.lid}:
            return None
        return device_list_hash(true_list)

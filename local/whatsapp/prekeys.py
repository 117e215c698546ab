"""Prekeys: companions upload theirs, senders fetch one of each device they have no session with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.whatsapp.binary_xml import Node
from local.whatsapp.clock import epoch_text
from local.whatsapp.jid import SERVER
from local.whatsapp.network import Network, error_of
from local.whatsapp.signal.keys import typed, verify
from local.whatsapp.signal.session import Bundle

if TYPE_CHECKING:
    from local.whatsapp.accounts import Device

LOW_PREKEYS = 5


class Prekeys:
    """The server's store of public prekeys.

    Args:
        network: the network.
        small_first_upload: whether a new companion is told that one prekey is left instead of none, so that it
            makes 50 keys instead of 812 and connects within a fifth of a second.
    """

    def __init__(self, network: Network, *, small_first_upload: bool = True) -> None:
        self._network = network
        self._small_first_upload = small_first_upload

    def answer(self, device: Device, request: Node) -> None:
        """Answer an iq of the ``encrypt`` namespace."""
        if request.text("type") == "set":
            self._upload(device, request)
            return
        wanted = request.child("key")
        if wanted is not None:
            users = [self._published(node) for node in wanted.all("user")]
            self._network.reply_result(device, request, [Node("list", {}, users)])
            return
        count = len(device.prekeys)
        if count == 0 and self._small_first_upload:
            count = 1
        self._network.reply_result(device, request, [Node("count", {"value": str(count)})])

    def _upload(self, device: Device, request: Node) -> None:
        signed = request.child("skey")
        identity, listed = request.child("identity"), request.child("list")
        if identity is not None:
            device.identity = identity.data()
        if signed is not None:
            fields = {node.tag: node.data() for node in signed.children()}
            if not verify(device.identity, typed(fields["value"]), fields["signature"]):
                if device.outlet is not None:
                    device.outlet.send(error_of(request, 406, "bad signed prekey signature"))
                return
            device.signed_prekey = (int.from_bytes(fields["id"], "big"), fields["value"], fields["signature"])
        fresh = {}
        for key in listed.children() if listed is not None else []:
            parts = {node.tag: node.data() for node in key.children()}
            fresh[int.from_bytes(parts["id"], "big")] = parts["value"]
        device.prekeys.update(fresh)
        owner = (device.account.number, device.number)
        self._network.state.execute_many(
            "INSERT OR REPLACE INTO prekey VALUES (?, ?, ?, ?)",
            [(*owner, number, key) for number, key in fresh.items()],
        )
        self._network.add_companion(device)
        self._network.counters.add("prekeys.uploaded", len(fresh))
        self._network.counters.add("prekeys.uploads")
        self._network.reply_result(device, request)
        self._network.is_ready(device)

    def take_bundle(self, device: Device) -> Bundle:
        """A bundle of this device, with a one-time prekey that nobody else gets."""
        network, account = self._network, device.account
        if device.is_primary:
            number = account.next_prekey
            account.next_prekey += 1
            network.save(account)
            return account.keys.bundle(number)
        prekey_id = next(iter(device.prekeys), None)
        prekey = device.prekeys.pop(prekey_id) if prekey_id is not None else None
        if prekey_id is not None:
            network.state.execute(
                "DELETE FROM prekey WHERE number = ? AND device = ? AND id = ?",
                (account.number, device.number, prekey_id),
            )
        if len(device.prekeys) < LOW_PREKEYS:
            self._ask_for_more(device)
        number, public, signature = device.signed_prekey
        return Bundle(device.registration_id, device.identity, number, public, signature, prekey_id, prekey)

    def _ask_for_more(self, device: Device) -> None:
        count = Node("count", {"value": str(len(device.prekeys))})
        stamp = epoch_text()
        self._network.deliver(
            device,
            Node("notification", {"from": SERVER, "id": f"prekeys-{stamp}", "type": "encrypt", "t": stamp}, [count]),
        )

    def _published(self, wanted: Node) -> Node:
        jid = wanted.jid("jid")
        device = self._network.directory.device(jid)
        attrs = {"jid": jid} if jid is not None else {}
        if device is None or not device.account.on_whatsapp:
            return Node("user", {**attrs}, [Node("error", {"code": "404", "text": "item-not-found"})])
        return Node("user", {**attrs}, bundle_nodes(self.take_bundle(device)))


def bundle_nodes(bundle: Bundle) -> list[Node]:
    """The child nodes that publish a bundle: raw 32-byte keys, ids of three bytes."""
    nodes = [
        Node("registration", {}, bundle.registration_id.to_bytes(4, "big")),
        Node("type", {}, b"\x05"),
        Node("identity", {}, bundle.identity),
    ]
    if bundle.prekey_id is not None and bundle.prekey is not None:
        key_id = Node("id", {}, bundle.prekey_id.to_bytes(3, "big"))
        nodes.append(Node("key", {}, [key_id, Node("value", {}, bundle.prekey)]))
    signed = [
        Node("id", {}, bundle.signed_prekey_id.to_bytes(3, "big")),
        Node("value", {}, bundle.signed_prekey),
        Node("signature", {}, bundle.signature),
    ]
    return [*nodes, Node("skey", {}, signed)]


def bundle_from(request: Node, keys: Node) -> Bundle | None:
    """The bundle inside a retry receipt; ``None`` if parts are missing."""
    identity, signed, registration = keys.child("identity"), keys.child("skey"), request.child("registration")
    if identity is None or signed is None or registration is None:
        return None
    one_time = keys.child("key")
    parts = {node.tag: node.data() for node in signed.children()}
    once = {node.tag: node.data() for node in one_time.children()} if one_time is not None else {}
    return Bundle(
        registration_id=int.from_bytes(registration.data(), "big"),
        identity=identity.data(),
        signed_prekey_id=int.from_bytes(parts["id"], "big"),
        signed_prekey=parts["value"],
        signature=parts["signature"],
        prekey_id=int.from_bytes(once["id"], "big") if once else None,
        prekey=once.get("value"),
    )

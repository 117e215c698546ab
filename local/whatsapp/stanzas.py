"""Where each kind of stanza of a logged-in device goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from local.whatsapp.accounts import Device
from local.whatsapp.binary_xml import Attribute, Node
from local.whatsapp.clock import epoch_text
from local.whatsapp.media import media_connection
from local.whatsapp.network import Network, error_of
from local.whatsapp.presence import Presence
from local.whatsapp.receipts import Receipts
from local.whatsapp.relay import Relay
from local.whatsapp.usync import Usync

if TYPE_CHECKING:
    from local.whatsapp.lifecycle import Lifecycle
    from local.whatsapp.login import Login
    from local.whatsapp.prekeys import Prekeys

Handler = Callable[[Device, Node], None]


class Stanzas:
    """Hands stanzas to the layer that answers them; anything unknown gets an empty result."""

    def __init__(self, network: Network, prekeys: Prekeys, login: Login, lifecycle: Lifecycle) -> None:
        self._network = network
        relay, receipts, presence = Relay(network), Receipts(network), Presence(network)
        self._by_tag: dict[str, Handler] = {
            "iq": self._query,
            "message": relay.accept,
            "receipt": receipts.accept,
            "ack": receipts.acknowledged,
            "chatstate": presence.chat_state,
            "presence": presence.available,
        }
        self._by_namespace: dict[str, Handler] = {
            "encrypt": prekeys.answer,
            "usync": Usync(network).answer,
            "passive": login.activate,
            "md": lifecycle.answer,
            "w:m": self._media,
            "w:profile:picture": self._no_picture,
            "privacy": self._privacy,
            "w:p": self._keepalive,
        }

    def handle(self, device: Device, node: Node) -> None:
        """Handle one stanza of a device."""
        self._network.counters.add(f"stanza.{node.tag}")
        handler = self._by_tag.get(node.tag)
        if handler is not None:
            handler(device, node)

    def _query(self, device: Device, node: Node) -> None:
        if node.text("type") not in ("get", "set"):
            return
        handler = self._by_namespace.get(node.text("xmlns"), self._network.reply_result)
        handler(device, node)

    def _keepalive(self, device: Device, node: Node) -> None:
        self._network.counters.add("keepalive")
        self._network.reply_result(device, node)

    def _media(self, device: Device, node: Node) -> None:
        self._network.reply_result(device, node, [media_connection()])

    def _no_picture(self, device: Device, node: Node) -> None:
        if device.outlet is not None:
            device.outlet.send(error_of(node, 404, "item-not-found"))

    def _privacy(self, device: Device, node: Node) -> None:
        if node.text("type") == "set":
            self._network.reply_result(device, node)
            return
        names: dict[str, str] = {
            "readreceipts": "all",
            "last": "all",
            "profile": "all",
            "status": "all",
            "online": "all",
        }
        listed = []
        for name, value in names.items():
            attrs: dict[str, Attribute] = {"name": name, "value": value}
            listed.append(Node("category", attrs))
        self._network.reply_result(device, node, [Node("privacy", {"t": epoch_text()}, listed)])

"""Presence and typing: passed on to whoever is connected, never queued."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.whatsapp.binary_xml import Node

if TYPE_CHECKING:
    from local.whatsapp.accounts import Device
    from local.whatsapp.network import Network


class Presence:
    """Takes presence and typing stanzas."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def chat_state(self, device: Device, node: Node) -> None:
        """Pass ``composing`` or ``paused`` on to the other side's connected devices."""
        target = self._network.directory.account(node.jid("to"))
        self._network.counters.add("chatstate")
        if target is None:
            return
        passed = Node("chatstate", {"from": device.lid.bare()}, node.content)
        for other in target.devices.values():
            if other.active and not other.held:
                self._network.hand_over(other, passed)

    def available(self, device: Device, node: Node) -> None:
        """Take a presence; the name in it becomes the account's display name."""
        kind = node.text("type") or "available"
        self._network.counters.add(f"presence.{kind}")
        if node.text("name") and not device.account.name:
            device.account.name = node.text("name")
            self._network.save(device.account)

"""Lifecycle of linked companions: unlinking, bans, replaced and broken connections."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from local.whatsapp.binary_xml import Node
from local.whatsapp.login import replaced

if TYPE_CHECKING:
    from local.whatsapp.accounts import Account, Device
    from local.whatsapp.network import Network


class Lifecycle:
    """What the server or the phone does to an account's companions."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def answer(self, device: Device, request: Node) -> None:
        """Answer an iq of the ``md`` namespace: a companion that logs itself out."""
        self._network.reply_result(device, request)
        if request.child("remove-companion-device") is not None:
            self._network.counters.add("logout")
            self._drop_after(device, None)
            self._network.remove_companion(device)

    def _drop_after(self, device: Device, last: Node | None) -> None:
        outlet = device.outlet
        if outlet is not None:
            if last is not None:
                outlet.send(last)
            outlet.close()

    def unlink(self, account: Account) -> int:
        """The phone removes its linked devices; returns how many."""
        companions = account.companions
        for device in companions:
            self._drop_after(device, device_removed())
            self._network.remove_companion(device)
        return len(companions)

    def ban(self, account: Account, code: int, expire_s: int | None) -> None:
        """Ban an account for a time: companions are dropped and refused until it ends or is lifted."""
        account.restrictions.ban_code = code
        account.restrictions.ban_until = None if expire_s is None else time.time() + expire_s
        self._network.save(account)
        self.drop(account)

    def lift_ban(self, account: Account) -> None:
        """Let an account in again."""
        account.restrictions.ban_code = account.restrictions.ban_until = None
        self._network.save(account)

    def outdated(self, account: Account, *, enabled: bool) -> None:
        """Refuse companions as outdated, or stop doing so."""
        account.restrictions.outdated = enabled
        self._network.save(account)
        if enabled:
            self.drop(account)

    def fail_once(self, account: Account, reason: int) -> None:
        """Refuse the next login with this reason, and drop companions so that it comes."""
        account.restrictions.failure_once = reason
        self._network.save(account)
        self.drop(account)

    def refuse_sends(self, account: Account, code: int, count: int) -> None:
        """Acknowledge the next ``count`` messages with an error."""
        account.restrictions.send_error, account.restrictions.send_error_count = code, count
        self._network.save(account)

    def replace(self, account: Account) -> int:
        """Tell connected companions that another connection took their place; returns how many."""
        return self._each(account, replaced())

    def stream_error(self, account: Account, code: int) -> int:
        """End the stream of connected companions with an error code; returns how many."""
        return self._each(account, Node("stream:error", {"code": str(code)}))

    def _each(self, account: Account, node: Node) -> int:
        connected = [device for device in account.companions if device.outlet is not None]
        for device in connected:
            self._drop_after(device, node)
        return len(connected)

    def drop(self, account: Account) -> int:
        """Break the sockets of companions; returns how many."""
        connected = [device for device in account.companions if device.outlet is not None]
        for device in connected:
            if device.outlet is not None:
                device.outlet.abort()
        return len(connected)

    def silence(self, account: Account, seconds: float) -> int:
        """Neither read from nor write to companions for a while; returns how many."""
        outlets = [device.outlet for device in account.companions if device.outlet is not None]
        for outlet in outlets:
            outlet.silence(seconds)
        return len(outlets)

    def hold(self, account: Account) -> None:
        """Keep back whatever comes for the companions."""
        for device in account.companions:
            device.held = True

    def replay(self, account: Account, times: int) -> int:
        """Release what was held, the whole of it ``times`` over; returns how many stanzas were sent."""
        sent = 0
        for device in account.companions:
            device.held = False
            waiting = list(device.queue.values())
            if not device.active:
                continue
            for _ in range(times):
                for node in waiting:
                    self._network.hand_over(device, node)
                    sent += 1
        return sent


def device_removed() -> Node:
    """The stream error for a companion that its phone removed."""
    return Node("stream:error", {"code": "401"}, [Node("conflict", {"type": "device_removed"})])

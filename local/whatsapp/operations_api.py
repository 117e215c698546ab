"""The other side of the control API: lifecycle of companions, faults, ledger, counters, health."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.whatsapp.control_api import Answer, ApiError, Call, ControlApi

if TYPE_CHECKING:
    from local.whatsapp.accounts import Account
    from local.whatsapp.lifecycle import Lifecycle
    from local.whatsapp.network import Network
    from local.whatsapp.phones_api import PhonesApi


class OperationsApi:
    """Handlers for everything a tester, not a person with a phone, does."""

    def __init__(self, network: Network, lifecycle: Lifecycle, phones: PhonesApi) -> None:
        self._network = network
        self._lifecycle = lifecycle
        self._phones = phones
        self._started_at = time.monotonic()

    def add_to(self, api: ControlApi) -> None:
        """Add all routes."""
        api.add("GET", "/", self.health)
        api.add("GET", "/health", self.health)
        api.add("GET", "/faults", self.faults)
        api.add("POST", "/faults", self.set_faults)
        api.add("GET", "/ledger", self.ledger)
        api.add("DELETE", "/ledger", self.reset_ledger)
        api.add("GET", "/ledger/summary", self.summary)
        api.add("GET", "/counters", self.counters)
        for name in (
            "unlink", "ban", "unban", "outdated", "replace", "stream_error", "drop", "silence", "hold", "replay",
            "failure", "send_error",
        ):  # fmt: skip
            api.add("POST", f"/phones/{{number}}/{name.replace('_', '-')}", getattr(self, name))

    def health(self, call: Call) -> Answer:  # noqa: ARG002 - a handler's signature
        """Whether the simulator works, and how busy it is."""
        connected = sum(
            device.outlet is not None for account in self._network.directory for device in account.companions
        )
        return 200, {
            "status": "healthy",
            "uptime_s": round(time.monotonic() - self._started_at, 1),
            "phones": sum(1 for _ in self._network.directory),
            "companions_connected": connected,
            "maintenance": self._network.faults.maintenance,
        }

    # Lifecycle

    def _account(self, call: Call) -> Account:
        return self._phones.account(call)

    def unlink(self, call: Call) -> Answer:
        """The phone unlinks its companions."""
        return 200, {"unlinked": self._lifecycle.unlink(self._account(call))}

    def ban(self, call: Call) -> Answer:
        """Ban the number for a time."""
        expire_s = call.integer("expire_s", 600, lowest=1)
        self._lifecycle.ban(self._account(call), call.integer("code", 101), expire_s)
        return 200, {"banned": True, "expire_s": expire_s}

    def unban(self, call: Call) -> Answer:
        """Lift the ban."""
        self._lifecycle.lift_ban(self._account(call))
        return 200, {"banned": False}

    def outdated(self, call: Call) -> Answer:
        """Treat the number's companions as too old, or no longer."""
        enabled = call.flag("enabled", default=True)
        self._lifecycle.outdated(self._account(call), enabled=enabled)
        return 200, {"outdated": enabled}

    def replace(self, call: Call) -> Answer:
        """Another connection takes the companions' place."""
        return 200, {"replaced": self._lifecycle.replace(self._account(call))}

    def stream_error(self, call: Call) -> Answer:
        """End the companions' streams with a code."""
        code = call.integer("code", 503, lowest=1)
        return 200, {"sent": self._lifecycle.stream_error(self._account(call), code)}

    def drop(self, call: Call) -> Answer:
        """Break the companions' sockets."""
        return 200, {"dropped": self._lifecycle.drop(self._account(call))}

    def silence(self, call: Call) -> Answer:
        """Stop reading from and writing to the companions for a while."""
        seconds = call.number("seconds", 30, lowest=0.1, highest=3600)
        return 200, {"silenced": self._lifecycle.silence(self._account(call), seconds), "seconds": seconds}

    def hold(self, call: Call) -> Answer:
        """Keep back what comes for the companions."""
        self._lifecycle.hold(self._account(call))
        return 200, {"held": True}

    def replay(self, call: Call) -> Answer:
        """Release what was held, once or several times over."""
        times = call.integer("times", 1, lowest=1, highest=10)
        return 200, {"sent": self._lifecycle.replay(self._account(call), times)}

    def failure(self, call: Call) -> Answer:
        """Refuse the next login with a reason."""
        reason = call.integer("reason", lowest=400, highest=599)
        self._lifecycle.fail_once(self._account(call), reason)
        return 200, {"reason": reason}

    def send_error(self, call: Call) -> Answer:
        """Acknowledge the next messages with an error."""
        code, count = call.integer("code", 463, lowest=1), call.integer("count", 1)
        self._lifecycle.refuse_sends(self._account(call), code, count)
        return 200, {"code": code, "count": count}

    # Faults

    def faults(self, call: Call) -> Answer:  # noqa: ARG002 - a handler's signature
        """What goes wrong now."""
        faults = self._network.faults
        return 200, {
            "latency_ms": faults.latency_ms,
            "loss": faults.loss,
            "maintenance": faults.maintenance,
            "drop_acks": faults.drop_acks,
        }

    def set_faults(self, call: Call) -> Answer:
        """Change what goes wrong; fields that are left out stay as they are."""
        unknown = set(call.body) - {"latency_ms", "loss", "maintenance", "drop_acks"}
        if unknown:
            name = min(unknown)
            raise ApiError(422, f"there is no fault called '{name}'", name)
        now = self._network.faults
        changed = replace(
            now,
            latency_ms=call.integer("latency_ms", now.latency_ms, highest=60_000),
            loss=float(call.number("loss", now.loss, highest=1)),
            maintenance=call.flag("maintenance", default=now.maintenance),
            drop_acks=call.integer("drop_acks", now.drop_acks),
        )
        began = changed.maintenance and not now.maintenance
        self._network.faults = changed
        if began:
            for account in self._network.directory:
                self._lifecycle.stream_error(account, 503)
        return self.faults(call)

    # Ledger and counters

    def ledger(self, call: Call) -> Answer:
        """Rows of the ledger."""
        limit = min(call.cursor("limit", 1000), 10_000)
        sender, recipient = self._number(call, "from"), self._number(call, "to")
        return 200, self._network.ledger.rows(sender, recipient, call.cursor("after", 0), limit)

    def _number(self, call: Call, name: str) -> str:
        number = call.query.get(name, "").strip().lstrip("+")
        account = self._network.directory.dialled(number)
        return account.number if account is not None else number

    def summary(self, call: Call) -> Answer:
        """Totals of the ledger."""
        by = call.query.get("by")
        if by not in (None, "sender"):
            raise ApiError(422, "'by' can only be sender", "by")
        summary: dict[str, Any] = self._network.ledger.summary()
        if by == "sender":
            summary["by_sender"] = self._network.ledger.summary_by_sender()
        return 200, summary

    def reset_ledger(self, call: Call) -> Answer:  # noqa: ARG002 - a handler's signature
        """Forget the ledger."""
        self._network.ledger.reset()
        return 200, {"reset": True}

    def counters(self, call: Call) -> Answer:  # noqa: ARG002 - a handler's signature
        """All counters since the start."""
        return 200, self._network.counters.all()

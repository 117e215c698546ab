"""The network between devices: who is connected, what waits for whom, and when bytes may leave."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from local.whatsapp.accounts import PRIMARY_DEVICE, Account, Device, Directory, Restrictions, lid_for
from local.whatsapp.binary_xml import STORAGE, Attribute, Codec, Node
from local.whatsapp.clock import epoch_text
from local.whatsapp.counters import Counters
from local.whatsapp.faults import Faults
from local.whatsapp.jid import SERVER, Jid
from local.whatsapp.ledger import Ledger
from local.whatsapp.signal.party import SIGNED_PREKEY_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.whatsapp.state import State

_log = logging.getLogger(__name__)
_QUEUED_TAGS = ("message", "receipt", "notification")


class Flushable(Protocol):
    """A connection that holds bytes back until the state is committed."""

    def flush(self) -> None:
        """Write the held bytes."""


def device_list_hash(devices: set[Jid]) -> str:
    """The version-2 hash of a device list: truncated SHA-256 over the sorted addresses."""
    names = sorted(f"{jid.user}.0:{jid.device}@{jid.server}" for jid in devices)
    digest = hashlib.sha256("".join(names).encode()).digest()[:6]
    return "2:" + base64.b64encode(digest).decode().rstrip("=")


def queue_key(node: Node) -> str:
    """What names a stanza in an offline queue: tag, id, type of receipt and other side."""
    kind = node.text("type") if node.tag != "message" else ""
    return f"{node.tag}|{node.text('id')}|{kind}|{node.text('from')}"


class Network:
    """Accounts, their queues and connections, over one state file.

    Args:
        state: the state file.
        codec: binary XML with the installed client's dictionaries.
        serve_primary: whether clients are told about, and encrypt to, the phones themselves.
    """

    def __init__(self, state: State, codec: Codec, *, serve_primary: bool = True) -> None:
        self.state = state
        self.codec = codec
        self.serve_primary = serve_primary
        self.directory = Directory()
        self.ledger = Ledger(state)
        self.counters = Counters()
        self.faults = Faults()
        self.new_account: Callable[[Account], None] = lambda _account: None
        self.new_companion: Callable[[Device], None] = lambda _device: None
        self._without_prekeys: set[Device] = set()
        self._waiting: dict[Flushable, None] = {}
        self._flush_planned = False
        self._errands: deque[Callable[[], None]] = deque()

    # Accounts

    def load(self) -> None:
        """Read all accounts, devices, prekeys and queues from the state file."""
        for (document,) in self.state.query("SELECT document FROM account"):
            raw = json.loads(str(document))
            restrictions = Restrictions(**raw.pop("restrictions"))
            self._adopt(Account(**raw, restrictions=restrictions))
        for number, document in self.state.query("SELECT number, document FROM device ORDER BY number, device"):
            account = self._known(str(number))
            device = _device_from(account, json.loads(str(document)))
            account.devices[device.number] = device
        for number, device_number, prekey, public in self.state.query("SELECT number, device, id, public FROM prekey"):
            owner = self._known(str(number)).devices[int(str(device_number))]
            owner.prekeys[int(str(prekey))] = bytes(public) if isinstance(public, bytes) else b""
        rows = self.state.query("SELECT number, device, key, stanza FROM queue ORDER BY sequence")
        for number, device_number, key, stanza in rows:
            owner = self._known(str(number)).devices[int(str(device_number))]
            owner.queue[str(key)] = STORAGE.decode(stanza if isinstance(stanza, bytes) else b"")
        for account in self.directory:
            self.new_account(account)

    def _known(self, number: str) -> Account:
        account = self.directory.dialled(number)
        if account is None:
            raise LookupError(f"the state file names a device of an unknown account ({number[:4]}…)")
        return account

    def register(self, number: str, user: str | None = None, name: str = "") -> Account:
        """Make an account; the caller has made sure that the number is free."""
        registered = user or number
        account = Account(number=number, user=registered, lid=lid_for(registered), name=name)
        self._adopt(account)
        self.save(account)
        self.new_account(account)
        return account

    def _adopt(self, account: Account) -> None:
        keys = account.keys
        signed = (SIGNED_PREKEY_ID, keys.signed_prekey.public, keys.signature)
        account.devices[PRIMARY_DEVICE] = Device(
            account, PRIMARY_DEVICE, keys.identity.public, keys.registration_id, signed
        )
        self.directory.add(account)

    def reinstall(self, account: Account) -> None:
        """Give the phone a new installation: new identity, new prekeys, nothing waiting."""
        account.generation += 1
        keys = account.keys
        device = account.devices[PRIMARY_DEVICE]
        device.identity, device.registration_id = keys.identity.public, keys.registration_id
        device.signed_prekey = (SIGNED_PREKEY_ID, keys.signed_prekey.public, keys.signature)
        self.save(account)

    def save(self, account: Account) -> None:
        """Write an account's own fields."""
        fields = {
            name: getattr(account, name)
            for name in ("number", "user", "lid", "name", "is_phone", "on_whatsapp", "generation", "next_device")
        }
        fields |= {"next_prekey": account.next_prekey, "restrictions": asdict(account.restrictions)}
        self.state.execute("INSERT OR REPLACE INTO account VALUES (?, ?)", (account.number, json.dumps(fields)))

    def add_companion(self, device: Device) -> None:
        """Write a companion and all that is known of it, except its prekeys."""
        account = device.account
        account.devices[device.number] = device
        account.is_phone = True
        self.save(account)
        values = (account.number, device.number, json.dumps(_device_document(device)))
        self.state.execute("INSERT OR REPLACE INTO device VALUES (?, ?, ?)", values)

    def link(self, device: Device) -> None:
        """Link a new companion to its account and tell the account's other companions."""
        self.add_companion(device)
        self._without_prekeys.add(device)
        self._tell_own_devices(device)

    def is_ready(self, device: Device) -> None:
        """Note that others can encrypt to a companion; the first time after it was linked, its phone is told."""
        if device in self._without_prekeys:
            self._without_prekeys.discard(device)
            self.before_commit(lambda: self.new_companion(device))

    def remove_companion(self, device: Device) -> None:
        """Unlink a companion: its keys and everything waiting for it are gone; the others are told."""
        device.account.devices.pop(device.number, None)
        self._without_prekeys.discard(device)
        self._tell_own_devices(device)
        device.queue.clear()
        for table in ("device", "prekey", "queue"):
            self.state.execute(
                f"DELETE FROM {table} WHERE number = ? AND device = ?",  # noqa: S608 - table names above
                (device.account.number, device.number),
            )

    def serves(self, device: Device) -> bool:
        """Whether senders are told of this device."""
        return not device.is_primary or self.serve_primary or not device.account.companions

    def _tell_own_devices(self, changed: Device) -> None:
        """Give the other companions the new device list; without it they go on encrypting for the old one."""
        account = changed.account
        listed = [Node("device", {"jid": device.lid}) for device in account.devices.values() if self.serves(device)]
        stamp = epoch_text()
        for device in account.companions:
            if device is changed:
                continue
            attrs: dict[str, Attribute] = {
                "from": account.lid_jid,
                "id": f"devices-{account.next_device}-{len(listed)}-{stamp}",
                "type": "account_sync",
                "t": stamp,
            }
            addresses = {known.lid for known in account.devices.values() if self.serves(known)}
            content = Node("devices", {"dhash": device_list_hash(addresses)}, listed)
            self.deliver(device, Node("notification", attrs, [content]))

    # Delivery

    def deliver(self, device: Device, node: Node) -> None:
        """Put a stanza into a device's queue, and send it at once if the device is connected.

        A phone that is on takes its stanza before the next commit, so nothing has to be kept for it.
        """
        if node.tag in _QUEUED_TAGS and not (device.is_primary and device.active):
            key = queue_key(node)
            device.queue.pop(key, None)
            device.queue[key] = node
            values = (device.account.number, device.number, key, STORAGE.encode(node))
            self.state.execute("INSERT OR REPLACE INTO queue (number, device, key, stanza) VALUES (?, ?, ?, ?)", values)
        if device.outlet is not None and device.active and not device.held:
            self.hand_over(device, node)

    def hand_over(self, device: Device, node: Node) -> None:
        """Send a stanza to a connected device now."""
        if device.outlet is None:
            return
        if not device.is_primary and self.faults.loses(node.tag):
            self.counters.add("lost.to_client")
            return
        if node.tag == "message":
            self.ledger.delivered(device, node.text("id"), self.sender_of(node))
        device.outlet.send(node)

    def sender_of(self, node: Node) -> str:
        """The number of the account a stanza comes from."""
        account = self.directory.account(node.jid("from"))
        return account.number if account is not None else ""

    def settled(self, device: Device, key: str) -> Node | None:
        """Take an acknowledged stanza out of a device's queue."""
        node = device.queue.pop(key, None)
        if node is not None:
            self.state.execute(
                "DELETE FROM queue WHERE number = ? AND device = ? AND key = ?",
                (device.account.number, device.number, key),
            )
        return node

    def flush_queue(self, device: Device) -> None:
        """Send a device everything that waited for it, framed by the offline markers."""
        waiting = list(device.queue.values())
        if device.outlet is None or device.held:
            return
        counts = {tag: str(sum(node.tag == tag for node in waiting)) for tag in _QUEUED_TAGS}
        preview = Node("offline_preview", {"count": str(len(waiting)), "appdata": "0", **counts})
        device.outlet.send(Node("ib", {"from": SERVER}, [preview]))
        for node in waiting:
            self.hand_over(device, Node(node.tag, {**node.attrs, "offline": "0"}, node.content))
        device.outlet.send(Node("ib", {"from": SERVER}, [Node("offline", {"count": str(len(waiting))})]))

    # Writing

    def before_commit(self, errand: Callable[[], None]) -> None:
        """Do something in this turn of the event loop, inside the transaction that is open now."""
        self._errands.append(errand)
        self.flush_soon()

    def flush_soon(self, connection: Flushable | None = None) -> None:
        """Commit the state at the end of this turn of the event loop and then let the connection write."""
        if connection is not None:
            self._waiting[connection] = None
        if not self._flush_planned:
            self._flush_planned = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Run errands, commit, then write everything that waited for it."""
        while self._errands:
            self._run(self._errands.popleft())
        self._flush_planned = False
        self.state.commit()
        waiting, self._waiting = self._waiting, {}
        for connection in waiting:
            connection.flush()

    def _run(self, errand: Callable[[], None]) -> None:
        try:
            errand()
        except Exception:  # noqa: BLE001 - one phone's failure must not stop the network; counted and logged
            self.counters.add("errand_failed")
            _log.exception("a phone inside the simulator failed")

    def reply_result(self, device: Device, request: Node, content: list[Node] | None = None) -> None:
        """Answer an iq with a result."""
        if device.outlet is not None:
            device.outlet.send(result_of(request, content))


def result_of(request: Node, content: list[Node] | None = None) -> Node:
    """The result stanza that answers an iq."""
    sender = request.jid("to") or SERVER
    return Node("iq", {"from": sender, "id": request.text("id"), "type": "result"}, content)


def error_of(request: Node, code: int, text: str) -> Node:
    """The error stanza that answers an iq."""
    sender = request.jid("to") or SERVER
    attrs: dict[str, str | Jid] = {"from": sender, "id": request.text("id"), "type": "error"}
    return Node("iq", attrs, [Node("error", {"code": str(code), "text": text})])


def _device_document(device: Device) -> dict[str, Any]:
    number, public, signature = device.signed_prekey
    return {
        "number": device.number,
        "identity": device.identity.hex(),
        "registration_id": device.registration_id,
        "signed_prekey": [number, public.hex(), signature.hex()],
        "noise_key": device.noise_key.hex(),
    }


def _device_from(account: Account, raw: dict[str, Any]) -> Device:
    number, public, signature = raw["signed_prekey"]
    return Device(
        account=account,
        number=raw["number"],
        identity=bytes.fromhex(raw["identity"]),
        registration_id=raw["registration_id"],
        signed_prekey=(number, bytes.fromhex(public), bytes.fromhex(signature)),
        noise_key=bytes.fromhex(raw["noise_key"]),
    )

"""A companion without a socket: it is linked, encrypts and decrypts, and keeps what the server sends it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from local.whatsapp import content
from local.whatsapp.accounts import Device
from local.whatsapp.binary_xml import Node
from local.whatsapp.front_door import HttpRequest
from local.whatsapp.jid import SERVER
from local.whatsapp.server import Options, Simulator
from local.whatsapp.signal.party import SIGNED_PREKEY_ID, Party, PartyKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from local.whatsapp.binary_xml import Attribute
    from local.whatsapp.jid import Jid


PREKEYS = 19


class Bench:
    """A simulator without a port, and its control API as a function."""

    def __init__(self, state: Path) -> None:
        self.simulator = Simulator(Options(state=state))
        self.simulator.load()
        self.network = self.simulator.network

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        raw = b"" if body is None else json.dumps(body).encode()
        response = await self.simulator.control_api(HttpRequest(method, path, {}, raw))
        return response.status, json.loads(response.body)

    async def post(self, path: str, **body: Any) -> Any:
        status, answer = await self.call("POST", path, body)
        assert status in (200, 201), answer
        return answer

    async def get(self, path: str) -> Any:
        status, answer = await self.call("GET", path)
        assert status == 200, answer
        return answer

    def companion(self, number: str) -> Companion:
        return Companion(self, number)


class Companion:
    """A linked device of the account with this number, connected at once."""

    def __init__(self, bench: Bench, number: str) -> None:
        self.bench = bench
        network = bench.network
        account = network.directory.dialled(number) or network.register(number)
        keys = PartyKeys(f"{number} {account.next_device}".encode().ljust(32, b"."))
        signed = (SIGNED_PREKEY_ID, keys.signed_prekey.public, keys.signature)
        self.device = Device(account, account.next_device, keys.identity.public, keys.registration_id, signed)
        account.next_device += 1
        self.party: Party[Jid] = Party(keys)
        self.seen: list[Node] = []
        network.link(self.device)
        self.connect()
        self._upload(keys)
        self.seen.clear()

    def _upload(self, keys: PartyKeys) -> None:
        fresh = [_key_node("key", number, keys.prekey(number).public) for number in range(1, PREKEYS + 1)]
        signed = _key_node("skey", SIGNED_PREKEY_ID, keys.signed_prekey.public, keys.signature)
        parts = [Node("identity", {}, keys.identity.public), Node("list", {}, fresh), signed]
        self.submit(Node("iq", {"id": "upload", "to": SERVER, "type": "set", "xmlns": "encrypt"}, parts))

    def connect(self) -> None:
        self.seen.clear()
        """Log in and switch to active, as a client does."""
        self.bench.simulator.login.take_over(self.device, self)
        self.submit(Node("iq", {"id": "active", "to": SERVER, "type": "set", "xmlns": "passive"}, [Node("active")]))

    def disconnect(self) -> None:
        self.device.outlet, self.device.active = None, False

    # An outlet

    def send(self, node: Node) -> None:
        self.seen.append(node)

    def close(self) -> None:
        self.disconnect()

    def abort(self) -> None:
        self.disconnect()

    def silence(self, seconds: float) -> None:
        raise NotImplementedError

    # A client

    def submit(self, node: Node) -> None:
        self.bench.simulator.submit(self.device, node)
        self.bench.network.flush()

    def write(self, to: str, text: str, message_id: str, devices: list[Device] | None = None) -> Node:
        """Encrypt and send a text; returns the stanza."""
        account = self.bench.network.directory.dialled(to)
        assert account is not None
        own = self.device.account
        everyone = [*account.devices.values(), *own.devices.values()]
        targets = devices if devices is not None else [device for device in everyone if device is not self.device]
        plain = content.text_message(text)
        copy = content.own_copy(plain, str(account.lid_jid))
        listed = [self._encrypted(device, copy if device.account is own else plain) for device in targets]
        attrs: dict[str, Attribute] = {"id": message_id, "type": "text", "to": account.lid_jid}
        stanza = Node("message", attrs, [Node("participants", {}, listed)])
        self.submit(stanza)
        return stanza

    def _encrypted(self, device: Device, plaintext: bytes) -> Node:
        if not self.party.has_session(device.lid):
            self.party.open_session(device.lid, self.bench.simulator.prekeys.take_bundle(device))
        kind, data = self.party.encrypt(device.lid, plaintext)
        return Node("to", {"jid": device.lid}, [Node("enc", {"v": "2", "type": kind}, data)])

    def stanzas(self, tag: str) -> list[Node]:
        return [node for node in self.seen if node.tag == tag]

    def take(self, node: Node) -> str | None:
        """Decrypt a message stanza and acknowledge it."""
        encrypted, sender = node.child("enc"), node.jid("from")
        assert encrypted is not None
        assert sender is not None
        plaintext = self.party.decrypt(sender, encrypted.text("type"), encrypted.data())
        self.submit(Node("receipt", {"id": node.text("id"), "to": sender}))
        return content.read_message(plaintext).text


def _key_node(tag: str, number: int, public: bytes, signature: bytes | None = None) -> Node:
    parts = [Node("id", {}, number.to_bytes(3, "big")), Node("value", {}, public)]
    return Node(tag, {}, [*parts, Node("signature", {}, signature)] if signature else parts)


def play(scenario: Callable[[Bench], Coroutine[Any, Any, None]], state: Path) -> None:
    """Run a scenario on a fresh bench over a state directory."""

    async def run() -> None:
        bench = Bench(state)
        try:
            await scenario(bench)
        finally:
            await bench.simulator.stop()

    asyncio.run(run())

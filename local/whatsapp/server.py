"""The simulator as a whole: its parts put together, started and stopped."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.whatsapp.binary_xml import Codec, Node
from local.whatsapp.certificates import ensure_tls_files, noise_credentials, server_tls_context
from local.whatsapp.connection import Services
from local.whatsapp.contact import Contact
from local.whatsapp.control_api import ControlApi
from local.whatsapp.front_door import Door, HttpConnection
from local.whatsapp.history import ChunkKind
from local.whatsapp.lifecycle import Lifecycle
from local.whatsapp.login import Login
from local.whatsapp.media import MediaStore
from local.whatsapp.network import Network
from local.whatsapp.operations_api import OperationsApi
from local.whatsapp.pairing import Pairing
from local.whatsapp.phones_api import PhonesApi
from local.whatsapp.prekeys import Prekeys
from local.whatsapp.stanzas import Stanzas
from local.whatsapp.state import State
from local.whatsapp.tokens import installed_dictionaries

if TYPE_CHECKING:
    from pathlib import Path

    from local.whatsapp.accounts import Account, Device

_BACKLOG = 2048


@dataclass(frozen=True)
class Options:
    """How a simulator runs.

    Attributes:
        state: directory for everything that survives a restart.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        small_first_upload: see :class:`~local.whatsapp.prekeys.Prekeys`.
        serve_primary: whether clients also encrypt to the phones of companions' accounts.
    """

    state: Path
    host: str = "127.0.0.1"
    port: int = 0
    small_first_upload: bool = True
    serve_primary: bool = True


class Simulator:
    """A running WhatsApp for one machine."""

    def __init__(self, options: Options) -> None:
        self._options = options
        options.state.mkdir(parents=True, exist_ok=True)
        self._state = State(options.state / "whatsapp.sqlite")
        self.network = Network(self._state, Codec(installed_dictionaries()), serve_primary=options.serve_primary)
        self.prekeys = Prekeys(self.network, small_first_upload=options.small_first_upload)
        self.login = Login(self.network)
        self.lifecycle = Lifecycle(self.network)
        self._stanzas = Stanzas(self.network, self.prekeys, self.login, self.lifecycle)
        self._pairing = Pairing(self.network)
        self.contacts: dict[str, Contact] = {}
        self._media = MediaStore(options.state / "media")
        self.control_api = self._build_control_api()
        self._server: asyncio.Server | None = None
        self.port = 0

    def load(self) -> None:
        """Load the state and give every account its phone."""
        self.network.new_account = self._give_phone
        self.network.new_companion = self._tell_history
        self.network.load()
        self.network.flush()

    async def start(self) -> None:
        """Load the state and listen; :attr:`port` is known afterwards."""
        self.load()
        tls = server_tls_context(ensure_tls_files(self._options.state))
        services = Services(self.network, noise_credentials(), self._pairing, self.login, self._stanzas)
        door = Door(services, tls, self._media, self.control_api)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(door), self._options.host, self._options.port, backlog=_BACKLOG
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _build_control_api(self) -> ControlApi:
        api = ControlApi(self.network.flush)
        phones = PhonesApi(self.network, self._pairing, self.lifecycle, self.contacts, self._media)
        phones.add_to(api)
        OperationsApi(self.network, self.lifecycle, phones).add_to(api)
        return api

    def _give_phone(self, account: Account) -> None:
        self.contacts[account.number] = Contact(account, self.network, self.prekeys, self.submit)

    def _tell_history(self, device: Device) -> None:
        self.contacts[device.account.number].tell_history([device], ChunkKind.INITIAL_BOOTSTRAP, self._media)

    def submit(self, device: Device, node: Node) -> None:
        """Handle a stanza of a device as if it had come from a socket."""
        self._stanzas.handle(device, node)

    async def stop(self) -> None:
        """Close every connection and the state file."""
        if self._server is not None:
            self._server.close()
        for account in self.network.directory:
            self.lifecycle.drop(account)
        await asyncio.sleep(0)
        self.network.flush()
        self._state.close()

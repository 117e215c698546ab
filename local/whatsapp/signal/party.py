"""A Signal party: one device's identity, its prekeys and its sessions with other devices."""

from __future__ import annotations

import hmac
import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from local.whatsapp.signal import messages
from local.whatsapp.signal.keys import Identity, KeyPair, typed, verify
from local.whatsapp.signal.messages import InvalidMessageError
from local.whatsapp.signal.session import Bundle, DuplicateMessageError, Session

MAXIMUM_OLD_SESSIONS = 40
SIGNED_PREKEY_ID = 1

Address = TypeVar("Address", bound=Hashable)


class NoSessionError(LookupError):
    """There is no session that opens this message, or none to encrypt in."""


@dataclass(frozen=True)
class PartyKeys:
    """All keys of a party, derived from one 32-byte seed, so that only the seed needs keeping."""

    seed: bytes

    def _derive(self, label: str) -> bytes:
        return hmac.digest(self.seed, label.encode(), "sha256")

    @cached_property
    def identity(self) -> Identity:
        """The long-term identity."""
        return Identity(self._derive("identity"))

    @cached_property
    def registration_id(self) -> int:
        """A 31-bit number that tells installations apart."""
        return int.from_bytes(self._derive("registration")[:4], "big") >> 1

    @cached_property
    def signed_prekey(self) -> KeyPair:
        """The medium-term prekey."""
        return KeyPair(self._derive("signed prekey"))

    @cached_property
    def signature(self) -> bytes:
        """The identity's signature over the signed prekey."""
        return self.identity.sign(typed(self.signed_prekey.public))

    def prekey(self, number: int) -> KeyPair:
        """One-time prekey ``number`` (1 or more)."""
        return KeyPair(self._derive(f"prekey {number}"))

    def bundle(self, prekey_id: int) -> Bundle:
        """What the party publishes, with one one-time prekey."""
        return Bundle(
            registration_id=self.registration_id,
            identity=self.identity.public,
            signed_prekey_id=SIGNED_PREKEY_ID,
            signed_prekey=self.signed_prekey.public,
            signature=self.signature,
            prekey_id=prekey_id,
            prekey=self.prekey(prekey_id).public,
        )


class Party(Generic[Address]):
    """Encrypts to and decrypts from other devices, which are known by an address.

    Args:
        keys: the party's own keys.
        load: gives the stored sessions with an address, newest first.
        changed: told after the sessions with an address changed.
    """

    def __init__(
        self,
        keys: PartyKeys,
        load: Callable[[Address], list[Session]] = lambda _address: [],
        changed: Callable[[Address, list[Session]], None] = lambda _address, _sessions: None,
    ) -> None:
        self.keys = keys
        self._load = load
        self._changed = changed
        self._sessions: dict[Address, list[Session]] = {}

    def _of(self, address: Address) -> list[Session]:
        if address not in self._sessions:
            self._sessions[address] = self._load(address)
        return self._sessions[address]

    def _keep(self, address: Address, session: Session) -> None:
        """Make ``session`` the current one; it replaces an older state of itself."""
        others = [old for old in self._of(address) if old.base_key != session.base_key]
        self._sessions[address] = [session, *others[:MAXIMUM_OLD_SESSIONS]]
        self._changed(address, self._sessions[address])

    def has_session(self, address: Address) -> bool:
        """Whether a message to this address can be encrypted without a bundle."""
        return bool(self._of(address))

    def open_session(self, address: Address, bundle: Bundle) -> None:
        """Begin a new session from a published bundle.

        Raises:
            InvalidMessageError: the signed prekey is not signed by the bundle's identity.
        """
        if not verify(bundle.identity, typed(bundle.signed_prekey), bundle.signature):
            raise InvalidMessageError("the signature of the signed prekey is wrong")
        self._keep(address, Session.initiate(self.keys.identity, bundle, KeyPair.generate(), KeyPair.generate()))

    def encrypt(self, address: Address, plaintext: bytes) -> tuple[str, bytes]:
        """Encrypt in the current session; returns the type (``pkmsg`` or ``msg``) and the ciphertext.

        Raises:
            NoSessionError: no session is open with this address.
        """
        sessions = self._of(address)
        if not sessions:
            raise NoSessionError("no session with this device")
        session = sessions[0].copy()
        padded = messages.pad(plaintext, random.randint(1, 15))  # noqa: S311 - padding, not a key
        ciphertext = session.encrypt(self.keys.identity.public, padded)
        self._keep(address, session)
        if session.opening is None:
            return "msg", ciphertext
        opening = messages.PreKeyMessage(
            registration_id=self.keys.registration_id,
            prekey_id=session.opening.prekey_id,
            signed_prekey_id=session.opening.signed_prekey_id,
            base_key=session.base_key,
            identity=self.keys.identity.public,
            message=ciphertext,
        )
        return "pkmsg", opening.serialize()

    def decrypt(self, address: Address, kind: str, data: bytes) -> bytes:
        """Decrypt a message of type ``pkmsg`` or ``msg``.

        Raises:
            DuplicateMessageError: its counter was used before.
            InvalidMessageError: it is damaged.
            NoSessionError: no session opens it.
        """
        if kind == "pkmsg":
            return self._decrypt_opening(address, messages.parse_prekey_message(data))
        return self._decrypt_in(address, self._of(address), data)

    def _decrypt_opening(self, address: Address, opening: messages.PreKeyMessage) -> bytes:
        known = [session for session in self._of(address) if session.base_key == opening.base_key]
        if not known:
            if opening.signed_prekey_id != SIGNED_PREKEY_ID:
                raise NoSessionError("the signed prekey is unknown")
            prekey = None if opening.prekey_id is None else self.keys.prekey(opening.prekey_id)
            signed = self.keys.signed_prekey
            known = [Session.respond(self.keys.identity, signed, prekey, opening.identity, opening.base_key)]
        return self._decrypt_in(address, known, opening.message)

    def _decrypt_in(self, address: Address, sessions: list[Session], data: bytes) -> bytes:
        failure: ValueError | None = None
        for session in sessions:
            attempt = session.copy()
            try:
                padded = attempt.decrypt(self.keys.identity.public, data, KeyPair.generate())
            except DuplicateMessageError:
                raise
            except InvalidMessageError as error:
                failure = error
                continue
            self._keep(address, attempt)
            return messages.unpad(padded)
        raise NoSessionError("no session opens this message") from failure

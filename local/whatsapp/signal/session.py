"""One Signal session: X3DH agreement, double ratchet, message keys.

Names and limits follow libsignal-go, which the client uses: 2,000 messages ahead, 5 receiving chains.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from local.whatsapp.signal.messages import InvalidMessageError, SignalMessage, check_mac, parse_message

if TYPE_CHECKING:
    from local.whatsapp.signal.keys import Identity, KeyPair

MAXIMUM_AHEAD = 2000
MAXIMUM_CHAINS = 5
_NO_SALT = bytes(32)


class DuplicateMessageError(ValueError):
    """This (ratchet key, counter) was used before: a repeat, or a key reused by the sender."""


def hkdf(secret: bytes, info: bytes, length: int, salt: bytes = _NO_SALT) -> bytes:
    """RFC 5869 with SHA-256."""
    key = hmac.digest(salt, secret, "sha256")
    output = block = b""
    counter = 1
    while len(output) < length:
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        output += block
        counter += 1
    return output[:length]


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """Keys of a single message: AES-256 key, MAC key (32 bytes each) and IV (16 bytes)."""

    aes: bytes
    mac: bytes
    iv: bytes


def message_keys(seed: bytes) -> MessageKeys:
    """Derive the keys of one message from its seed."""
    material = hkdf(seed, b"WhisperMessageKeys", 80)
    return MessageKeys(material[:32], material[32:64], material[64:])


def _encrypt(keys: MessageKeys, plaintext: bytes) -> bytes:
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(keys.aes), modes.CBC(keys.iv)).encryptor()
    return encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()


def _decrypt(keys: MessageKeys, ciphertext: bytes) -> bytes:
    try:
        decryptor = Cipher(algorithms.AES(keys.aes), modes.CBC(keys.iv)).decryptor()
        padded = decryptor.update(ciphertext) + decryptor.finalize()
        unpadder = PKCS7(128).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as error:
        raise InvalidMessageError("the ciphertext is damaged") from error


@dataclass(slots=True)
class Chain:
    """A symmetric chain: its key, the next index, and seeds of messages that were skipped."""

    key: bytes
    index: int = 0
    skipped: dict[int, bytes] = field(default_factory=dict)

    def step(self) -> bytes:
        """Advance by one message and return that message's seed."""
        seed = hmac.digest(self.key, b"\x01", "sha256")
        self.key = hmac.digest(self.key, b"\x02", "sha256")
        self.index += 1
        return seed

    def seed_for(self, counter: int) -> bytes:
        """The seed of message ``counter``, which can be asked for once.

        Raises:
            DuplicateMessageError: it was handed out before.
            InvalidMessageError: it is too far ahead.
        """
        if counter < self.index:
            seed = self.skipped.pop(counter, None)
            if seed is None:
                raise DuplicateMessageError("counter was used before")
            return seed
        if counter - self.index > MAXIMUM_AHEAD:
            raise InvalidMessageError("too far ahead in the chain")
        while self.index < counter:
            index = self.index
            self.skipped[index] = self.step()
        while len(self.skipped) > MAXIMUM_AHEAD:
            del self.skipped[next(iter(self.skipped))]
        return self.step()

    def copy(self) -> Chain:
        """An independent copy."""
        return Chain(self.key, self.index, dict(self.skipped))


def agree(secrets: list[bytes]) -> tuple[bytes, bytes]:
    """X3DH: root key and first chain key from the Diffie-Hellman secrets, in the protocol's order."""
    material = hkdf(b"\xff" * 32 + b"".join(secrets), b"WhisperText", 64)
    return material[:32], material[32:]


def step_root(root: bytes, own: KeyPair, theirs: bytes) -> tuple[bytes, bytes]:
    """One ratchet step: new root key and new chain key."""
    material = hkdf(own.agree(theirs), b"WhisperRatchet", 64, salt=root)
    return material[:32], material[32:]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a device publishes so that others can open a session with it."""

    registration_id: int
    identity: bytes
    signed_prekey_id: int
    signed_prekey: bytes
    signature: bytes
    prekey_id: int | None = None
    prekey: bytes | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """What goes with each message until the other side has answered."""

    prekey_id: int | None
    signed_prekey_id: int


@dataclass(slots=True)
class Session:
    """The state of one conversation between two devices; ``base_key`` names it."""

    base_key: bytes
    remote_identity: bytes
    root: bytes
    ratchet: KeyPair
    sending: Chain
    previous_length: int = 0
    receiving: list[tuple[bytes, Chain]] = field(default_factory=list)
    opening: Opening | None = None

    @classmethod
    def initiate(cls, own: Identity, bundle: Bundle, base: KeyPair, ratchet: KeyPair) -> Session:
        """Open a session towards a published bundle."""
        secrets = [own.pair.agree(bundle.signed_prekey), base.agree(bundle.identity), base.agree(bundle.signed_prekey)]
        if bundle.prekey is not None:
            secrets.append(base.agree(bundle.prekey))
        root, first = agree(secrets)
        root, chain = step_root(root, ratchet, bundle.signed_prekey)
        return cls(
            base_key=base.public,
            remote_identity=bundle.identity,
            root=root,
            ratchet=ratchet,
            sending=Chain(chain),
            receiving=[(bundle.signed_prekey, Chain(first))],
            opening=Opening(bundle.prekey_id, bundle.signed_prekey_id),
        )

    @classmethod
    def respond(
        cls, own: Identity, signed_prekey: KeyPair, prekey: KeyPair | None, identity: bytes, base_key: bytes
    ) -> Session:
        """Open the session that the sender of a prekey message began."""
        secrets = [signed_prekey.agree(identity), own.pair.agree(base_key), signed_prekey.agree(base_key)]
        if prekey is not None:
            secrets.append(prekey.agree(base_key))
        root, first = agree(secrets)
        return cls(base_key=base_key, remote_identity=identity, root=root, ratchet=signed_prekey, sending=Chain(first))

    def copy(self) -> Session:
        """An independent copy, to work on until the outcome is known."""
        chains = [(key, chain.copy()) for key, chain in self.receiving]
        return replace(self, sending=self.sending.copy(), receiving=chains)

    def encrypt(self, own_identity: bytes, padded: bytes) -> bytes:
        """Encrypt the next message of the sending chain and advance it."""
        counter = self.sending.index
        keys = message_keys(self.sending.step())
        previous = max(self.previous_length - 1, 0)
        message = SignalMessage(self.ratchet.public, counter, previous, _encrypt(keys, padded))
        return message.serialize(keys.mac, own_identity, self.remote_identity)

    def decrypt(self, own_identity: bytes, data: bytes, next_ratchet: KeyPair) -> bytes:
        """Decrypt a message and advance the state; on an error the state is spoilt, so work on a copy.

        Args:
            own_identity: own public identity key.
            data: the serialized message with its MAC.
            next_ratchet: the pair to use if this message turns the ratchet.

        Raises:
            DuplicateMessageError: the counter was used before.
            InvalidMessageError: damaged, not for this session, or too far ahead.
        """
        message = parse_message(data)
        chain = next((chain for key, chain in self.receiving if key == message.ratchet_key), None)
        if chain is None:
            chain = self._turn(message.ratchet_key, next_ratchet)
        keys = message_keys(chain.seed_for(message.counter))
        check_mac(data, keys.mac, self.remote_identity, own_identity)
        plaintext = _decrypt(keys, message.ciphertext)
        self.opening = None
        return plaintext

    def _turn(self, theirs: bytes, next_ratchet: KeyPair) -> Chain:
        try:
            root, receiving = step_root(self.root, self.ratchet, theirs)
            self.root, sending = step_root(root, next_ratchet, theirs)
        except ValueError as error:
            raise InvalidMessageError("the ratchet key is not usable") from error
        chain = Chain(receiving)
        self.receiving.append((theirs, chain))
        del self.receiving[:-MAXIMUM_CHAINS]
        self.previous_length = self.sending.index
        self.ratchet, self.sending = next_ratchet, Chain(sending)
        return chain

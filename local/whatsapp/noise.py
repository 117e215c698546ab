"""The Noise XX handshake of WhatsApp's web protocol (server side) and the cipher that follows it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from local.whatsapp import protobuf
from local.whatsapp.signal.keys import KeyPair
from local.whatsapp.signal.session import hkdf

if TYPE_CHECKING:
    from collections.abc import Callable

PATTERN = b"Noise_XX_25519_AESGCM_SHA256\0\0\0\0"
DICTIONARY_VERSION = 3
HEADER = b"WA\x06" + bytes([DICTIONARY_VERSION])


class NoiseError(ValueError):
    """The other side's handshake or frame cannot be authenticated."""


def _nonce(counter: int) -> bytes:
    return bytes(8) + counter.to_bytes(4, "big")


class Cipher:
    """One direction of the encrypted stream: AES-256-GCM with a counter from 0 and no associated data."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._counter = 0

    def encrypt(self, plaintext: bytes) -> bytes:
        """Encrypt the next frame."""
        ciphertext = self._aead.encrypt(_nonce(self._counter), plaintext, None)
        self._counter += 1
        return ciphertext

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Decrypt the next frame.

        Raises:
            NoiseError: it was altered, or frames were lost or reordered.
        """
        try:
            plaintext = self._aead.decrypt(_nonce(self._counter), ciphertext, None)
        except InvalidTag as error:
            raise NoiseError("a frame cannot be authenticated") from error
        self._counter += 1
        return plaintext


class SymmetricState:
    """Hash, chaining key and current cipher of a running handshake; both roles use it."""

    def __init__(self) -> None:
        self._hash = self._chaining_key = PATTERN
        self._aead = AESGCM(PATTERN)
        self._counter = 0
        self.mix_hash(HEADER)

    def mix_hash(self, data: bytes) -> None:
        """Bind ``data`` to the handshake."""
        self._hash = hashlib.sha256(self._hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        """Mix a Diffie-Hellman secret into the keys; the counter starts anew."""
        material = hkdf(secret, b"", 64, salt=self._chaining_key)
        self._chaining_key = material[:32]
        self._aead = AESGCM(material[32:])
        self._counter = 0

    def encrypt(self, plaintext: bytes) -> bytes:
        """Encrypt and bind a handshake field."""
        ciphertext = self._aead.encrypt(_nonce(self._counter), plaintext, self._hash)
        self._counter += 1
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Decrypt and bind a handshake field.

        Raises:
            NoiseError: it cannot be authenticated.
        """
        try:
            plaintext = self._aead.decrypt(_nonce(self._counter), ciphertext, self._hash)
        except InvalidTag as error:
            raise NoiseError("the handshake cannot be authenticated") from error
        self._counter += 1
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[Cipher, Cipher]:
        """The two stream ciphers: client to server, server to client."""
        material = hkdf(b"", b"", 64, salt=self._chaining_key)
        return Cipher(material[:32]), Cipher(material[32:])


@dataclass(frozen=True)
class Established:
    """The outcome of a handshake: the client's static key and payload, and the two ciphers."""

    client_static: bytes
    payload: bytes
    inbound: Cipher
    outbound: Cipher


class ServerHandshake:
    """Answers a client's handshake messages.

    Args:
        static: the server's static pair.
        certificate: the chain that vouches for it, serialized.
        new_pair: makes the ephemeral pair (given in tests).
    """

    def __init__(self, static: KeyPair, certificate: bytes, new_pair: Callable[[], KeyPair] = KeyPair.generate) -> None:
        self._static = static
        self._certificate = certificate
        self._ephemeral = new_pair()
        self._state = SymmetricState()

    def answer_hello(self, message: bytes) -> bytes:
        """Take the client's hello and return the server's.

        Raises:
            NoiseError: the hello holds no usable ephemeral key.
        """
        ephemeral = protobuf.blob(protobuf.decode(protobuf.blob(protobuf.decode(message), 2)), 1)
        if len(ephemeral) != 32:
            raise NoiseError("the client's hello holds no ephemeral key")
        state = self._state
        state.mix_hash(ephemeral)
        state.mix_hash(self._ephemeral.public)
        state.mix_key(self._ephemeral.agree(ephemeral))
        static = state.encrypt(self._static.public)
        state.mix_key(self._static.agree(ephemeral))
        payload = state.encrypt(self._certificate)
        hello = protobuf.encode([(1, self._ephemeral.public), (2, static), (3, payload)])
        return protobuf.encode([(3, hello)])

    def finish(self, message: bytes) -> Established:
        """Take the client's last handshake message.

        Raises:
            NoiseError: it cannot be authenticated.
        """
        fields = protobuf.decode(protobuf.blob(protobuf.decode(message), 4))
        state = self._state
        client_static = state.decrypt(protobuf.blob(fields, 1))
        if len(client_static) != 32:
            raise NoiseError("the client's static key has the wrong length")
        state.mix_key(self._ephemeral.agree(client_static))
        payload = state.decrypt(protobuf.blob(fields, 2))
        inbound, outbound = state.split()
        return Established(client_static, payload, inbound, outbound)

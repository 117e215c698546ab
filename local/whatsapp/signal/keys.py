"""Keys of a Signal device: X25519 pairs, and identities that also sign.

Signatures use the old libsignal form of XEdDSA: the signer's Montgomery key is mapped to an Edwards key,
whose sign bit travels in the top bit of the last signature byte. Starting from an ordinary Ed25519 seed the
same signatures come out of the ordinary Ed25519 algorithm, so no scalar arithmetic is needed here.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

_PRIME = 2**255 - 19
_SIGN_BIT = 0x80
KEY_TYPE = b"\x05"


def typed(public: bytes) -> bytes:
    """The 33-byte form of a public key used inside Signal messages, MACs and signatures."""
    return KEY_TYPE + public


@dataclass(frozen=True)
class KeyPair:
    """An X25519 pair, known by its 32-byte private key."""

    private: bytes

    @classmethod
    def generate(cls) -> KeyPair:
        """A fresh random pair."""
        return cls(os.urandom(32))

    @cached_property
    def _key(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.private)

    @cached_property
    def public(self) -> bytes:
        """The 32-byte public key."""
        return self._key.public_key().public_bytes_raw()

    def agree(self, public: bytes) -> bytes:
        """The 32-byte Diffie-Hellman secret with another public key.

        Raises:
            ValueError: the other key has no valid length or yields the all-zero secret.
        """
        return self._key.exchange(X25519PublicKey.from_public_bytes(public))


@dataclass(frozen=True)
class Identity:
    """A long-term identity from a 32-byte seed: agrees like an X25519 key and signs."""

    seed: bytes

    @cached_property
    def pair(self) -> KeyPair:
        """The X25519 side of the identity."""
        return KeyPair(hashlib.sha512(self.seed).digest()[:32])

    @cached_property
    def _signer(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def _sign_bit(self) -> int:
        return self._signer.public_key().public_bytes_raw()[31] & _SIGN_BIT

    @cached_property
    def public(self) -> bytes:
        """The 32-byte Montgomery public key."""
        edwards = bytearray(self._signer.public_key().public_bytes_raw())
        edwards[31] &= 0x7F
        y = int.from_bytes(edwards, "little")
        return ((1 + y) * pow(1 - y, -1, _PRIME) % _PRIME).to_bytes(32, "little")

    def sign(self, message: bytes) -> bytes:
        """A 64-byte signature that libsignal accepts."""
        signature = bytearray(self._signer.sign(message))
        signature[63] |= self._sign_bit
        return bytes(signature)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` over ``message`` was made by the identity with this Montgomery key."""
    if len(public) != 32 or len(signature) != 64:
        return False
    u = int.from_bytes(public, "little") % _PRIME
    if u == _PRIME - 1:
        return False
    edwards = bytearray(((u - 1) * pow(u + 1, -1, _PRIME) % _PRIME).to_bytes(32, "little"))
    edwards[31] |= signature[63] & _SIGN_BIT
    plain = signature[:63] + bytes([signature[63] & 0x7F])
    try:
        Ed25519PublicKey.from_public_bytes(bytes(edwards)).verify(plain, message)
    except (InvalidSignature, ValueError):
        return False
    return True

"""The keys behind linking by eight letters: the letters wrap both sides' ephemeral keys."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from local.whatsapp.signal.keys import KeyPair
from local.whatsapp.signal.session import hkdf

if TYPE_CHECKING:
    from local.whatsapp.accounts import Account
    from local.whatsapp.binary_xml import Node

WRAPPED_SIZE = 80
_CODE_ROUNDS = 2 << 16


class WrongCodeError(ValueError):
    """The letters typed into the phone are not those the companion shows."""


@dataclass
class CodeOffer:
    """An eight-letter code a companion shows for one phone number."""

    number: str
    reference: bytes
    wrapped_ephemeral: bytes
    expires_at: float
    ephemeral: KeyPair = field(default_factory=KeyPair.generate)
    companion_ephemeral: bytes = b""


def _code_cipher(letters: str, salt: bytes, initial: bytes) -> Cipher[modes.CTR]:
    key = hashlib.pbkdf2_hmac("sha256", letters.encode(), salt, _CODE_ROUNDS, 32)
    return Cipher(algorithms.AES(key), modes.CTR(initial))


def unwrap(letters: str, wrapped: bytes) -> bytes:
    """The companion's ephemeral public key, from its 80 wrapped bytes (salt, initial vector, ciphertext)."""
    decryptor = _code_cipher(letters, wrapped[:32], wrapped[32:48]).decryptor()
    return decryptor.update(wrapped[48:80]) + decryptor.finalize()


def wrap(letters: str, public: bytes) -> bytes:
    """The phone's ephemeral public key in the same form. Slow on purpose: 131,072 rounds of PBKDF2."""
    salt, initial = os.urandom(32), os.urandom(16)
    encryptor = _code_cipher(letters, salt, initial).encryptor()
    return salt + initial + encryptor.update(public) + encryptor.finalize()


def shared_secret(account: Account, companion: bytes, offer: CodeOffer, registration: Node) -> bytes:
    """The secret that authenticates the linking, from the companion's wrapped key bundle.

    Args:
        account: whose phone the letters were typed into.
        companion: the companion's public identity key, as it registered.
        offer: the offer the letters belong to.
        registration: the companion's last stanza, with the bundle.

    Raises:
        WrongCodeError: the letters were wrong, or another companion answered.
    """
    bundle_node = registration.child("link_code_pairing_wrapped_key_bundle")
    wrapped = bundle_node.data() if bundle_node is not None else b""
    shared = offer.ephemeral.agree(offer.companion_ephemeral)
    key = hkdf(shared, b"link_code_pairing_key_bundle_encryption_key", 32, salt=wrapped[:32])
    try:
        bundle = AESGCM(key).decrypt(wrapped[32:44], wrapped[44:], None)
    except InvalidTag as error:
        raise WrongCodeError("the code is wrong") from error
    identity, random = bundle[:32], bundle[64:96]
    if identity != companion:
        raise WrongCodeError("the code was answered by another companion")
    agreed = account.keys.identity.pair.agree(identity)
    return hkdf(shared + agreed + random, b"adv_secret", 32)

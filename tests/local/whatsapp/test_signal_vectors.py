"""Known answers of the Signal protocol: values that the real client produced and accepted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from local.whatsapp.signal import messages
from local.whatsapp.signal.keys import Identity, KeyPair, typed, verify
from local.whatsapp.signal.session import Bundle, Chain, Session, agree, message_keys, step_root

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "signal_vectors.json").read_text())


def _secret(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


@pytest.fixture
def alice() -> Identity:
    return Identity(_secret("alice ed25519 seed"))


@pytest.fixture
def bob() -> Identity:
    return Identity(_secret("bob ed25519 seed"))


def test_public_keys_come_from_their_labels(alice: Identity, bob: Identity) -> None:
    """Identities map to Montgomery form and prekeys derive as the vectors say."""
    keys = VECTORS["keys"]
    assert alice.public.hex() == keys["alice_identity_pub"]
    assert bob.public.hex() == keys["bob_identity_pub"]
    assert KeyPair(_secret("bob spk")).public.hex() == keys["bob_spk_pub"]
    assert KeyPair(_secret("bob pk1")).public.hex() == keys["bob_pk1_pub"]
    assert bob.pair.public == bob.public


def test_signature_over_the_signed_prekey(bob: Identity) -> None:
    """The signature equals the known one, verifies, and fails for another message."""
    message = typed(KeyPair(_secret("bob spk")).public)
    signature = bob.sign(message)
    assert signature.hex() == VECTORS["keys"]["bob_spk_sig"]
    assert signature[63] >> 7 == VECTORS["keys"]["bob_spk_sig_signbit"]
    assert verify(bob.public, message, signature)
    assert not verify(bob.public, message + b"!", signature)


def test_x3dh_and_first_chain(alice: Identity, bob: Identity) -> None:
    """Root key, first sending chain and the keys of message 0 are the known ones."""
    spk, prekey, base = (KeyPair(_secret(name)) for name in ("bob spk", "bob pk1", "alice base"))
    secrets = [alice.pair.agree(spk.public), base.agree(bob.public), base.agree(spk.public), base.agree(prekey.public)]
    assert [secret.hex() for secret in secrets] == VECTORS["x3dh"]["dhs"]
    root, chain = agree(secrets)
    assert (root.hex(), chain.hex()) == (VECTORS["x3dh"]["root"], VECTORS["x3dh"]["chain"])
    root, chain = step_root(root, KeyPair(_secret("alice ratchet 1")), spk.public)
    assert (root.hex(), chain.hex()) == (VECTORS["first_sending"]["root"], VECTORS["first_sending"]["chain"])
    keys = message_keys(Chain(chain).step())
    known = VECTORS["message_0"]
    assert (keys.aes.hex(), keys.mac.hex(), keys.iv.hex()) == (known["aes_key"], known["mac_key"], known["iv"])


def test_conversation_of_three_messages_byte_for_byte(alice: Identity, bob: Identity) -> None:
    """Prekey message, answer and third message equal the known bytes and decrypt on the other side."""
    spk, prekey = KeyPair(_secret("bob spk")), KeyPair(_secret("bob pk1"))
    bundle = Bundle(0, bob.public, 7, spk.public, bob.sign(typed(spk.public)), 8, prekey.public)
    known = messages.parse_prekey_message(bytes.fromhex(VECTORS["pkmsg"]))
    base, ratchet = KeyPair(_secret("alice base")), KeyPair(_secret("alice ratchet 1"))
    sender = Session.initiate(alice, bundle, base, ratchet)
    padded = bytes.fromhex(VECTORS["plaintext_padded"])
    opening = messages.PreKeyMessage(
        known.registration_id,
        known.prekey_id,
        known.signed_prekey_id,
        sender.base_key,
        alice.public,
        sender.encrypt(alice.public, padded),
    )
    assert opening.serialize().hex() == VECTORS["pkmsg"]

    receiver = Session.respond(bob, spk, prekey, known.identity, known.base_key)
    bob_ratchet = KeyPair(_secret("bob ratchet 1"))
    assert receiver.decrypt(bob.public, known.message, bob_ratchet) == padded
    reply = bytes.fromhex(VECTORS["reply_msg"])
    alice_ratchet = KeyPair(_secret("alice ratchet 2"))
    reply_padded = sender.decrypt(alice.public, reply, alice_ratchet)
    assert receiver.encrypt(bob.public, reply_padded) == reply
    third = bytes.fromhex(VECTORS["third_msg"])
    third_padded = receiver.decrypt(bob.public, third, KeyPair(_secret("unused")))
    assert sender.encrypt(alice.public, third_padded) == third

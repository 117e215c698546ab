"""The Noise handshake and the certificates, from the client's side."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from local.whatsapp import protobuf
from local.whatsapp.certificates import ensure_tls_files, noise_credentials, noise_root, server_tls_context
from local.whatsapp.noise import Cipher, NoiseError, ServerHandshake, SymmetricState
from local.whatsapp.redirect import client_environment, sitecustomize
from local.whatsapp.signal.keys import KeyPair, verify

if TYPE_CHECKING:
    from pathlib import Path


def _client(server: ServerHandshake, static: KeyPair, payload: bytes) -> tuple[bytes, bytes, bytes, Cipher, Cipher]:
    """A client's half: returns its last message, the server's key and chain, and its two ciphers."""
    ephemeral, state = KeyPair.generate(), SymmetricState()
    state.mix_hash(ephemeral.public)
    answer = server.answer_hello(protobuf.encode([(2, protobuf.encode([(1, ephemeral.public)]))]))
    hello = protobuf.decode(protobuf.blob(protobuf.decode(answer), 3))
    theirs = protobuf.blob(hello, 1)
    state.mix_hash(theirs)
    state.mix_key(ephemeral.agree(theirs))
    server_static = state.decrypt(protobuf.blob(hello, 2))
    state.mix_key(ephemeral.agree(server_static))
    chain = state.decrypt(protobuf.blob(hello, 3))
    sealed = state.encrypt(static.public)
    state.mix_key(static.agree(theirs))
    finish = protobuf.encode([(4, protobuf.encode([(1, sealed), (2, state.encrypt(payload))]))])
    outbound, inbound = state.split()
    return finish, server_static, chain, outbound, inbound


def test_handshake_agrees_and_carries_stanzas_both_ways() -> None:
    """Both sides know each other's key and payload afterwards and read each other's frames in order."""
    credentials, static = noise_credentials(), KeyPair.generate()
    server = ServerHandshake(credentials.static, credentials.chain)
    finish, server_static, _chain, outbound, inbound = _client(server, static, b"who I am")
    established = server.finish(finish)
    assert server_static == credentials.static.public
    assert (established.client_static, established.payload) == (static.public, b"who I am")
    for text in (b"one", b"two"):
        assert established.inbound.decrypt(outbound.encrypt(text)) == text
        assert inbound.decrypt(established.outbound.encrypt(text)) == text


def test_tampered_handshake_and_replayed_frames_are_refused() -> None:
    """A changed byte in the last message, or a frame that comes twice, is noticed."""
    credentials = noise_credentials()
    for position in (10, 60):
        server = ServerHandshake(credentials.static, credentials.chain)
        finish = bytearray(_client(server, KeyPair.generate(), b"payload")[0])
        finish[position] ^= 1
        with pytest.raises(NoiseError):
            server.finish(bytes(finish))
    server = ServerHandshake(credentials.static, credentials.chain)
    finished, _, _, outbound, _ = _client(server, KeyPair.generate(), b"payload")
    established = server.finish(finished)
    frame = outbound.encrypt(b"once")
    established.inbound.decrypt(frame)
    with pytest.raises(NoiseError):
        established.inbound.decrypt(frame)


def test_certificate_chain_passes_the_clients_checks() -> None:
    """Root signs intermediate, intermediate signs leaf, serials match, both are in date, the leaf names the key."""
    credentials = noise_credentials()
    chain = protobuf.decode(credentials.chain)
    certificates = {}
    for name, number in (("leaf", 1), ("intermediate", 2)):
        raw = protobuf.decode(protobuf.blob(chain, number))
        certificates[name] = (protobuf.blob(raw, 1), protobuf.blob(raw, 2), protobuf.decode(protobuf.blob(raw, 1)))
    leaf, intermediate = certificates["leaf"], certificates["intermediate"]
    assert verify(noise_root().public, intermediate[0], intermediate[1])
    assert verify(protobuf.blob(intermediate[2], 3), leaf[0], leaf[1])
    assert protobuf.integer(intermediate[2], 2, default=0) == 0
    assert protobuf.integer(leaf[2], 2) == protobuf.integer(intermediate[2], 1)
    assert protobuf.blob(leaf[2], 3) == credentials.static.public
    for _, _, details in (leaf, intermediate):
        assert protobuf.integer(details, 4) < time.time() < protobuf.integer(details, 5)


def test_redirect_writes_this_root() -> None:
    """The key that the redirect writes into the client is the one that signs the chain."""
    assert noise_root().public == sitecustomize.SIMULATOR_ROOT


def test_redirect_refuses_an_unknown_library() -> None:
    """A library without WhatsApp's key is refused with a clear message."""
    with pytest.raises(sitecustomize.RootKeyError, match="0 times"):
        sitecustomize.exchange_root("no-such-library.so")


def test_tls_files_are_made_once_and_bundle_holds_both(tmp_path: Path) -> None:
    """A second start keeps the authority; the bundle holds it beside the system's; the context loads."""
    files = ensure_tls_files(tmp_path)
    authority = files.authority.read_bytes()
    assert ensure_tls_files(tmp_path).authority.read_bytes() == authority
    assert files.bundle.read_bytes().endswith(authority)
    assert files.server.stat().st_mode & 0o077 == 0
    server_tls_context(files)


def test_client_environment_turns_only_what_it_must(tmp_path: Path) -> None:
    """The proxy leads to the simulator, the cloud's and the machine's own addresses stay direct."""
    environment = client_environment(8090, tmp_path, python_path="/srv/app")
    assert environment["HTTPS_PROXY"] == environment["https_proxy"] == "http://127.0.0.1:8090"
    assert environment["SSL_CERT_FILE"] == str(tmp_path / "ca-bundle.pem")
    assert environment["PYTHONPATH"].endswith("redirect:/srv/app")
    assert {"127.0.0.1", ".amazonaws.com"} <= set(environment["NO_PROXY"].split(","))
    assert environment["NEONIZE_BOT_TAG"] == "off"

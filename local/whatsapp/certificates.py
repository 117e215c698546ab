"""Certificates: the Noise chain under a deterministic root, and a TLS authority of the simulator's own.

The Noise root is derived from a fixed label, because the client has to be told its public key before the
simulator runs (see ``redirect/sitecustomize.py``). It protects nothing: whoever trusts it talks to a simulator.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.whatsapp import protobuf
from local.whatsapp.signal.keys import Identity, KeyPair

_ROOT_LABEL = b"whatsapp simulator noise root"
_YEAR_S = 365 * 24 * 3600
_HOSTS = ("web.whatsapp.com", "*.whatsapp.com", "*.whatsapp.net", "localhost")


def noise_root() -> Identity:
    """The root that signs the Noise certificates; the same in every simulator."""
    return Identity(hashlib.sha256(_ROOT_LABEL).digest())


@dataclass(frozen=True)
class NoiseCredentials:
    """The server's static pair and the serialized chain that vouches for it."""

    static: KeyPair
    chain: bytes


def _noise_certificate(signer: Identity, serial: int, issuer: int, key: bytes, now: int) -> bytes:
    details = protobuf.encode([(1, serial), (2, issuer), (3, key), (4, now - _YEAR_S), (5, now + 10 * _YEAR_S)])
    return protobuf.encode([(1, details), (2, signer.sign(details))])


def noise_credentials(now: float | None = None) -> NoiseCredentials:
    """Make the server's static pair and its chain: root signs intermediate, intermediate signs leaf.

    Args:
        now: seconds since 1970; the chain is valid from a year before to ten years after.
    """
    seconds = int(time.time() if now is None else now)
    intermediate = Identity(hashlib.sha256(_ROOT_LABEL + b" intermediate").digest())
    static = KeyPair(hashlib.sha256(_ROOT_LABEL + b" static").digest())
    middle = _noise_certificate(noise_root(), 1, 0, intermediate.public, seconds)
    leaf = _noise_certificate(intermediate, 2, 1, static.public, seconds)
    return NoiseCredentials(static, protobuf.encode([(1, leaf), (2, middle)]))


@dataclass(frozen=True)
class TlsFiles:
    """Where the simulator's TLS material lies inside its state directory."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The self-made authority's certificate."""
        return self.directory / "ca.pem"

    @property
    def bundle(self) -> Path:
        """The system's authorities and the self-made one, for clients that also talk to others."""
        return self.directory / "ca-bundle.pem"

    @property
    def server(self) -> Path:
        """Certificate and key the simulator presents."""
        return self.directory / "server.pem"


def _certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    issuer_name, issuer_key = issuer or (name, key)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=820))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if issuer is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in _HOSTS])
        builder = builder.add_extension(names, critical=False).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _system_bundle() -> bytes:
    path = ssl.get_default_verify_paths().openssl_cafile
    return Path(path).read_bytes() if Path(path).is_file() else b""


def ensure_tls_files(directory: Path) -> TlsFiles:
    """Make the authority and the server certificate once; later starts reuse them.

    Args:
        directory: the simulator's state directory, which exists.
    """
    files = TlsFiles(directory)
    if not (files.authority.exists() and files.server.exists() and files.bundle.exists()):
        authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = _certificate("WhatsApp simulator authority", authority_key, None)
        server = _certificate("web.whatsapp.com", server_key, (authority.subject, authority_key))
        pem = serialization.Encoding.PEM
        private = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        files.server.touch(mode=0o600)
        files.server.write_bytes(server.public_bytes(pem) + private)
        files.bundle.write_bytes(_system_bundle() + b"\n" + authority.public_bytes(pem))
        files.authority.write_bytes(authority.public_bytes(pem))
    return files


def server_tls_context(files: TlsFiles) -> ssl.SSLContext:
    """The TLS context of the simulator's side of a CONNECT tunnel."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server)
    context.set_alpn_protocols(["http/1.1"])
    return context

"""Receivers of webhooks on loopback, well and ill behaved, over plain TCP or TLS."""

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behaviour = Callable[[socket.socket, bytes], None]


class Receiver:
    """What a receiver saw: raw requests, one per connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[bytes] = []
        self.server_names: list[str | None] = []


@contextlib.contextmanager
def receiving(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver that hands each connection, with the request it read from it, to ``behaviour``."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    receiver = Receiver(listener.getsockname()[1])
    over = threading.Event()
    if tls is not None:
        tls.sni_callback = lambda _stream, name, _context: receiver.server_names.append(name)

    def serve() -> None:
        while not over.is_set():
            try:
                stream, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=answer, args=(stream,), daemon=True).start()

    def answer(stream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            stream.settimeout(5)
            if tls is not None:
                stream = tls.wrap_socket(stream, server_side=True)
            with stream:
                request = _read(stream)
                receiver.requests.append(request)
                behaviour(stream, request)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        over.set()
        thread.join()
        listener.close()


def saying(answer: bytes) -> Behaviour:
    """Answer with these bytes and close."""
    return lambda stream, _request: stream.sendall(answer)


def dripping(start: bytes, endless: bytes, every: float) -> Behaviour:
    """Answer with ``start`` and then ``endless``, over and over, until the other side has enough."""

    def drip(stream: socket.socket, _request: bytes) -> None:
        stream.sendall(start)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            stream.sendall(endless)
            time.sleep(every)

    return drip


def _read(stream: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = stream.recv(65536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
    )
    while len(body) < length:
        body += stream.recv(65536)
    return head + b"\r\n\r\n" + body


def certificates(directory: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS settings of a receiver with a self-signed certificate, and of one who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / "certificate.pem", directory / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate_path, key_path)
    return server, ssl.create_default_context(cafile=str(certificate_path))

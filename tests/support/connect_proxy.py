"""A small HTTP CONNECT proxy in front of the simulator, which asks for a password and can misbehave."""

import base64
import contextlib
import socket
import socketserver
import threading
from types import TracebackType
from typing import Self

USER, PASSWORD = "clinica", "senha"


class ConnectProxy:
    """Passes tunnels on to the simulator, itself a proxy, for those who know the password.

    Args:
        upstream: the simulator's port.
    """

    def __init__(self, upstream: int) -> None:
        self.tunnels: list[str] = []
        self.refused = 0
        self.silent = False
        self._upstream = upstream
        self._open: set[socket.socket] = set()
        self._server: socketserver.ThreadingTCPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """The proxy's URL with its password."""
        return f"http://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, after a stop on the same port again."""
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                proxy._serve(self.connection)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more and break every tunnel."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.drop()

    def drop(self) -> None:
        """Break every tunnel."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            head = _head(client)
            if self.silent:
                client.recv(1)  # until the client has had enough
                return
            target = head.split(b" ", 2)[1].decode() if head else ""
            basic = base64.b64encode(f"{USER}:{PASSWORD}".encode())
            if b"proxy-authorization: basic " + basic.lower() not in head.lower():
                self.refused += 1
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            self.tunnels.append(target)
            with socket.create_connection(("127.0.0.1", self._upstream), timeout=5) as onward:
                onward.settimeout(None)
                self._open.add(onward)
                onward.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
                back = threading.Thread(target=_pump, args=(onward, client), daemon=True)
                back.start()
                _pump(client, onward)
                back.join()
                self._open.discard(onward)
        except OSError:
            return
        finally:
            self._open.discard(client)


def _head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(4096)
        if not more:
            return b""
        head += more
    return head


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for connection in (source, target):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

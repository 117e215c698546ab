"""Where a webhook may go: public https addresses only, so that a URL cannot be used to reach into our network (SSRF).

The name is resolved once, all its addresses are judged, and the connection is made to a judged address, so that a name
which changes its mind between check and use (DNS rebinding) gains nothing.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from recado.kernel.errors import InvalidWebhookUrlError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_URL = 2048
RESOLVE_SECONDS = 3.0
_DEFAULT_PORTS = {"https": 443, "http": 80}
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}|[0-9A-Fa-f:.]{2,45}")
# Visible ASCII without the characters that parsers read differently from one another.
_URL = re.compile(r"[!#-;=?-\[\]_a-z~]+")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
# The IPv6 space that is handed out at all, and the parts of it that wrap an IPv4 address of the sender's choice.
_IPV6_GLOBAL = ipaddress.IPv6Network("2000::/3")
_IPV6_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/23"))  # 6to4; Teredo and ORCHID


class Resolver(Protocol):
    """Turns a host into addresses."""

    def __call__(self, host: str, port: int, /) -> Sequence[str]:
        """Return the addresses of the host, in the order of preference.

        Raises:
            OSError: the name does not exist or nobody answered in time.
        """
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL with the addresses it may be reached at."""

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]

    @property
    def host_header(self) -> str:
        """Return what the Host header says: brackets round IPv6, the port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def is_public(address: IPAddress) -> bool:
    """Say whether the address belongs to the public internet, looking through IPv4-mapped and NAT64 forms."""
    address = _unwrapped(address)
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address in _IPV6_GLOBAL and not any(address in network for network in _IPV6_TUNNELS)


class AddressGuard:
    """Decides which URLs may be posted to.

    Args:
        allowed: networks that may be reached although they are not public, over plain http too; empty in production.
        resolver: how names become addresses.
    """

    def __init__(self, allowed: Sequence[str] = (), resolver: Resolver | None = None) -> None:
        self._allowed: list[IPNetwork] = [ipaddress.ip_network(network) for network in allowed]
        self._resolve = resolver or resolve

    def check(self, url: str) -> Target:
        """Check a URL and resolve it.

        Raises:
            InvalidWebhookUrlError: the URL is malformed, not https, carries credentials, or one of its addresses is
                not public.
            OSError: the name cannot be resolved now.
        """
        parts = _parsed(url)
        host = (parts.hostname or "").rstrip(".")
        port = parts.port if parts.port is not None else _DEFAULT_PORTS[parts.scheme]
        addresses = self._resolve(host, port)
        if not addresses:
            raise OSError("the name has no address")
        for text in addresses:
            self._judge(parts.scheme, text)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, port, path, tuple(addresses))

    def _judge(self, scheme: str, text: str) -> None:
        try:
            address = _unwrapped(ipaddress.ip_address(text))
        except ValueError:
            raise _refused("it leads to something that is no internet address") from None
        if any(address.version == network.version and address in network for network in self._allowed):
            return
        if scheme != "https":
            raise _refused("only https is accepted")
        if not is_public(address):
            raise _refused("it leads to an address that is not public")


def resolve(host: str, port: int) -> list[str]:
    """Return the host's addresses from the system's resolver, waiting at most 3 seconds.

    Raises:
        OSError: the name does not exist or nobody answered in time.
    """
    # getaddrinfo takes no time-out, so it is asked on a thread of its own that may be left behind.
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="resolve")
    try:
        future: Future[list[str]] = executor.submit(_look_up, host, port)
        return future.result(timeout=RESOLVE_SECONDS)
    except FutureTimeoutError:
        raise OSError("the name was not resolved in time") from None
    except UnicodeError:
        raise OSError("the name cannot be looked up") from None
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _parsed(url: str) -> SplitResult:
    if len(url) > LONGEST_URL:
        raise _refused(f"it is longer than {LONGEST_URL} characters")
    if not _URL.fullmatch(url):
        raise _refused("it holds characters that must be percent-encoded, or a name that is not in its xn-- form")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("it cannot be read") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise _refused("only https is accepted")
    if "@" in parts.netloc:
        raise _refused("it must not carry a user name or password")
    if port == 0 or not _HOST.fullmatch((parts.hostname or "").rstrip(".")):
        raise _refused("it names no host")
    return parts


def _unwrapped(address: IPAddress) -> IPAddress:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _refused(why: str) -> InvalidWebhookUrlError:
    return InvalidWebhookUrlError(f"the URL cannot be used: {why}", field="url")

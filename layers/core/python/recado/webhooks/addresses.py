"""Where a webhook may go: public https addresses only, so that a URL cannot be used to reach into our network (SSRF).

The name is resolved once, all its addresses are judged, and the connection is made to a judged address, so that a name
which changes its mind between check and use (DNS rebinding) gains nothing.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from recado.kernel.addresses import IPNetwork, Resolver, is_in, is_public, resolve
from recado.kernel.errors import InvalidWebhookUrlError

__all__ = ["AddressGuard", "Target", "is_public", "resolve"]

LONGEST_URL = 2048
_DEFAULT_PORTS = {"https": 443, "http": 80}
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}|[0-9A-Fa-f:.]{2,45}")
# Visible ASCII without the characters that parsers read differently from one another.
_URL = re.compile(r"[!#-;=?-\[\]_a-z~]+")


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
            address = ipaddress.ip_address(text)
        except ValueError:
            raise _refused("it leads to something that is no internet address") from None
        if is_in(address, self._allowed):
            return
        if scheme != "https":
            raise _refused("only https is accepted")
        if not is_public(address):
            raise _refused("it leads to an address that is not public")


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


def _refused(why: str) -> InvalidWebhookUrlError:
    return InvalidWebhookUrlError(f"the URL cannot be used: {why}", field="url")

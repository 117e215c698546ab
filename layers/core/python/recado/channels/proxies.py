"""The proxy of a channel: a clinic's own way to WhatsApp, so that its number appears where the clinic is.

An HTTP CONNECT proxy only. A SOCKS5 proxy that never answers would hang the client's dial for ever (measured, neonize
0.5.2; an HTTP one for a minute). The URL holds a password: it is stored sealed, shown as ``host:port``, never logged.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

from recado.aws.sealing import open_sealed, seal
from recado.channels.model import Channel
from recado.channels.settings import proxy_allowed_networks
from recado.kernel.addresses import Resolver, is_in, is_public, resolve
from recado.kernel.errors import InvalidRequestError

PURPOSE = "channel_proxy"
LONGEST_URL = 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}


class ProxyNotAllowedError(Exception):
    """The proxy leads to an address that is not public."""


@dataclass(frozen=True, slots=True)
class SealedProxy:
    """A proxy as it is kept: ``address`` is its ``host:port`` to show, ``sealed`` the URL under the clinic's key."""

    address: str
    sealed: bytes


def seal_proxy(clinic_id: str, url: str, *, resolver: Resolver = resolve) -> SealedProxy:
    """Check a proxy's URL and seal it.

    Args:
        clinic_id: whose proxy.
        url: ``http://[user:password@]host[:port]`` or the same with ``https``.
        resolver: how names become addresses.

    Raises:
        InvalidRequestError: it is no such URL, or not at a public address; the field is ``proxy``.
        DataErasedError: the clinic's data key was erased.
    """
    parts = _parsed(url)
    try:
        _judged(parts, proxy_allowed_networks(), resolver)
    except ProxyNotAllowedError:
        raise _refused("it leads to an address that is not public") from None
    except OSError:
        raise _refused("its name cannot be resolved") from None
    return SealedProxy(_address(parts), seal(url.encode(), clinic_id, PURPOSE))


def proxy_of(channel: Channel, *, resolver: Resolver = resolve) -> str | None:
    """Return the URL that the channel connects through, with the address it was just checked for; None if it has none.

    The name of an ``http`` proxy is replaced by a judged address, so that the client cannot resolve it to another. A
    ``https`` proxy keeps its name, which its certificate has to prove.

    Raises:
        ProxyNotAllowedError: it leads to an address that is not public (any more).
        OSError: its name cannot be resolved now.
        SealBrokenError: it was not sealed for this clinic.
        DataErasedError: the clinic's data key was erased.
    """
    if channel.proxy_sealed is None:
        return None
    url = open_sealed(channel.proxy_sealed, channel.clinic_id, PURPOSE).decode()
    parts = _parsed(url)
    address = _judged(parts, proxy_allowed_networks(), resolver)
    if parts.scheme == "https":
        return url
    host = f"[{address}]" if ":" in address else address
    user, separator, _ = parts.netloc.rpartition("@")
    return urlunsplit(("http", f"{user}{separator}{host}:{_port(parts)}", "", "", ""))


def _parsed(url: str) -> SplitResult:
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise _refused(f"it has up to {LONGEST_URL} visible ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("it cannot be read") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise _refused("only http and https proxies are possible, no SOCKS")
    if not parts.hostname or port == 0:
        raise _refused("it names no host")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise _refused("it ends after the port")
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS[parts.scheme]


def _address(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]:{_port(parts)}" if ":" in host else f"{host}:{_port(parts)}"


def _judged(parts: SplitResult, allowed: Sequence[str], resolver: Resolver) -> str:
    """Return the first address of the host once all of them are judged."""
    addresses = resolver((parts.hostname or "").rstrip("."), _port(parts))
    if not addresses:
        raise OSError("the name has no address")
    networks = [ipaddress.ip_network(network) for network in allowed]
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise ProxyNotAllowedError from None
        if not is_in(address, networks) and not is_public(address):
            raise ProxyNotAllowedError
    return addresses[0]


def _refused(why: str) -> InvalidRequestError:
    return InvalidRequestError(f"The proxy cannot be used: {why}.", field="proxy")

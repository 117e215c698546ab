"""Which internet addresses may be connected to on a customer's word: public ones only (server-side request forgery).

A name is resolved once, all its addresses are judged, and the connection is made to a judged address, so that a name
which changes its mind between check and use (DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Protocol

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

RESOLVE_SECONDS = 3.0
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


def is_public(address: IPAddress) -> bool:
    """Say whether the address belongs to the public internet, looking through IPv4-mapped and NAT64 forms."""
    address = unwrapped(address)
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address in _IPV6_GLOBAL and not any(address in network for network in _IPV6_TUNNELS)


def is_in(address: IPAddress, networks: Sequence[IPNetwork]) -> bool:
    """Say whether the address, looked through to what it wraps, is in one of the networks."""
    address = unwrapped(address)
    return any(address.version == network.version and address in network for network in networks)


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


def unwrapped(address: IPAddress) -> IPAddress:
    """Return the IPv4 address inside an IPv4-mapped or NAT64 one; any other as it is."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address

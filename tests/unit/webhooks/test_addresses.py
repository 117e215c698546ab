"""The SSRF guard: which URLs a webhook may be posted to."""

import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.kernel.errors import InvalidWebhookUrlError
from recado.webhooks.addresses import AddressGuard, is_public, resolve

PUBLIC_V4 = "93.184.215.14"
PUBLIC_V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


class Names:
    """A resolver that knows only what it was told, and counts how often it is asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.addresses


def test_a_public_https_url_is_accepted_with_its_addresses() -> None:
    names = Names(PUBLIC_V4, PUBLIC_V6)
    target = AddressGuard(resolver=names).check("https://Example.com/hooks?clinic=1#part")
    assert (target.scheme, target.host, target.port) == ("https", "example.com", 443)
    assert target.path == "/hooks?clinic=1"
    assert target.addresses == (PUBLIC_V4, PUBLIC_V6)
    assert target.host_header == "example.com"
    assert names.asked == [("example.com", 443)]


def test_the_host_header_carries_an_unusual_port_and_brackets() -> None:
    guard = AddressGuard(resolver=Names(PUBLIC_V6))
    assert guard.check("https://example.com:8443/").host_header == "example.com:8443"
    assert guard.check(f"https://[{PUBLIC_V6}]/").host_header == f"[{PUBLIC_V6}]"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https:///path",
        "https://./",
        "https://",
        "example.com",
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:port/",
        "https://exam ple.com/",
        "https://example.com/a b",
        "https://example.com\\@10.0.0.1/",
        "https://example.com/\r\nHost: x",
        "https://exämple.com/",
        "https://example.com%00.internal/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://example.com/" + "a" * 2048,
        "",
    ],
)
def test_a_url_of_the_wrong_form_is_refused_before_anything_is_resolved(url: str) -> None:
    names = Names(PUBLIC_V4)
    with pytest.raises(InvalidWebhookUrlError) as refusal:
        AddressGuard(resolver=names).check(url)
    assert refusal.value.field == "url"
    assert names.asked == [] or url.startswith("http:")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104 - an address to refuse, not one to bind
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # EC2 instance metadata
        "169.254.170.2",  # ECS task credentials
        "100.64.0.1",
        "100.100.100.200",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::10.0.0.1",
        "2002:0a00:0001::1",
        "2002:5db8:d70e::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",  # EC2 instance metadata over IPv6
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_public_is_refused_even_beside_a_public_one(address: str) -> None:
    for addresses in [(address,), (PUBLIC_V4, address), (address, PUBLIC_V4)]:
        with pytest.raises(InvalidWebhookUrlError):
            AddressGuard(resolver=Names(*addresses)).check("https://example.com/")


def test_public_addresses_are_seen_through_their_wrapped_forms() -> None:
    guard = AddressGuard(resolver=Names(f"::ffff:{PUBLIC_V4}", f"64:ff9b::{PUBLIC_V4}"))
    assert guard.check("https://example.com/").host == "example.com"


def test_an_allowed_network_may_be_reached_over_plain_http_and_nothing_beside_it() -> None:
    guard = AddressGuard(["127.0.0.0/8", "::1/128"], resolver=Names("127.0.0.1", "::1"))
    assert guard.check("http://localhost:8070/").port == 8070
    mixed = AddressGuard(["127.0.0.0/8"], resolver=Names("127.0.0.1", PUBLIC_V4))
    with pytest.raises(InvalidWebhookUrlError, match="only https"):
        mixed.check("http://example.com/")
    with pytest.raises(InvalidWebhookUrlError, match="not public"):
        AddressGuard(["127.0.0.0/8"], resolver=Names("10.0.0.1")).check("https://example.com/")


def test_a_mapped_address_counts_as_the_address_inside() -> None:
    guard = AddressGuard(["127.0.0.0/8"], resolver=Names("::ffff:127.0.0.1"))
    assert guard.check("http://localhost/").addresses == ("::ffff:127.0.0.1",)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"])
def test_unusual_spellings_of_loopback_lead_to_loopback_and_are_refused(host: str) -> None:
    with pytest.raises(InvalidWebhookUrlError):
        AddressGuard(resolver=resolve).check(f"https://{host}/")


@pytest.mark.parametrize("addresses", [(), ("not an address",)])
def test_a_name_without_usable_addresses_is_not_accepted(addresses: tuple[str, ...]) -> None:
    with pytest.raises((InvalidWebhookUrlError, OSError)):
        AddressGuard(resolver=Names(*addresses)).check("https://example.com/")


@given(st.ip_addresses(v=4))
def test_only_globally_routed_unicast_v4_is_public(address: ipaddress.IPv4Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_private
        assert not address.is_multicast
        assert not address.is_reserved


@given(st.ip_addresses(v=4))
def test_wrapping_a_v4_address_never_makes_it_more_public(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    translated = ipaddress.IPv6Address(f"64:ff9b::{address}")
    tunnelled = ipaddress.IPv6Address(int(ipaddress.IPv6Address("2002::")) | int(address) << 80)
    compatible = ipaddress.IPv6Address(int(address))
    assert is_public(mapped) == is_public(translated) == is_public(address)
    assert not is_public(tunnelled)
    assert not is_public(compatible)


@given(st.ip_addresses(v=6))
def test_public_v6_is_global_unicast(address: ipaddress.IPv6Address) -> None:
    if is_public(address) and address.ipv4_mapped is None and not str(address).startswith("64:ff9b::"):
        assert address in ipaddress.ip_network("2000::/3")


@given(st.text(max_size=60), st.sampled_from(["https://", "http://", "https://example.com", "//", ""]))
def test_no_text_leads_anywhere_but_to_a_target_or_a_refusal(text: str, start: str) -> None:
    try:
        target = AddressGuard(resolver=Names(PUBLIC_V4)).check(start + text)
    except InvalidWebhookUrlError:
        return
    assert target.scheme == "https"
    assert target.host
    assert 1 <= target.port <= 65535
    assert target.path.startswith("/")
    assert not any(character.isspace() for character in target.path + target.host)

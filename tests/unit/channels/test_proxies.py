"""A channel's proxy: public addresses only, sealed for its clinic, pinned to what was judged."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from recado.aws.sealing import SealBrokenError
from recado.channels import proxies
from recado.channels import service as channels
from recado.channels.model import Channel, ChannelState, Desired
from recado.channels.proxies import ProxyNotAllowedError
from recado.channels.settings import proxy_allowed_networks
from recado.kernel.errors import ChannelNotFoundError, ChannelStateError, InvalidRequestError
from tests.unit.channels.conftest import Stage

PUBLIC = "198.41.0.4"
URL = "http://clinica:senha@proxy.example.com:3128"


class Names:
    """A resolver that knows one answer, and counts."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.addresses


def with_proxy(stage: Stage, url: str, *addresses: str) -> Channel:
    sealed = proxies.seal_proxy(stage.clinic_id, url, resolver=Names(*addresses))
    return replace(stage.channel(), proxy_address=sealed.address, proxy_sealed=sealed.sealed)


def test_a_proxy_is_stored_sealed_and_opened_for_its_own_clinic_only(stage: Stage, others: Stage) -> None:
    channel = with_proxy(stage, URL, PUBLIC)
    assert channel.proxy_address == "proxy.example.com:3128"
    assert channel.proxy_sealed is not None
    assert b"senha" not in channel.proxy_sealed
    assert "senha" not in repr(channel)
    with pytest.raises(SealBrokenError):
        proxies.proxy_of(replace(channel, clinic_id=others.clinic_id), resolver=Names(PUBLIC))


def test_an_http_proxy_is_pinned_to_the_judged_address_and_keeps_its_password(stage: Stage) -> None:
    channel = with_proxy(stage, URL, PUBLIC)
    assert proxies.proxy_of(channel, resolver=Names(PUBLIC)) == f"http://clinica:senha@{PUBLIC}:3128"
    six = with_proxy(stage, "http://proxy.example.com", "2606:4700::1111")
    assert proxies.proxy_of(six, resolver=Names("2606:4700::1111")) == "http://[2606:4700::1111]:80"


def test_an_https_proxy_keeps_the_name_its_certificate_proves(stage: Stage) -> None:
    channel = with_proxy(stage, "https://u:p@proxy.example.com", PUBLIC)
    assert proxies.proxy_of(channel, resolver=Names(PUBLIC)) == "https://u:p@proxy.example.com"
    assert channel.proxy_address == "proxy.example.com:443"


def test_a_name_that_later_leads_inside_is_refused_at_the_start(stage: Stage) -> None:
    channel = with_proxy(stage, URL, PUBLIC)
    with pytest.raises(ProxyNotAllowedError):
        proxies.proxy_of(channel, resolver=Names(PUBLIC, "10.0.0.7"))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "169.254.170.2", "::1", "::ffff:127.0.0.1", "fd00::1", "0.0.0.7"],
)
def test_a_proxy_inside_our_network_is_refused_even_beside_a_public_address(stage: Stage, address: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        proxies.seal_proxy(stage.clinic_id, URL, resolver=Names(PUBLIC, address))
    assert refused.value.field == "proxy"
    assert "senha" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "socks5://proxy.example.com:1080",
        "ftp://proxy.example.com",
        "proxy.example.com:3128",
        "http://",
        "http://proxy.example.com:0",
        "http://proxy.example.com:99999",
        "http://proxy.example.com/path",
        "http://proxy.example.com?x",
        "http://proxy example.com",
        "http://próxy.example.com",
        "http://" + "a" * 1100,
        "",
    ],
)
def test_what_is_no_http_proxy_is_refused_before_anything_is_resolved(stage: Stage, url: str) -> None:
    names = Names(PUBLIC)
    with pytest.raises(InvalidRequestError):
        proxies.seal_proxy(stage.clinic_id, url, resolver=names)
    assert names.asked == []


def test_an_allowed_network_may_hold_proxies(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECADO_PROXY_ALLOWED_NETWORKS", '["127.0.0.0/8"]')
    proxy_allowed_networks.cache_clear()
    try:
        channel = with_proxy(stage, "http://127.0.0.1:8888", "127.0.0.1")
        assert proxies.proxy_of(channel, resolver=Names("127.0.0.1")) == "http://127.0.0.1:8888"
    finally:
        proxy_allowed_networks.cache_clear()


def test_a_connected_channel_is_restarted_through_its_new_proxy(stage: Stage) -> None:
    stage.link()
    before = stage.channel()
    stage.clock.advance(1)
    after = channels.set_proxy(*stage.names, f"http://{PUBLIC}:3128", clock=stage.clock)
    assert after.proxy_address == f"{PUBLIC}:3128"
    assert after.restart_requested_at == stage.clock.now() != before.restart_requested_at
    assert (after.desired, after.desired_version) == (Desired.CONNECTED, before.desired_version + 1)
    assert stage.channel() == after
    gone = channels.set_proxy(*stage.names, None, clock=stage.clock)
    assert (gone.proxy_address, gone.proxy_sealed) == (None, None)
    assert channels.set_proxy(*stage.names, None, clock=stage.clock) == gone


def test_a_pairing_under_way_is_begun_anew_through_the_proxy(stage: Stage) -> None:
    channels.request_connect(*stage.names, "qr", clock=stage.clock)
    stage.clock.advance(1)
    after = channels.set_proxy(*stage.names, f"http://{PUBLIC}:3128", clock=stage.clock)
    assert after.pairing is not None
    assert (after.pairing.requested_at, after.state) == (stage.clock.now(), ChannelState.PAIRING)


def test_the_other_clinic_and_a_channel_that_is_being_deleted_take_no_proxy(stage: Stage, others: Stage) -> None:
    with pytest.raises(ChannelNotFoundError):
        channels.set_proxy(others.clinic_id, stage.channel_id, f"http://{PUBLIC}:3128")
    stage.link()
    channels.request_delete(*stage.names, clock=stage.clock)
    with pytest.raises(ChannelStateError):
        channels.set_proxy(*stage.names, f"http://{PUBLIC}:3128")
    assert stage.channel().proxy_address is None

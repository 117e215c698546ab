"""The signer's keys: asked for when needed and not more often, whatever tokens name."""

from typing import Any

import pytest
import urllib3

from functions.api import signing_keys
from functions.api.signing_keys import SigningKeys, UnusableAnswerError, fetch
from recado.kernel.errors import ServiceUnavailableError
from tests.functions.api.identity import KEYS_URL, Provider, published
from tests.support.clock import FixedClock


@pytest.fixture
def provider() -> Provider:
    """Who publishes the keys."""
    return Provider()


@pytest.fixture
def keys(provider: Provider, clock: FixedClock) -> SigningKeys:
    """What the API knows of them."""
    return SigningKeys(KEYS_URL, fetching=provider.fetch, clock=clock)


def test_known_keys_are_asked_for_once_an_hour(keys: SigningKeys, provider: Provider, clock: FixedClock) -> None:
    """A key that was withdrawn is refused within that time."""
    for _ in range(3):
        assert keys.find("first")
        clock.advance(1000)
    assert provider.asked == 1
    provider.keys = published("second")
    clock.advance(1000)
    assert keys.find("first") is None
    assert provider.asked == 2


def test_unknown_keys_make_us_ask_at_most_once_a_minute(
    keys: SigningKeys, provider: Provider, clock: FixedClock
) -> None:
    """Anybody can name keys that do not exist; nobody can make us flood the signer with that."""
    assert keys.find("first")
    for _ in range(100):
        assert keys.find("no such key") is None
        clock.advance(0.59)
    assert provider.asked == 1
    clock.advance(1.1)
    provider.keys = published("first", "second")
    assert keys.find("second")
    assert provider.asked == 2


def test_keys_are_taken_for_a_day_while_the_signer_is_silent(
    keys: SigningKeys, provider: Provider, clock: FixedClock
) -> None:
    """People who are signed in notice nothing of an hour's outage; after a day nobody knows any more."""
    assert keys.find("first")
    provider.fall_silent()
    clock.advance(3601)
    assert keys.find("first")
    with pytest.raises(ServiceUnavailableError):
        keys.find("perhaps a new one")
    clock.advance(24 * 3600)
    with pytest.raises(ServiceUnavailableError):
        keys.find("first")


def test_a_silent_signer_is_asked_every_five_seconds(keys: SigningKeys, provider: Provider, clock: FixedClock) -> None:
    """Requests in between do not wait for a time-out each; as soon as it answers, all is well."""
    provider.fall_silent()
    for _ in range(10):
        with pytest.raises(ServiceUnavailableError):
            keys.find("first")
        clock.advance(0.45)
    assert provider.asked == 1
    provider.failure = None
    clock.advance(1)
    assert keys.find("first")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": [1]}',
        b'{"keys": {"kid": "first"}}',
        b"\xff",
        b'{"keys": [{"kid": "first", "kty": "RSA", "use": "sig", "alg": "RS256", "n": "", "e": ""}]}',
    ],
)
def test_an_answer_that_makes_no_sense_is_no_answer(answer: bytes) -> None:
    """Neither a crash nor a set of no keys, which would refuse everybody."""
    with pytest.raises(ServiceUnavailableError):
        SigningKeys(KEYS_URL, fetching=lambda _: answer).find("first")


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "oct"}, {"kid": 1}])
def test_keys_for_other_purposes_are_left_out(change: dict[str, Any], provider: Provider) -> None:
    """Only RSA keys for signatures by RS256."""
    (other,) = published("other")
    provider.keys = [*published("first"), {**other, **change}]
    found = SigningKeys(KEYS_URL, fetching=provider.fetch)
    assert found.find("first")
    assert found.find("other") is None


class _Answer:
    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self._body = body

    def read(self, most: int) -> bytes:
        return self._body[:most]

    def release_conn(self) -> None:
        pass


@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (302, b""), (500, b""), (200, b"x" * 70_000)])
def test_anything_but_a_short_success_is_unusable(status: int, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirects are not followed, and a flood is not read to its end."""
    monkeypatch.setattr(signing_keys._pool, "request", lambda *_, **__: _Answer(status, body))
    with pytest.raises(UnusableAnswerError):
        fetch(KEYS_URL)


def test_the_signer_has_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of the API has 29 in all."""
    timeout = signing_keys._pool.connection_pool_kw["timeout"]
    assert isinstance(timeout, urllib3.Timeout)
    assert (timeout.connect_timeout, timeout.read_timeout) == (2.0, 3.0)

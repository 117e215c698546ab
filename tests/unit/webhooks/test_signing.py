"""Secrets and signatures as receivers verify them."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from recado import __version__
from recado.kernel.errors import InvalidRequestError
from recado.webhooks.signing import check_own_secret, new_secret, signed_headers

BODY = '{"text":{"body":"Olá! Confirmo às 14h 😀"}}'.encode()


def test_a_new_secret_is_the_prefix_and_32_bytes_and_never_the_same() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != new_secret()


def test_the_standard_library_of_receivers_accepts_the_signature_and_no_other_body() -> None:
    secret = new_secret()
    headers = signed_headers("evt_1", datetime.now(UTC), BODY, [secret])
    assert Webhook(secret).verify(BODY, headers) == {"text": {"body": "Olá! Confirmo às 14h 😀"}}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.replace(b"14h", b"15h"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


def test_the_timestamp_is_part_of_what_is_signed() -> None:
    secret = new_secret()
    headers = signed_headers("evt_1", datetime.now(UTC), BODY, [secret])
    moved = headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, moved)
    old = signed_headers("evt_1", datetime.now(UTC) - timedelta(minutes=6), BODY, [secret])
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(BODY, old)


def test_the_vector_of_the_specification_is_met() -> None:
    """The example of the Standard Webhooks reference libraries: fixed id, moment, body and secret."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_during_a_rotation_both_secrets_verify_and_the_plain_signature_uses_the_new_one() -> None:
    new, old = new_secret(), new_secret()
    headers = signed_headers("evt_1", datetime.now(UTC), BODY, [new, old])
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        Webhook(secret).verify(BODY, headers)
    expected = hmac.new(new.encode(), BODY, hashlib.sha256).hexdigest()
    assert headers["x-webhook-signature"] == f"sha256={expected}"


def test_the_sender_and_the_content_are_named() -> None:
    headers = signed_headers("evt_1", datetime.now(UTC), BODY, [new_secret()])
    assert headers["user-agent"] == f"Recado/{__version__}"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "evt_1"


@given(st.binary(min_size=24, max_size=64))
def test_a_secret_of_24_to_64_bytes_may_be_brought_along(key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    assert check_own_secret(secret) == secret


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "secret",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_" + "ç" * 40,
        base64.b64encode(b"x" * 32).decode(),
        "whsec_" + base64.b64encode(b"x" * 32).decode() + " ",
    ],
)
def test_a_secret_of_another_form_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        check_own_secret(secret)
    assert refusal.value.field == "secret"
    assert len(secret) < 10 or secret not in refusal.value.detail

"""Sealed secrets open only for their clinic and purpose."""

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from recado.aws import clients
from recado.aws.sealing import SealBrokenError, open_sealed, seal
from recado.kernel.errors import ServiceUnavailableError
from tests.support.aws import EmulatedAws

SECRET = b"whsec_0123456789"


@pytest.mark.parametrize("length", [1, 16, 4096, 4097, 20000, 65536])
def test_what_is_sealed_can_be_opened(aws: EmulatedAws, length: int) -> None:
    """Short and long secrets come back whole, and do not show in what is stored."""
    plaintext = (SECRET * (length // len(SECRET) + 1))[:length]
    sealed = seal(plaintext, "cli_a", "webhook_secret")
    assert open_sealed(sealed, "cli_a", "webhook_secret") == plaintext
    if length >= len(SECRET):
        assert SECRET not in sealed


@pytest.mark.parametrize(("clinic", "purpose"), [("cli_b", "webhook_secret"), ("cli_a", "poison")])
def test_another_clinic_or_purpose_opens_nothing(aws: EmulatedAws, clinic: str, purpose: str) -> None:
    """The other clinic holding the very bytes cannot read them; nor can another use of ours."""
    sealed = seal(SECRET, "cli_a", "webhook_secret")
    with pytest.raises(SealBrokenError):
        open_sealed(sealed, clinic, purpose)


def test_damage_is_noticed(aws: EmulatedAws) -> None:
    """Cut, swapped and foreign bytes are refused."""
    sealed = seal(bytes(4096) + bytes([1]) * 4096, "cli_a", "poison")
    half = 1 + (len(sealed) - 1) // 2
    first, second = sealed[1:half], sealed[half:]
    for damaged in (b"", b"\x01", b"\x02" + sealed[1:], sealed[:-1], b"\x01" + second + first, b"\x01" + first, SECRET):
        with pytest.raises(SealBrokenError):
            open_sealed(damaged, "cli_a", "poison")


@pytest.mark.parametrize("length", [0, 65537])
def test_nothing_and_too_much_cannot_be_sealed(aws: EmulatedAws, length: int) -> None:
    """The bounds are refused before KMS is asked."""
    with pytest.raises(ValueError, match="can be sealed"):
        seal(bytes(length), "cli_a", "poison")


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ThrottlingException"}}, "Encrypt"),
        ClientError({"Error": {"Code": "KMSInternalException"}}, "Encrypt"),
        ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
    ],
)
def test_an_outage_of_the_key_store_is_no_broken_seal(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Trying again later is right, discarding the secret would be wrong."""
    sealed = seal(SECRET, "cli_a", "webhook_secret")

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(clients.kms(), "encrypt", fail)
    monkeypatch.setattr(clients.kms(), "decrypt", fail)
    with pytest.raises(ServiceUnavailableError):
        seal(SECRET, "cli_a", "webhook_secret")
    with pytest.raises(ServiceUnavailableError):
        open_sealed(sealed, "cli_a", "webhook_secret")


def test_a_missing_permission_is_neither(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own mistake comes through as it is."""
    denied = ClientError({"Error": {"Code": "AccessDeniedException"}}, "Decrypt")
    sealed = seal(SECRET, "cli_a", "webhook_secret")

    def fail(**_: object) -> None:
        raise denied

    monkeypatch.setattr(clients.kms(), "decrypt", fail)
    with pytest.raises(ClientError):
        open_sealed(sealed, "cli_a", "webhook_secret")

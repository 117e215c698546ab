"""Sealed secrets open only for their clinic and purpose."""

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from recado.aws import clients, data_keys
from recado.aws.sealing import SealBrokenError, open_sealed, seal
from recado.kernel.errors import DataErasedError, ServiceUnavailableError
from tests.support.aws import KEY_ALIAS, EmulatedAws

SECRET = b"whsec_0123456789"


def sealed_in_the_first_format(plaintext: bytes, clinic: str, purpose: str, block_bytes: int = 4096) -> bytes:
    """What this platform wrote before clinics had data keys."""
    blocks = [plaintext[at : at + block_bytes] for at in range(0, len(plaintext), block_bytes)]
    sealed = b"\x01"
    for number, block in enumerate(blocks):
        context = {"clinic": clinic, "purpose": purpose, "block": f"{number + 1}/{len(blocks)}"}
        answer = clients.kms().encrypt(KeyId=KEY_ALIAS, Plaintext=block, EncryptionContext=context)
        sealed += len(answer["CiphertextBlob"]).to_bytes(4, "big") + answer["CiphertextBlob"]
    return sealed


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


def test_another_clinic_with_a_key_of_its_own_opens_nothing(aws: EmulatedAws) -> None:
    """Nor does naming the other clinic's key in the seal help: clinic and key are bound into it."""
    sealed = seal(SECRET, "cli_a", "webhook_secret")
    own = seal(SECRET, "cli_b", "webhook_secret")
    for stolen in (sealed, sealed[:1] + own[1:9] + sealed[9:]):
        with pytest.raises(SealBrokenError):
            open_sealed(stolen, "cli_b", "webhook_secret")


@pytest.mark.parametrize("length", [0, 1, 5, 9, 36, 37])
def test_what_is_cut_short_is_refused(aws: EmulatedAws, length: int) -> None:
    """No length of a beginning passes for the whole."""
    sealed = seal(SECRET, "cli_a", "poison")
    with pytest.raises(SealBrokenError):
        open_sealed(sealed[:length], "cli_a", "poison")


def test_a_changed_byte_is_noticed_wherever_it_is(aws: EmulatedAws) -> None:
    """Format, key id, nonce, ciphertext and tag are all covered."""
    sealed = seal(SECRET, "cli_a", "poison")
    for place in range(len(sealed)):
        damaged = sealed[:place] + bytes([sealed[place] ^ 1 << 7]) + sealed[place + 1 :]
        with pytest.raises(SealBrokenError):
            open_sealed(damaged, "cli_a", "poison")


def test_what_was_never_sealed_is_refused(aws: EmulatedAws) -> None:
    """A secret in the clear is not taken for a seal."""
    with pytest.raises(SealBrokenError):
        open_sealed(SECRET, "cli_a", "poison")


def test_an_erased_key_takes_everything_sealed_under_it_along(aws: EmulatedAws) -> None:
    """And nothing new is sealed for that clinic, while the other clinic's secrets stay readable."""
    sealed, others = seal(SECRET, "cli_a", "poison"), seal(SECRET, "cli_b", "poison")
    data_keys.erase("cli_a")
    with pytest.raises(DataErasedError):
        open_sealed(sealed, "cli_a", "poison")
    with pytest.raises(DataErasedError):
        seal(SECRET, "cli_a", "poison")
    assert open_sealed(others, "cli_b", "poison") == SECRET


@pytest.mark.parametrize("length", [1, 4096, 4097, 20000])
def test_seals_of_the_first_format_are_still_opened(aws: EmulatedAws, length: int) -> None:
    """Endpoints registered before clinics had data keys go on signing."""
    plaintext = (SECRET * (length // len(SECRET) + 1))[:length]
    old = sealed_in_the_first_format(plaintext, "cli_a", "webhook_secret")
    assert open_sealed(old, "cli_a", "webhook_secret") == plaintext
    for clinic, purpose in (("cli_b", "webhook_secret"), ("cli_a", "poison")):
        with pytest.raises(SealBrokenError):
            open_sealed(old, clinic, purpose)


def test_damage_to_a_seal_of_the_first_format_is_noticed(aws: EmulatedAws) -> None:
    """Cut and swapped blocks are refused."""
    sealed = sealed_in_the_first_format(bytes(4096) + bytes([1]) * 4096, "cli_a", "poison")
    half = 1 + (len(sealed) - 1) // 2
    first, second = sealed[1:half], sealed[half:]
    for damaged in (b"\x01", sealed[:-1], b"\x01" + second + first, b"\x01" + first):
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
        ClientError({"Error": {"Code": "ThrottlingException"}}, "Decrypt"),
        ClientError({"Error": {"Code": "KMSInternalException"}}, "Decrypt"),
        ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
    ],
)
def test_an_outage_of_the_key_store_is_no_broken_seal(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Trying again later is right, discarding the secret would be wrong."""
    sealed = seal(SECRET, "cli_a", "webhook_secret")
    old = sealed_in_the_first_format(SECRET, "cli_a", "webhook_secret")
    data_keys.forget()

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(clients.kms(), "generate_data_key", fail)
    monkeypatch.setattr(clients.kms(), "decrypt", fail)
    for clinic in ("cli_a", "cli_without_a_key_yet"):
        with pytest.raises(ServiceUnavailableError):
            seal(SECRET, clinic, "webhook_secret")
    for kept in (sealed, old):
        with pytest.raises(ServiceUnavailableError):
            open_sealed(kept, "cli_a", "webhook_secret")


def test_a_missing_permission_is_neither(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own mistake comes through as it is."""
    denied = ClientError({"Error": {"Code": "AccessDeniedException"}}, "Decrypt")
    sealed = seal(SECRET, "cli_a", "webhook_secret")
    old = sealed_in_the_first_format(SECRET, "cli_a", "webhook_secret")
    data_keys.forget()

    def fail(**_: object) -> None:
        raise denied

    monkeypatch.setattr(clients.kms(), "decrypt", fail)
    for kept in (sealed, old):
        with pytest.raises(ClientError):
            open_sealed(kept, "cli_a", "webhook_secret")

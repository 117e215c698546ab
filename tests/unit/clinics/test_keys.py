"""Keys: shown once, stored as a hash, good for their clinic only, and gone within 30 seconds of being revoked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.aws import settings
from recado.aws.models import Page
from recado.clinics import authentication
from recado.clinics import service as clinics
from recado.clinics.model import (
    ApiKey,
    ClinicPrincipal,
    PlatformPrincipal,
    Scope,
    new_key_text,
    parse_key_text,
)
from recado.kernel.errors import (
    ApiKeyNotFoundError,
    ClinicNotFoundError,
    InvalidRequestError,
    UnauthenticatedError,
)
from recado.kernel.ids import Prefix, new_id
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock

SCOPES = frozenset({Scope.MESSAGES_SEND, Scope.MESSAGES_READ})


@given(st.booleans(), st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True))
def test_a_key_is_read_as_it_was_written(platform: bool, stage: str) -> None:
    """The parts of a key can be told apart although its secret may hold the separator."""
    text = new_key_text(stage, None if platform else new_id(Prefix.CLINIC), new_id(Prefix.API_KEY))
    assert parse_key_text(text.write()) == text


@given(st.text() | st.from_regex(r"rk_[a-z]{1,5}_[0-9a-z_]{0,60}", fullmatch=True))
def test_other_texts_are_no_keys(text: str) -> None:
    """Any text is read as a key or as none; nothing is raised."""
    parsed = parse_key_text(text)
    assert parsed is None or parsed.write() == text


def test_a_key_in_memory_does_not_print_its_secret() -> None:
    """A key that ends up in a log or a traceback tells nothing."""
    text = new_key_text("test", None, new_id(Prefix.API_KEY))
    assert text.secret not in repr(text)


def test_a_key_acts_for_its_clinic_with_its_rights(aurora: str, brisa: str) -> None:
    """The principal is the clinic of the key, with the scopes and channels it was given."""
    key, text = clinics.create_api_key(aurora, "agenda", SCOPES, frozenset({"chn_1"}))
    principal = clinics.authenticate(text)
    assert principal == ClinicPrincipal(aurora, SCOPES, frozenset({"chn_1"}), key.api_key_id)
    assert isinstance(principal, ClinicPrincipal)
    assert principal.may(Scope.MESSAGES_SEND)
    assert not principal.may(Scope.CHANNELS_WRITE)
    assert principal.may_use("chn_1")
    assert not principal.may_use("chn_2")
    assert ClinicPrincipal(brisa, SCOPES, None, "key").may_use("chn_2")


def test_a_staff_key_acts_for_the_platform(aws: EmulatedAws) -> None:
    """A platform key belongs to no clinic."""
    key, text = clinics.create_platform_key("operations")
    assert clinics.authenticate(text) == PlatformPrincipal(key.api_key_id)
    assert text.startswith("rk_test_platform_")
    assert clinics.list_api_keys(None).items == [key] or len(clinics.list_api_keys(None).items) == 1


def test_the_secret_is_stored_nowhere(aurora: str, aws: EmulatedAws) -> None:
    """Who reads the tables cannot act as the clinic."""
    _, text = clinics.create_api_key(aurora, "agenda", SCOPES)
    parsed = parse_key_text(text)
    assert parsed is not None
    assert parsed.secret not in repr(aws.items("core"))
    assert parsed.secret_hash in repr(aws.items("core"))


def test_every_wrong_key_is_refused_alike(
    aurora: str, brisa: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, altered, of another clinic, another installation, the platform: one answer."""
    _, text = clinics.create_api_key(aurora, "agenda", SCOPES)
    ulid = aurora.partition("_")[2]
    wrong = [
        "",
        "Bearer",
        text[:-1] + ("a" if text[-1] != "a" else "b"),
        text.replace(ulid, brisa.partition("_")[2]),
        text.replace(ulid, "platform"),
        text.replace("rk_test_", "rk_production_"),
        text + "x",
        new_key_text("test", aurora, new_id(Prefix.API_KEY)).write(),
    ]
    details = set()
    for candidate in wrong:
        with pytest.raises(UnauthenticatedError) as refused:
            clinics.authenticate(candidate, clock=clock)
        details.add(refused.value.detail)
    assert len(details) == 1


def test_a_key_is_looked_up_once_in_30_seconds(aurora: str, aws: EmulatedAws, clock: FixedClock) -> None:
    """Within the time the store is not asked; after it, it is."""
    _, text = clinics.create_api_key(aurora, "agenda", SCOPES)
    with aws.counting_calls() as calls:
        for seconds in (0, 15, 14.9):
            clock.advance(seconds)
            clinics.authenticate(text, clock=clock)
    assert calls == ["GetItem", "GetItem"]
    clock.advance(0.2)
    with aws.counting_calls() as calls:
        clinics.authenticate(text, clock=clock)
    assert len(calls) == 2


def test_a_revoked_key_ends_here_at_once_and_elsewhere_in_30_seconds(
    aurora: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that revokes forgets the key; another one, which remembers, asks again within 30 seconds."""
    key, text = clinics.create_api_key(aurora, "agenda", SCOPES)
    clinics.authenticate(text, clock=clock)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(authentication, "forget_key", lambda _: None)
        clinics.revoke_api_key(aurora, key.api_key_id, clock=clock)
    assert clinics.authenticate(text, clock=clock)
    clock.advance(30)
    with pytest.raises(UnauthenticatedError):
        clinics.authenticate(text, clock=clock)

    key, text = clinics.create_api_key(aurora, "another", SCOPES)
    clinics.authenticate(text, clock=clock)
    clinics.revoke_api_key(aurora, key.api_key_id, clock=clock)
    with pytest.raises(UnauthenticatedError):
        clinics.authenticate(text, clock=clock)


def test_revoking_again_keeps_the_first_moment(aurora: str, clock: FixedClock) -> None:
    """Revoking is idempotent."""
    key, _ = clinics.create_api_key(aurora, "agenda", SCOPES)
    first = clinics.revoke_api_key(aurora, key.api_key_id, clock=clock)
    clock.advance(60)
    assert clinics.revoke_api_key(aurora, key.api_key_id, clock=clock) == first


def test_a_suspended_clinics_keys_do_not_work_until_it_is_active_again(
    aurora: str, brisa: str, clock: FixedClock
) -> None:
    """Suspension stops all keys of that clinic and of no other."""
    _, text = clinics.create_api_key(aurora, "agenda", SCOPES)
    _, others = clinics.create_api_key(brisa, "agenda", SCOPES)
    clinics.authenticate(text, clock=clock)
    clinics.update_clinic(aurora, {"status": "suspended"})
    with pytest.raises(UnauthenticatedError):
        clinics.authenticate(text, clock=clock)
    assert clinics.authenticate(others, clock=clock)
    clinics.update_clinic(aurora, {"status": "active"})
    assert clinics.authenticate(text, clock=clock)


def test_the_other_clinic_can_neither_see_nor_revoke_a_key(aurora: str, brisa: str) -> None:
    """Keys are listed and revoked in their own clinic only."""
    key, text = clinics.create_api_key(aurora, "agenda", SCOPES)
    assert clinics.list_api_keys(brisa) == Page([])
    with pytest.raises(ApiKeyNotFoundError):
        clinics.revoke_api_key(brisa, key.api_key_id)
    with pytest.raises(ApiKeyNotFoundError):
        clinics.revoke_api_key(None, key.api_key_id)
    assert clinics.authenticate(text)


def test_keys_are_listed_page_by_page(aurora: str, clock: FixedClock) -> None:
    """In the order of making, revoked ones included, nothing else of the clinic."""
    made: list[ApiKey] = []
    for number in range(3):
        made.append(clinics.create_api_key(aurora, f"key {number}", SCOPES, clock=clock)[0])
        clock.advance(1)
    first = clinics.list_api_keys(aurora, 2)
    second = clinics.list_api_keys(aurora, 2, first.last_key)
    assert first.items + second.items == made
    assert second.last_key is None


def test_a_key_needs_a_right_a_clinic_and_if_limited_a_channel(aurora: str) -> None:
    """A key that could do nothing, or would belong to nobody, is refused."""
    with pytest.raises(InvalidRequestError):
        clinics.create_api_key(aurora, "agenda", frozenset())
    with pytest.raises(InvalidRequestError):
        clinics.create_api_key(aurora, "agenda", ["messages:read", "everything"])
    with pytest.raises(InvalidRequestError):
        clinics.create_api_key(aurora, "agenda", SCOPES, frozenset())
    with pytest.raises(ClinicNotFoundError):
        clinics.create_api_key(new_id(Prefix.CLINIC), "agenda", SCOPES)


def test_what_is_remembered_is_bounded(aurora: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many keys do not fill the memory of a process."""
    monkeypatch.setattr(authentication, "_MOST_REMEMBERED", 2)
    for number in range(4):
        clinics.authenticate(clinics.create_api_key(aurora, f"{number}", SCOPES)[1], clock=clock)
    assert len(authentication._remembered) == 2


def test_the_stage_is_part_of_the_key(aurora: str) -> None:
    """A key shows for which installation it was made."""
    assert clinics.create_api_key(aurora, "agenda", SCOPES)[1].startswith(f"rk_{settings.stage()}_")

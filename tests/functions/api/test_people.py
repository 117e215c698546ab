"""People who signed in: their tokens open what their role allows in their clinic, and nothing else opens anything."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from functions.api import settings, signing_keys, tokens
from functions.api.settings import IdentitySettings
from recado.aws import fencing
from recado.clinics import authentication
from recado.clinics import service as clinics
from recado.clinics.model import Person, RefusedPersonError, Scope
from tests.functions.api import identity
from tests.functions.api.identity import Provider, claims, published, signed, token
from tests.functions.api.support import Caller, assert_problem
from tests.support.aws import forget_settings
from tests.support.clock import FixedClock

_MANAGER, _ATTENDANT, _OPERATOR = "clinic_managers", "clinic_attendants", "operators"


@pytest.fixture
def provider(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """The provider whose tokens the API takes."""
    monkeypatch.setenv("RECADO_IDENTITY_ISSUER", identity.ISSUER)
    monkeypatch.setenv("RECADO_IDENTITY_AUDIENCE", identity.AUDIENCE)
    monkeypatch.setenv("RECADO_IDENTITY_KEYS_URL", identity.KEYS_URL)
    running = Provider()
    monkeypatch.setattr(tokens, "SigningKeys", lambda url: signing_keys.SigningKeys(url, fetching=running.fetch))
    settings.api_settings.cache_clear()
    tokens.forget()
    yield running
    tokens.forget()


def _caller(of: Caller, text: str) -> Caller:
    return Caller(of.client, text, of.clinic_id)


def test_a_manager_may_do_all_that_a_clinics_keys_may(aurora: Caller, provider: Provider) -> None:
    """Setting channels up, reading, making keys; not what only the platform does."""
    manager = _caller(aurora, token(aurora.clinic_id, _MANAGER))
    assert manager.get("").status_code == 200
    channel = manager.channel("Recepção")
    assert [found["channel_id"] for found in manager.get("channels").json()["data"]] == [channel]
    assert manager.get("messages").status_code == 200
    scopes = [scope.value for scope in Scope]
    assert manager.post("api-keys", {"name": "agenda", "scopes": scopes}).status_code == 201
    assert_problem(manager.get("/v1/clinics"), 403, "insufficient_scope")
    assert_problem(manager.patch("", {"status": "active"}), 403, "insufficient_scope")


def test_an_attendant_reads_and_answers_and_sets_nothing_up(aurora: Caller, provider: Provider) -> None:
    """The role is the least that the front desk needs."""
    channel = aurora.channel()
    attendant = _caller(aurora, token(aurora.clinic_id, _ATTENDANT))
    assert attendant.get("channels").status_code == attendant.get("messages").status_code == 200
    text = {"to": "+5511977770001", "type": "text", "text": {"body": "Bom dia"}}
    assert attendant.post(f"channels/{channel}/messages", text).status_code == 202
    for answer in (
        attendant.post("channels", {"name": "x"}),
        attendant.post(f"channels/{channel}/connect", {"method": "qr"}),
        attendant.get("api-keys"),
        attendant.get("webhook-endpoints"),
        attendant.get(""),
        attendant.get("analytics/volume?start=2026-11-01T00:00:00Z&end=2026-11-02T00:00:00Z"),
    ):
        assert_problem(answer, 403, "insufficient_scope")


def test_an_operator_sets_clinics_up_and_reads_no_patients_message(aurora: Caller, provider: Provider) -> None:
    """The same as a platform key."""
    operator = _caller(aurora, token(None, _OPERATOR))
    assert operator.get("/v1/clinics").status_code == 200
    assert operator.post("/v1/clinics", {"name": "Clínica Nova"}).status_code == 201
    assert operator.get(aurora.path("")).status_code == 200
    for path in ("messages", "channels", "webhook-endpoints"):
        assert_problem(operator.get(aurora.path(path)), 403, "insufficient_scope")


def test_somebody_elses_clinic_is_not_found(aurora: Caller, brisa: Caller, provider: Provider) -> None:
    """For a manager as for a key: before scopes are looked at, and like a clinic that does not exist."""
    channel = aurora.channel()
    for role in (_MANAGER, _ATTENDANT):
        stranger = _caller(brisa, token(brisa.clinic_id, role))
        for path in ("", "channels", f"channels/{channel}", "messages", "api-keys"):
            assert_problem(stranger.get(aurora.path(path)), 404, "clinic_not_found")


def test_roles_add_up_and_other_groups_mean_nothing(aurora: Caller, provider: Provider) -> None:
    """A pool may have groups for other purposes."""
    both = _caller(aurora, token(aurora.clinic_id, _ATTENDANT, _MANAGER, "newsletter"))
    assert both.get("api-keys").status_code == 200


_Write = Callable[[str], str]
_REFUSED: dict[str, tuple[str, _Write]] = {
    "unsigned": ("algorithm", lambda clinic: identity.unsigned(claims(clinic, _MANAGER))),
    "signed with the public key": (
        "algorithm",
        lambda clinic: identity.signed_with_the_public_key(claims(clinic, _MANAGER)),
    ),
    "signed by somebody else": ("signature", lambda clinic: signed(claims(clinic, _MANAGER), key="x", key_id="first")),
    "an unknown key": ("unknown_key", lambda clinic: signed(claims(clinic, _MANAGER), key="x")),
    "another program's": ("audience", lambda clinic: token(clinic, _MANAGER, aud="another")),
    "ours among other programs": (
        "audience",
        lambda clinic: token(clinic, _MANAGER, aud=[identity.AUDIENCE, "another"]),
    ),
    "another pool's": ("issuer", lambda clinic: token(clinic, _MANAGER, iss=f"{identity.ISSUER}x")),
    "expired": ("expired", lambda clinic: token(clinic, _MANAGER, exp=int(time.time()) - 30)),
    "of the future": ("not_yet_valid", lambda clinic: token(clinic, _MANAGER, iat=int(time.time()) + 300)),
    "not before later": ("not_yet_valid", lambda clinic: token(clinic, _MANAGER, nbf=int(time.time()) + 300)),
    "without expiry": ("claim_missing", lambda clinic: token(clinic, _MANAGER, exp=None)),
    "without audience": ("claim_missing", lambda clinic: token(clinic, _MANAGER, aud=None)),
    "without use": ("claim_missing", lambda clinic: token(clinic, _MANAGER, token_use=None)),
    "an access token": (
        "claim_missing",
        lambda clinic: token(clinic, _MANAGER, token_use="access", aud=None, client_id=identity.AUDIENCE),
    ),
    "an access token with an audience": (
        "not_an_id_token",
        lambda clinic: token(clinic, _MANAGER, token_use="access"),
    ),
    "without subject": ("claim_missing", lambda clinic: token(clinic, _MANAGER, sub=None)),
    "an e-mail as subject": ("subject", lambda clinic: token(clinic, _MANAGER, sub=identity.EMAIL)),
    "no clinic": ("no_clinic", lambda clinic: token(None, _MANAGER)),
    "a clinic that is no id": ("clinic_malformed", lambda clinic: token(f"{clinic}#", _MANAGER)),
    "every clinic": ("clinic_malformed", lambda clinic: token("*", _MANAGER)),
    "a list of clinics": ("clinic_malformed", lambda clinic: token(None, _MANAGER, **{"custom:clinic_id": [clinic]})),
    "a clinic that does not exist": (
        "clinic_not_active",
        lambda clinic: token("cli_01kb1v00000000000000000000", _MANAGER),
    ),
    "no group": ("no_role", token),
    "an unknown group": ("no_role", lambda clinic: token(clinic, "administrators")),
    "a group in other letters": ("no_role", lambda clinic: token(clinic, "Operators")),
    "groups as a text": ("groups_malformed", lambda clinic: token(clinic, **{"cognito:groups": _MANAGER})),
    "an operator with a clinic": ("operator_of_a_clinic", lambda clinic: token(clinic, _OPERATOR)),
    "operator and manager": ("operator_of_a_clinic", lambda clinic: token(None, _OPERATOR, _MANAGER)),
    "cut short": ("malformed", lambda clinic: "a.b.c"),
    "too long": ("too_long", lambda clinic: token(clinic, _MANAGER, note="x" * 9000)),
}


@pytest.mark.parametrize("kind", _REFUSED)
def test_any_other_token_is_401_and_the_log_says_why(
    kind: str, aurora: Caller, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    """All answers look alike; neither token nor e-mail address is in the log, the reason is."""
    caplog.set_level(logging.INFO)
    reason, write = _REFUSED[kind]
    text = write(aurora.clinic_id)
    problem = assert_problem(_caller(aurora, text).get("channels"), 401, "unauthenticated")
    assert (
        problem["detail"] == assert_problem(_caller(aurora, "rk_x").get("channels"), 401, "unauthenticated")["detail"]
    )
    own = [record.__dict__ for record in caplog.records if not record.name.startswith(("httpx", "botocore", "urllib3"))]
    lines = [record for record in own if record["msg"] == "request"]
    assert (lines[0]["refusal"], lines[0]["error_code"]) == (reason, "unauthenticated")
    assert text not in str(own)
    assert identity.EMAIL not in str(own)


def test_whoever_is_let_in_is_logged_by_an_id_that_names_nobody(
    aurora: Caller, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    """The subject id and the clinic; no key, since there is none."""
    caplog.set_level(logging.INFO)
    assert _caller(aurora, token(aurora.clinic_id, _MANAGER)).get("channels").status_code == 200
    (line,) = [record.__dict__ for record in caplog.records if record.getMessage() == "request"]
    assert (line["subject_id"], line["clinic_id"]) == (identity.SUBJECT, aurora.clinic_id)
    assert "api_key_id" not in line
    assert identity.EMAIL not in str(line)


def test_without_a_provider_every_token_is_refused(aurora: Caller, client: TestClient) -> None:
    """As any wrong key."""
    settings.api_settings.cache_clear()
    answer = _caller(aurora, token(aurora.clinic_id, _MANAGER)).get("channels")
    assert_problem(answer, 401, "unauthenticated")


def test_a_token_is_no_api_key(aurora: Caller, provider: Provider) -> None:
    """It comes as Bearer only."""
    answer = aurora.client.get(aurora.path("channels"), headers={"X-Api-Key": token(aurora.clinic_id, _MANAGER)})
    assert_problem(answer, 401, "unauthenticated")


def test_a_suspended_clinics_people_stay_outside(aurora: Caller, platform: Caller, provider: Provider) -> None:
    """At once in the process that suspended it; an operator lets them in again."""
    manager = _caller(aurora, token(aurora.clinic_id, _MANAGER))
    assert manager.get("channels").status_code == 200
    for status, answered in (("suspended", 401), ("active", 200)):
        assert platform.patch(f"/v1/clinics/{aurora.clinic_id}", {"status": status}).status_code == 200
        assert manager.get("channels").status_code == answered


def test_another_process_notices_a_suspension_within_half_a_minute(
    aurora: Caller, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is remembered of a person is as short-lived as what is remembered of a key."""
    person = Person(identity.SUBJECT, aurora.clinic_id, frozenset({_MANAGER}))
    clinics.authenticate_person(person, clock=clock)
    monkeypatch.setattr(authentication, "forget_clinic", lambda _: None)
    clinics.update_clinic(aurora.clinic_id, {"status": "suspended"})
    clock.advance(29)
    clinics.authenticate_person(person, clock=clock)
    clock.advance(2)
    with pytest.raises(RefusedPersonError, match="clinic_not_active"):
        clinics.authenticate_person(person, clock=clock)


def test_a_person_acts_inside_the_fence_of_their_clinic(
    aurora: Caller, brisa: Caller, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As keys do: the rights that AWS gives the request end at the clinic, for operators at the one they name."""
    monkeypatch.setenv("RECADO_CLINIC_ROLE_ARN", "arn:aws:iam::123456789012:role/recado-test-clinic-access")
    forget_settings()
    seen: list[str | None] = []
    read = clinics.get_clinic

    def noted(clinic_id: str) -> Any:
        seen.append(fencing.present_clinic())
        return read(clinic_id)

    monkeypatch.setattr(clinics, "get_clinic", noted)
    callers = (
        _caller(aurora, token(aurora.clinic_id, _MANAGER)),
        _caller(brisa, token(brisa.clinic_id, _MANAGER)),
        _caller(aurora, token(None, _OPERATOR)),
    )
    for caller in callers:
        assert caller.get("").status_code == 200
    assert seen == [aurora.clinic_id, brisa.clinic_id, aurora.clinic_id]
    monkeypatch.delenv("RECADO_CLINIC_ROLE_ARN")
    forget_settings()


def test_when_the_signer_does_not_answer_it_is_503_and_nobody_gets_in(aurora: Caller, provider: Provider) -> None:
    """A passing fault of ours: callers may try again, keys go on working."""
    provider.fall_silent()
    problem = assert_problem(
        _caller(aurora, token(aurora.clinic_id, _MANAGER)).get("channels"), 503, "service_unavailable"
    )
    assert identity.KEYS_URL not in str(problem)
    assert aurora.get("channels").status_code == 200


def test_a_new_key_of_the_signer_is_learnt(aurora: Caller, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first token that names it makes us ask once."""
    assert _caller(aurora, token(aurora.clinic_id, _MANAGER)).get("channels").status_code == 200
    provider.keys = published("first", "second")
    monkeypatch.setattr(signing_keys, "UNKNOWN_KEY_SECONDS", 0.0)
    fresh = signed(claims(aurora.clinic_id, _MANAGER), key="second")
    assert _caller(aurora, fresh).get("channels").status_code == 200
    assert provider.asked == 2


_CHARACTERS = st.characters(min_codepoint=33, max_codepoint=126)
_PARTS = st.text(_CHARACTERS, max_size=60) | st.sampled_from(
    ["eyJhbGciOiJSUzI1NiIsImtpZCI6ImZpcnN0In0", "eyJhbGciOiJSUzI1NiIsImtpZCI6W119", "bnVsbA", "W10", "e30"]
)


@given(header=_PARTS, payload=_PARTS, signature=_PARTS)
def test_no_text_gets_anything_but_a_refusal(header: str, payload: str, signature: str) -> None:
    """Whatever stands in the three parts: no crash, nobody let in."""
    provider = Provider()
    taken = IdentitySettings(
        identity_issuer=identity.ISSUER, identity_audience=identity.AUDIENCE, identity_keys_url=identity.KEYS_URL
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tokens, "api_settings", lambda: taken)
        patched.setattr(tokens, "_signing_keys", lambda url: signing_keys.SigningKeys(url, fetching=provider.fetch))
        with pytest.raises(RefusedPersonError):
            tokens.person_of(f"{header}.{payload}.{signature}")


def test_brackets_without_end_are_refused(aurora: Caller, provider: Provider) -> None:
    """A header nested deeper than Python goes is no crash."""
    header = identity._encoded(b"[" * 5900).decode()
    assert_problem(_caller(aurora, f"{header}.e30.e30").get("channels"), 401, "unauthenticated")


@pytest.mark.parametrize("left_out", ["ISSUER", "AUDIENCE", "KEYS_URL"])
def test_half_a_provider_is_no_provider(left_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forgotten audience must not mean that any will do: the function does not start."""
    for name in ("ISSUER", "AUDIENCE", "KEYS_URL"):
        monkeypatch.setenv(f"RECADO_IDENTITY_{name}", "" if name == left_out else identity.KEYS_URL)
    with pytest.raises(ValueError, match="together or not at all"):
        IdentitySettings()


@pytest.mark.parametrize("url", ["http://keys.example/jwks.json", "http://127.0.0.1.example/", "file:///etc/keys"])
def test_keys_come_over_https_only(url: str) -> None:
    """But for an emulator on this machine."""
    with pytest.raises(ValueError, match="identity_keys_url"):
        IdentitySettings(identity_issuer="x", identity_audience="x", identity_keys_url=url)

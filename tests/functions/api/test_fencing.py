"""Fences round requests: a request acts with the rights of its clinic, and of no other."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recado.aws import fencing
from recado.clinics import service as clinics
from tests.functions.api.support import Caller, assert_problem
from tests.support.aws import EmulatedAws, forget_settings


@pytest.fixture
def fenced(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An API that has a role for clinics."""
    monkeypatch.setenv("RECADO_CLINIC_ROLE_ARN", "arn:aws:iam::123456789012:role/recado-test-clinic-access")
    forget_settings()
    yield
    monkeypatch.delenv("RECADO_CLINIC_ROLE_ARN")
    forget_settings()


@pytest.fixture
def seen(fenced: None, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """In whose fence each clinic was read."""
    found: list[str | None] = []
    read = clinics.get_clinic

    def noted(clinic_id: str) -> Any:
        found.append(fencing.present_clinic())
        return read(clinic_id)

    monkeypatch.setattr(clinics, "get_clinic", noted)
    return found


def test_each_request_is_inside_the_fence_of_its_own_clinic(
    aurora: Caller, brisa: Caller, seen: list[str | None]
) -> None:
    """Requests of two clinics and of nobody follow each other in one process, and none inherits another's rights."""
    for caller in (aurora, brisa, aurora):
        assert caller.get("").status_code == 200
    assert aurora.client.get("/health").status_code in {200, 503}
    assert seen == [aurora.clinic_id, brisa.clinic_id, aurora.clinic_id, None]


def test_the_platforms_staff_act_inside_the_clinic_they_name(
    aurora: Caller, platform: Caller, seen: list[str | None]
) -> None:
    """Whoever may see every clinic still reaches one at a time."""
    assert platform.get(f"/v1/clinics/{aurora.clinic_id}").status_code == 200
    assert seen == [aurora.clinic_id]


@pytest.mark.parametrize("name", ["nonsense", "cli_1", "chn_01k0000000000000000000000a", "*"])
def test_what_is_no_clinics_id_never_becomes_a_tag(fenced: None, platform: Caller, name: str) -> None:
    """STS is asked for the rights of ids of ours only; anything else is a clinic that is not found."""
    assert_problem(platform.get(f"/v1/clinics/{name}"), 404, "clinic_not_found")


def test_another_clinics_path_gives_no_rights(
    aurora: Caller, brisa: Caller, seen: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal comes before STS is asked."""
    monkeypatch.setattr(fencing, "_assume", lambda *_: pytest.fail("no rights may be asked for"))
    assert_problem(aurora.get(f"/v1/clinics/{brisa.clinic_id}"), 404, "clinic_not_found")
    assert seen == []


def test_every_documented_route_but_health_finds_out_who_asks(client: TestClient) -> None:
    """A route that somebody adds without it would act with the function's own rights: it shows here."""
    document = client.get("/openapi.json").json()
    unasked = {
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if not operation.get("security")
    }
    assert unasked == {("get", "/health")}


def test_a_fence_outlives_no_request(aurora: Caller, fenced: None) -> None:
    """The test's own context stays outside after a request."""
    assert aurora.get("channels").status_code == 200
    assert fencing.present_clinic() is None

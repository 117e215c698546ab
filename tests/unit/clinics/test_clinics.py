"""Clinics are taken in, read, listed and changed, each by itself."""

from typing import Any

import pytest

from recado.clinics import service as clinics
from recado.clinics.model import ClinicStatus, Tier
from recado.kernel.errors import ClinicNotFoundError, InvalidCursorError, InvalidRequestError
from recado.kernel.ids import Prefix, is_id, new_id
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock


def test_a_clinic_is_kept_as_it_was_taken_in(aws: EmulatedAws, clock: FixedClock) -> None:
    """All fields come back, names without surrounding blanks."""
    made = clinics.create_clinic(
        "  Clínica Sorriso ",
        "America/Sao_Paulo",
        email="contato@example.com",
        phone="+551133334444",
        address="Rua A, 1",
        tier=Tier.PREMIUM,
        clock=clock,
    )
    assert is_id(Prefix.CLINIC, made.clinic_id)
    assert clinics.get_clinic(made.clinic_id) == made
    assert (made.name, made.tier, made.status) == ("Clínica Sorriso", Tier.PREMIUM, ClinicStatus.ACTIVE)
    assert made.created_at == made.updated_at == clock.now()


@pytest.mark.parametrize(
    "zone", ["", "America", "America/Sao Paulo", "../etc/passwd", "/etc/localtime", "GMT-3:00", "x" * 500, "\0"]
)
def test_a_zone_that_is_none_is_refused(aws: EmulatedAws, zone: str) -> None:
    """Reports by local day need a zone that exists; the error names the field."""
    with pytest.raises(InvalidRequestError) as refused:
        clinics.create_clinic("Clínica", zone)
    assert refused.value.field == "time_zone"


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_name_that_will_not_do_is_refused(aws: EmulatedAws, name: str) -> None:
    """Empty and endless names are refused, and nothing is stored."""
    with pytest.raises(InvalidRequestError) as refused:
        clinics.create_clinic(name, "America/Sao_Paulo")
    assert refused.value.field == "name"
    assert aws.items("core") == []


@pytest.mark.parametrize(
    "clinic_id",
    ["", "x", f"cli_{'0' * 26}", f"chn_{'0' * 26}", "cli_#" + "a" * 25],
    ids=["empty", "no_id", "unknown", "of_another_kind", "with_a_separator"],
)
def test_a_clinic_that_is_not_there_is_not_found(aws: EmulatedAws, clinic_id: str) -> None:
    """Unknown and impossible ids look alike."""
    with pytest.raises(ClinicNotFoundError):
        clinics.get_clinic(clinic_id)


def test_changing_a_clinic_leaves_the_other_and_the_rest(aurora: str, brisa: str, clock: FixedClock) -> None:
    """Only what is named changes, only in that clinic."""
    before, other = clinics.get_clinic(aurora), clinics.get_clinic(brisa)
    clock.advance(3600)
    changed = clinics.update_clinic(aurora, {"email": "a@example.com", "tier": "enterprise"}, clock=clock)
    assert (changed.email, changed.tier, changed.updated_at) == ("a@example.com", Tier.ENTERPRISE, clock.now())
    assert (changed.name, changed.time_zone, changed.created_at) == (before.name, before.time_zone, before.created_at)
    assert clinics.get_clinic(aurora) == changed
    assert clinics.get_clinic(brisa) == other
    assert clinics.update_clinic(aurora, {"email": None}).email is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tier", "gold"),
        ("status", "gone"),
        ("name", None),
        ("time_zone", None),
        ("tier", None),
        ("clinic_id", "cli_x"),
        ("created_at", None),
        ("pk", "clinic#other"),
    ],
)
def test_a_change_that_will_not_do_is_refused(aurora: str, field: str, value: Any) -> None:
    """Wrong values, required fields cleared and fields that are not the caller's are refused by name."""
    before = clinics.get_clinic(aurora)
    with pytest.raises(InvalidRequestError) as refused:
        clinics.update_clinic(aurora, {field: value})
    assert refused.value.field == field
    assert clinics.get_clinic(aurora) == before


def test_changing_a_clinic_that_is_not_there_makes_none(aws: EmulatedAws) -> None:
    """An update does not bring a clinic into being."""
    with pytest.raises(ClinicNotFoundError):
        clinics.update_clinic(new_id(Prefix.CLINIC), {"name": "x"})
    assert aws.items("core") == []


def test_clinics_are_listed_page_by_page(aws: EmulatedAws, clock: FixedClock) -> None:
    """Every clinic is listed once, in the order of coming."""
    made = []
    for number in range(5):
        made.append(clinics.create_clinic(f"Clínica {number}", "America/Sao_Paulo", clock=clock).clinic_id)
        clock.advance(1)
    seen: list[str] = []
    page = clinics.list_clinics(2)
    while True:
        seen += [clinic.clinic_id for clinic in page.items]
        if page.last_key is None:
            break
        page = clinics.list_clinics(2, page.last_key)
    assert seen == made


def test_a_key_of_another_list_is_refused(aurora: str) -> None:
    """Only the clinics' own cursor continues the clinics' list."""
    with pytest.raises(InvalidCursorError):
        clinics.list_clinics(2, {"pk": {"S": f"clinic#{aurora}"}, "sk": {"S": "clinic"}})

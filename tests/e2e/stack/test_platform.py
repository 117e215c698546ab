"""The deployed platform as a whole, through its public address."""

import pytest

from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.e2e


def test_the_api_answers_through_the_front_door(stack: RunningStack) -> None:
    """The health page comes from the deployed function, with its checks of the deployed tables and queues."""
    answer = stack.client().get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"


def test_a_demo_clinic_sees_itself_and_no_other(stack: RunningStack) -> None:
    """A key of one clinic reads its own channels and gets a plain 404 for the other clinic's."""
    aurora, brisa = stack.clinic("aurora"), stack.clinic("brisa")
    assert aurora.api.get(f"{aurora.path}/channels").status_code == 200
    answer = aurora.api.get(f"{brisa.path}/channels")
    assert answer.status_code == 404
    assert answer.json()["code"] == "clinic_not_found"


def test_demo_patients_are_on_the_phones(stack: RunningStack) -> None:
    """The simulated phones know the patients; the last numbers are left out, as people without WhatsApp."""
    numbers = {phone["number"] for phone in stack.phones().get("/phones").json()}
    assert "5511977770001" in numbers
    assert "5511977770050" not in numbers

"""What is in the phone's history makes contacts known, to that clinic alone, and nothing else of it is told."""

from typing import Any

import pytest

from recado.contacts import service as contacts
from recado.contacts.model import Contact, KnownBy
from recado.messages import service as messages
from tests.functions.recorder.conftest import PATIENT, START, Recorder, Runner


def known(runner: Runner, name: str = PATIENT["e164"]) -> Contact:
    return contacts.contacts_named(runner.clinic_id, [name])[name]


def contact_items(recorder: Recorder) -> list[dict[str, Any]]:
    return [item for item in recorder.aws.items("messages") if str(item["sk"]).startswith("contact#")]


@pytest.mark.parametrize("name", PATIENT.values())
def test_a_contact_of_the_phones_history_is_known_to_this_clinic(
    recorder: Recorder, runner: Runner, neighbour: Runner, name: str
) -> None:
    """Under number and LID; the other clinic knows nothing, and no event and no message comes of it."""
    assert recorder.take([runner.in_history(30)]) == []
    assert known(runner, name).known_by is KnownBy.HISTORY
    assert known(neighbour, name) == Contact()
    assert recorder.events() == []
    assert messages.list_clinic(runner.clinic_id, limit=10, created_at=START).items == []


def test_a_last_conversation_over_a_year_ago_leaves_a_stranger(recorder: Recorder, runner: Runner) -> None:
    """Whatever the runner that told of it held for a year."""
    assert recorder.take([runner.in_history(366)]) == []
    assert known(runner) == Contact()
    assert contact_items(recorder) == []


def test_the_same_history_again_changes_nothing(recorder: Recorder, runner: Runner) -> None:
    """As the same entry, and as another one that tells the same."""
    entry = runner.in_history(30, 60)
    recorder.take([entry])
    before = contact_items(recorder)
    assert recorder.take([entry], [{**runner.in_history(0), "data": entry["data"]}]) == []
    assert contact_items(recorder) == before


def test_an_older_history_does_not_take_back_a_sign(recorder: Recorder, runner: Runner) -> None:
    """The phone sends its past in chunks of its own order, while patients write."""
    recorder.take([runner.received()])
    before = known(runner)
    assert recorder.take([runner.in_history(300)]) == []
    assert known(runner) == before
    assert before.known_by is KnownBy.INBOUND


def test_history_of_a_channel_that_the_clinic_has_not_is_poison(
    recorder: Recorder, runner: Runner, neighbour: Runner
) -> None:
    """An entry that names another clinic's channel is none to be believed."""
    assert recorder.take([{**runner.in_history(30), "clinic_id": neighbour.clinic_id}]) == []
    assert len(recorder.poison()) == 1
    assert known(neighbour) == known(runner) == Contact()


@pytest.mark.parametrize(
    "broken",
    [
        {"contacts": []},
        {"contacts": [{"e164": None, "lid": None, "last_at": "2026-11-20T18:30:00Z"}]},
        {"contacts": [{**PATIENT, "last_at": "yesterday"}]},
        {"contacts": [{**PATIENT, "last_at": "2026-11-20T18:30:00Z"}] * 101},
        {"contacts": [{"e164": "120363000000000001@g.us", "last_at": "2026-11-20T18:30:00Z"}]},
    ],
)
def test_a_broken_history_is_set_aside_and_its_neighbours_are_recorded(
    recorder: Recorder, runner: Runner, broken: dict[str, Any]
) -> None:
    """Malformed or unbounded: poison, and the message beside it is recorded."""
    assert recorder.take([runner.entry("contacts.in_history", broken), runner.received()]) == []
    assert len(recorder.poison()) == 1
    assert recorder.types() == ["message.received"]

"""Envelopes survive the way over a queue, and nothing else passes for one."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.kernel.envelopes import Command, Entry, Event

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DATA = st.dictionaries(st.text(), PLAIN, max_size=4)
COMMANDS = st.builds(
    Command, st.text(), st.text(), st.text(), st.text(), MOMENTS, MOMENTS, data=DATA, version=st.just(1)
)
ENTRIES = st.builds(
    Entry,
    st.text(),
    st.text(),
    st.text(),
    st.text(),
    st.text(),
    st.integers(0),
    st.integers(0),
    MOMENTS,
    data=DATA,
    version=st.just(1),
)
EVENTS = st.builds(
    Event, st.text(), st.text(), st.text(), st.text(), st.integers(0), MOMENTS, data=DATA, version=st.just(1)
)


@given(COMMANDS | ENTRIES | EVENTS)
def test_an_envelope_survives_the_way(envelope: Command | Entry | Event) -> None:
    """What is written as JSON is read as the same."""
    assert type(envelope).from_json(envelope.to_json()) == envelope


@given(st.sampled_from([Command, Entry, Event]), PLAIN)
def test_anything_else_is_refused_as_a_bad_value(kind: type[Command | Entry | Event], plain: Any) -> None:
    """Whatever comes over a queue raises ValueError and nothing else, so that one handler suffices."""
    with pytest.raises(ValueError, match=r"."):
        kind.from_json(json.dumps(plain))


@given(COMMANDS, st.text(min_size=1))
def test_unknown_and_missing_fields_are_refused(command: Command, name: str) -> None:
    """An envelope of another version of ours is noticed, not half understood."""
    plain = json.loads(command.to_json())
    for field in ("command_id", "kind", "clinic_id", "channel_id", "issued_at", "expires_at"):
        with pytest.raises(ValueError, match=r"bad command|time zone|ISO"):
            Command.from_mapping({key: value for key, value in plain.items() if key != field})
    if name not in plain:
        with pytest.raises(ValueError, match="bad command"):
            Command.from_mapping({**plain, name: 1})


def test_a_text_that_is_not_json_is_refused() -> None:
    """A broken body raises ValueError."""
    with pytest.raises(ValueError, match=r"."):
        Event.from_json("{")

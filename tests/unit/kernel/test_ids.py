"""Ids sort by time, name their kind, and are the same for the same fact."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.kernel.ids import Prefix, derived_id, is_id, month_of, new_id, time_of

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MILLISECOND = timedelta(milliseconds=1)


@given(st.sampled_from(Prefix), MOMENTS)
def test_an_id_names_its_kind_and_carries_its_moment(prefix: Prefix, at: datetime) -> None:
    """What is put into an id can be read out of it, to the millisecond."""
    identifier = new_id(prefix, at)
    assert is_id(prefix, identifier)
    assert abs(time_of(identifier) - at) < MILLISECOND
    assert month_of(identifier) == time_of(identifier).strftime("%Y%m")


@given(MOMENTS, MOMENTS)
def test_ids_sort_by_their_moments(one: datetime, other: datetime) -> None:
    """An id of a later millisecond sorts after one of an earlier."""
    earlier, later = sorted((one, other))
    if later - earlier > MILLISECOND:
        assert new_id(Prefix.MESSAGE, earlier) < new_id(Prefix.MESSAGE, later)


@given(MOMENTS, st.lists(st.text(min_size=1), min_size=1))
def test_a_derived_id_is_a_function_of_its_parts(at: datetime, parts: list[str]) -> None:
    """The same fact always has the same id, and another fact another."""
    first = derived_id(Prefix.EVENT, at, *parts)
    assert first == derived_id(Prefix.EVENT, at, *parts)
    assert first != derived_id(Prefix.EVENT, at, *parts, "more")


def test_parts_of_a_derived_id_do_not_run_together() -> None:
    """Where one part ends and the next begins makes a difference."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert derived_id(Prefix.EVENT, at, "a", "bc") != derived_id(Prefix.EVENT, at, "ab", "c")


def test_fresh_ids_differ() -> None:
    """Ids made in the same millisecond are not the same."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert len({new_id(Prefix.MESSAGE, at) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("text", ["", "cli_", "msg_01k9", "CLI_01KAP3ZQ8M000000000000000A", "cli_" + "u" * 26, "cli"])
def test_other_texts_are_no_ids(text: str) -> None:
    """Texts that only look like ids are refused."""
    assert not is_id(Prefix.CLINIC, text)


@given(st.text())
def test_reading_the_moment_of_anything_else_says_so(text: str) -> None:
    """The moment of a text that is no id cannot be read."""
    if not any(is_id(prefix, f"{prefix}_{text.rpartition('_')[2]}") for prefix in Prefix):
        with pytest.raises(ValueError, match="not an id"):
            time_of(text)


def test_an_id_of_another_kind_is_refused() -> None:
    """A message's id is no clinic's id."""
    assert not is_id(Prefix.CLINIC, new_id(Prefix.MESSAGE))

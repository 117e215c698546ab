"""Cursors open only the list that issued them."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.aws.cursors import decode, encode
from recado.kernel.errors import InvalidCursorError

KEYS = st.dictionaries(st.text(min_size=1), st.builds(lambda text: {"S": text}, st.text()), min_size=1, max_size=4)
KEY = {"pk": {"S": "clinic#cli_a"}, "sk": {"S": "channel#1"}}


@given(st.text(), KEYS)
def test_a_cursor_leads_back_to_its_key(scope: str, key: dict[str, dict[str, str]]) -> None:
    """What a list issued, it understands."""
    assert decode(scope, encode(scope, key)) == key


@given(st.text(), st.text(), KEYS)
def test_another_lists_cursor_is_refused(scope: str, other: str, key: dict[str, dict[str, str]]) -> None:
    """A cursor of another clinic, route or filter opens nothing."""
    if scope != other:
        with pytest.raises(InvalidCursorError):
            decode(other, encode(scope, key))


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    """Nonsense raises one error, never another."""
    with pytest.raises(InvalidCursorError):
        decode("scope", text)


def test_a_forged_key_outside_the_clinic_is_refused() -> None:
    """Who knows how cursors are built still cannot leave their clinic."""
    forged = encode("scope", KEY)
    assert decode("scope", forged, partition="clinic#cli_a") == KEY
    for partition in ("clinic#cli_b", "clinic#cli_", "clinic#cli_a#channel"):
        with pytest.raises(InvalidCursorError):
            decode("scope", forged, partition=partition)


def test_a_partition_below_the_clinics_is_its_own() -> None:
    """Messages of a clinic lie in partitions that begin with it."""
    key = {"pk": {"S": "clinic#cli_a#channel#chn_1#202611"}, "sk": {"S": "message#1"}}
    assert decode("scope", encode("scope", key), partition="clinic#cli_a") == key


@pytest.mark.parametrize("key", [{"pk": "text"}, {"pk": {"N": "1"}}, {"pk": {"S": 1}}, [], "x", None])
def test_keys_of_another_form_are_refused(key: object) -> None:
    """Only string keys, as our tables have them, come out of a cursor."""
    mark = json.loads(base64.urlsafe_b64decode(encode("scope", KEY) + "=="))[0]
    text = base64.urlsafe_b64encode(json.dumps([mark, key]).encode()).decode()
    with pytest.raises(InvalidCursorError):
        decode("scope", text)


def test_a_very_long_text_is_refused() -> None:
    """Nobody makes us decode megabytes."""
    with pytest.raises(InvalidCursorError):
        decode("scope", encode("scope", {"pk": {"S": "x" * 4000}}))

"""Logs are JSON, name no patient, and keep our ids whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.aws.logging import count, logger, masked, metrics
from recado.kernel.ids import Prefix, new_id
from tests.support.aws import EmulatedAws

NUMBER = "5511977770001"


def _logged(capsys: pytest.CaptureFixture[str]) -> tuple[str, dict[str, object]]:
    line = capsys.readouterr().out.strip().splitlines()[-1]
    return line, json.loads(line)


def test_numbers_are_masked_wherever_they_stand(aws: EmulatedAws, capsys: pytest.CaptureFixture[str]) -> None:
    """In the message, in fields, inside structures and in tracebacks, no number is readable."""
    log = logger("masking-of-numbers")
    try:
        int(f"{NUMBER}@s.whatsapp.net")
    except ValueError:
        log.exception("sending to +%s failed", NUMBER, chat=f"{NUMBER}@c.us", nested={"to": [f"+{NUMBER}"]})
    line, record = _logged(capsys)
    assert NUMBER not in line
    assert "+55*******0001" in str(record["message"])
    assert "0001@s.whatsapp.net" in str(record["exception"])


def test_ids_stay_whole_so_that_they_can_be_searched_for(aws: EmulatedAws, capsys: pytest.CaptureFixture[str]) -> None:
    """An id with many digits in a row is no phone number."""
    channel_id = "chn_01234567890123456789012345"
    logger("keeping-of-ids").info("channel %s moved", channel_id, channel_id=channel_id, seen_at=1790000000123)
    _, record = _logged(capsys)
    assert record["channel_id"] == channel_id
    assert record["message"] == f"channel {channel_id} moved"
    assert record["seen_at"] == 1790000000123


@pytest.mark.parametrize("identifier", ["6f3c1d7e-0000-4000-8000-551197777000", "1-69219b00-551197777000155119777700"])
def test_ids_of_aws_stay_whole_too(identifier: str) -> None:
    """A request must be found again in AWS's own logs, whatever digits its id has."""
    assert masked(f"request {identifier} ended") == f"request {identifier} ended"


@given(st.sampled_from(Prefix), st.from_regex(r"[1-9][0-9]{9,14}", fullmatch=True))
def test_masking_touches_numbers_and_not_ids(prefix: Prefix, number: str) -> None:
    """Beside an id in the same text, the number is masked and the id is not."""
    identifier = new_id(prefix)
    text = masked(f"{identifier} {number}")
    assert text.startswith(f"{identifier} ")
    assert number not in text.removeprefix(identifier)


def test_a_count_has_two_dimensions_and_no_clinic(aws: EmulatedAws, capsys: pytest.CaptureFixture[str]) -> None:
    """Stage and component only: a dimension per clinic would cost more than the clinic."""
    count("channels", "NudgesFailed")
    _, record = _logged(capsys)
    emf = record["_aws"]["CloudWatchMetrics"][0]  # type: ignore[index]
    assert sorted(emf["Dimensions"][0]) == ["component", "stage"]
    assert (record["stage"], record["component"], record["NudgesFailed"]) == ("test", "channels", [1.0])


def test_a_processes_metrics_have_the_same_dimensions(aws: EmulatedAws) -> None:
    """What a function flushes at its end is cut in the same way."""
    made = metrics("api")
    made.add_metric("Requests", "Count", 1)
    emf = made.serialize_metric_set()["_aws"]["CloudWatchMetrics"][0]
    made.clear_metrics()
    assert sorted(emf["Dimensions"][0]) == ["component", "stage"]

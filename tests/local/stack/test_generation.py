"""The mark in every part's state: half-lost states are noticed and said."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from local.stack.generation import Generation, OtherNetworkError, lost_parts
from local.stack.options import WhatsApp
from local.stack.state import StateFolder

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator["SSMClient"]:
    """An emulator that has just been started."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield boto3.client("ssm", region_name="sa-east-1")


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """A folder without any run."""
    folder = StateFolder(tmp_path)
    folder.make()
    return folder


def test_a_first_run_has_lost_nothing(state: StateFolder, ssm: "SSMClient") -> None:
    """There is no mark to compare with."""
    assert lost_parts(Generation.last(state), state, ssm) == []


def test_after_a_clean_run_every_part_has_its_mark(state: StateFolder, ssm: "SSMClient") -> None:
    """Parts that came back as they were left give no complaint, run after run."""
    for run in (1, 2, 3):
        generation = Generation.next_after(Generation.last(state), "simulated")
        assert generation.run == run
        generation.write(state, ssm)
        assert lost_parts(Generation.last(state), state, ssm) == []


def test_an_emulator_that_came_back_older_is_said(state: StateFolder, ssm: "SSMClient") -> None:
    """It was killed in the last run, so it holds what the run before left."""
    first = Generation.next_after(None, "simulated")
    first.write(state, ssm)
    second = Generation.next_after(first, "simulated")
    second.write(state, ssm)
    ssm.put_parameter(Name="/recado/local/generation", Value=first.text, Type="String", Overwrite=True)
    (sentence,) = lost_parts(Generation.last(state), state, ssm)
    assert "AWS emulator" in sentence


def test_an_emulator_that_came_back_empty_is_said(state: StateFolder, ssm: "SSMClient") -> None:
    """It was killed in the very first run."""
    Generation.next_after(None, "simulated").write(state, ssm)
    ssm.delete_parameter(Name="/recado/local/generation")
    (sentence,) = lost_parts(Generation.last(state), state, ssm)
    assert "AWS emulator" in sentence


def test_lost_phones_are_said(state: StateFolder, ssm: "SSMClient") -> None:
    """After its folder was deleted no phone knows the channels' devices."""
    Generation.next_after(None, "simulated").write(state, ssm)
    (state.whatsapp / "generation").unlink()
    (sentence,) = lost_parts(Generation.last(state), state, ssm)
    assert "simulator" in sentence


def test_with_the_real_whatsapp_there_are_no_phones_to_lose(state: StateFolder, ssm: "SSMClient") -> None:
    """The simulator's folder is not looked at."""
    Generation.next_after(None, "real").write(state, ssm)
    assert lost_parts(Generation.last(state), state, ssm) == []


@pytest.mark.parametrize(("before", "after"), [("simulated", "real"), ("real", "simulated")])
def test_a_folder_never_changes_its_whatsapp(
    state: StateFolder, ssm: "SSMClient", before: WhatsApp, after: WhatsApp
) -> None:
    """Devices linked with simulated phones would knock at the real WhatsApp with keys it never saw."""
    Generation.next_after(None, before).write(state, ssm)
    with pytest.raises(OtherNetworkError, match=f"WHATSAPP={after}"):
        Generation.next_after(Generation.last(state), after)

"""The mark in every part's state: half-lost states are noticed and said."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from local.stack.generation import Generation, lost_parts
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
    assert lost_parts(Generation.last(state), state, ssm, phones=True) == []


def test_after_a_clean_run_every_part_has_its_mark(state: StateFolder, ssm: "SSMClient") -> None:
    """Parts that came back as they were left give no complaint, run after run."""
    for run in (1, 2, 3):
        generation = Generation.next_after(Generation.last(state))
        assert generation.run == run
        generation.write(state, ssm, phones=True)
        assert lost_parts(Generation.last(state), state, ssm, phones=True) == []


def test_an_emulator_that_came_back_older_is_said(state: StateFolder, ssm: "SSMClient") -> None:
    """It was killed in the last run, so it holds what the run before left."""
    first = Generation.next_after(None)
    first.write(state, ssm, phones=True)
    second = Generation.next_after(first)
    second.write(state, ssm, phones=True)
    ssm.put_parameter(Name="/recado/local/generation", Value=first.text, Type="String", Overwrite=True)
    (sentence,) = lost_parts(Generation.last(state), state, ssm, phones=True)
    assert "AWS emulator" in sentence


def test_an_emulator_that_came_back_empty_is_said(state: StateFolder, ssm: "SSMClient") -> None:
    """It was killed in the very first run."""
    Generation.next_after(None).write(state, ssm, phones=True)
    ssm.delete_parameter(Name="/recado/local/generation")
    (sentence,) = lost_parts(Generation.last(state), state, ssm, phones=True)
    assert "AWS emulator" in sentence


def test_lost_phones_are_said_unless_there_are_none(state: StateFolder, ssm: "SSMClient") -> None:
    """After its folder was deleted no phone knows the channels' devices; with the real WhatsApp that is no loss."""
    Generation.next_after(None).write(state, ssm, phones=True)
    (state.whatsapp / "generation").unlink()
    (sentence,) = lost_parts(Generation.last(state), state, ssm, phones=True)
    assert "simulator" in sentence
    assert lost_parts(Generation.last(state), state, ssm, phones=False) == []


def test_phones_left_out_for_a_run_are_not_lost(state: StateFolder, ssm: "SSMClient") -> None:
    """A run with the real WhatsApp between two with the simulator leaves the simulator's state as it was."""
    first = Generation.next_after(None)
    first.write(state, ssm, phones=True)
    Generation.next_after(first).write(state, ssm, phones=False)
    assert lost_parts(Generation.last(state), state, ssm, phones=True) == []

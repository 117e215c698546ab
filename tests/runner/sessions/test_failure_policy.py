"""The failure policy is one table: the rules follow it, the API's next action agrees with it, the document shows it."""

from dataclasses import replace
from pathlib import Path

import pytest

from recado.channels.model import ChannelState, Desired, NextAction
from session_runner.sessions.failure_policy import POLICIES, Event, Policy, Retry, Who, pairing_policy, to_markdown
from tests.runner.fakes import a_channel

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "failure-policy.md"
BY_EVENT = pytest.mark.parametrize("policy", POLICIES.values(), ids=lambda policy: policy.event.value)


def test_every_event_has_its_row() -> None:
    assert set(POLICIES) == set(Event)


def test_the_document_shows_the_table_of_the_code() -> None:
    assert to_markdown() in DOCUMENT.read_text(encoding="utf-8"), (
        "python -m session_runner.sessions.failure_policy prints it"
    )


@BY_EVENT
def test_the_api_tells_people_what_the_table_says(policy: Policy) -> None:
    if policy.state is None:
        assert policy.next_action is NextAction.NONE
        return
    desired = Desired.DISCONNECTED if policy.clears_desired else Desired.CONNECTED
    for reason in policy.reason.split(", "):
        channel = replace(a_channel(), state=policy.state, reason=reason, desired=desired)
        assert channel.next_action is policy.next_action


@BY_EVENT
def test_what_needs_nobody_is_tried_again_and_what_is_never_tried_needs_somebody(policy: Policy) -> None:
    by_itself = policy.retry not in {Retry.NEVER, Retry.NEXT_RELEASE}
    assert by_itself or policy.who is not Who.NOBODY
    assert not (by_itself and (policy.forgets or policy.clears_desired))
    assert (policy.state is ChannelState.DISCONNECTED or policy.event is Event.BANNED) or not by_itself


@pytest.mark.parametrize(
    ("word", "state", "reason", "action"),
    [
        ("timeout", ChannelState.DISCONNECTED, "pairing_timed_out", NextAction.CONNECT),
        ("client_outdated", ChannelState.OUTDATED, "pairing_client_outdated", NextAction.UPGRADE),
        ("passkey_required", ChannelState.FAILED, "pairing_passkey_required", NextAction.REMOVE_PASSKEY),
        ("proxy_unreachable", ChannelState.FAILED, "pairing_proxy_unreachable", NextAction.CHECK_PROXY),
        ("unreachable", ChannelState.FAILED, "pairing_unreachable", NextAction.CONNECT),
    ],
)
def test_a_pairing_without_a_link_ends_as_the_table_says(
    word: str, state: ChannelState, reason: str, action: NextAction
) -> None:
    policy, told = pairing_policy(word)
    assert (policy.state, told, policy.next_action) == (state, reason, action)

"""The failure policy: for everything that can happen to a session, what is reported, what is tried again, and who acts.

One table. ``reconnect`` and ``pairing`` follow it, the API's ``next_action`` agrees with it, and
``docs/failure-policy.md`` is written from it (``python -m session_runner.sessions.failure_policy``); tests hold all
three to it.

Sources: whatsmeow reconnects by itself after a plain drop, never after a log-out, a replacement, a ban or a refused
version, and its first dial is not repeated. A ban says how long it lasts; trying again sooner risks the number.
"""

import sys
from dataclasses import dataclass
from enum import StrEnum

from recado.channels.model import ChannelState, NextAction

S, A = ChannelState, NextAction


class Event(StrEnum):
    """What can happen."""

    CONNECTION_LOST = "connection_lost"
    NOT_ACCEPTED = "not_accepted"
    NOT_CONNECTED_IN_TIME = "not_connected_in_time"
    UNREACHABLE = "unreachable"
    PROXY_UNREACHABLE = "proxy_unreachable"
    PROXY_NOT_ALLOWED = "proxy_not_allowed"
    SILENT = "silent"
    ERRORS = "errors"
    THREAD_ENDED = "thread_ended"
    PUMP_ENDED = "pump_ended"
    UNREADABLE_REFUSAL = "unreadable_refusal"
    CONNECT_FAILURE = "connect_failure"
    START_FAILED = "start_failed"
    HOST_LOST = "host_lost"
    REPLACED = "replaced"
    REPLACED_AGAIN = "replaced_again"
    BANNED = "banned"
    LOGGED_OUT = "logged_out"
    OUTDATED = "outdated"
    CREDENTIALS_LOST = "credentials_lost"
    DATA_ERASED = "data_erased"
    VAULT_DAMAGED = "vault_damaged"
    GAVE_UP = "gave_up"
    PAIRING_TIMED_OUT = "pairing_timed_out"
    PAIRING_OUTDATED = "pairing_outdated"
    PASSKEY_REQUIRED = "passkey_required"
    PAIRING_PROXY_UNREACHABLE = "pairing_proxy_unreachable"
    PAIRING_FAILED = "pairing_failed"
    WRONG_NUMBER = "wrong_number"
    REACH_OUT_LOCK = "reach_out_lock"


class Retry(StrEnum):
    """When a connection is tried again without anybody asking."""

    AT_ONCE = "at once"
    AT_ONCE_THEN_BACKOFF = "at once, then with backoff"
    BACKOFF = "with backoff"
    BY_CLIENT = "by the client itself; a new incarnation after 5 minutes"
    AFTER_FIVE_SECONDS = "once, after 5 s"
    AFTER_BAN = "once, when the ban is over"
    NEVER = "never"
    NEXT_RELEASE = "never; the next start of a runner tries once"

    @property
    def counts(self) -> bool:
        """Whether each is one of the attempts of which there are only so many in a row."""
        return self in {Retry.AT_ONCE_THEN_BACKOFF, Retry.BACKOFF}


class Who(StrEnum):
    """Who has to act."""

    NOBODY = "nobody"
    CLINIC = "the clinic"
    OPERATOR = "the operator"


@dataclass(frozen=True, slots=True)
class Policy:
    """What follows from an event.

    Attributes:
        event: what happened.
        seen: how it shows.
        state: the channel state that is reported; None: it stays what it is.
        reason: the stable code beside it; ``<…>`` stands for a word of WhatsApp's or the host's.
        retry: when a connection is tried again.
        next_action: what the API tells people to do.
        who: who has to act.
        forgets: WhatsApp has ended the link or its keys are gone: the credentials are worthless.
        clears_desired: the wish to be connected is taken back, so that no later runner tries either.
        most_attempts: of this event, so many in a row at most; None: as many as of any other.
    """

    event: Event
    seen: str
    state: ChannelState | None
    reason: str
    retry: Retry
    next_action: NextAction
    who: Who = Who.NOBODY
    forgets: bool = False
    clears_desired: bool = False
    most_attempts: int | None = None


_ROWS = (
    Policy(
        Event.CONNECTION_LOST,
        "the socket of a connected session broke",
        *(S.DISCONNECTED, "connection_lost", Retry.BY_CLIENT, A.WAIT),
    ),
    Policy(
        Event.NOT_ACCEPTED,
        "the socket closed before the login was through, as during WhatsApp's maintenance (503)",
        *(S.DISCONNECTED, "whatsapp_unavailable", Retry.BY_CLIENT, A.WAIT),
    ),
    Policy(
        Event.NOT_CONNECTED_IN_TIME,
        "neither connected nor failed for 5 minutes: a stuck dial, or the client's own attempts come to nothing",
        *(S.DISCONNECTED, "not_connected_in_time", Retry.BACKOFF, A.WAIT),
    ),
    Policy(
        Event.UNREACHABLE,
        "WhatsApp cannot be dialled: no network, no DNS",
        *(S.DISCONNECTED, "unreachable", Retry.BACKOFF, A.WAIT, Who.OPERATOR),
    ),
    Policy(
        Event.PROXY_UNREACHABLE,
        "the channel's proxy does not answer, refuses us, or does not get through; never a direct connection instead",
        *(S.DISCONNECTED, "proxy_unreachable", Retry.BACKOFF, A.CHECK_PROXY, Who.CLINIC),
    ),
    Policy(
        Event.PROXY_NOT_ALLOWED,
        "the channel's proxy leads to an address that is not public",
        *(S.FAILED, "proxy_not_allowed", Retry.NEXT_RELEASE, A.CHECK_PROXY, Who.CLINIC),
    ),
    Policy(
        Event.SILENT,
        "half open: connected in name, three keep-alives unanswered and nothing heard for 120 s",
        *(S.DISCONNECTED, "silent", Retry.AT_ONCE_THEN_BACKOFF, A.WAIT),
    ),
    Policy(
        Event.ERRORS,
        "connected, but 5 errors in 5 minutes",
        *(S.DISCONNECTED, "errors", Retry.AT_ONCE_THEN_BACKOFF, A.WAIT),
    ),
    Policy(
        Event.THREAD_ENDED,
        "connected in name, its thread in the host has ended",
        *(S.DISCONNECTED, "thread_ended", Retry.AT_ONCE_THEN_BACKOFF, A.WAIT),
    ),
    Policy(
        Event.PUMP_ENDED,
        "the client's event pump died of an event it cannot encode",
        *(S.DISCONNECTED, "unencodable_event", Retry.AT_ONCE_THEN_BACKOFF, A.WAIT),
    ),
    Policy(
        Event.UNREADABLE_REFUSAL,
        "the same before the login was through: a refusal or a ban that this version of the client cannot read",
        *(S.DISCONNECTED, "unreadable_refusal", Retry.BACKOFF, A.WAIT, Who.OPERATOR),
        most_attempts=3,
    ),
    Policy(
        Event.CONNECT_FAILURE,
        "WhatsApp refuses the login with a reason that is none of the others here",
        *(S.DISCONNECTED, "<WhatsApp's reason>", Retry.BACKOFF, A.WAIT),
    ),
    Policy(
        Event.START_FAILED,
        "the host could not start the session",
        *(S.DISCONNECTED, "start_<code>", Retry.BACKOFF, A.WAIT, Who.OPERATOR),
    ),
    Policy(
        Event.HOST_LOST,
        "the host process died: Go abort, out of memory, killed because it hung",
        *(S.DISCONNECTED, "host_lost", Retry.AT_ONCE, A.WAIT),
    ),
    Policy(
        Event.REPLACED,
        "replaced while the lease is provably ours, the first and second time in 10 minutes",
        *(S.DISCONNECTED, "stream_replaced", Retry.AFTER_FIVE_SECONDS, A.WAIT),
    ),
    Policy(
        Event.REPLACED_AGAIN,
        "replaced the third time in 10 minutes, or while the lease is not provably ours",
        *(S.REPLACED, "replaced_elsewhere", Retry.NEVER, A.CONNECT, Who.CLINIC),
        clears_desired=True,
    ),
    Policy(
        Event.BANNED,
        "WhatsApp bans the number for a time; a ban without an end is taken to last an hour",
        *(S.BANNED, "ban_<code>", Retry.AFTER_BAN, A.WAIT_FOR_BAN_TO_END, Who.CLINIC),
    ),
    Policy(
        Event.LOGGED_OUT,
        "unlinked on the phone or by WhatsApp",
        *(S.LOGGED_OUT, "unlinked_by_phone", Retry.NEVER, A.LINK_AGAIN, Who.CLINIC),
        forgets=True,
        clears_desired=True,
    ),
    Policy(
        Event.OUTDATED,
        "WhatsApp takes this version of the client no more (405)",
        *(S.OUTDATED, "client_outdated", Retry.NEXT_RELEASE, A.UPGRADE, Who.OPERATOR),
    ),
    Policy(
        Event.CREDENTIALS_LOST,
        "neither the disk nor the vault holds the session's credentials",
        *(S.LOGGED_OUT, "credentials_lost", Retry.NEVER, A.LINK_AGAIN, Who.CLINIC),
        forgets=True,
        clears_desired=True,
    ),
    Policy(
        Event.DATA_ERASED,
        "the clinic's data key was erased",
        *(S.LOGGED_OUT, "data_erased", Retry.NEVER, A.LINK_AGAIN, Who.CLINIC),
        forgets=True,
        clears_desired=True,
    ),
    Policy(
        Event.VAULT_DAMAGED,
        "the vault's object cannot be used; it is left as it is",
        *(S.FAILED, "vault_damaged", Retry.NEVER, A.CONTACT_SUPPORT, Who.OPERATOR),
        clears_desired=True,
    ),
    Policy(
        Event.GAVE_UP,
        "30 attempts in a row came to nothing; a connection of less than a minute is one of them",
        *(S.FAILED, "<the last attempt's reason>", Retry.NEXT_RELEASE, A.CONNECT, Who.CLINIC),
    ),
    Policy(
        Event.PAIRING_TIMED_OUT,
        "nobody scanned or typed the code in time",
        *(S.DISCONNECTED, "pairing_timed_out", Retry.NEVER, A.CONNECT, Who.CLINIC),
        clears_desired=True,
    ),
    Policy(
        Event.PAIRING_OUTDATED,
        "WhatsApp links no client of this version",
        *(S.OUTDATED, "pairing_client_outdated", Retry.NEVER, A.UPGRADE, Who.OPERATOR),
        clears_desired=True,
    ),
    Policy(
        Event.PASSKEY_REQUIRED,
        "the account is protected by a passkey; this client cannot answer for one",
        *(S.FAILED, "pairing_passkey_required", Retry.NEVER, A.REMOVE_PASSKEY, Who.CLINIC),
        clears_desired=True,
    ),
    Policy(
        Event.PAIRING_PROXY_UNREACHABLE,
        "the channel's proxy does not get a pairing through",
        *(S.FAILED, "pairing_proxy_unreachable", Retry.NEVER, A.CHECK_PROXY, Who.CLINIC),
        clears_desired=True,
    ),
    Policy(
        Event.PAIRING_FAILED,
        "the phone or WhatsApp refuses the pairing, or it cannot be begun",
        *(S.FAILED, "pairing_<reason>", Retry.NEVER, A.CONNECT, Who.CLINIC),
        clears_desired=True,
    ),
    Policy(
        Event.WRONG_NUMBER,
        "the phone that was linked has a number that is in use or not the announced one; it is unlinked again",
        *(S.REJECTED, "number_in_use, unexpected_number", Retry.NEVER, A.USE_ANOTHER_NUMBER, Who.CLINIC),
        clears_desired=True,
    ),
    Policy(
        Event.REACH_OUT_LOCK,
        "a send is refused with 463: no event of the connection, the sender holds messages to new contacts",
        *(None, "", Retry.NEVER, A.NONE, Who.CLINIC),
    ),
)

POLICIES: dict[Event, Policy] = {row.event: row for row in _ROWS}


def pairing_policy(reason: str) -> tuple[Policy, str]:
    """Return what follows from the end of a pairing without a link, and the reason code to report.

    Args:
        reason: the host's word, as ``timeout`` or ``passkey_required``.
    """
    event = _PAIRING_ENDS.get(reason, Event.PAIRING_FAILED)
    policy = POLICIES[event]
    return policy, (f"pairing_{reason}" if event is Event.PAIRING_FAILED else policy.reason)


_PAIRING_ENDS = {
    "timeout": Event.PAIRING_TIMED_OUT,
    "client_outdated": Event.PAIRING_OUTDATED,
    "passkey_required": Event.PASSKEY_REQUIRED,
    "proxy_unreachable": Event.PAIRING_PROXY_UNREACHABLE,
}


def to_markdown() -> str:
    """Return the table as documentation shows it."""
    lines = [
        "| event | how it shows | state | reason | tried again | `next_action` | who acts |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in _ROWS:
        state = f"`{row.state.value}`" if row.state else "unchanged"
        reason = ", ".join(f"`{word}`" for word in row.reason.split(", ")) if row.reason else "–"
        retry = row.retry.value + (f"; {row.most_attempts} attempts" if row.most_attempts else "")
        action = "–" if row.next_action is NextAction.NONE else f"`{row.next_action.value}`"
        cells = (f"`{row.event.value}`", row.seen, state, reason, retry, action, row.who.value)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(to_markdown())

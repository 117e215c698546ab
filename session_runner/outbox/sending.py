"""What the outcome of a send request means for the message. Pure: no message is ever sent again silently."""

from dataclasses import dataclass
from enum import StrEnum

from session_runner.hosts.errors import HostError, HostGone, NotSentError, RefusedError


class Verdict(StrEnum):
    """What becomes of a message whose send request failed."""

    REQUEUE = "requeue"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Failure:
    """A verdict, with the code that goes into the message's history."""

    verdict: Verdict
    code: str


# The host refused the request before it looked at the session: nothing was handed to WhatsApp.
_NEVER_HANDED_OVER = {"unknown_session", "not_running"}


def judge(error: HostError) -> Failure:
    """Say what a failed send request means.

    Only what provably never left may be queued again; only what WhatsApp refused has failed; of everything else
    nobody knows whether it went out.
    """
    if isinstance(error, NotSentError) or error.code in _NEVER_HANDED_OVER:
        return Failure(Verdict.REQUEUE, error.code)
    if isinstance(error, RefusedError):
        status = error.detail.get("status") if error.code == "server_error" else None
        code = "recipient_not_on_whatsapp" if error.code == "recipient_unknown" else str(status or error.code)
        return Failure(Verdict.FAILED, code)
    if error.code == "invalid_request":
        return Failure(Verdict.FAILED, error.code)
    if isinstance(error, HostGone):
        return Failure(Verdict.UNCERTAIN, "host_lost")
    return Failure(Verdict.UNCERTAIN, "send_timeout" if error.code == "timeout" else error.code)

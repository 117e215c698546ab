"""The errors that cross from a host to its supervisor: what failed, and above all whether a message may have left."""

from typing import Any, ClassVar


class HostError(Exception):
    """A request to a host failed.

    Args:
        code: a stable word for what went wrong, as ``not_paired``.
        message: one sentence, without message text and full numbers.
        detail: more about it, as ``{"status": "463"}``.
    """

    outcome: ClassVar[str] = "failed"

    def __init__(self, code: str, message: str = "", detail: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.detail = detail or {}

    def to_data(self) -> dict[str, Any]:
        """Return the wire shape."""
        return {"outcome": self.outcome, "code": self.code, "message": self.message, "detail": self.detail}

    @staticmethod
    def from_data(data: dict[str, Any]) -> "HostError":
        """Return the error that was written with ``to_data``."""
        kind = _BY_OUTCOME.get(data["outcome"], HostError)
        return kind(data["code"], data["message"], data["detail"])


class NotSentError(HostError):
    """The message certainly never left: sending it again later doubles nothing."""

    outcome = "not_sent"


class RefusedError(HostError):
    """WhatsApp refused the message, or knows no such recipient: sending the same again is refused again."""

    outcome = "refused"


class UnknownOutcomeError(HostError):
    """Nobody knows whether the message left: it must not be sent again silently."""

    outcome = "unknown"


class HostGone(HostError):  # noqa: N818 - the word the supervisor's engineers use for a host that died
    """The host died before it answered: whatever it was doing has an unknown outcome."""

    outcome = "gone"


_BY_OUTCOME: dict[str, type[HostError]] = {
    kind.outcome: kind for kind in (HostError, NotSentError, RefusedError, UnknownOutcomeError, HostGone)
}

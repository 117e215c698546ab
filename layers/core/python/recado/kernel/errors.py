"""The closed tree of errors that callers may see, each with a stable code, a title and an HTTP status.

The API turns them into RFC 9457 problem details; ``docs/errors.md`` lists every leaf (a test keeps both in step).
A leaf's code never changes once released. Details must not hold secrets, message text or full phone numbers.
"""

from typing import ClassVar


class RecadoError(Exception):
    """The root: never raised itself.

    Args:
        detail: what went wrong this time, in one sentence for the integrator.
        field: the request field at fault, as a dotted path such as ``text.body``.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    status: ClassVar[int]

    def __init__(self, detail: str = "", *, field: str | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.field = field


class _NamedError(RecadoError):
    """Gives leaves their one-line declaration: ``class X(Y, code=…, title=…)``."""

    def __init_subclass__(cls, *, code: str = "", title: str = "", status: int = 0) -> None:
        super().__init_subclass__()
        if code:
            cls.code = code
        if title:
            cls.title = title
        if status:
            cls.status = status


class InvalidError(_NamedError, status=422):
    """The request is understood and refused because of what it says."""


class InvalidRequestError(InvalidError, code="invalid_request", title="Invalid request"):
    """A field is missing, unknown, of the wrong type or out of its limits."""


class MalformedBodyError(InvalidError, code="malformed_body", title="Malformed body", status=400):
    """The body is not JSON."""


class MalformedRequestError(InvalidError, code="malformed_request", title="Malformed request", status=400):
    """The request could not be understood and reached no operation; said by API Gateway, before the API."""


class InvalidPhoneNumberError(InvalidError, code="invalid_phone_number", title="Invalid phone number"):
    """No phone number or WhatsApp address can be read from the text."""


class InvalidCursorError(InvalidError, code="invalid_cursor", title="Invalid cursor", status=400):
    """The cursor was not issued for this list."""


class InvalidWebhookUrlError(InvalidError, code="invalid_webhook_url", title="Invalid webhook URL"):
    """The URL is not https, or leads to an address that webhooks may not reach."""


class BodyTooLargeError(InvalidError, code="body_too_large", title="Body too large", status=413):
    """The request body is larger than the documented limit."""


class UnauthenticatedError(_NamedError, code="unauthenticated", title="Not authenticated", status=401):
    """No key or token, or one that is unknown, revoked or expired."""


class InsufficientScopeError(_NamedError, code="insufficient_scope", title="Insufficient scope", status=403):
    """The caller is known but was not given this right."""


class RequestBlockedError(_NamedError, code="request_blocked", title="Request blocked", status=403):
    """The request looks like an attack, or comes from where attacks come from; said by the firewall."""


class NotFoundError(_NamedError, status=404):
    """There is no such thing, or it belongs to another clinic: the answer is the same."""


class RouteNotFoundError(NotFoundError, code="route_not_found", title="Not found"):
    """No route has this path."""


class MethodNotAllowedError(_NamedError, code="method_not_allowed", title="Method not allowed", status=405):
    """The path exists, not with this method."""


class ClinicNotFoundError(NotFoundError, code="clinic_not_found", title="Not found"):
    """No such clinic for this caller."""


class ChannelNotFoundError(NotFoundError, code="channel_not_found", title="Not found"):
    """No such channel in this clinic for this caller."""


class MessageNotFoundError(NotFoundError, code="message_not_found", title="Not found"):
    """No such message in this channel."""


class ApiKeyNotFoundError(NotFoundError, code="api_key_not_found", title="Not found"):
    """No such API key in this clinic."""


class WebhookEndpointNotFoundError(NotFoundError, code="webhook_endpoint_not_found", title="Not found"):
    """No such webhook endpoint in this clinic."""


class DeliveryNotFoundError(NotFoundError, code="delivery_not_found", title="Not found"):
    """No such delivery of this endpoint."""


class PairingCodeNotFoundError(NotFoundError, code="pairing_code_not_found", title="No pairing code"):
    """The channel is not waiting to be paired, or its code has expired and no new one came in time."""


class DataErasedError(_NamedError, code="data_erased", title="Data erased", status=410):
    """The clinic's data key was erased: what was sealed under it can never be read again."""


class ConflictError(_NamedError, status=409):
    """The request contradicts the present state."""


class ChannelExistsError(ConflictError, code="channel_exists", title="Channel exists"):
    """The clinic already has a channel with this external id."""


class ChannelStateError(ConflictError, code="channel_state", title="Not possible in this state"):
    """The channel's state does not allow this."""


class MessageStateError(ConflictError, code="message_state", title="Not possible in this state"):
    """The message's status does not allow this."""


class ChannelNotConnectedError(ConflictError, code="channel_not_connected", title="Channel not connected"):
    """This needs a live connection and the channel has none."""


class IdempotencyConflictError(ConflictError, code="idempotency_conflict", title="Idempotency key reused"):
    """The same Idempotency-Key came with another body."""


class NumberInUseError(ConflictError, code="number_in_use", title="Number in use"):
    """The WhatsApp number is already held on this platform."""


class LimitReachedError(ConflictError, code="limit_reached", title="Limit reached"):
    """The clinic has as many of these as it may."""


class RateLimitedError(_NamedError, code="rate_limited", title="Too many requests", status=429):
    """Too many requests in too short a time."""


class InternalError(_NamedError, code="internal_error", title="Internal error", status=500):
    """Something on our side that nobody foresaw; it is logged under the request id."""


class UnavailableError(_NamedError, status=503):
    """A part we depend on does not answer; trying again later is safe."""


class ServiceUnavailableError(UnavailableError, code="service_unavailable", title="Service unavailable"):
    """A store or queue does not answer."""


class NoShardAvailableError(UnavailableError, code="no_shard_available", title="No capacity"):
    """Every shard is full."""


class CheckTimedOutError(UnavailableError, code="check_timed_out", title="No answer in time", status=504):
    """WhatsApp or the runner did not answer within the time a caller can wait."""

"""What the infrastructure itself answers instead of the API: the same RFC 9457 documents, from the same list of codes.

No runtime code is imported here; a test holds codes, titles and statuses to ``recado.kernel.errors``.
"""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of the API's catalogue.

    Attributes:
        code: stable, documented in ``docs/errors.md``.
        title: the same for every problem of this type.
        status: the HTTP status.
        detail: one sentence for the integrator.
        kind: the last part of the problem's type, if it is not the code.
    """

    code: str
    title: str
    status: int
    detail: str
    kind: str = ""

    def document(self, public_url: str, request_id: str | None = None) -> str:
        """Return the problem as JSON text.

        Args:
            public_url: where the types' explanations are; may be a token of the CDK.
            request_id: what stands for the request's id, None where nothing can.
        """
        return json.dumps(
            {
                "type": f"{public_url}/errors/{self.kind or self.code}",
                "title": self.title,
                "status": self.status,
                "code": self.code,
                "detail": self.detail,
                "field": None,
                "request_id": request_id,
            }
        )


MALFORMED_REQUEST = Problem(
    "malformed_request", "Malformed request", 400, "The request could not be understood and reached no operation."
)
UNAUTHENTICATED = Problem("unauthenticated", "Not authenticated", 401, "No key, an unknown key or a revoked key.")
REQUEST_BLOCKED = Problem(
    "request_blocked",
    "Request blocked",
    403,
    "The request looks like an attack, or comes from where attacks come from.",
)
ROUTE_NOT_FOUND = Problem("route_not_found", "Not found", 404, "No operation has this path.", kind="not_found")
BODY_TOO_LARGE = Problem("body_too_large", "Body too large", 413, "The body is larger than 256 KiB.")
RATE_LIMITED = Problem("rate_limited", "Too many requests", 429, "Too many requests came in too short a time.")
INTERNAL_ERROR = Problem("internal_error", "Internal error", 500, "Something went wrong on our side.")
SERVICE_UNAVAILABLE = Problem(
    "service_unavailable", "Service unavailable", 503, "The API did not answer in time, or not at all."
)

PROBLEMS = (
    MALFORMED_REQUEST,
    UNAUTHENTICATED,
    REQUEST_BLOCKED,
    ROUTE_NOT_FOUND,
    BODY_TOO_LARGE,
    RATE_LIMITED,
    INTERNAL_ERROR,
    SERVICE_UNAVAILABLE,
)

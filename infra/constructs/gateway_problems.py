"""API Gateway's own answers, in the form of the API's: RFC 9457 problem documents with the API's codes."""

from aws_cdk import aws_apigateway as apigateway

from infra.problems import (
    BODY_TOO_LARGE,
    INTERNAL_ERROR,
    MALFORMED_REQUEST,
    RATE_LIMITED,
    REQUEST_BLOCKED,
    ROUTE_NOT_FOUND,
    SERVICE_UNAVAILABLE,
    UNAUTHENTICATED,
    Problem,
)

_RETRY_AFTER_SECONDS = {RATE_LIMITED.code: 1, SERVICE_UNAVAILABLE.code: 5}

ANSWERS: dict[str, Problem] = {
    "DEFAULT_4XX": MALFORMED_REQUEST,
    "BAD_REQUEST_BODY": MALFORMED_REQUEST,
    "BAD_REQUEST_PARAMETERS": MALFORMED_REQUEST,
    "UNSUPPORTED_MEDIA_TYPE": MALFORMED_REQUEST,
    "UNAUTHORIZED": UNAUTHENTICATED,
    "EXPIRED_TOKEN": UNAUTHENTICATED,
    "INVALID_API_KEY": UNAUTHENTICATED,
    "INVALID_SIGNATURE": UNAUTHENTICATED,
    "ACCESS_DENIED": REQUEST_BLOCKED,
    "WAF_FILTERED": REQUEST_BLOCKED,
    # What API Gateway calls a missing token is a path that it has no method for.
    "MISSING_AUTHENTICATION_TOKEN": ROUTE_NOT_FOUND,
    "RESOURCE_NOT_FOUND": ROUTE_NOT_FOUND,
    "REQUEST_TOO_LARGE": BODY_TOO_LARGE,
    "THROTTLED": RATE_LIMITED,
    "QUOTA_EXCEEDED": RATE_LIMITED,
    "INTEGRATION_FAILURE": SERVICE_UNAVAILABLE,
    "INTEGRATION_TIMEOUT": SERVICE_UNAVAILABLE,
    "API_CONFIGURATION_ERROR": INTERNAL_ERROR,
    "AUTHORIZER_CONFIGURATION_ERROR": INTERNAL_ERROR,
    "AUTHORIZER_FAILURE": INTERNAL_ERROR,
    "DEFAULT_5XX": INTERNAL_ERROR,
}
"""Every type of https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html"""


def answer_with_problems(api: apigateway.RestApi, public_url: str) -> None:
    """Let API Gateway answer problems.

    Args:
        api: the API.
        public_url: where the explanations of problems are; may be a token.
    """
    for name, problem in ANSWERS.items():
        headers = {
            # The template is found under application/json whatever a caller accepts; the header says what it is.
            "Content-Type": "'application/problem+json'",
            "Cache-Control": "'no-store'",
        }
        if problem.code in _RETRY_AFTER_SECONDS:
            headers["Retry-After"] = f"'{_RETRY_AFTER_SECONDS[problem.code]}'"
        if problem is UNAUTHENTICATED:
            headers["WWW-Authenticate"] = "'Bearer'"
        api.add_gateway_response(
            "".join(part.capitalize() for part in name.split("_")),
            type=apigateway.ResponseType.of(name),
            status_code=str(problem.status),
            response_headers=headers,
            templates={"application/json": problem.document(public_url, "$context.requestId")},
        )

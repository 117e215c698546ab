"""The API as API Gateway serves it: what it answers by itself, what it writes down, and what it lets through."""

import json
from typing import Any

import pytest

from functions.api.error_catalogue import EXPLANATIONS, problem_kind
from infra.constructs.gateway_problems import ANSWERS
from infra.problems import PROBLEMS, Problem
from tests.infra.template import Templates

# https://docs.aws.amazon.com/apigateway/latest/api/API_GatewayResponse.html
_RESPONSE_TYPES = {
    "DEFAULT_4XX",
    "DEFAULT_5XX",
    "RESOURCE_NOT_FOUND",
    "UNAUTHORIZED",
    "INVALID_API_KEY",
    "ACCESS_DENIED",
    "AUTHORIZER_FAILURE",
    "AUTHORIZER_CONFIGURATION_ERROR",
    "INVALID_SIGNATURE",
    "EXPIRED_TOKEN",
    "MISSING_AUTHENTICATION_TOKEN",
    "INTEGRATION_FAILURE",
    "INTEGRATION_TIMEOUT",
    "API_CONFIGURATION_ERROR",
    "UNSUPPORTED_MEDIA_TYPE",
    "BAD_REQUEST_PARAMETERS",
    "BAD_REQUEST_BODY",
    "REQUEST_TOO_LARGE",
    "THROTTLED",
    "QUOTA_EXCEEDED",
    "WAF_FILTERED",
}


@pytest.fixture
def stage(prod: Templates) -> dict[str, Any]:
    """The one stage of production's API."""
    (found,) = prod.properties("AWS::ApiGateway::Stage")
    return found


@pytest.fixture
def settings(stage: dict[str, Any]) -> dict[str, Any]:
    """The settings of all its methods."""
    (found,) = stage["MethodSettings"]
    assert (found["HttpMethod"], found["ResourcePath"]) == ("*", "/*")
    return dict(found)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.code)
def test_the_infrastructure_says_what_the_catalogue_says(problem: Problem) -> None:
    """Code, title, status and type of an answer made here are those of the API's documented error of that code."""
    (error,) = [one.error for one in EXPLANATIONS if one.error.code == problem.code]
    document = json.loads(problem.document("https://api.example"))
    assert (document["title"], document["status"]) == (error.title, error.status)
    assert document["type"] == f"https://api.example/errors/{problem_kind(error)}"
    assert set(document) == {"type", "title", "status", "code", "detail", "field", "request_id"}


def test_api_gateway_answers_everything_with_problems(prod: Templates) -> None:
    """Every type of response that it makes by itself is a problem document with a status that fits its body."""
    responses = {response["ResponseType"]: response for response in prod.properties("AWS::ApiGateway::GatewayResponse")}
    assert set(responses) == _RESPONSE_TYPES
    for name, response in responses.items():
        parameters = response["ResponseParameters"]
        assert parameters["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        body = json.loads(_joined(response["ResponseTemplates"]["application/json"]))
        assert response["StatusCode"] == str(body["status"])
        assert body["code"] == ANSWERS[name].code
        assert body["request_id"] == "$context.requestId"


@pytest.mark.parametrize(
    ("response", "code"),
    [("WAF_FILTERED", "request_blocked"), ("THROTTLED", "rate_limited"), ("REQUEST_TOO_LARGE", "body_too_large")],
)
def test_what_integrators_will_meet_has_the_code_that_is_documented(response: str, code: str) -> None:
    """Blocked, too fast, too large: the codes of docs/errors.md."""
    assert ANSWERS[response].code == code


def test_a_new_answer_is_deployed(prod: Templates) -> None:
    """API Gateway serves a snapshot: it is taken after the gateway responses are made."""
    ((_, deployment),) = prod.resources("AWS::ApiGateway::Deployment")
    made = {name for name, _ in prod.resources("AWS::ApiGateway::GatewayResponse")}
    assert made <= set(deployment["DependsOn"])


def test_the_access_log_says_nothing_of_what_was_said(stage: dict[str, Any]) -> None:
    """One JSON object a request: no path, query, body, header or caller-made text, but the ids to find the rest."""
    line = json.loads(stage["AccessLogSetting"]["Format"])
    assert line["request_id"] == "$context.requestId"
    assert line["status"] == "$context.status"
    for value in line.values():
        assert value.startswith("$context.")
        assert not any(word in value.lower() for word in ("path", "query", "body", "header", "agent", "authorizer"))


def test_the_gateways_logs_are_ours_and_forget(prod: Templates, stage: dict[str, Any]) -> None:
    """Access and execution log are made before the stage that writes to them, and kept as long as the stage says."""
    kept = {
        name: resource["Properties"]["RetentionInDays"]
        for name, resource in prod.resources("AWS::Logs::LogGroup")
        if name in json.dumps(stage["AccessLogSetting"]) or "API-Gateway-Execution-Logs_" in json.dumps(resource)
    }
    assert list(kept.values()) == [90, 90]
    ((_, resource),) = prod.resources("AWS::ApiGateway::Stage")
    assert set(kept) & set(resource["DependsOn"])


def test_the_execution_log_holds_errors_without_data(settings: dict[str, Any]) -> None:
    """With more, headers and bodies would be logged."""
    assert settings["LoggingLevel"] == "ERROR"
    assert settings["DataTraceEnabled"] is False


def test_requests_are_traced_from_the_gateway_into_the_function(prod: Templates, stage: dict[str, Any]) -> None:
    """X-Ray on the stage and on the function; the calls it makes are traced where a stage asks for them."""
    assert stage["TracingEnabled"] is True
    assert prod.function("api")["TracingConfig"] == {"Mode": "Active"}
    assert "RECADO_TRACING" not in prod.function("api")["Environment"]["Variables"]


def test_a_stage_may_have_the_calls_to_aws_traced(crowded: Templates) -> None:
    """The function is told to."""
    assert crowded.function("api")["Environment"]["Variables"]["RECADO_TRACING"] == "true"


def test_the_gateway_throttles_as_the_stage_says(settings: dict[str, Any]) -> None:
    """All callers together."""
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (500, 1_000)


def test_the_api_is_regional(prod: Templates) -> None:
    """No edge locations: clinics and servers are in one country, and WAF is tied to the region."""
    (api,) = prod.properties("AWS::ApiGateway::RestApi")
    assert api["EndpointConfiguration"]["Types"] == ["REGIONAL"]


def test_the_right_to_log_outlives_a_stage(prod: Templates) -> None:
    """The account has one role for all its APIs: with its deletion, those of other stages would fall silent."""
    ((_, account),) = prod.resources("AWS::ApiGateway::Account")
    role = account["Properties"]["CloudWatchRoleArn"]["Fn::GetAtt"][0]
    roles = dict(prod.resources("AWS::IAM::Role"))
    assert account["DeletionPolicy"] == roles[role]["DeletionPolicy"] == "Retain"


def _joined(text: Any) -> str:
    return "".join(part if isinstance(part, str) else "https://public.example" for part in text["Fn::Join"][1])

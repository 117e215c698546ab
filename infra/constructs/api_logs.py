"""What API Gateway writes down about requests: nothing that was said in them.

The path is left out too. Its ids would be harmless, but a path that was put together wrongly may hold a phone number,
and API Gateway cannot tell. The function's own line has the route and the ids that it has checked; it carries the same
request id (``correlation_id``).
"""

import json

from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from infra.config import Stage
from infra.constructs.log_groups import OwnedLogGroup

ACCESS_LOG_FIELDS = {
    "request_id": "$context.requestId",
    # What WAF's log calls the request's id.
    "extended_request_id": "$context.extendedRequestId",
    "trace_id": "$context.xrayTraceId",
    "time": "$context.requestTimeEpoch",
    "method": "$context.httpMethod",
    "protocol": "$context.protocol",
    "status": "$context.status",
    "source_address": "$context.identity.sourceIp",
    "response_bytes": "$context.responseLength",
    "response_ms": "$context.responseLatency",
    "function_ms": "$context.integration.latency",
    "function_status": "$context.integration.status",
    "gateway_response": "$context.error.responseType",
    "firewall": "$context.wafResponseCode",
}
"""Free of quotes by nature, all of them: API Gateway puts values into the line as they are."""


class AccessLog(Construct):
    """The log of a stage's requests, one JSON object each."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        name = f"/recado/{stage.name}/api-access"
        self.destination = apigateway.LogGroupLogDestination(OwnedLogGroup(self, "Log", name=name, stage=stage).group)
        self.format = apigateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG_FIELDS))


def own_execution_log(scope: Construct, api: apigateway.RestApi, stage: Stage) -> None:
    """Make the log group of API Gateway's own troubles before it does, so that it forgets in time.

    Args:
        scope: where it belongs.
        api: the API.
        stage: how long logs are kept.
    """
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    name = f"API-Gateway-Execution-Logs_{api.rest_api_id}/{stage.name}"
    owned = OwnedLogGroup(scope, "ExecutionLog", name=name, stage=stage)
    api.deployment_stage.node.add_dependency(owned.resource)

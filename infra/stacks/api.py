"""The REST API in front of ``functions/api``."""

from typing import Any, cast

from aws_cdk import CfnCondition, CfnOutput, CfnParameter, Fn, RemovalPolicy, Stack, Tags
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.assets import Assets
from infra.config import Stage
from infra.constructs import encryption_grants, grants
from infra.constructs.acknowledged import acknowledge
from infra.constructs.api_logs import AccessLog, own_execution_log
from infra.constructs.clinic_access import ClinicAccess
from infra.constructs.environment import Environment
from infra.constructs.functions import Layers, RecadoFunction
from infra.constructs.gateway_problems import answer_with_problems
from infra.constructs.item_grants import allow_items, allow_queries
from infra.constructs.web_firewall import WebFirewall
from infra.stacks.data import DataStack
from infra.stacks.identity import IdentityStack
from infra.stacks.messaging import MessagingStack


class ApiStack(Stack):
    """API Gateway hands every request to one function, which does the routing."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        assets: Assets,
        data: DataStack,
        messaging: MessagingStack,
        identity: IdentityStack,
        **options: Any,
    ) -> None:
        super().__init__(scope, construct_id, **options)
        Tags.of(self).add("recado:component", "api")
        # A parameter: the address is known only after a custom domain, or the local front door's port, is chosen.
        public_url = CfnParameter(self, "PublicUrl", type="String", default=stage.public_url)
        environment = Environment(stage, data, messaging)
        api = RecadoFunction(
            self,
            "Api",
            name="api",
            stage=stage,
            assets=assets,
            layers=Layers(self, "Layers", stage=stage, assets=assets, owner="api"),
            traced=True,
            environment={
                **environment.tables(),
                **environment.shards(),
                **environment.key(),
                **environment.deliveries(),
                **environment.webhooks(),
                **environment.proxies(),
                **self._identity(identity),
                "RECADO_PUBLIC_URL": public_url.value_as_string,
                **({"RECADO_TRACING": "true"} if stage.trace_aws_calls else {}),
            },
        ).function
        tables = data.tables
        # Its own rights are for finding out who asks and for what belongs to no clinic; a request then goes on with
        # those of its clinic.
        allow_items(api, tables["core"], "GetItem", leading=["platform", "clinic#*"])
        allow_queries(api, tables["core"], "by_kind", leading=["clinic"])
        allow_items(api, tables["runtime"], "GetItem", "BatchGetItem", leading=["shard#*"])
        self._fence(stage, data, api)
        encryption_grants.allow_reading_through(api, data.key, self.region, "dynamodb")
        encryption_grants.allow_writing_through(api, data.key, self.region, "sqs")
        for queue in messaging.commands.values():
            grants.allow_sending(api, queue)
            grants.allow_measuring(api, queue)
        grants.allow_sending(api, messaging.deliveries.queue)
        rest = self._serve(stage, api)
        answer_with_problems(rest, public_url.value_as_string)
        WebFirewall(
            self,
            "Firewall",
            stage=stage,
            api_stage=rest.deployment_stage,
            public_url=public_url.value_as_string,
        )
        CfnOutput(self, "RestApiId", value=rest.rest_api_id)
        CfnOutput(self, "Url", value=rest.url)

    def _identity(self, identity: IdentityStack) -> dict[str, str]:
        """Return whose tokens the function takes, and where the keys are that prove them."""
        # A parameter: an emulator signs under AWS's name and publishes the keys at its own address.
        address = CfnParameter(
            self,
            "IdentityAddress",
            type="String",
            default="",
            description="Empty: the pool's keys are where AWS has them",
        )
        given = CfnCondition(
            self, "IdentityAddressGiven", expression=Fn.condition_not(Fn.condition_equals(address.value_as_string, ""))
        )
        published = f"{address.value_as_string}/{identity.pool.user_pool_id}"
        return {
            "RECADO_IDENTITY_ISSUER": identity.issuer,
            "RECADO_IDENTITY_AUDIENCE": identity.dashboard.user_pool_client_id,
            "RECADO_IDENTITY_KEYS_URL": Fn.condition_if(given.logical_id, published, identity.issuer).to_string()
            + "/.well-known/jwks.json",
        }

    def _serve(self, stage: Stage, api: lambda_.Function) -> apigateway.LambdaRestApi:
        """Make the API: every path and method leads to the function."""
        log = AccessLog(self, "AccessLog", stage=stage)
        rest = apigateway.LambdaRestApi(
            self,
            "RestApi",
            rest_api_name=f"recado-{stage.name}",
            handler=api,
            proxy=True,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            # Pairing codes are also served as PNG; with this, bodies travel as base64 and the adapter decodes them.
            binary_media_types=["*/*"],
            # One for all APIs of the account and region, and kept when this one goes: others may be writing with it.
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=RemovalPolicy.RETAIN,
            deploy_options=apigateway.StageOptions(
                stage_name=stage.name,
                throttling_rate_limit=stage.api_requests_per_second,
                throttling_burst_limit=stage.api_burst,
                metrics_enabled=True,
                tracing_enabled=True,
                access_log_destination=log.destination,
                access_log_format=log.format,
                # Errors only and no data: with more, API Gateway logs headers, keys among them, and bodies.
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,
            ),
        )
        own_execution_log(self, rest, stage)
        _explain(rest)
        return rest

    def _fence(self, stage: Stage, data: DataStack, api: lambda_.Function) -> None:
        """Give requests of a clinic a role that reaches nothing of any other."""
        own_role = cast("iam.IRole", api.role)
        access = ClinicAccess(self, "ClinicAccess", stage=stage, data=data, assumed_by=own_role).role
        api.add_environment("RECADO_CLINIC_ROLE_ARN", access.role_arn)
        api.add_to_role_policy(
            iam.PolicyStatement(actions=["sts:AssumeRole", "sts:TagSession"], resources=[access.role_arn])
        )


def _explain(rest: apigateway.LambdaRestApi) -> None:
    """Say what is meant to be so although the AWS Solutions checks advise otherwise."""
    acknowledge(
        rest,
        "APIG2",
        "The function validates every request against the published schemas and names the field at fault, which API "
        "Gateway's validators cannot; with one proxy route they would have nothing to compare with.",
    )
    for rule in ("APIG4", "COG4"):
        acknowledge(
            rest,
            rule,
            "The function checks API keys and people's tokens itself (functions/api/auth.py), on every route but those "
            "that tests list as open; an authorizer here would know neither keys nor scopes nor the clinic of a path.",
        )
    acknowledge(
        rest,
        "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]",
        "API Gateway's own role for its logs in this account and region, of which there is one for all APIs; API "
        "Gateway refuses a role with less than AWS's policy allows.",
    )

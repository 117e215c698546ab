"""The REST API in front of ``functions/api``."""

from typing import Any, cast

from aws_cdk import CfnOutput, CfnParameter, Stack, Tags
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.assets import Assets
from infra.config import Stage
from infra.constructs import encryption_grants, grants
from infra.constructs.clinic_access import ClinicAccess
from infra.constructs.environment import Environment
from infra.constructs.functions import Layers, RecadoFunction
from infra.constructs.item_grants import allow_items, allow_queries
from infra.stacks.data import DataStack
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
            memory=1024,
            environment={
                **environment.tables(),
                **environment.shards(),
                **environment.key(),
                **environment.webhooks(),
                "RECADO_PUBLIC_URL": public_url.value_as_string,
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
        rest = apigateway.LambdaRestApi(
            self,
            "RestApi",
            rest_api_name=f"recado-{stage.name}",
            handler=api,
            proxy=True,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            # Pairing codes are also served as PNG; with this, bodies travel as base64 and the adapter decodes them.
            binary_media_types=["*/*"],
            cloud_watch_role=False,
            deploy_options=apigateway.StageOptions(
                stage_name=stage.name, throttling_rate_limit=500, throttling_burst_limit=1_000, metrics_enabled=True
            ),
        )
        CfnOutput(self, "RestApiId", value=rest.rest_api_id)
        CfnOutput(self, "Url", value=rest.url)

    def _fence(self, stage: Stage, data: DataStack, api: lambda_.Function) -> None:
        """Give requests of a clinic a role that reaches nothing of any other."""
        own_role = cast("iam.IRole", api.role)
        access = ClinicAccess(self, "ClinicAccess", stage=stage, data=data, assumed_by=own_role).role
        api.add_environment("RECADO_CLINIC_ROLE_ARN", access.role_arn)
        api.add_to_role_policy(
            iam.PolicyStatement(actions=["sts:AssumeRole", "sts:TagSession"], resources=[access.role_arn])
        )

"""Where sessions live: the network, the cluster, and one service per shard."""

from typing import Any

from aws_cdk import CfnOutput, Stack, Tags
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.assets import DOCKERFILE, Assets
from infra.config import Stage
from infra.constructs.acknowledged import acknowledge
from infra.constructs.network import Network
from infra.constructs.shard_service import ShardService
from infra.stacks.data import DataStack
from infra.stacks.messaging import MessagingStack

_PLATFORMS = {"arm64": ecr_assets.Platform.LINUX_ARM64, "x86_64": ecr_assets.Platform.LINUX_AMD64}


class SessionsStack(Stack):
    """The runners of a stage.

    Attributes:
        services: the service of each shard, by shard id.
    """

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
        Tags.of(self).add("recado:component", "sessions")
        network = Network(self, "Network", stage=stage)
        insights = ecs.ContainerInsights.ENABLED if stage.container_insights else ecs.ContainerInsights.DISABLED
        cluster = ecs.Cluster(
            self, "Cluster", cluster_name=f"recado-{stage.name}", vpc=network.vpc, container_insights_v2=insights
        )
        if not stage.container_insights:
            acknowledge(
                cluster,
                "ECS4",
                "Paid by the metric and the shard. ECS's own CPU and memory metrics are free, the runner's come by "
                "its log; the stage setting container_insights buys the rest.",
            )
        image = ecs.ContainerImage.from_docker_image_asset(
            ecr_assets.DockerImageAsset(
                self,
                "Image",
                directory=str(assets.runner_image()),
                file=DOCKERFILE,
                platform=_PLATFORMS[stage.task_architecture],
            )
        )
        # One for all: it belongs to ECS, not to the program, and fetches the same image for every shard.
        execution_role = iam.Role(
            self,
            "ExecutionRole",
            description="Lets ECS fetch the runner's image and write its logs",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
        )
        self.services = {
            shard.shard_id: ShardService(
                self,
                "".join(part.capitalize() for part in shard.shard_id.split("-")),
                shard=shard,
                stage=stage,
                cluster=cluster,
                network=network,
                image=image,
                execution_role=execution_role,
                data=data,
                messaging=messaging,
            ).service
            for shard in stage.shards
        }
        CfnOutput(self, "ClusterName", value=cluster.cluster_name)

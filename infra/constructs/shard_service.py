"""A shard: at most one task of the runner, what it may do, where it logs."""

from aws_cdk import Duration, RemovalPolicy, Size, Tags
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.config import Shard, Stage
from infra.constructs import encryption_grants, grants
from infra.constructs.acknowledged import acknowledge
from infra.constructs.environment import Environment
from infra.constructs.item_grants import allow_items, allow_queries
from infra.constructs.key_grants import allow_making_keys
from infra.constructs.network import Network
from infra.constructs.spill_grants import allow_spilling
from infra.container import HEALTH_CHECK, HEALTH_PORT, USER, WRITABLE_FOLDER
from infra.stacks.data import DataStack
from infra.stacks.messaging import MessagingStack

_VOLUME = "task-disk"


class ShardService(Construct):
    """The ECS service of one shard.

    At most one task runs at a time by the service's own rules (0 % at least, 100 % at most, no rebalancing between
    zones); that no two ever act for the same shard is the lease's doing. How many are wanted, 0 or 1, is not said
    here: a new service begins with 1, and no deployment changes what has been set since.

    Args:
        shard: the shard.
        stage: its stage.
        cluster: where it runs.
        network: what it reaches.
        image: the runner's image.
        execution_role: by which ECS fetches the image and writes the logs.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shard: Shard,
        stage: Stage,
        cluster: ecs.ICluster,
        network: Network,
        image: ecs.ContainerImage,
        execution_role: iam.IRole,
        data: DataStack,
        messaging: MessagingStack,
    ) -> None:
        super().__init__(scope, construct_id)
        self._shard = shard
        self._stage = stage
        self._image = image
        self._environment = Environment(stage, data, messaging).runner(shard.shard_id)
        self._role = self._make_role(data, messaging, cluster)
        task = self._make_task(execution_role)
        self.service = ecs.FargateService(
            self,
            "Service",
            service_name=f"recado-{stage.name}-{shard.shard_id}",
            cluster=cluster,
            task_definition=task,
            platform_version=ecs.FargatePlatformVersion.VERSION1_4,
            min_healthy_percent=0,
            max_healthy_percent=100,
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.DISABLED,
            # A task that does not come up ends the deployment in minutes instead of CloudFormation's three hours.
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            assign_public_ip=network.tasks_have_addresses,
            vpc_subnets=network.subnets,
            security_groups=[network.runners],
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            enable_ecs_managed_tags=True,
        )
        # The first task cannot start before ECS may fetch its image and write its logs.
        self.service.node.add_dependency(execution_role)
        declared = self.service.node.default_child
        if isinstance(declared, ecs.CfnService):
            declared.add_property_deletion_override("DesiredCount")
        Tags.of(self).add("recado:component", "runner")
        Tags.of(self).add("recado:shard", shard.shard_id)
        if shard.clinic_id:
            Tags.of(self).add("recado:clinic", shard.clinic_id)

    def _make_role(self, data: DataStack, messaging: MessagingStack, cluster: ecs.ICluster) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            description=f"What the runner of {self._shard.shard_id} may do",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
        )
        tables = data.tables
        allow_items(role, tables["core"], "GetItem", "PutItem", "UpdateItem", "DeleteItem")
        allow_queries(role, tables["core"], "by_shard", leading=[self._shard.shard_id])
        allow_items(role, tables["messages"], "GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem")
        allow_items(role, tables["runtime"], "GetItem", "PutItem", "UpdateItem", "DeleteItem")
        grants.allow_receiving(role, messaging.commands[self._shard.shard_id])
        grants.allow_sending(role, messaging.ingest.queue)
        grants.allow_keeping_sessions(role, data.vault, self._shard.clinic_id)
        allow_making_keys(role, tables["keys"], data.key, clinic=self._shard.clinic_id)
        allow_spilling(role, data.vault, self._shard.shard_id)
        encryption_grants.allow_reading_through(role, data.key, data.region, "dynamodb")
        encryption_grants.allow_writing_through(role, data.key, data.region, "sqs")
        encryption_grants.allow_writing_through(role, data.key, data.region, "s3")
        # Whether the task before it has stopped: then it need not wait for the lease.
        tasks = role.stack.format_arn(service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*")
        role.add_to_policy(iam.PolicyStatement(actions=["ecs:DescribeTasks"], resources=[tasks]))
        return role

    def _make_task(self, execution_role: iam.IRole) -> ecs.FargateTaskDefinition:
        arm = self._stage.task_architecture == "arm64"
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            family=f"recado-{self._stage.name}-{self._shard.shard_id}",
            cpu=self._stage.task_cpu,
            memory_limit_mib=self._stage.task_memory,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64 if arm else ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            task_role=self._role,
            execution_role=execution_role,
            volumes=[ecs.Volume(name=_VOLUME)],
        )
        container = task.add_container(
            "runner",
            image=self._image,
            user=USER,
            environment={
                **self._environment,
                "AWS_REGION": self._role.stack.region,
                "RECADO_RUNNER_DIRECTORY": WRITABLE_FOLDER,
                "RECADO_HEALTH_PORT": str(HEALTH_PORT),
                "HOME": WRITABLE_FOLDER,
                "TMPDIR": WRITABLE_FOLDER,
                # Hosts inherit nothing but this.
                "RECADO_WHATSAPP_ENVIRONMENT": f'{{"HOME":"{WRITABLE_FOLDER}","TMPDIR":"{WRITABLE_FOLDER}"}}',
            },
            readonly_root_filesystem=True,
            linux_parameters=self._linux(),
            # The longest that Fargate grants; the runner itself takes 100 s to put its sessions away.
            stop_timeout=Duration.seconds(120),
            health_check=ecs.HealthCheck(
                command=["CMD", *HEALTH_CHECK],
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                retries=3,
                start_period=Duration.seconds(30),
            ),
            logging=ecs.LogDrivers.aws_logs(
                stream_prefix="runner",
                log_group=self._make_log_group(),
                # A log service that does not answer must not hold up sessions.
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
                max_buffer_size=Size.mebibytes(16),
            ),
        )
        container.add_mount_points(
            ecs.MountPoint(source_volume=_VOLUME, container_path=WRITABLE_FOLDER, read_only=False)
        )
        acknowledge(task, "ECS2", "Names and addresses only: the runner is given no secret, its role is its identity.")
        return task

    def _linux(self) -> ecs.LinuxParameters:
        # An init process takes in what hosts leave behind, and hands SIGTERM on.
        parameters = ecs.LinuxParameters(self, "Linux", init_process_enabled=True)
        parameters.drop_capabilities(ecs.Capability.ALL)
        return parameters

    def _make_log_group(self) -> logs.ILogGroup:
        group = logs.CfnLogGroup(
            self,
            "Logs",
            log_group_name=f"/recado/{self._stage.name}/{self._shard.shard_id}",
            retention_in_days=self._stage.log_retention_days,
        )
        group.apply_removal_policy(RemovalPolicy.DESTROY)
        return logs.LogGroup.from_log_group_name(self, "LogGroup", group.ref)

"""A Lambda function of this project: its own folder as code, the two layers, a log group, a role of its own, tags."""

from collections.abc import Mapping

from aws_cdk import Aws, Duration, Tags
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.assets import Assets
from infra.config import Stage
from infra.constructs.acknowledged import acknowledge
from infra.constructs.log_groups import OwnedLogGroup
from infra.function_memory import FUNCTION_MEMORY
from infra.timeouts import FUNCTION_TIMEOUTS

# The newest that the built assets have been run on (tests/infra); a newer one begins with the third-party layer's
# wheels and bytecode, infra/layers.py.
RUNTIME = lambda_.Runtime.PYTHON_3_13
ARCHITECTURE = lambda_.Architecture.ARM_64


class Layers(Construct):
    """The domain package and the third-party packages, as layers.

    Each stack with functions has its own: a layer version shared between stacks could never be replaced, because
    CloudFormation does not change an export that another stack imports.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, assets: Assets, owner: str) -> None:
        super().__init__(scope, construct_id)
        core = lambda_.Code.from_asset(str(assets.core_layer()))
        dependencies = lambda_.Code.from_asset(str(assets.dependencies_layer(stage.layer_platform)))
        self.versions = [
            lambda_.LayerVersion(
                self,
                name.capitalize(),
                code=code,
                layer_version_name=f"recado-{stage.name}-{owner}-{name}",
                compatible_runtimes=[RUNTIME],
                compatible_architectures=[ARCHITECTURE],
                description=description,
            )
            for name, code, description in (
                ("core", core, "The domain package"),
                ("deps", dependencies, "Third-party packages"),
            )
        ]


class RecadoFunction(Construct):
    """One function of ``functions/``.

    Its role may write its own logs; all else is granted to it one by one.

    Args:
        name: the folder's name; the function is called ``recado-<stage>-<name with hyphens>``.
        environment: what the function's settings read.
        traced: whether X-Ray follows its invocations.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        stage: Stage,
        assets: Assets,
        layers: Layers,
        environment: Mapping[str, str],
        traced: bool = False,
    ) -> None:
        super().__init__(scope, construct_id)
        physical_name = f"recado-{stage.name}-{name.replace('_', '-')}"
        log = OwnedLogGroup(self, "Log", name=f"/aws/lambda/{physical_name}", stage=stage)
        # AWS's managed policy for this allows writing, and making, every log group of the account.
        role = iam.Role(
            self,
            "Role",
            description=f"What functions/{name} may do",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[f"arn:aws:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:/aws/lambda/{physical_name}:*"],
            )
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=physical_name,
            role=role,
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=f"functions.{name}.handler.handler",
            code=lambda_.Code.from_asset(str(assets.function(name))),
            layers=layers.versions,
            memory_size=FUNCTION_MEMORY[name],
            timeout=Duration.seconds(FUNCTION_TIMEOUTS[name]),
            environment={**environment, "RECADO_STAGE": stage.name},
            log_group=log.group,
            tracing=lambda_.Tracing.ACTIVE if traced else lambda_.Tracing.DISABLED,
        )
        acknowledge(
            self.function,
            "L1",
            "Python 3.13, which AWS supports until 2029: the third-party layer holds wheels and bytecode of just this "
            "version, and the built assets are tested on it.",
        )
        Tags.of(self).add("recado:component", name)

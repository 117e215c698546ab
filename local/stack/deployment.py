"""Deploys the synthesised templates into the emulator, as ``cdk deploy`` would, without its command line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

from infra.assets import FunctionAssets
from local.stack.adjustments import adjusted, expiring_tables
from local.stack.clients import emulator_clients
from local.stack.code import CodeBucket, with_code
from local.stack.environment import REGION
from local.stack.synthesis import STAGE, Template
from recado.aws.settings import ShardSettings

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_ACCOUNT = "000000000000"
_BOOTSTRAP = "hnb659fds"  # the CDK's default qualifier
_BOOTSTRAP_VERSION = "31"
_CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")
_NOTHING_TO_DO = "No updates are to be performed"


class DeploymentError(Exception):
    """A stack could not be created or updated; carries the emulator's reasons."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the deployed stacks say of themselves: their outputs, by name."""

    outputs: Mapping[str, str]

    @property
    def api_path(self) -> str:
        """The path of the API in the emulator, without a trailing slash."""
        return f"/_aws/execute-api/{self.outputs['RestApiId']}/{STAGE}"

    @property
    def shard_ids(self) -> tuple[str, ...]:
        """The declared shards."""
        declared = ShardSettings(shards=self.outputs["Shards"], shard_queue_url=self.outputs["ShardQueueUrl"])
        return declared.shard_ids

    def environment(self) -> dict[str, str]:
        """Return the ``RECADO_…`` variables of a process that runs beside the functions, such as the runner."""
        tables = ("core", "messages", "analytics", "audit", "runtime", "keys")
        return {
            "RECADO_STAGE": STAGE,
            **{f"RECADO_{name.upper()}_TABLE": f"recado-{STAGE}-{name}" for name in tables},
            "RECADO_EVENT_BUS": self.outputs["EventBus"],
            "RECADO_INGEST_QUEUE_URL": self.outputs["IngestQueueUrl"],
            "RECADO_DELIVERIES_QUEUE_URL": self.outputs["DeliveriesQueueUrl"],
            "RECADO_SHARDS": self.outputs["Shards"],
            "RECADO_SHARD_QUEUE_URL": self.outputs["ShardQueueUrl"],
            "RECADO_VAULT_BUCKET": self.outputs["VaultBucket"],
            "RECADO_BACKUP_BUCKET": self.outputs["BackupBucket"],
            "RECADO_KMS_KEY_ID": self.outputs["KeyId"],
        }


def deploy(
    endpoint: str, templates: list[Template], assets: FunctionAssets, parameters: Mapping[str, str]
) -> Deployment:
    """Create or update every stack, in order.

    Args:
        endpoint: the emulator's address.
        templates: in the order of their dependencies.
        assets: where the code comes from.
        parameters: values for those of the templates' parameters that have such a name.

    Raises:
        DeploymentError: the emulator refused a stack.
        MissingAssetError: code is not written or not built.
    """
    client = emulator_clients(endpoint)

    bucket = CodeBucket(client("s3"), f"cdk-{_BOOTSTRAP}-assets-{_ACCOUNT}-{REGION}")
    bucket.make()
    client("ssm").put_parameter(
        Name=f"/cdk-bootstrap/{_BOOTSTRAP}/version", Value=_BOOTSTRAP_VERSION, Type="String", Overwrite=True
    )
    cloudformation = client("cloudformation")
    dynamodb = client("dynamodb")
    outputs: dict[str, str] = {}
    for template in templates:
        body = adjusted(template.body)
        with_code(body, assets, bucket.put)
        given = {name: value for name, value in parameters.items() if name in body.get("Parameters", {})}
        outputs.update(_apply(cloudformation, template.stack, body, given))
        for table, attribute in expiring_tables(body).items():
            _let_expire(dynamodb, table, attribute)
    return Deployment(outputs)


def _apply(
    cloudformation: "CloudFormationClient", stack: str, body: Mapping[str, Any], parameters: Mapping[str, str]
) -> dict[str, str]:
    request: Any = {
        "StackName": stack,
        "TemplateBody": json.dumps(body),
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        "Capabilities": list(_CAPABILITIES),
    }
    try:
        if _exists(cloudformation, stack):
            waiter: Any = cloudformation.get_waiter("stack_update_complete")
            try:
                cloudformation.update_stack(**request)
            except ClientError as error:
                if _NOTHING_TO_DO not in str(error):
                    raise
                return _outputs(cloudformation, stack)
        else:
            waiter = cloudformation.get_waiter("stack_create_complete")
            cloudformation.create_stack(**request)
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 0.2, "MaxAttempts": 300})
    except (ClientError, WaiterError) as error:
        raise DeploymentError(f"{stack}: {error}\n{_reasons(cloudformation, stack)}") from error
    return _outputs(cloudformation, stack)


def _exists(cloudformation: "CloudFormationClient", stack: str) -> bool:
    try:
        cloudformation.describe_stacks(StackName=stack)
    except ClientError:
        return False
    return True


def _outputs(cloudformation: "CloudFormationClient", stack: str) -> dict[str, str]:
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def _reasons(cloudformation: "CloudFormationClient", stack: str) -> str:
    try:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    except ClientError:
        return ""
    failed = [event for event in events if event.get("ResourceStatus", "").endswith("FAILED")]
    return "\n".join(f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed)


def _let_expire(dynamodb: Any, table: str, attribute: str) -> None:
    described = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if described.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"}:
        specification = {"Enabled": True, "AttributeName": attribute}
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)

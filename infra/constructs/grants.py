"""Rights, named after what a function does with a thing. No right to scan a table exists here, on purpose."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs

_READ = ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:ConditionCheckItem")
_WRITE = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem")


def allow_reading(function: lambda_.Function, *tables: dynamodb.ITable) -> None:
    """Let a function read items by key and index."""
    for table in tables:
        _allow(function, _READ, table.table_arn, f"{table.table_arn}/index/*")


def allow_reading_and_writing(function: lambda_.Function, *tables: dynamodb.ITable) -> None:
    """Let a function read and write items by key and index."""
    for table in tables:
        _allow(function, (*_READ, *_WRITE), table.table_arn, f"{table.table_arn}/index/*")


def allow_sending(function: lambda_.Function, queue: sqs.IQueue) -> None:
    """Let a function send messages to a queue."""
    _allow(function, ("sqs:SendMessage",), queue.queue_arn)


def allow_measuring(function: lambda_.Function, queue: sqs.IQueue) -> None:
    """Let a function see how much waits in a queue."""
    _allow(function, ("sqs:GetQueueAttributes",), queue.queue_arn)


def allow_reading_objects(function: lambda_.Function, bucket: s3.IBucket) -> None:
    """Let a function list and read a bucket's objects, as for copying them."""
    _allow(function, ("s3:GetObject",), f"{bucket.bucket_arn}/*")
    _allow(function, ("s3:ListBucket",), bucket.bucket_arn)


def allow_writing_objects(function: lambda_.Function, bucket: s3.IBucket) -> None:
    """Let a function write new objects and read them back, not delete any."""
    _allow(function, ("s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"), f"{bucket.bucket_arn}/*")
    _allow(function, ("s3:ListBucket",), bucket.bucket_arn)


def allow_data_at_rest(function: lambda_.Function, key: kms.IKey, region: str) -> None:
    """Let DynamoDB, SQS and S3 use the key in a function's name; the function itself gets nothing from KMS by this."""
    services = [f"{service}.{region}.amazonaws.com" for service in ("dynamodb", "sqs", "s3")]
    function.add_to_role_policy(
        iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey*"],
            resources=[key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": services}},
        )
    )


def allow_sealing(function: lambda_.Function, key: kms.IKey) -> None:
    """Let a function seal a clinic's secrets; only under an encryption context that names the clinic."""
    _allow_with_clinic(function, key, "kms:Encrypt")


def allow_opening(function: lambda_.Function, key: kms.IKey) -> None:
    """Let a function open what was sealed for a clinic."""
    _allow_with_clinic(function, key, "kms:Decrypt")


def _allow_with_clinic(function: lambda_.Function, key: kms.IKey, action: str) -> None:
    function.add_to_role_policy(
        iam.PolicyStatement(
            actions=[action],
            resources=[key.key_arn],
            conditions={"Null": {"kms:EncryptionContext:clinic": "false"}},
        )
    )


def _allow(function: lambda_.Function, actions: tuple[str, ...], *resources: str) -> None:
    function.add_to_role_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources)))

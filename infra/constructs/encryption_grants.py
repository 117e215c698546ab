"""What DynamoDB, SQS and S3 do with the key in a caller's name; the caller itself gets nothing from KMS by this."""

from typing import Literal

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

Service = Literal["dynamodb", "sqs", "s3"]


def allow_reading_through(grantee: iam.IGrantable, key: kms.IKey, region: str, service: Service) -> None:
    """Let a service open for the caller what it has stored encrypted; of tables this is all it needs, for writing too.

    A table's own key is opened in the name of whoever reads or writes it and is used for many items
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html).
    """
    _allow(grantee, key, region, service, "kms:Decrypt")


def allow_writing_through(grantee: iam.IGrantable, key: kms.IKey, region: str, service: Service) -> None:
    """Let SQS or S3 make the data keys under which it stores what the caller hands over.

    SQS also opens the one it reuses for five minutes
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html).
    """
    _allow(grantee, key, region, service, "kms:Decrypt", "kms:GenerateDataKey")


def _allow(grantee: iam.IGrantable, key: kms.IKey, region: str, service: Service, *actions: str) -> None:
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=list(actions),
            resources=[key.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"{service}.{region}.amazonaws.com"}},
        )
    )

"""Rights, named after what a function or a runner does with a thing. None to scan a table exists here, on purpose."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs


def allow_sending(grantee: iam.IGrantable, queue: sqs.IQueue) -> None:
    """Let it send messages to a queue."""
    _allow(grantee, ("sqs:SendMessage",), queue.queue_arn)


def allow_measuring(grantee: iam.IGrantable, queue: sqs.IQueue) -> None:
    """Let it see how much waits in a queue."""
    _allow(grantee, ("sqs:GetQueueAttributes",), queue.queue_arn)


def allow_reading_objects(grantee: iam.IGrantable, bucket: s3.IBucket) -> None:
    """Let it list and read a bucket's objects, as for copying them."""
    _allow(grantee, ("s3:GetObject",), f"{bucket.bucket_arn}/*")
    _allow(grantee, ("s3:ListBucket",), bucket.bucket_arn)


def allow_writing_objects(grantee: iam.IGrantable, bucket: s3.IBucket) -> None:
    """Let it write new objects and read them back, not delete any."""
    _allow(grantee, ("s3:PutObject", "s3:GetObject"), f"{bucket.bucket_arn}/*")
    _allow(grantee, ("s3:ListBucket",), bucket.bucket_arn)


def allow_being_fed(grantee: iam.IGrantable, queue: sqs.IQueue) -> None:
    """Let Lambda's poller take messages off a queue in a function's name."""
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    _allow(grantee, ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"), queue.queue_arn)


def allow_postponing(grantee: iam.IGrantable, queue: sqs.IQueue) -> None:
    """Let it say when a message that it was given and could not handle comes again."""
    _allow(grantee, ("sqs:ChangeMessageVisibility",), queue.queue_arn)


def allow_receiving(grantee: iam.IGrantable, queue: sqs.IQueue) -> None:
    """Let it take messages off a queue."""
    _allow(grantee, ("sqs:ReceiveMessage", "sqs:DeleteMessage"), queue.queue_arn)


def allow_keeping_sessions(grantee: iam.IGrantable, vault: s3.IBucket, clinic_id: str | None) -> None:
    """Let it read and replace sessions in the vault.

    Args:
        grantee: who.
        vault: the vault.
        clinic_id: the only clinic whose sessions they are; None for every clinic's.
    """
    # GetObject is also what S3 demands of a conditional write.
    _allow(grantee, ("s3:GetObject", "s3:PutObject"), f"{vault.bucket_arn}/clinic/{clinic_id or '*'}/*")
    # No call shows it: without it S3 answers 403 instead of 404 for a session that is not there yet.
    _allow(grantee, ("s3:ListBucket",), vault.bucket_arn)


def _allow(grantee: iam.IGrantable, actions: tuple[str, ...], *resources: str) -> None:
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(actions=list(actions), resources=list(resources))
    )

"""What AWS asks IAM about without a call of ours that shows it, each with its reason: the checked table.

Every entry follows from something that can be seen (a recorded request, a mapping in the template), so that a right is
neither missing where its cause is nor kept where its cause is gone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tests.support.policies.evaluation import Request
from tests.support.policies.requests import ACCOUNT, REGION
from tests.support.policies.templates import Function, Task


@dataclass(frozen=True, slots=True)
class Unseen:
    """A request to IAM and why it is made."""

    request: Request
    reason: str


def of_calls(requests: Iterable[Request], key: str) -> Iterator[Unseen]:
    """Yield what follows from requests that were recorded.

    Args:
        requests: with the resources' deployed ARNs.
        key: the ARN of the key that encrypts what is stored.
    """
    for request in requests:
        service, _, action = request.action.partition(":")
        if service == "dynamodb":
            yield _through("dynamodb", key, "kms:Decrypt", "DynamoDB opens the table's key in the caller's name")
        elif request.action == "sqs:SendMessage":
            yield _through("sqs", key, "kms:GenerateDataKey", "SQS makes the key under which it stores a message")
            yield _through("sqs", key, "kms:Decrypt", "SQS opens the key that it reuses for five minutes")
        elif request.action == "kms:GenerateDataKey":
            yield Unseen(
                replace(request, action="kms:Decrypt"), "the next process opens the data key that this one has made"
            )
        elif service == "s3" and action == "PutObject":
            yield _through("s3", key, "kms:GenerateDataKey", "S3 makes the key under which it stores an object")
        elif service == "s3" and action == "GetObject":
            yield _through("s3", key, "kms:Decrypt", "S3 opens the object's key in the caller's name")
            bucket = request.resource.partition("/")[0]
            yield Unseen(
                Request("s3:ListBucket", bucket, {"s3:prefix": ("",)}),
                "without it S3 answers 403 instead of 404 for an object that is not there",
            )


def of_function(function: Function, key: str) -> Iterator[Unseen]:
    """Yield what follows from how a function is deployed."""
    log = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{_physical(function)}:log-stream:2026/11/22/[1]0"
    for action in ("CreateLogStream", "PutLogEvents"):
        yield Unseen(Request(f"logs:{action}", log), "Lambda writes the function's logs in its name")
    for queue in function.sources:
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
            yield Unseen(Request(f"sqs:{action}", queue), "Lambda's poller feeds the function in its name")
        yield _through("sqs", key, "kms:Decrypt", "SQS opens messages for Lambda's poller")
    for queue in function.destinations:
        yield Unseen(Request("sqs:SendMessage", queue), "Lambda hands over failed runs in the function's name")
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            yield _through("sqs", key, action, "SQS makes or reuses the key under which it stores a failed run")
    if function.traced:
        for action in ("PutTraceSegments", "PutTelemetryRecords"):
            yield Unseen(Request(f"xray:{action}", "*"), "Lambda sends traces in the function's name")


def of_task(task: Task) -> Iterator[Unseen]:
    """Yield what a runner does that no suite calls for real."""
    one = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{task.cluster}/0123456789abcdef0123456789abcdef"
    yield Unseen(Request("ecs:DescribeTasks", one), "it asks whether the task before it has stopped")


def of_execution(task: Task) -> Iterator[Unseen]:
    """Yield what ECS does before and beside a task, in the name of the execution role.

    From https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
    """
    yield Unseen(Request("ecr:GetAuthorizationToken", "*"), "the registry's password; it belongs to no repository")
    for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
        yield Unseen(Request(f"ecr:{action}", task.repository), "Fargate fetches the image")
    log = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{task.log_group}:log-stream:runner/runner/0123456789abcdef"
    for action in ("CreateLogStream", "PutLogEvents"):
        yield Unseen(Request(f"logs:{action}", log), "the awslogs driver writes the container's output")


def _through(service: str, key: str, action: str, reason: str) -> Unseen:
    return Unseen(Request(action, key, {"kms:ViaService": (f"{service}.{REGION}.amazonaws.com",)}), reason)


def _physical(function: Function) -> str:
    stage = function.environment["RECADO_STAGE"]
    return f"recado-{stage}-{function.name.replace('_', '-')}"

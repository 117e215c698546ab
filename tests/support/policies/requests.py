"""Which IAM actions an API operation needs, on which resources and with which condition keys.

From the Service Authorization Reference (https://docs.aws.amazon.com/service-authorization/latest/reference/); an
operation that is not here is refused, so that a new one has to be looked up.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from recado.aws.schema import HASH_KEY, RANGE_KEY, TABLES
from recado.aws.settings import ShardSettings
from tests.support.policies.evaluation import Request

REGION, ACCOUNT = "sa-east-1", "123456789012"
Parameters = Mapping[str, Any]


def requests_of(service: str, operation: str, parameters: Parameters) -> list[Request]:
    """Return what IAM is asked about a call; the call is refused if any of them is.

    Args:
        service: botocore's name of the service, such as ``dynamodb``.
        operation: the API operation, such as ``TransactWriteItems``.
        parameters: the operation's parameters.

    Raises:
        NotImplementedError: the operation is not known here.
    """
    known = _SERVICES.get(service)
    if known is None:
        raise NotImplementedError(f"the service {service}")
    return list(known(operation, parameters))


def arns(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the ARN of each thing that a process is told of, by the setting's name (and shard)."""
    found: dict[str, str] = {}
    for name, value in environment.items():
        if name.endswith("_TABLE"):
            found[name] = _table_arn(value)
        elif name.endswith("_BUCKET"):
            found[name] = f"arn:aws:s3:::{value}"
        elif name == "RECADO_SHARD_QUEUE_URL":
            # A runner is told its own shard only.
            own = environment.get("RECADO_SHARD_ID", "").removeprefix("shard-")
            declared = ShardSettings(shards=environment.get("RECADO_SHARDS", own), shard_queue_url=value)
            for shard_id in declared.shard_ids:
                found[f"{name}/{shard_id}"] = queue_arn(declared.queue_url_of(shard_id))
        elif name.endswith("_QUEUE_URL"):
            found[name] = queue_arn(value)
        elif name.endswith("_ROLE_ARN"):
            found[name] = value
        elif name == "RECADO_EVENT_BUS":
            found[name] = _bus_arn(value)
        elif name == "RECADO_KMS_KEY_ID":
            found[name] = _key_arn(value)
    return found


def queue_arn(url: str) -> str:
    """Return the ARN of the queue at an address."""
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rpartition('/')[2]}"


def _table_arn(name: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def _bus_arn(name: str) -> str:
    return f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}"


def _key_arn(key: str) -> str:
    return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key}"


def _dynamodb(operation: str, given: Parameters) -> Iterator[Request]:
    if operation in {"GetItem", "PutItem", "DeleteItem", "UpdateItem"}:
        yield _item_request(operation, given, [given.get("Key") or given["Item"]])
    elif operation == "Query":
        yield _query_request(given)
    elif operation == "BatchGetItem":
        for table, wanted in given["RequestItems"].items():
            yield _item_request(operation, {"TableName": table}, wanted["Keys"])
    elif operation == "TransactWriteItems":
        for part in given["TransactItems"]:
            ((kind, inner),) = part.items()
            single = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
            yield _item_request(single, inner, [inner.get("Key") or inner["Item"]])
    else:
        raise NotImplementedError(f"dynamodb:{operation}")


def _item_request(action: str, given: Parameters, items: list[Mapping[str, Any]]) -> Request:
    names = {name.partition(".")[0] for name in given.get("ExpressionAttributeNames", {}).values()}
    attributes = names | {HASH_KEY, RANGE_KEY} | set(given.get("Item", ()))
    context = {
        "dynamodb:LeadingKeys": tuple(sorted({item[HASH_KEY]["S"] for item in items})),
        "dynamodb:Attributes": tuple(sorted(attributes)),
    }
    if "ReturnValues" in given:
        context["dynamodb:ReturnValues"] = (given["ReturnValues"],)
    return Request(f"dynamodb:{action}", _table_arn(given["TableName"]), context)


def _query_request(given: Parameters) -> Request:
    arn, hash_key = _table_arn(given["TableName"]), HASH_KEY
    if index := given.get("IndexName"):
        arn = f"{arn}/index/{index}"
        hash_key = next(one.hash_key for table in TABLES.values() for one in table.indexes if one.name == index)
    placeholder = next(short for short, name in given["ExpressionAttributeNames"].items() if name == hash_key)
    found = re.search(rf"{placeholder} = (:\w+)", given["KeyConditionExpression"])
    if found is None:
        raise NotImplementedError("a query without one partition")
    leading = given["ExpressionAttributeValues"][found[1]]["S"]
    return Request("dynamodb:Query", arn, {"dynamodb:LeadingKeys": (leading,)})


def _sqs(operation: str, given: Parameters) -> Iterator[Request]:
    action = operation.removesuffix("Batch")
    if action not in {
        "SendMessage",
        "ReceiveMessage",
        "DeleteMessage",
        "GetQueueAttributes",
        "ChangeMessageVisibility",
    }:
        raise NotImplementedError(f"sqs:{operation}")
    yield Request(f"sqs:{action}", queue_arn(given["QueueUrl"]))


def _events(operation: str, given: Parameters) -> Iterator[Request]:
    if operation != "PutEvents":
        raise NotImplementedError(f"events:{operation}")
    for bus in sorted({entry["EventBusName"] for entry in given["Entries"]}):
        yield Request("events:PutEvents", _bus_arn(bus))


def _kms(operation: str, given: Parameters) -> Iterator[Request]:
    if operation not in {"Encrypt", "Decrypt", "GenerateDataKey"}:
        raise NotImplementedError(f"kms:{operation}")
    context = {f"kms:EncryptionContext:{name}": (value,) for name, value in given.get("EncryptionContext", {}).items()}
    yield Request(f"kms:{operation}", _key_arn(given["KeyId"]), context)


def _s3(operation: str, given: Parameters) -> Iterator[Request]:
    bucket = f"arn:aws:s3:::{given['Bucket']}"
    target = f"{bucket}/{given['Key']}" if "Key" in given else bucket
    if operation in {"GetObject", "HeadObject"}:
        yield Request("s3:GetObjectVersion" if "VersionId" in given else "s3:GetObject", target)
    elif operation == "PutObject":
        yield Request("s3:PutObject", target)
        if "IfMatch" in given:
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
            yield Request("s3:GetObject", target)
    elif operation == "CopyObject":
        source = given["CopySource"]
        yield Request("s3:GetObject", f"arn:aws:s3:::{source['Bucket']}/{source['Key']}")
        yield Request("s3:PutObject", target)
    elif operation == "ListObjectsV2":
        yield Request("s3:ListBucket", bucket, {"s3:prefix": (given.get("Prefix", ""),)})
    elif operation == "DeleteObject":
        yield Request("s3:DeleteObjectVersion" if "VersionId" in given else "s3:DeleteObject", target)
    else:
        raise NotImplementedError(f"s3:{operation}")


def _sts(operation: str, given: Parameters) -> Iterator[Request]:
    if operation != "AssumeRole":
        raise NotImplementedError(f"sts:{operation}")
    tags = {f"aws:RequestTag/{tag['Key']}": (tag["Value"],) for tag in given.get("Tags", ())}
    context = {**tags, "aws:TagKeys": tuple(tag["Key"] for tag in given.get("Tags", ()))}
    context["sts:RoleSessionName"] = (given["RoleSessionName"],)
    for action in ("sts:AssumeRole", *(["sts:TagSession"] if tags else [])):
        yield Request(action, given["RoleArn"], context)


_SERVICES: Mapping[str, Callable[[str, Parameters], Iterator[Request]]] = {
    "dynamodb": _dynamodb,
    "events": _events,
    "kms": _kms,
    "s3": _s3,
    "sqs": _sqs,
    "sts": _sts,
}

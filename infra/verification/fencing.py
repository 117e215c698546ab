"""Whether IAM, as AWS evaluates it, keeps a request of one clinic away from another's data."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.verification.account import Account, CheckFailedError

# Ids of clinics that nobody has: even a fence with a hole would give nothing away.
OWN, FOREIGN = "cli_00000000000000000000000000", "cli_11111111111111111111111111"
_SESSION_SECONDS = 900
_PROPAGATION_SECONDS = 60.0
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403"})
_ACTIONS = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")


def simulated_fence(account: Account) -> str:
    """Ask IAM's own simulator about the role of clinics: its own items yes, another clinic's and scans no."""
    role = f"arn:aws:iam::{account.number}:role/{account.name('clinic-access')}"
    table = f"arn:aws:dynamodb:{account.region}:{account.number}:table/{account.name('core')}"

    def decisions(leading: str) -> dict[str, str]:
        answer = account.client("iam").simulate_principal_policy(
            PolicySourceArn=role,
            ActionNames=[f"dynamodb:{action}" for action in (*_ACTIONS, "Scan", "PartiQLSelect")],
            ResourceArns=[table],
            ContextEntries=[
                _context("aws:PrincipalTag/clinic", OWN),
                {**_context("dynamodb:LeadingKeys", f"clinic#{leading}"), "ContextKeyType": "stringList"},
            ],
        )
        return {one["EvalActionName"]: one["EvalDecision"] for one in answer["EvaluationResults"]}

    own, foreign = decisions(OWN), decisions(FOREIGN)
    never = {"dynamodb:Scan", "dynamodb:PartiQLSelect"}
    opened = sorted(action for action, decision in foreign.items() if decision == "allowed")
    opened += sorted(action for action in never if own.get(action) == "allowed")
    if opened:
        raise CheckFailedError(f"allowed on another clinic's items: {', '.join(opened)}")
    refused = sorted(action for action, decision in own.items() if decision != "allowed" and action not in never)
    if refused or not foreign:
        raise CheckFailedError(f"refused on the clinic's own items: {', '.join(refused) or 'everything'}")
    return f"{len(foreign)} actions on another clinic's items denied, {len(own) - len(never)} on its own allowed"


def fence(account: Account) -> str:
    """Take the role on for one clinic and try another clinic's items and objects, for real.

    Only the API may take it on; the trust policy is changed for the time of the check and put back.
    """
    account.require_leave_to_disturb("it lets the caller take on the clinics' role for a minute")
    with _trusting(account):
        clients = _assumed(account)
        attempts = _attempts(account, clients)
        through = sorted(name for name, attempt in attempts.items() if not _denied(attempt))
        if through:
            raise CheckFailedError(f"not denied on another clinic's data: {', '.join(through)}")
        if _denied(lambda: clients["dynamodb"].get_item(TableName=account.name("core"), Key=_key(OWN))):
            raise CheckFailedError("the clinic's own item was denied as well, so that nothing is shown")
    return f"{len(attempts)} ways to another clinic's data denied, the own item readable: {', '.join(attempts)}"


def _attempts(account: Account, clients: Mapping[str, Any]) -> dict[str, Any]:
    dynamodb, s3 = clients["dynamodb"], clients["s3"]
    table, bucket = account.name("core"), account.output("data", "VaultBucket")
    prefix = f"clinic/{FOREIGN}/"
    # Whatever a hole would let through writes nothing: the condition cannot hold.
    impossible = "attribute_exists(pk) AND attribute_not_exists(pk)"
    condition = {":partition": {"S": f"clinic#{FOREIGN}"}}
    return {
        "GetItem": lambda: dynamodb.get_item(TableName=table, Key=_key(FOREIGN)),
        "PutItem": lambda: dynamodb.put_item(TableName=table, Item=_key(FOREIGN), ConditionExpression=impossible),
        "Query": lambda: dynamodb.query(
            TableName=table, KeyConditionExpression="pk = :partition", ExpressionAttributeValues=condition
        ),
        "Scan": lambda: dynamodb.scan(TableName=table, Limit=1),
        "PartiQL": lambda: dynamodb.execute_statement(
            Statement=f'SELECT sk FROM "{table}" WHERE pk = ?',  # noqa: S608 - the table's name is ours
            Parameters=[{"S": f"clinic#{FOREIGN}"}],
        ),
        "GetObject": lambda: s3.get_object(Bucket=bucket, Key=f"{prefix}channel/none"),
        "ListObjects": lambda: s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1),
    }


@contextlib.contextmanager
def _trusting(account: Account) -> Iterator[None]:
    iam, role = account.client("iam"), account.name("clinic-access")
    document = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    before = document if isinstance(document, str) else json.dumps(document)
    changed = json.loads(before)
    changed["Statement"] = [
        *changed["Statement"],
        {
            "Effect": "Allow",
            "Principal": {"AWS": account.client("sts").get_caller_identity()["Arn"]},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        },
    ]
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(changed))
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=before)


def _assumed(account: Account) -> dict[str, Any]:
    def given() -> Any:
        try:
            return account.client("sts").assume_role(
                RoleArn=f"arn:aws:iam::{account.number}:role/{account.name('clinic-access')}",
                RoleSessionName="verification",
                DurationSeconds=_SESSION_SECONDS,
                Tags=[{"Key": "clinic", "Value": OWN}],
            )["Credentials"]
        except ClientError as error:
            if error.response["Error"]["Code"] in _DENIED:
                return None
            raise

    credentials, _ = account.until(given, _PROPAGATION_SECONDS)
    if not credentials:
        raise CheckFailedError("the clinics' role could not be taken on, though its trust policy was changed")
    return {service: account.client_as(credentials, service) for service in ("dynamodb", "s3")}


def _denied(attempt: Any) -> bool:
    try:
        attempt()
    except ClientError as error:
        return error.response["Error"]["Code"] in _DENIED
    return False


def _key(clinic_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"clinic#{clinic_id}"}, "sk": {"S": "clinic"}}


def _context(name: str, value: str) -> dict[str, Any]:
    return {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": "string"}

"""Rights on clinics' data keys: on the table that keeps them wrapped, and on the key that wraps them."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms


def allow_making_keys(
    grantee: iam.IGrantable, table: dynamodb.ITable, key: kms.IKey, clinic: str | None = None
) -> None:
    """Let it use a clinic's data key, and make one for a clinic that has none.

    Args:
        grantee: who.
        table: the table of wrapped keys.
        key: what wraps them.
        clinic: the only clinic whose keys they are, an id or a policy variable; None for every clinic's.
    """
    _allow_items(grantee, table, ("GetItem", "PutItem"), clinic)
    _allow_wrapping(grantee, key, ("GenerateDataKey", "Decrypt"), clinic)


def allow_unwrapping_keys(
    grantee: iam.IGrantable, table: dynamodb.ITable, key: kms.IKey, clinic: str | None = None
) -> None:
    """Let it use data keys that are there.

    Args:
        grantee: who.
        table: the table of wrapped keys.
        key: what wraps them.
        clinic: the only clinic whose keys they are, an id or a policy variable; None for every clinic's.
    """
    _allow_items(grantee, table, ("GetItem",), clinic)
    _allow_wrapping(grantee, key, ("Decrypt",), clinic)


def _allow_items(grantee: iam.IGrantable, table: dynamodb.ITable, actions: tuple[str, ...], clinic: str | None) -> None:
    # ForAllValues also holds where there is nothing to compare, hence the second part.
    limited = {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [f"clinic#{clinic}"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=[f"dynamodb:{action}" for action in actions],
            resources=[table.table_arn],
            conditions=limited if clinic else {},
        )
    )


def _allow_wrapping(grantee: iam.IGrantable, key: kms.IKey, actions: tuple[str, ...], clinic: str | None) -> None:
    named = "kms:EncryptionContext:clinic"
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(
            actions=[f"kms:{action}" for action in actions],
            resources=[key.key_arn],
            conditions={"StringEquals": {named: clinic}} if clinic else {"Null": {named: "false"}},
        )
    )

"""IAM: each function may do what it does and nothing more."""

import json

import pytest

from tests.infra.template import Templates
from tests.infra.test_functions import FUNCTIONS

_TRACING = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
KEY_USERS = {"recorder": ("GetItem", "PutItem"), "webhook_attempts": ("GetItem",)}
"""The functions that use clinics' data keys in their own name, and how; the API does it as the clinic."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_right_is_unbounded(prod: Templates, name: str) -> None:
    """No statement is for all resources or all actions of a service."""
    statements = prod.statements(name)
    assert statements
    for statement in statements:
        assert statement["Effect"] == "Allow"
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        # X-Ray knows no narrower resource.
        assert statement["Resource"] != "*" or set(actions) == _TRACING, statement
        assert not [action for action in actions if action.endswith(":*") or action == "*"], statement


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nobody_may_scan_or_drop_a_table(prod: Templates, name: str) -> None:
    """A scan reads every clinic's data and costs by the size of the table."""
    assert not prod.actions(name) & {"dynamodb:Scan", "dynamodb:DeleteTable", "dynamodb:*"}


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("analytics", "CoreTable"),
        ("analytics", "MessagesTable"),
        ("webhooks", "AnalyticsTable"),
        ("recorder", "AnalyticsTable"),
        ("backup", "MessagesTable"),
        *[(name, "AuditTable") for name in FUNCTIONS],
        *[(name, "KeysTable") for name in sorted(set(FUNCTIONS) - KEY_USERS.keys())],
    ],
)
def test_a_function_cannot_touch_tables_that_are_none_of_its_business(prod: Templates, name: str, table: str) -> None:
    """Whoever counts messages cannot read them, who seals nothing needs no keys, nobody writes the audit log yet."""
    assert prod.actions(name, table) == set()


@pytest.mark.parametrize("name", KEY_USERS)
def test_who_only_opens_cannot_make_or_erase_keys(prod: Templates, name: str) -> None:
    """Keys are made by what seals, and wrapped or unwrapped for a named clinic only."""
    assert prod.actions(name, "KeysTable") == {f"dynamodb:{action}" for action in KEY_USERS[name]}


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"backup"}))
def test_only_the_backup_can_read_the_vault(prod: Templates, name: str) -> None:
    """The vault holds the sessions: whoever has one can write in the clinic's name."""
    assert prod.actions(name, "Vault") == set()


def test_the_backup_cannot_change_the_vault_or_delete_backups(prod: Templates) -> None:
    """It copies out of the vault, and what it wrote stays."""
    assert prod.actions("backup", "Vault") == {"s3:GetObject", "s3:ListBucket"}
    assert not [action for action in prod.actions("backup", "Backups") if "Delete" in action]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sealing_needs_a_clinic_and_data_at_rest_a_service(prod: Templates, name: str) -> None:
    """Every right on the key is bound to an encryption context that names a clinic, or to an AWS service."""
    for statement in prod.statements(name):
        if "kms:" in json.dumps(statement["Action"]):
            condition = statement["Condition"]
            named = condition.get("Null", {}).get("kms:EncryptionContext:clinic") == "false"
            named |= "kms:EncryptionContext:clinic" in condition.get("StringEquals", {})
            assert named or "kms:ViaService" in condition["StringEquals"], statement

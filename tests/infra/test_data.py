"""Tables, buckets and the key: what must outlive everything, encrypted and restorable."""

import json
from typing import Any

import pytest

from infra.tables import TABLES as DECLARED
from recado.aws.schema import TABLES, TTL_ATTRIBUTE, creation_request
from tests.infra.template import Templates


def _table(templates: Templates, name: str) -> dict[str, Any]:
    (found,) = [table for table in templates.properties("AWS::DynamoDB::Table") if table["TableName"] == name]
    return found


def test_the_deployed_tables_are_those_the_rooms_declare() -> None:
    """No table is declared on one side only."""
    assert {table.name for table in DECLARED} == set(TABLES)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_has_the_keys_and_indexes_the_rooms_declare(prod: Templates, name: str) -> None:
    """Keys, indexes, projections and billing agree with what the PynamoDB models read and tests create."""
    table = _table(prod, f"recado-prod-{name}")
    wanted = creation_request(TABLES[name], f"recado-prod-{name}")
    assert table["KeySchema"] == wanted["KeySchema"]
    assert table["BillingMode"] == wanted["BillingMode"]

    def by_name(entries: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
        return sorted(entries, key=lambda entry: entry[key])

    assert by_name(table["AttributeDefinitions"], "AttributeName") == by_name(
        wanted["AttributeDefinitions"], "AttributeName"
    )
    indexes = table.get("GlobalSecondaryIndexes", [])
    assert by_name(indexes, "IndexName") == by_name(wanted.get("GlobalSecondaryIndexes", []), "IndexName")


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_is_encrypted_expires_items_and_recovers_as_declared(prod: Templates, name: str) -> None:
    """Own KMS key, TTL on, point-in-time recovery exactly where the rooms want it, and no deletion by mistake."""
    table = _table(prod, f"recado-prod-{name}")
    assert table["SSESpecification"]["SSEType"] == "KMS"
    assert "KMSMasterKeyId" in table["SSESpecification"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}
    recovery = table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert recovery is TABLES[name].recoverable
    assert table["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("kind", ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key"])
def test_what_holds_data_outlives_its_stack_in_production(prod: Templates, kind: str) -> None:
    """Deleting or replacing a stack leaves the data where it is."""
    found = [resource for _, resource in prod.resources(kind)]
    assert found
    for resource in found:
        assert resource["DeletionPolicy"] == "Retain"
        assert resource["UpdateReplacePolicy"] == "Retain"


def test_the_key_is_rotated_and_helps_only_this_account(prod: Templates) -> None:
    """Yearly rotation; services may use it only on behalf of this account."""
    (key,) = prod.properties("AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True
    for statement in key["KeyPolicy"]["Statement"]:
        if "Service" in statement["Principal"]:
            assert "aws:SourceAccount" in statement["Condition"]["StringEquals"]


def test_buckets_are_private_versioned_and_encrypted(prod: Templates) -> None:
    """No public access, versions kept, KMS with our key, ACLs off."""
    buckets = [one for one in prod.properties("AWS::S3::Bucket") if "LoggingConfiguration" in one]
    assert len(buckets) == 2
    for bucket in buckets:
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_who_reads_or_writes_a_bucket_is_written_down(prod: Templates) -> None:
    """S3's access logs of every bucket but their own, in a private bucket that S3 itself encrypts and that forgets."""
    buckets = dict(prod.resources("AWS::S3::Bucket"))
    (logs,) = [name for name, bucket in buckets.items() if "LoggingConfiguration" not in bucket["Properties"]]
    for name in buckets.keys() - {logs}:
        assert buckets[name]["Properties"]["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": logs}
    properties = buckets[logs]["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert [rule["ExpirationInDays"] for rule in properties["LifecycleConfiguration"]["Rules"]] == [90]


def _rules(prod: Templates, bucket: str) -> dict[str, dict[str, Any]]:
    found = next(one for one in prod.properties("AWS::S3::Bucket") if f"-{bucket}-" in json.dumps(one["BucketName"]))
    rules = found["LifecycleConfiguration"]["Rules"]
    return {rule.get("Prefix", ""): rule for rule in rules if "NoncurrentVersionExpiration" in rule}


def test_the_vault_keeps_the_newest_five_versions_of_a_session(prod: Templates) -> None:
    """The present one and four before it stay, however old; all others go after a day. Backups go by their age."""
    kept = _rules(prod, "vault")["clinic/"]["NoncurrentVersionExpiration"]
    assert kept == {"NewerNoncurrentVersions": 4, "NoncurrentDays": 1}
    assert _rules(prod, "backups")[""]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}


def test_nothing_that_was_spilled_stays(prod: Templates) -> None:
    """What a runner spilled goes with its last version; what could not be read goes after a month."""
    rules = _rules(prod, "vault")
    assert rules["spill/"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert rules["spill-broken/"]["ExpirationInDays"] == 30


def test_buckets_refuse_plain_http(prod: Templates) -> None:
    """Every bucket's policy denies requests that did not come over TLS."""
    policies = prod.properties("AWS::S3::BucketPolicy")
    assert len(policies) == len(prod.properties("AWS::S3::Bucket"))
    for policy in policies:
        denied = [entry for entry in policy["PolicyDocument"]["Statement"] if entry["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [entry["Condition"] for entry in denied]

"""Whether what is stored is protected and can be had back."""

from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from infra.tables import TABLES
from infra.verification.account import Account, CheckFailedError

_PROGRESS = "progress.json"
_OLDEST_BACKUP = timedelta(hours=2)


def tables_are_protected(account: Account) -> str:
    """Every table is active, encrypted, expiring, and protected against deletion if its stage says so."""
    dynamodb, wrong = account.client("dynamodb"), []
    for keys in TABLES:
        name = account.name(keys.name)
        table = dynamodb.describe_table(TableName=name)["Table"]
        if table["TableStatus"] != "ACTIVE":
            wrong.append(f"{name} is {table['TableStatus']}")
        if table.get("SSEDescription", {}).get("SSEType") != "KMS":
            wrong.append(f"{name} is not encrypted with a key of its own")
        if table.get("DeletionProtectionEnabled", False) != account.stage.keep_data:
            wrong.append(f"{name}: deletion protection is not {account.stage.keep_data}")
        expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if expiry.get("TimeToLiveStatus") != "ENABLED" or expiry.get("AttributeName") != keys.expiry_attribute:
            wrong.append(f"{name} does not expire its items")
    if wrong:
        raise CheckFailedError("; ".join(wrong))
    return f"{len(TABLES)} tables active, encrypted, expiring; deletion protection {account.stage.keep_data}"


def tables_can_be_restored(account: Account) -> str:
    """Point-in-time recovery is on for every table that may come back from the past, and off for the others."""
    wrong = []
    for keys in TABLES:
        described = account.client("dynamodb").describe_continuous_backups(TableName=account.name(keys.name))
        recovery = described["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        enabled = recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
        if enabled != keys.restorable:
            wrong.append(f"{account.name(keys.name)}: {'on' if enabled else 'off'}")
    if wrong:
        raise CheckFailedError(f"point-in-time recovery is wrong: {', '.join(wrong)}")
    return f"on for {sum(keys.restorable for keys in TABLES)} tables, off for the others"


def backups_are_made(account: Account) -> str:
    """The hourly backup has run lately, into a bucket that keeps versions."""
    bucket = account.output("data", "BackupBucket")
    s3 = account.client("s3")
    if s3.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
        raise CheckFailedError("the bucket of backups keeps no versions")
    try:
        made = s3.head_object(Bucket=bucket, Key=_PROGRESS)["LastModified"]
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            raise CheckFailedError("no backup has ever run; the first one does within an hour") from error
        raise
    age = datetime.now(UTC) - made
    if age > _OLDEST_BACKUP:
        raise CheckFailedError(f"the last backup ran {age.total_seconds() / 3600:.1f} hours ago")
    return f"the last backup ran {age.total_seconds() / 60:.0f} minutes ago"

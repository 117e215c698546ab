"""What must outlive every deployment: the key, the tables and the buckets."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack, Tags
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.config import Stage
from infra.constructs.acknowledged import acknowledge
from infra.tables import TABLES, TableKeys

# The present one and those before it. S3 counts days too, at least one, so there are more of them on a busy day.
_VAULT_VERSIONS = 5
_VAULT_RULES = (
    s3.LifecycleRule(
        prefix="clinic/",
        noncurrent_version_expiration=Duration.days(1),
        noncurrent_versions_to_retain=_VAULT_VERSIONS - 1,
    ),
    # What runners spilled is deleted once replayed: nothing of it may stay as an old version.
    s3.LifecycleRule(prefix="spill/", noncurrent_version_expiration=Duration.days(1)),
    s3.LifecycleRule(
        prefix="spill-broken/", expiration=Duration.days(30), noncurrent_version_expiration=Duration.days(1)
    ),
    s3.LifecycleRule(expired_object_delete_marker=True),
)
_BACKUP_RULES = (s3.LifecycleRule(noncurrent_version_expiration=Duration.days(90)),)


_ACCESS_LOGS_KEPT_DAYS = 90
_NOT_RESTORABLE = (
    "Not to be restored, on purpose: a lease, an epoch or a code that comes back from the past does harm, and a data "
    "key that was erased must stay erased (infra/tables.py)."
)


class DataStack(Stack):
    """The key, the tables (one per lifecycle) and the buckets of a stage.

    Attributes:
        key: encrypts everything at rest.
        tables: the tables by their short names.
        vault: holds the sessions' credentials and what runners spill.
        backups: holds the hourly backups.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        Tags.of(self).add("recado:component", "data")
        self._stage = stage
        self._removal = RemovalPolicy.RETAIN if stage.keep_data else RemovalPolicy.DESTROY
        self.key = self._make_key()
        self.tables = {keys.name: self._make_table(keys) for keys in TABLES}
        self._access_logs = self._make_access_log_bucket()
        self.vault = self._make_bucket("vault", _VAULT_RULES)
        self.backups = self._make_bucket("backups", _BACKUP_RULES)
        CfnOutput(self, "KeyId", value=self.key.key_id)
        CfnOutput(self, "VaultBucket", value=self.vault.bucket_name)
        CfnOutput(self, "BackupBucket", value=self.backups.bucket_name)

    def _make_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/recado-{self._stage.name}",
            description=f"Encrypts what Recado {self._stage.name} stores",
            enable_key_rotation=True,
            removal_policy=self._removal,
        )
        # Services that write to encrypted queues and topics on our behalf; the functions' roles carry their own rights.
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="ServicesOfThisAccount",
                principals=[
                    iam.ServicePrincipal("events.amazonaws.com"),
                    iam.ServicePrincipal("cloudwatch.amazonaws.com"),
                ],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        return key

    def _make_table(self, keys: TableKeys) -> dynamodb.Table:
        def text(name: str) -> dynamodb.Attribute:
            return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)

        table = dynamodb.Table(
            self,
            f"{keys.name.capitalize()}Table",
            table_name=f"recado-{self._stage.name}-{keys.name}",
            partition_key=text(keys.partition_key),
            sort_key=text(keys.sort_key),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=keys.restorable
            ),
            time_to_live_attribute=keys.expiry_attribute,
            deletion_protection=self._stage.keep_data,
            removal_policy=self._removal,
        )
        if not keys.restorable:
            acknowledge(table, "DDB3", _NOT_RESTORABLE)
        for index in keys.indexes:
            table.add_global_secondary_index(
                index_name=index.name,
                partition_key=text(index.partition_key),
                sort_key=text(index.sort_key),
                projection_type=dynamodb.ProjectionType.ALL,
            )
        return table

    def _make_bucket(self, name: str, rules: Sequence[s3.LifecycleRule]) -> s3.Bucket:
        """Make a bucket that drops versions and objects by these rules."""
        return s3.Bucket(
            self,
            name.capitalize(),
            bucket_name=f"recado-{self._stage.name}-{name}-{Aws.ACCOUNT_ID}-{Aws.REGION}",
            versioned=True,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            server_access_logs_bucket=self._access_logs,
            server_access_logs_prefix=f"{name}/",
            lifecycle_rules=[s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(1)), *rules],
            removal_policy=self._removal,
        )

    def _make_access_log_bucket(self) -> s3.Bucket:
        """Make the bucket in which S3 writes down who read or wrote the others: a session taken out shows there."""
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            bucket_name=f"recado-{self._stage.name}-access-logs-{Aws.ACCOUNT_ID}-{Aws.REGION}",
            # S3 cannot write its logs into a bucket whose default is a KMS key.
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(_ACCESS_LOGS_KEPT_DAYS))],
            removal_policy=self._removal,
        )
        acknowledge(bucket, "S1", "It holds the access logs of the others; its own would fill it without end.")
        return bucket

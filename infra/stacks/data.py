"""What must outlive every deployment: the key, the tables and the buckets."""

from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack, Tags
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.config import Stage
from infra.tables import TABLES, TableKeys

# The present one and those before it. S3 counts days too, at least one, so there are more of them on a busy day.
_VAULT_VERSIONS = 5


class DataStack(Stack):
    """The key, the tables (one per lifecycle) and the buckets of a stage.

    Attributes:
        key: encrypts everything at rest.
        tables: the tables by their short names.
        vault: holds the sessions' credentials.
        backups: holds the hourly backups and what the runner spills.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        Tags.of(self).add("recado:component", "data")
        self._stage = stage
        self._removal = RemovalPolicy.RETAIN if stage.keep_data else RemovalPolicy.DESTROY
        self.key = self._make_key()
        self.tables = {keys.name: self._make_table(keys) for keys in TABLES}
        self.vault = self._make_bucket(
            "vault", older_versions_kept=Duration.days(1), newer_ones_kept=_VAULT_VERSIONS - 1
        )
        self.backups = self._make_bucket("backups", older_versions_kept=Duration.days(90))
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
        for index in keys.indexes:
            table.add_global_secondary_index(
                index_name=index.name,
                partition_key=text(index.partition_key),
                sort_key=text(index.sort_key),
                projection_type=dynamodb.ProjectionType.ALL,
            )
        return table

    def _make_bucket(
        self, name: str, *, older_versions_kept: Duration, newer_ones_kept: int | None = None
    ) -> s3.Bucket:
        """Make a bucket that drops an old version of an object after a while, except for the newest of them."""
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
            lifecycle_rules=[
                s3.LifecycleRule(
                    noncurrent_version_expiration=older_versions_kept,
                    noncurrent_versions_to_retain=newer_ones_kept,
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
            removal_policy=self._removal,
        )

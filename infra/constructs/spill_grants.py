"""Rights on what a runner spills to the vault's bucket while the ingest queue does not take it."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3


def allow_spilling(grantee: iam.IGrantable, vault: s3.IBucket, shard_id: str) -> None:
    """Let the runner of a shard keep what it saw, take up what the one before it kept, and put aside what is damaged.

    Finding it needs ``s3:ListBucket`` besides, which a runner has for its sessions.
    """
    kept, damaged = (f"{vault.bucket_arn}/{prefix}/{shard_id}/*" for prefix in ("spill", "spill-broken"))
    _allow(grantee, ("s3:PutObject", "s3:GetObject", "s3:DeleteObject"), kept)
    _allow(grantee, ("s3:PutObject",), damaged)


def _allow(grantee: iam.IGrantable, actions: tuple[str, ...], resource: str) -> None:
    grantee.grant_principal.add_to_principal_policy(iam.PolicyStatement(actions=list(actions), resources=[resource]))

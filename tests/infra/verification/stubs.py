"""An AWS account that answers what a test says, call by call; requests and answers are held to AWS's own models."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.stub import Stubber

from infra.config import Stage
from infra.verification.account import Account

REGION, NUMBER = "sa-east-1", "123456789012"
OUTPUTS = {
    "VaultBucket": "recado-dev-vault",
    "BackupBucket": "recado-dev-backups",
    "KeyId": "key",
    "EventBus": "recado-dev",
    "Url": "https://api.example/dev",
    "ClusterName": "recado-dev",
}


class StubbedSession:
    """Stands in for boto3's session.

    Args:
        outputs: what every stack says of itself.
    """

    region_name = REGION

    def __init__(self, outputs: Mapping[str, str] = OUTPUTS) -> None:
        self._clients: dict[str, Any] = {}
        self._stubs: dict[str, Stubber] = {}
        listed = [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()]
        stack = {
            "StackName": "any",
            "CreationTime": datetime(2026, 11, 22, tzinfo=UTC),
            "StackStatus": "CREATE_COMPLETE",
        }
        for _ in range(6):
            self.answers("cloudformation", "describe_stacks", {"Stacks": [{**stack, "Outputs": listed}]})
        caller = {"Account": NUMBER, "Arn": f"arn:aws:iam::{NUMBER}:user/ops", "UserId": "x"}
        self.answers("sts", "get_caller_identity", caller)

    def client(self, service: str, region_name: str | None = None, **credentials: str) -> Any:
        """Return the stubbed client, another one for those who act for a clinic."""
        return self._stubbed(f"clinic's {service}" if "aws_session_token" in credentials else service)

    def answers(self, service: str, operation: str, *answers: Any) -> None:
        """Have a service answer the next calls in this way; a text is the code of an error."""
        self._stubbed(service)
        for answer in answers:
            if isinstance(answer, str):
                self._stubs[service].add_client_error(operation, answer)
            else:
                self._stubs[service].add_response(operation, answer)

    def all_was_asked(self, *services: str) -> None:
        """Make sure that nothing is left unasked of these services."""
        for service in services:
            self._stubs[service].assert_no_pending_responses()

    def _stubbed(self, name: str) -> Any:
        if name not in self._clients:
            real: Any = boto3.client(  # type: ignore[call-overload]
                name.removeprefix("clinic's "),
                region_name=REGION,
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
            )
            self._clients[name] = real
            self._stubs[name] = Stubber(real)
            self._stubs[name].activate()
        return self._clients[name]


def account(session: StubbedSession, *, disturb: bool = False, **settings: Any) -> Account:
    """Return a stage in that account, in which time passes only while a check waits."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += max(seconds, 0.1)

    stage = Stage(name="dev", shared_shards=1, **settings)
    return Account(session, stage, disturb=disturb, sleep=sleep, moment=lambda: now[0])  # type: ignore[arg-type]

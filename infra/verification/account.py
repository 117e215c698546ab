"""The account that is looked at: its clients, the outputs of a stage's stacks, time."""

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any
from uuid import uuid4

from boto3 import Session

from infra.config import Stage

# Cost allocation tags are kept in one region, whatever the resources' own.
BILLING_REGION = "us-east-1"


class CheckFailedError(Exception):
    """The account is not as it should be; says in one sentence what was seen."""


class CheckSkippedError(Exception):
    """The check cannot be made, or would do harm that was not asked for; says why."""


class Account:
    """A deployed stage.

    Args:
        session: credentials and region.
        stage: as it is declared.
        disturb: whether checks may stop a task, send thousands of requests or change a trust policy for a while.
        sleep: waits; for tests.
        moment: a clock that only goes forwards, in seconds; for tests.
    """

    def __init__(
        self,
        session: Session,
        stage: Stage,
        *,
        disturb: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        moment: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stage = stage
        self.disturb = disturb
        self.sleep = sleep
        self.moment = moment
        self._session = session
        self._clients: dict[tuple[str, str | None], Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        """Return the account's client for a service, made once."""
        key = (service, region)
        if key not in self._clients:
            self._clients[key] = self._session.client(service, region_name=region)  # type: ignore[call-overload]
        return self._clients[key]

    def client_as(self, credentials: Mapping[str, str], service: str) -> Any:
        """Return a client that signs with credentials that STS gave."""
        return self._session.client(  # type: ignore[call-overload]
            service,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    @property
    def region(self) -> str:
        """The region in which the stage is."""
        return str(self._session.region_name)

    @cached_property
    def number(self) -> str:
        """The account's number."""
        return str(self.client("sts").get_caller_identity()["Account"])

    def name(self, part: str) -> str:
        """Return the name that the stage gives to one of its parts."""
        return f"recado-{self.stage.name}-{part}"

    def output(self, stack: str, name: str) -> str:
        """Return an output of one of the stage's stacks.

        Raises:
            CheckFailedError: the stack does not say it, as when it was deployed from an older version.
        """
        described = self.client("cloudformation").describe_stacks(StackName=self.name(stack))["Stacks"][0]
        for output in described.get("Outputs", ()):
            if output["OutputKey"] == name:
                return str(output["OutputValue"])
        raise CheckFailedError(f"the stack {self.name(stack)} has no output {name}: deploy it anew")

    def require_leave_to_disturb(self, what: str) -> None:
        """Go on only if it was asked for.

        Args:
            what: the harm that is done.

        Raises:
            CheckSkippedError: it was not.
        """
        if not self.disturb:
            raise CheckSkippedError(f"{what}; ask for it with DISTURB=1")

    def until(self, seen: Callable[[], Any], seconds: float, pause: float = 2.0) -> tuple[Any, float]:
        """Look again and again until something is seen.

        Returns:
            What was seen last (false if nothing was in time) and how many seconds it took.
        """
        begun = self.moment()
        while not (found := seen()) and self.moment() - begun < seconds:
            self.sleep(pause)
        return found, self.moment() - begun

    def new_name(self) -> str:
        """Return a name for something that is made for a check and removed after it."""
        return self.name(f"verification-{uuid4().hex[:12]}")

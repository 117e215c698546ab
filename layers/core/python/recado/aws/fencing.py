"""Acting for one clinic: inside a fence, calls are signed with credentials that reach no other clinic's data.

The role of the setting ``RECADO_CLINIC_ROLE_ARN`` is assumed with the session tag ``clinic``, and its policies compare
that tag with the leading key of every item and with the encryption context of every seal. So a query that a mistake
binds to the wrong clinic is refused by AWS itself
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html).

DynamoDB, S3 and KMS obey the fence; queues and the bus are shared by all clinics, so their clients stay outside of it.
Processes without the setting (workers, the runner, tests) have no fences: entering one changes nothing there.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialResolver, Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from recado.aws.failures import is_passing
from recado.aws.settings import clinic_role, region
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import ServiceUnavailableError

TAG = "clinic"
_CLOCK = SystemClock()
_LIFE_SECONDS = 900  # The shortest that STS gives.
_MARGIN = timedelta(minutes=2)
"""How long credentials must still be good when they are handed out: longer than any request lasts."""
_MOST_REMEMBERED = 256
_CONNECT_SECONDS = 3
_READ_SECONDS = 5
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Fence:
    """Credentials that reach one clinic's data only; the secret part stays out of what is printed of it."""

    clinic_id: str
    _credentials: ReadOnlyCredentials
    good_until: datetime

    def __repr__(self) -> str:
        """Return a text without the credentials."""
        return f"Fence({self.clinic_id})"

    @property
    def credentials(self) -> ReadOnlyCredentials:
        """What calls inside the fence are signed with."""
        return self._credentials


_present: ContextVar[Fence | None] = ContextVar("recado_fence", default=None)
_remembered: OrderedDict[str, Fence] = OrderedDict()
_guard = threading.Lock()


def fence_of(clinic_id: str, *, clock: Clock = _CLOCK) -> Fence | None:
    """Return a clinic's fence, from this process's memory if one is good for two more minutes.

    Args:
        clinic_id: whose data shall be reached; must be known to be an id of ours, since it becomes a tag's value.
        clock: tells whether what is remembered is still good.

    Returns:
        The fence, or None in a process that has none.

    Raises:
        ServiceUnavailableError: STS throttles or does not answer.
    """
    role = clinic_role()
    if not role:
        return None
    with _guard:
        known = _remembered.get(clinic_id)
        if known is not None and known.good_until > clock.now():
            _remembered.move_to_end(clinic_id)
            return known
    made = _assume(role, clinic_id)
    with _guard:
        _remembered[clinic_id] = made
        _remembered.move_to_end(clinic_id)
        while len(_remembered) > _MOST_REMEMBERED:
            _remembered.popitem(last=False)
    return made


def enter(fence: Fence | None) -> None:
    """Stay inside a fence for the rest of this context: of a request's task and the threads it hands work to."""
    _present.set(fence)


@contextmanager
def acting_for(clinic_id: str) -> Iterator[None]:
    """Act for a clinic inside the block.

    Raises:
        ServiceUnavailableError: STS throttles or does not answer.
    """
    with _inside(fence_of(clinic_id)):
        yield


@contextmanager
def acting_for_platform() -> Iterator[None]:
    """Act with the process's own rights inside the block: for the few items that belong to no clinic."""
    with _inside(None):
        yield


def present_clinic() -> str | None:
    """Return the clinic of the fence that this code runs in, None outside of all."""
    fence = _present.get()
    return fence.clinic_id if fence else None


def fenced_session() -> botocore.session.Session | None:
    """Return a new botocore session that signs each call as the fence round it demands; None without fences."""
    if not clinic_role():
        return None
    made = botocore.session.get_session()
    made.register_component("credential_provider", _Resolver(made.get_component("credential_provider")))
    return made


def forget() -> None:
    """Forget all fences and the client that makes them, for another environment."""
    with _guard:
        _remembered.clear()
    _sts.cache_clear()


class _Resolver:
    """botocore's search for credentials, with the fence put before what it finds."""

    def __init__(self, own: CredentialResolver) -> None:
        self._own = own

    def load_credentials(self) -> Credentials | None:
        found = self._own.load_credentials()
        return None if found is None else _FencedCredentials(found)


class _FencedCredentials(Credentials):
    """Credentials that are chosen anew for each call: botocore asks for frozen ones whenever it signs."""

    def __init__(self, own: Credentials) -> None:
        super().__init__(own.access_key, own.secret_key, own.token, own.method)
        self._own = own

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        fence = _present.get()
        return fence.credentials if fence else self._own.get_frozen_credentials()


@contextmanager
def _inside(fence: Fence | None) -> Iterator[None]:
    token = _present.set(fence)
    try:
        yield
    finally:
        _present.reset(token)


def _assume(role: str, clinic_id: str) -> Fence:
    try:
        answer = _sts().assume_role(
            RoleArn=role,
            # The name appears in CloudTrail beside every call.
            RoleSessionName=clinic_id,
            DurationSeconds=_LIFE_SECONDS,
            Tags=[{"Key": TAG, "Value": clinic_id}],
        )
    except (ClientError, BotoCoreError) as error:
        if is_passing(error):
            raise ServiceUnavailableError("The clinic's rights cannot be had at the moment.") from error
        raise
    given = answer["Credentials"]
    credentials = ReadOnlyCredentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], None)
    return Fence(clinic_id, credentials, given["Expiration"] - _MARGIN)


@lru_cache(maxsize=1)
def _sts() -> Any:
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    return botocore.session.get_session().create_client("sts", region_name=region(), config=config)

"""Fences: whose credentials a call is signed with, and that what is remembered of them is bounded and fresh."""

import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ConnectTimeoutError

from recado.aws import clients, fencing, settings
from recado.aws.sealing import open_sealed, seal
from recado.clinics import service as clinics
from recado.kernel.clock import SystemClock
from recado.kernel.errors import ServiceUnavailableError
from recado.kernel.ids import Prefix, new_id
from recado.shards import service as shards
from tests.support.aws import EmulatedAws, forget_settings
from tests.support.clock import FixedClock

ROLE = "arn:aws:iam::123456789012:role/recado-test-clinic-access"
OWN = "FOOBARKEY"  # What moto puts into the environment.


class Signatures:
    """The access key that each operation was signed with."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []

    def of(self, operation: str) -> list[str]:
        """Return the access keys of an operation's calls."""
        return [key for name, key in self.made if name == operation]


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> Signatures:
    """What is signed with what."""
    found = Signatures()
    call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(client: Any, operation: str, arguments: Any) -> Any:
        key = client._request_signer._credentials.get_frozen_credentials().access_key
        found.made.append((operation, key))
        return call(client, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return found


@pytest.fixture
def fenced(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that has a role for clinics."""
    monkeypatch.setenv("RECADO_CLINIC_ROLE_ARN", ROLE)
    forget_settings()
    yield
    monkeypatch.delenv("RECADO_CLINIC_ROLE_ARN")
    forget_settings()


def test_without_a_role_nothing_changes(aws: EmulatedAws, aurora: str, signatures: Signatures) -> None:
    """Workers and the runner have no role: entering a fence asks nobody and signs as before."""
    with fencing.acting_for(aurora):
        assert fencing.present_clinic() is None
        clinics.get_clinic(aurora)
    assert signatures.made == [("GetItem", OWN)]


def test_inside_a_fence_items_and_seals_are_signed_for_the_clinic(
    fenced: None, aurora: str, signatures: Signatures
) -> None:
    """DynamoDB and KMS see the clinic's credentials inside, and the process's own before and after."""
    clinics.get_clinic(aurora)
    with fencing.acting_for(aurora):
        clinics.get_clinic(aurora)
        assert open_sealed(seal(b"secret", aurora, "test"), aurora, "test") == b"secret"
        clients.sqs().list_queues()
    clinics.get_clinic(aurora)
    before, inside, the_key, after = signatures.of("GetItem")
    assert before == after == OWN
    assert inside not in ("", OWN)
    assert the_key == inside
    assert signatures.of("GenerateDataKey") == [inside]
    assert signatures.of("ListQueues") == [OWN]


def test_fences_of_two_clinics_are_two(fenced: None, aurora: str, brisa: str, signatures: Signatures) -> None:
    """A fence inside another replaces it until its end; one client serves both."""
    with fencing.acting_for(aurora):
        clinics.get_clinic(aurora)
        with fencing.acting_for(brisa):
            clinics.get_clinic(brisa)
        clinics.get_clinic(aurora)
    first, second, third = signatures.of("GetItem")
    assert first == third != second


def test_a_new_clinic_is_written_inside_its_own_fence(fenced: None, signatures: Signatures) -> None:
    """The platform's own rights need not write into any clinic."""
    clinics.create_clinic("Clínica Aurora", "America/Sao_Paulo")
    assert signatures.of("PutItem")[0] != OWN


def test_what_belongs_to_no_clinic_is_read_outside(fenced: None, aurora: str, signatures: Signatures) -> None:
    """Inside a fence, the loads of the shards are read with the process's own rights."""
    with fencing.acting_for(aurora):
        shards.declared()
        assert fencing.present_clinic() == aurora
    assert signatures.of("BatchGetItem") == [OWN]


def test_the_tag_and_the_name_are_the_clinic(fenced: None, aurora: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policies compare the session tag; the name shows in CloudTrail; STS's shortest life is asked for."""
    asked: list[dict[str, Any]] = []
    answer = fencing._sts().assume_role

    def assume(**given: Any) -> Any:
        asked.append(given)
        return answer(**given)

    monkeypatch.setattr(fencing._sts(), "assume_role", assume)
    clinic_id = new_id(Prefix.CLINIC)
    fencing.fence_of(clinic_id)
    assert asked == [
        {
            "RoleArn": ROLE,
            "RoleSessionName": clinic_id,
            "DurationSeconds": 900,
            "Tags": [{"Key": "clinic", "Value": clinic_id}],
        }
    ]


def test_a_fence_is_remembered_while_it_is_good_for_two_more_minutes(fenced: None, signatures: Signatures) -> None:
    """One AssumeRole serves a clinic's requests for at most 13 minutes."""
    clinic_id = new_id(Prefix.CLINIC)
    clock = FixedClock(SystemClock().now())
    first = fencing.fence_of(clinic_id, clock=clock)
    clock.advance(minutes=12)
    assert fencing.fence_of(clinic_id, clock=clock) is first
    clock.advance(minutes=2)
    assert fencing.fence_of(clinic_id, clock=clock) is not first
    assert len(signatures.of("AssumeRole")) == 2


def test_no_more_than_256_clinics_are_remembered(fenced: None, signatures: Signatures) -> None:
    """The clinic that was not seen for longest is forgotten first."""
    ids = [new_id(Prefix.CLINIC) for _ in range(257)]
    for clinic_id in ids[:256]:
        fencing.fence_of(clinic_id)
    fencing.fence_of(ids[0])
    fencing.fence_of(ids[256])
    fencing.fence_of(ids[0])
    assert len(signatures.of("AssumeRole")) == 257
    fencing.fence_of(ids[1])
    assert len(signatures.of("AssumeRole")) == 258


def test_a_fence_holds_in_threads_that_carry_the_context_on_and_in_no_other(fenced: None, aurora: str) -> None:
    """Web frameworks hand work to threads with the request's context; a thread without it has no clinic's rights."""
    seen: list[str | None] = []

    def look() -> None:
        seen.append(fencing.present_clinic())

    with fencing.acting_for(aurora):
        context = contextvars.copy_context()
        for target in (lambda: context.run(look), look):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert seen == [aurora, None]


def test_credentials_are_not_printed(fenced: None, aurora: str) -> None:
    """A fence in a log line or a traceback shows its clinic only."""
    fence = fencing.fence_of(aurora)
    assert fence is not None
    assert repr(fence) == f"Fence({aurora})"
    assert str(fence.credentials.secret_key) not in repr(fence)


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (ClientError({"Error": {"Code": "Throttling"}}, "AssumeRole"), ServiceUnavailableError),
        (ConnectTimeoutError(endpoint_url="https://sts"), ServiceUnavailableError),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole"), ClientError),
    ],
)
def test_without_credentials_nothing_is_done_with_others(
    fenced: None, monkeypatch: pytest.MonkeyPatch, failure: Exception, raised: type[Exception]
) -> None:
    """When STS fails, the request fails: it never goes on with the process's own rights."""

    def fail(**_: Any) -> Any:
        raise failure

    monkeypatch.setattr(fencing._sts(), "assume_role", fail)
    with pytest.raises(raised), fencing.acting_for(new_id(Prefix.CLINIC)):
        pytest.fail("the block must not run")


def test_settings_know_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """The role is optional."""
    monkeypatch.delenv("RECADO_CLINIC_ROLE_ARN", raising=False)
    assert settings.ClinicRoleSettings().clinic_role_arn == ""
    monkeypatch.setenv("RECADO_CLINIC_ROLE_ARN", ROLE)
    assert settings.ClinicRoleSettings().clinic_role_arn == ROLE

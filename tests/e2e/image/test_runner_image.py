"""The runner's image as built: started against a local stack, it pairs a channel, sends a message and ends clean.

``make image`` builds it. Containers are made by buildah without an engine, which needs root.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.container import HEALTH_CHECK, USER
from local.image.building import TAG, exists, missing
from local.whatsapp import redirect
from tests.e2e.image.container import RunnerContainer
from tests.support.running_stack import RunningStack

_REASON = missing() or (None if exists(TAG) else "the image is not built (make image)")
_NUMBER = "5511955550001"
_PATIENT = "5511977770001"

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(_REASON is not None, reason=str(_REASON))]


@pytest.fixture(scope="module")
def without_runners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack whose shard has no task."""
    running = RunningStack(tmp_path_factory.mktemp("stack"))
    running.start("--no-runners")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def container(without_runners: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerContainer]:
    """The image, started as that task."""
    made = RunnerContainer(
        tmp_path_factory.mktemp("container"),
        without_runners.described["runners"]["shard-001"],
        redirect=Path(redirect.__file__).parent,
        authority=without_runners.folder / "whatsapp" / "ca-bundle.pem",
    )
    made.start()
    yield made
    made.remove()


def test_the_image_carries_a_shard(without_runners: RunningStack, container: RunnerContainer) -> None:
    """It pairs a channel, delivers a message, and puts the session away clean when ECS asks it to end.

    All on a root file system that its user cannot write to, with no temporary folder but the volume.
    """
    container.until(lambda: container.run(*HEALTH_CHECK).returncode == 0, "the health check of the template passes")
    clinic, phones = without_runners.clinic("aurora"), without_runners.phones()
    channel_id = clinic.api.post(f"{clinic.path}/channels", json={"name": "Recepção"}).json()["channel_id"]
    channel = f"{clinic.path}/channels/{channel_id}"
    clinic.api.post(f"{channel}/connect", json={"method": "qr"}).raise_for_status()
    code = clinic.api.get(f"{channel}/qr?wait=20").json()["code"]
    phones.post("/phones", json={"number": _NUMBER}).raise_for_status()
    phones.post(f"/phones/{_NUMBER}/scan", json={"code": code}).raise_for_status()
    container.until(lambda: clinic.api.get(channel).json()["state"] == "connected", "the channel is connected")
    sent = clinic.api.post(
        f"{channel}/messages",
        json={"to": _PATIENT, "type": "text", "text": {"body": "Sua consulta é amanhã às 10h."}},
        headers={"Idempotency-Key": "from-the-image"},
    )
    message = f"{channel}/messages/{sent.json()['message_id']}"
    container.until(lambda: clinic.api.get(message).json()["status"] == "delivered", "the message is delivered")
    assert container.terminate() == 0
    vault, key = without_runners.environment["RECADO_VAULT_BUCKET"], f"channel/{channel_id}/session.vault"
    stored = without_runners.aws("s3").head_object(Bucket=vault, Key=f"clinic/{clinic.clinic_id}/{key}")
    assert stored["Metadata"]["clean"] == "true"


def test_the_image_runs_as_nobody_and_can_write_its_volume_only(container: RunnerContainer) -> None:
    """The user is the one of the task definition; code and packages are not its own."""
    user, group = USER.split(":")
    assert container.run("id", "-u").stdout.strip() == user
    assert container.run("id", "-g").stdout.strip() == group
    writable = container.run("find", "/", "-xdev", "-writable", "-type", "d", "-not", "-path", "/proc/*").stdout
    assert set(writable.split()) <= {"/tmp", "/var/tmp", "/run/lock", "/var/lib/recado", "/dev/shm", "/dev/mqueue"}


def test_the_image_holds_the_runner_and_not_the_rest_of_the_platform(container: RunnerContainer) -> None:
    """No function, no infrastructure, no local stack, no AWS CDK."""
    found = container.run("python", "-c", _LOOK).stdout.split()
    assert found == ["recado", "session_runner"]


_LOOK = """
from importlib.util import find_spec
for name in ("aws_cdk", "fastapi", "functions", "infra", "local", "recado", "session_runner"):
    if find_spec(name):
        print(name)
"""

"""What the API's tests share: time that costs nothing, and callers with keys."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi.testclient import TestClient
from httpx import Response

from functions.api.waiting import Patience
from recado.channels import service as channels
from recado.channels.model import ChannelState
from recado.clinics import service as clinics
from recado.clinics.model import Scope
from recado.kernel.ids import Prefix, new_id
from recado.messages import service as messages
from recado.messages.model import MessageType, ObservedMessage, Party


class CountingTime:
    """Time that moves only by sleeping, and costs none.

    ``patience`` is what the API's waiting takes; ``slept`` says how many seconds have been slept through.
    """

    def __init__(self) -> None:
        self.slept = 0.0
        self._coming: list[tuple[float, Callable[[], object]]] = []
        self.patience = Patience(monotonic=lambda: self.slept, sleep=self._sleep)

    def after(self, seconds: float, happen: Callable[[], object]) -> None:
        """Let something happen once so many seconds have been slept through."""
        self._coming.append((seconds, happen))

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        due = [happen for at, happen in self._coming if at <= self.slept]
        self._coming = [(at, happen) for at, happen in self._coming if at > self.slept]
        for happen in due:
            happen()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a key; paths without a leading slash lie under the caller's own clinic."""

    client: TestClient
    key: str
    clinic_id: str = ""

    def request(self, method: str, path: str, **arguments: Any) -> Response:
        """Send a request with the caller's key."""
        headers = {"Authorization": f"Bearer {self.key}", **arguments.pop("headers", {})}
        answer: Response = self.client.request(method, self.path(path), headers=headers, **arguments)
        return answer

    def get(self, path: str, **arguments: Any) -> Response:
        """Read something."""
        return self.request("GET", path, **arguments)

    def post(self, path: str, json: Any = None, **arguments: Any) -> Response:
        """Create something or ask for something."""
        return self.request("POST", path, **({} if json is None else {"json": json}), **arguments)

    def patch(self, path: str, json: Any) -> Response:
        """Change something."""
        return self.request("PATCH", path, json=json)

    def delete(self, path: str) -> Response:
        """Remove something."""
        return self.request("DELETE", path)

    def path(self, path: str) -> str:
        """Return the whole path."""
        return path if path.startswith("/") else f"/v1/clinics/{self.clinic_id}/{path}".rstrip("/")

    def limited(self, *scopes: Scope, channels: Collection[str] | None = None) -> "Caller":
        """Return a caller of the same clinic with only these scopes and channels."""
        chosen = None if channels is None else frozenset(channels)
        _, text = clinics.create_api_key(self.clinic_id, "limited", frozenset(scopes or Scope), chosen)
        return Caller(self.client, text, self.clinic_id)

    def channel(self, name: str = "Recepção", **fields: Any) -> str:
        """Create a channel and return its id."""
        answer = self.post("channels", {"name": name, **fields})
        assert answer.status_code == 201, answer.text
        channel_id: str = answer.json()["channel_id"]
        return channel_id


def assert_problem(answer: Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    """Check that an answer is a whole problem with this code, and return it."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert problem["type"].startswith("http://127.0.0.1:8080/errors/")
    assert problem["title"]
    assert problem["detail"]
    assert problem["field"] == field, problem
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


def report(caller: Caller, channel_id: str, state: ChannelState, **facts: Any) -> None:
    """Let the channel's runner report a state."""
    sequence = channels.reserve_sequences(caller.clinic_id, channel_id, 1)
    channels.apply_state(
        caller.clinic_id,
        channel_id,
        state=state,
        sequence=sequence,
        observed_at=datetime.now(UTC),
        **{"reason": None, **facts},
    )


def link(caller: Caller, channel_id: str, phone: str) -> None:
    """Let the channel's runner link a phone and connect."""
    channels.claim_number(caller.clinic_id, channel_id, phone, "100000000000001@lid")
    report(caller, channel_id, ChannelState.CONNECTED)
    channels.put_liveness(caller.clinic_id, channel_id, connected=True, last_frame_at=datetime.now(UTC), epoch=1)


def receive(caller: Caller, channel_id: str, text: str, whatsapp_id: str = "3EB0AA") -> str:
    """Let a contact's message come in and return its id."""
    now = datetime.now(UTC)
    contact = Party(e164="+5511977770001", lid="100000000000002@lid")
    observed = ObservedMessage(
        clinic_id=caller.clinic_id,
        channel_id=channel_id,
        entry_id=new_id(Prefix.EVENT),
        whatsapp_id=whatsapp_id,
        type=MessageType.TEXT,
        chat=contact,
        sender=contact,
        to=Party(e164="+5511988880001"),
        text=text,
        timestamp=now,
        observed_at=now,
    )
    return messages.record_inbound(observed)[0].message_id

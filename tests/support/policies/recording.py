"""Records the AWS calls of the product while test suites run: ``python -m pytest -p tests.support.policies.recording``.

A call belongs to the function (or to the runner) whose file stands nearest in the stack of the thread that makes it.
Where a test's file stands nearer, as when it sets things up, the call belongs to nobody and is left out. What a pool's
thread does belongs to whoever asked for it. Each call is also ascribed to the clinic whose credentials it was signed
with, as STS gave them out.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.support import aws
from tests.support.policies.evaluation import Request
from tests.support.policies.requests import requests_of

CHECKOUT = Path(__file__).resolve().parents[3]
CLINIC_ROLE = "arn:aws:iam::123456789012:role/recado-test-clinic-access"
_FUNCTIONS = f"{CHECKOUT}/functions/"
_RUNNER = f"{CHECKOUT}/session_runner/"
_TESTS = f"{CHECKOUT}/tests/"
_asked_by = threading.local()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the product.

    Attributes:
        process: the function's folder, or ``session_runner``.
        operation: such as ``dynamodb:TransactWriteItems``.
        clinic: whose credentials signed it; None for the process's own.
        requests: what IAM is asked about it.
    """

    process: str
    operation: str
    clinic: str | None
    requests: tuple[Request, ...]


def read(file: Path) -> list[Call]:
    """Return the calls that a recording run wrote."""
    return [
        Call(
            call["process"],
            call["operation"],
            call["clinic"],
            tuple(
                Request(
                    one["action"],
                    one["resource"],
                    {key: tuple(values) for key, values in one["context"].items()},
                )
                for one in call["requests"]
            ),
        )
        for call in json.loads(file.read_text(encoding="utf-8"))
    ]


class Recorder:
    """Stands between the product and botocore."""

    def __init__(self) -> None:
        self.calls: dict[str, Mapping[str, Any]] = {}
        self._clinics: dict[str, str] = {}
        self._guard = threading.Lock()

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """See every call of every client from now on."""
        make: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

        def recorded(client: Any, operation: str, parameters: Any) -> Any:
            process = _process()
            if process is not None:
                self._record(process, client, operation, parameters)
            answer = make(client, operation, parameters)
            if operation == "AssumeRole":
                self._clinics[answer["Credentials"]["AccessKeyId"]] = parameters["Tags"][0]["Value"]
            return answer

        patch.setattr(BaseClient, "_make_api_call", recorded)
        submit = ThreadPoolExecutor.submit

        def submitted(pool: ThreadPoolExecutor, do: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
            return submit(pool, _in_the_name_of, _process(), do, *args, **named)

        patch.setattr(ThreadPoolExecutor, "submit", submitted)

    def _record(self, process: str, client: Any, operation: str, parameters: Any) -> None:
        service = client.meta.service_model.service_name
        key = client._request_signer._credentials.get_frozen_credentials().access_key
        requests = tuple(requests_of(service, operation, parameters))
        call = asdict(Call(process, f"{service}:{operation}", self._clinics.get(key), requests))
        with self._guard:
            self.calls[json.dumps(call, sort_keys=True)] = call


def _in_the_name_of(process: str | None, do: Callable[..., Any], *args: Any, **named: Any) -> Any:
    before, _asked_by.process = getattr(_asked_by, "process", None), process
    try:
        return do(*args, **named)
    finally:
        _asked_by.process = before


def _process() -> str | None:
    frame: Any = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_FUNCTIONS):
            return str(file[len(_FUNCTIONS) :].partition("/")[0])
        if file.startswith(_RUNNER):
            return "session_runner"
        if file.startswith(_TESTS) and file != __file__:
            return None
        frame = frame.f_back
    asked_by: str | None = getattr(_asked_by, "process", None)
    return asked_by


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the file to write and whether the processes have a role for clinics."""
    parser.addoption("--recorded-calls", type=Path, required=True)
    parser.addoption("--with-clinic-role", action="store_true")


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """Record all that the session's tests call."""
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        recorder.install(patch)
        if session.config.getoption("--with-clinic-role"):
            patch.setitem(aws.ENVIRONMENT, "RECADO_CLINIC_ROLE_ARN", CLINIC_ROLE)
        result = yield
    file: Path = session.config.getoption("--recorded-calls")
    file.write_text(json.dumps(list(recorder.calls.values())), encoding="utf-8")
    return result

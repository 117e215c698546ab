"""The calls that the functions' own test suites make, recorded once for each state of what they run."""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache

from tests.support.policies.recording import CHECKOUT, Call, read

_INPUTS = ("layers/core/python/**/*.py", "functions/**/*.py", "tests/functions/**/*.py", "tests/support/**/*.py")
_RUNNERS_INPUTS = (*_INPUTS, "session_runner/**/*.py", "tests/runner/**/*.py", "tests/e2e/runner/*.py")
_KEPT = 3
_ENOUGH_OF_A_CHANNELS_LIFE = "not replaced and not banned and not refused and not dropped and not expires"
"""What these tests have in common with others makes no call of its own, and takes half of the time."""


class RecordingError(Exception):
    """A suite failed while it was recorded; carries what it printed."""


@lru_cache(maxsize=1)
def recorded_calls() -> list[Call]:
    """Return the calls of all functions; those of the API with a role for clinics, as it is deployed.

    Raises:
        RecordingError: a test failed.
    """
    folder = CHECKOUT / "build" / "recorded-calls"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fingerprint = _fingerprint()[:16]
        files = [folder / f"{fingerprint}-{name}.json" for name in ("api", "workers")]
        if not all(file.is_file() for file in files):
            for old in sorted(
                (*folder.glob("*-api.json"), *folder.glob("*-workers.json")), key=lambda file: file.stat().st_mtime
            )[: -2 * _KEPT]:
                old.unlink()
            api, workers = files
            _record("tests/functions/api", "--with-clinic-role", f"--recorded-calls={api}")
            _record("tests/functions", "--ignore=tests/functions/api", f"--recorded-calls={workers}")
    return [call for file in files for call in read(file)]


@lru_cache(maxsize=1)
def recorded_calls_of_the_runner() -> list[Call]:
    """Return the calls of a runner that runs in a test's process, with real hosts and the real client.

    Raises:
        RecordingError: a test failed.
    """
    folder = CHECKOUT / "build" / "recorded-calls"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "runner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = folder / f"runner-{_fingerprint(_RUNNERS_INPUTS)[:16]}.json"
        if not file.is_file():
            for old in folder.glob("runner-*.json"):
                old.unlink()
            chosen = ("tests/e2e/runner/test_life_of_a_channel.py", "tests/e2e/runner/test_way_of_a_message.py")
            adapters = (
                "tests/runner/publishing",
                "tests/runner/commands",
                "tests/runner/lease",
                "tests/runner/supervisor",
                "tests/runner/vault",
            )
            _record(*chosen, *adapters, "-k", _ENOUGH_OF_A_CHANNELS_LIFE, f"--recorded-calls={file}")
    return read(file)


def _record(*arguments: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.support.policies.recording", *arguments]
    finished = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RecordingError(finished.stdout[-4000:] + finished.stderr[-4000:])


def _fingerprint(inputs: Iterable[str] = _INPUTS) -> str:
    digest = hashlib.sha256()
    for pattern in (*inputs, "tests/conftest.py"):
        for path in sorted(CHECKOUT.glob(pattern)):
            digest.update(str(path.relative_to(CHECKOUT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()

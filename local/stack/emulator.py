"""The AWS emulator (ministack) as a part of the stack."""

import shutil
from pathlib import Path

from local.stack.environment import REGION, base_environment
from local.stack.part import Part
from local.stack.ports import HOST
from local.stack.state import CHECKOUT, StateFolder, read_json, write_private

_PORT_FILE = "port.json"
EMULATOR_PYTHON = CHECKOUT / ".venv-emulator" / "bin" / "python"


def kept_port(state: StateFolder, default: int) -> int:
    """Return the port the saved state was made with; asking for another works too, at the price of rewriting it."""
    kept = read_json(state.emulator / _PORT_FILE)
    return int(kept["port"]) if kept else default


def emulator_part(
    state: StateFolder,
    port: int,
    *,
    holding: int | None = None,
    functions_endpoint: str | None = None,
    python: Path = EMULATOR_PYTHON,
) -> Part:
    """Return the emulator, not yet started, with its state in the folder.

    It listens on this machine only, and saves its state only when it is stopped by SIGTERM. Its functions find AWS at
    ``functions_endpoint``, by default at the emulator itself.
    """
    saved = state.emulator / "state"
    clean_up(state)
    temporary = _temporary(state)
    temporary.mkdir(parents=True)
    _carry_over(state, saved, port)
    environment = {
        **base_environment(),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(saved),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(saved / "s3"),
        "TMPDIR": str(temporary),
        "LAMBDA_WARM_TTL_SECONDS": "300",
        "AWS_SECRET_ACCESS_KEY": "local",
        # Functions inherit these. There is no X-Ray here.
        "POWERTOOLS_TRACE_DISABLED": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        **({"AWS_ENDPOINT_URL": functions_endpoint} if functions_endpoint else {}),
    }
    return Part(
        "emulator",
        [python, "-m", "ministack"],
        environment=environment,
        folder=state.emulator,
        logs=state.logs,
        holding=holding,
    )


def clean_up(state: StateFolder) -> None:
    """Remove the unpacked functions that it leaves behind; it must not be running."""
    shutil.rmtree(_temporary(state), ignore_errors=True)


def _temporary(state: StateFolder) -> Path:
    return state.emulator / "temporary"


def _carry_over(state: StateFolder, saved: Path, port: int) -> None:
    """Rewrite the addresses in the saved state if the port has changed: queues are saved under their whole address."""
    kept = read_json(state.emulator / _PORT_FILE)
    if kept and kept["port"] != port:
        old, new = (f"{HOST}:{number}".encode() for number in (kept["port"], port))
        for file in saved.glob("*.json"):
            content = file.read_bytes()
            if old in content:
                file.write_bytes(content.replace(old, new))
    write_private(state.emulator / _PORT_FILE, f'{{"port": {port}}}')

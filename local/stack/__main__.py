"""``python -m local.stack``: runs a stack until Ctrl-C, SIGTERM or SIGHUP."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from infra.assets import MissingAssetError
from local.stack.announcement import REAL_WHATSAPP_WARNING
from local.stack.demo import DemoError
from local.stack.deployment import DeploymentError
from local.stack.generation import LostStateError, OtherNetworkError
from local.stack.options import StackOptions, options, parser
from local.stack.part import PartFailedError
from local.stack.ports import NoFreePortError
from local.stack.report import Report
from local.stack.state import StackRunningError, StateFolder
from local.stack.supervisor import Stack
from local.stack.synthesis import SynthesisError
from local.stack.terminal import on_hangup

_EXPECTED = (
    DemoError,
    DeploymentError,
    LostStateError,
    MissingAssetError,
    NoFreePortError,
    OtherNetworkError,
    PartFailedError,
    StackRunningError,
    SynthesisError,
    subprocess.CalledProcessError,
)
_STOP_SECONDS = 240


async def _run(chosen: StackOptions, state: StateFolder, holding: int) -> int:
    report = Report(state.logs / "stack.log")
    stack = Stack(chosen, state, holding, report)
    asked_to_stop = asyncio.Event()

    def stop() -> None:
        if asked_to_stop.is_set():
            stack.hurry()
        asked_to_stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    on_hangup(lambda: loop.call_soon_threadsafe(asked_to_stop.set))
    running = asyncio.create_task(_start_and_watch(stack))
    stopping = asyncio.create_task(asked_to_stop.wait())
    status = 0
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    except _EXPECTED as error:
        report(str(error))
        status = 1
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)
        await stack.stop()
    report("stopped")
    return status


async def _start_and_watch(stack: Stack) -> None:
    failing = asyncio.create_task(stack.until_failed())
    starting = asyncio.create_task(stack.start())
    try:
        await asyncio.wait({starting, failing}, return_when=asyncio.FIRST_COMPLETED)
        if not failing.done():
            starting.result()
        await failing
    finally:
        starting.cancel()
        failing.cancel()


def _stop_other(state: StateFolder) -> int:
    try:
        with state.held():
            print("no stack is running here")
            return 0
    except StackRunningError:
        os.kill(int((state.root / "lock").read_text(encoding="utf-8")), signal.SIGTERM)
    for _ in range(_STOP_SECONDS * 5):
        time.sleep(0.2)
        try:
            with state.held():
                return 0
        except StackRunningError:
            continue
    print(f"the stack is still running after {_STOP_SECONDS} s", file=sys.stderr)
    return 1


def _start_in_background(state: StateFolder) -> int:
    state.make()
    state.description.unlink(missing_ok=True)
    log = state.logs / "background.log"
    arguments = [argument for argument in sys.argv[1:] if argument != "--background"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.stack", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    while process.poll() is None and not state.description.exists():
        time.sleep(0.1)
    print(log.read_text(encoding="utf-8", errors="replace"), end="")
    return process.returncode or 0


def _throw_away(state: StateFolder) -> None:
    for folder in (state.emulator, state.whatsapp, state.runner):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (state.demo, state.generation, state.shell_file):
        file.unlink(missing_ok=True)
    state.make()


def main() -> int:
    """Run, stop or start a stack in the background, and return the exit status."""
    parsed = parser().parse_args()
    chosen = options(parsed)
    state = StateFolder(Path(chosen.state))
    if parsed.stop:
        return _stop_other(state)
    if parsed.background:
        return _start_in_background(state)
    try:
        with state.held() as holding:
            if chosen.fresh:
                _throw_away(state)
            if chosen.whatsapp == "real":
                print(REAL_WHATSAPP_WARNING, flush=True)
            return asyncio.run(_run(chosen, state, holding))
    except StackRunningError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

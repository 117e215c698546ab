"""``python -m session_runner``: run one shard, as the environment says."""

import asyncio
import os
import signal
import sys

from session_runner.settings import RunnerSettings
from session_runner.supervisor import Supervisor


async def _run() -> int:
    supervisor = Supervisor(RunnerSettings())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.stop)
    return await supervisor.run()


def main() -> None:
    """Run until told to stop, and end without waiting for threads that a hung call may hold."""
    status = asyncio.run(_run())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()

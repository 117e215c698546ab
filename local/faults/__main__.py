"""``python -m local.faults --upstream URL --port 0``: run the fault proxy until SIGTERM or SIGINT."""

import argparse
import asyncio
import signal
import sys

from local.faults.proxy import FaultProxy
from local.stack.ports import HOST


async def _run(upstream: str, port: int, seed: int) -> None:
    proxy = FaultProxy(upstream, seed)
    await proxy.start(HOST, port)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    print(f"fault proxy on http://{HOST}:{proxy.port}", flush=True)
    await stopping.wait()
    await proxy.stop()


def main() -> None:
    """Parse the command line and run."""
    lines = argparse.ArgumentParser(
        prog="python -m local.faults", description="Stands before the AWS emulator and makes services fail."
    )
    lines.add_argument("--upstream", required=True, help="the emulator's address")
    lines.add_argument("--port", type=int, default=0, help="where to listen; 0 for any free port")
    lines.add_argument("--seed", type=int, default=0, help="for faults that strike with a probability")
    arguments = lines.parse_args()
    try:
        asyncio.run(_run(arguments.upstream.rstrip("/"), arguments.port, arguments.seed))
    except OSError as error:
        sys.exit(f"the fault proxy cannot start: {error.strerror or error}")


if __name__ == "__main__":
    main()

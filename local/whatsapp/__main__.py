"""Run the simulator: ``python -m local.whatsapp --port 8090 --state DIR``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from local.whatsapp.server import Options, Simulator


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.whatsapp", description="A WhatsApp for one machine.")
    parser.add_argument("--port", type=int, default=8090, help="the one port for everything (0: a free one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--state", type=Path, required=True, help="directory for what survives a restart")
    parser.add_argument("--full-prekeys", action="store_true", help="let new companions upload 812 prekeys, not 50")
    parser.add_argument(
        "--companions-only", action="store_true", help="hide the phones of accounts that have companions from senders"
    )
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    return parser.parse_args()


async def _run(options: Options) -> None:
    simulator = Simulator(options)
    await simulator.start()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    print(f"WhatsApp simulator on http://{options.host}:{simulator.port}", flush=True)
    await stopping.wait()
    await simulator.stop()


def main() -> None:
    """Parse the command line and run until SIGTERM or SIGINT."""
    arguments = _arguments()
    logging.basicConfig(level=arguments.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    options = Options(
        state=arguments.state,
        host=arguments.host,
        port=arguments.port,
        small_first_upload=not arguments.full_prekeys,
        serve_primary=not arguments.companions_only,
    )
    try:
        asyncio.run(_run(options))
    except OSError as error:
        sys.exit(f"the simulator cannot start: {error.strerror or error}")


if __name__ == "__main__":
    main()

"""Entry point of a host process."""

import logging
import os
import socket
import sys

from session_runner.host.process import die_with, end_process, use_all_descriptors
from session_runner.host.settings import WrongEnvironmentError, read_settings, require_environment


def main() -> None:
    """Run until the supervisor says so, closes its end of the socket, or dies."""
    settings = read_settings(sys.argv[1:])
    die_with(settings.parent)
    os.umask(0o077)
    # Before neonize is loaded: at import it would configure logging its own way.
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    try:
        require_environment(settings)
    except WrongEnvironmentError as error:
        logging.getLogger(__name__).error("refusing to run: %s", error)  # noqa: TRY400 - the reason is the message
        end_process(2)
    use_all_descriptors()

    # Loads Go's runtime, which must not happen before the environment is known to be right.
    from session_runner.host.recording import Recorder  # noqa: PLC0415
    from session_runner.host.service import HostService  # noqa: PLC0415
    from session_runner.host.wire import Wire  # noqa: PLC0415
    from session_runner.journal.journal import Journal  # noqa: PLC0415
    from session_runner.lease.deadline import LeaseDeadline  # noqa: PLC0415

    wire = Wire(socket.socket(fileno=settings.socket))
    service = HostService(
        sessions=settings.sessions,
        pairing=settings.pairing,
        recorder=Recorder(Journal(settings.journal), wire),
        wire=wire,
        deadline=LeaseDeadline(settings.deadline) if settings.deadline else None,
    )
    service.fence()
    wire.notify("ready", pid=os.getpid())
    for request in wire.receive():
        service.accept(request)
    end_process(1)


if __name__ == "__main__":
    main()

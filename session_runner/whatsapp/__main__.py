"""Entry point of ``python -m session_runner.whatsapp``."""

import sys

from session_runner.whatsapp.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

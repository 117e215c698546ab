"""``python -m local.stack.platform_key NAME``: makes a platform key in the deployed tables and prints it.

The only thing here that the API cannot do itself: its first caller needs a key to ask with.
"""

import sys

from recado.clinics import service


def main() -> None:
    """Make the key and print it, alone on a line."""
    _, text = service.create_platform_key(sys.argv[1])
    print(text)


if __name__ == "__main__":
    main()

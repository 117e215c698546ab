"""``python -m tests.chaos``: break a whole local stack on purpose; the last line is one JSON object of figures."""

import json
import sys

from tests.chaos.options import parsed
from tests.chaos.program import failures, run


def _tell(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Run what the command line asks for; 1 if something happened that must not."""
    options = parsed()
    figures = run(options, _tell)
    wrong = failures(figures)
    for line in (*figures["problems"], *(f"WRONG {line}" for line in wrong)):
        _tell(line)
    _tell(
        f"again: python -m tests.chaos {' '.join(sys.argv[1:])}"
        + ("" if "--seed" in sys.argv else f" --seed {options.seed}")
    )
    _tell(json.dumps(figures, ensure_ascii=False))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Prints one top-level field of a JSON file: ``python -m local.tour.field .name FILE`` (stands in for ``jq -r``)."""

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    name, source = sys.argv[1:]
    print(json.loads(Path(source).read_text(encoding="utf-8"))[name.removeprefix(".")])

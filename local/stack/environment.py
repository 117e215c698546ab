"""What child processes inherit: little, so that a developer's own AWS keys and proxies stay out of the local stack."""

import os

_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LIBRARY_PATH", "MAGIC", "PATH", "TERM", "TZ", "USER")
_NETWORK = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
REGION = "sa-east-1"


def base_environment() -> dict[str, str]:
    """Return the variables every part inherits."""
    return _of_this_process(_INHERITED)


def network_environment() -> dict[str, str]:
    """Return this machine's way to the internet, for what has to reach the real WhatsApp."""
    return {**_of_this_process(_NETWORK), "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def aws_environment(endpoint: str) -> dict[str, str]:
    """Return the variables that lead boto3 to the emulator."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _of_this_process(names: tuple[str, ...]) -> dict[str, str]:
    inherited = os.environ  # noqa: TID251 - what a child inherits is no setting of ours
    return {name: inherited[name] for name in names if name in inherited}

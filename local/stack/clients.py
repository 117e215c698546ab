"""boto3 clients for the emulator, whatever AWS settings this machine has."""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from local.stack.environment import REGION, aws_environment


def emulator_clients(endpoint: str) -> Callable[[Any], Any]:
    """Return a function that makes the client of a service by its name."""
    keys = aws_environment(endpoint)
    session = boto3.Session(
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
    configuration = Config(proxies={}, retries={"mode": "standard"}, read_timeout=120)
    return lambda service: session.client(service, endpoint_url=endpoint, config=configuration)

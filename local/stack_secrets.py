"""Opens the webhook secrets of the stack that runs on this machine, so that its receiver need not be told them.

Only the local stack can do this: the emulator's keys are in its folder. On AWS a secret is shown once and no more.
"""

import json
import os
from pathlib import Path


def secrets_of_clinic(description: Path, clinic_id: str) -> list[str]:
    """Return the secrets of all endpoints of a clinic; nothing if no stack runs in that folder.

    Args:
        description: the stack's ``stack.json``.
        clinic_id: the clinic that a webhook says it is from.
    """
    if not description.exists():
        return []
    # The domain package reads its settings from the environment, when it is first used.
    os.environ.update(json.loads(description.read_text(encoding="utf-8"))["environment"])  # noqa: TID251
    from recado.webhooks.secret_store import opened  # noqa: PLC0415
    from recado.webhooks.service import list_endpoints  # noqa: PLC0415

    endpoints = list_endpoints(clinic_id, limit=100).items
    return [opened(endpoint.sealed_secret, clinic_id) for endpoint in endpoints]

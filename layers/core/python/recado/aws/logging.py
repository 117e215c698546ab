"""Logs and metrics of every process: Powertools' JSON, with phone numbers masked wherever they turn up.

Fields that may be bound: ``clinic_id``, ``channel_id``, ``message_id``, ``correlation_id``, ``shard_id``. Metric
dimensions are stage and component only; a dimension per clinic would cost more than the clinic.
"""

import json
import re
from functools import lru_cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from recado.aws.settings import stage
from recado.kernel.ids import Prefix
from recado.kernel.masking import mask_phones_in

# Ours, and those of AWS (request ids are UUIDs, trace ids as X-Ray writes them), one in ten of which has eight digits
# in a row.
_ID = re.compile(
    rf"((?:{'|'.join(Prefix)})_[0-9a-z]{{26}}"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b1-[0-9a-f]{8}-[0-9a-f]{24}\b)"
)
_NAMESPACE = "Recado"


@lru_cache(maxsize=16)
def logger(component: str) -> Logger:
    """Return the component's logger.

    Args:
        component: the part that speaks, such as ``api`` or ``recorder``.
    """
    return Logger(service=component, json_serializer=_write, utc=True)


@lru_cache(maxsize=16)
def metrics(component: str) -> Metrics:
    """Return the component's metrics, flushed as CloudWatch's embedded metric format.

    ``POWERTOOLS_SERVICE_NAME`` must not be set: Powertools would add it as a third dimension.
    """
    made = Metrics(namespace=_NAMESPACE)
    made.set_default_dimensions(stage=stage(), component=component)
    return made


def count(component: str, name: str, value: float = 1) -> None:
    """Write one count at once; for rooms, which do not know in which process they run and who flushes there."""
    dimensions = {"stage": stage(), "component": component}
    with single_metric(name, MetricUnit.Count, value, namespace=_NAMESPACE, default_dimensions=dimensions):
        pass


def masked(value: Any) -> Any:
    """Return the value with phone numbers masked in every text inside it, our ids left whole."""
    if isinstance(value, str):
        return "".join(part if _ID.fullmatch(part) else mask_phones_in(part) for part in _ID.split(value))
    if isinstance(value, dict):
        return {masked(key): masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(inner) for inner in value]
    return value


def _write(record: dict[str, Any]) -> str:
    return json.dumps(masked(record), default=lambda value: masked(str(value)), ensure_ascii=False)

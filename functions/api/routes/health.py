"""Whether the platform works: for load balancers and the curious without figures, for operators with them."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from functions.api import health_checks
from functions.api.auth import ClinicsAdmin, require_platform
from functions.api.health import Check, check_disk, check_memory, examine, verdict
from functions.api.schemas.health import DetailedHealthAnswer, DetailedPartAnswer, HealthAnswer, PartAnswer
from recado.kernel.clock import SystemClock

router = APIRouter(tags=["health"])

_CLOCK = SystemClock()


def checks() -> Mapping[str, Check]:
    """Return the checks to run; a dependency, so that tests can put others in."""
    return {
        "database": health_checks.check_database,
        "queue": health_checks.check_queue,
        "sessions": health_checks.check_sessions,
        "memory": check_memory,
        "disk": check_disk,
    }


Checks = Annotated[Mapping[str, Check], Depends(checks)]


@router.get(
    "/health",
    summary="Is it healthy?",
    responses={503: {"model": HealthAnswer, "description": "At least one check failed."}},
)
async def get_health(response: Response, to_run: Checks) -> HealthAnswer:
    """Say whether the platform works; needs no key, tells no figures and is not logged. Each check may take 5 s."""
    outcomes = await examine(to_run)
    overall = verdict(outcomes)
    response.status_code = status.HTTP_200_OK if overall == "healthy" else status.HTTP_503_SERVICE_UNAVAILABLE
    return HealthAnswer(
        status=overall,
        timestamp=_CLOCK.now(),
        checks={
            name: PartAnswer(status=outcome.status, response_time_ms=outcome.response_time_ms)
            for name, outcome in outcomes.items()
        },
    )


@router.get(
    "/v1/health/details",
    summary="What exactly is unhealthy?",
    responses={503: {"model": DetailedHealthAnswer, "description": "At least one check failed."}},
)
async def get_health_details(principal: ClinicsAdmin, response: Response, to_run: Checks) -> DetailedHealthAnswer:
    """Say how each part is, with figures. Needs a platform key."""
    require_platform(principal)
    outcomes = await examine(to_run)
    overall = verdict(outcomes)
    response.status_code = status.HTTP_200_OK if overall == "healthy" else status.HTTP_503_SERVICE_UNAVAILABLE
    return DetailedHealthAnswer(
        status=overall,
        timestamp=_CLOCK.now(),
        checks={
            name: DetailedPartAnswer(
                status=outcome.status, response_time_ms=outcome.response_time_ms, details=outcome.details
            )
            for name, outcome in outcomes.items()
        },
    )

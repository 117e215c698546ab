"""The application: its routes, how it answers errors, and what it says of itself."""

from fastapi import FastAPI

from functions.api.access_log import AccessLog
from functions.api.body_limit import BodyLimit
from functions.api.documentation import install_openapi
from functions.api.errors import install_error_handlers
from functions.api.routes import (
    analytics,
    api_keys,
    channels,
    clinics,
    contacts,
    deliveries,
    documentation,
    health,
    messages,
    pairing,
    send_policy,
    settling,
    webhook_endpoints,
)
from functions.api.settings import MAXIMUM_BODY_BYTES
from recado import __version__

_ROUTERS = (
    clinics.router,
    api_keys.router,
    channels.router,
    pairing.router,
    messages.router,
    settling.router,
    send_policy.router,
    contacts.router,
    webhook_endpoints.router,
    deliveries.router,
    analytics.router,
    health.router,
    documentation.router,
)


def create_app() -> FastAPI:
    """Return the application; nothing is connected to before the first request needs it."""
    app = FastAPI(
        title="Recado API",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    for router in _ROUTERS:
        app.include_router(router)
    install_error_handlers(app)
    install_openapi(app)
    app.add_middleware(BodyLimit, most_bytes=MAXIMUM_BODY_BYTES)
    app.add_middleware(AccessLog)
    return app

"""The reference, its files and the error codes: public, cached by browsers, nothing from elsewhere."""

from fastapi import APIRouter, Response

from functions.api import pages
from recado.kernel.errors import RouteNotFoundError

router = APIRouter(include_in_schema=False)

_HTML = "text/html; charset=utf-8"


def _page(text: str) -> Response:
    return Response(text, media_type=_HTML, headers={"Content-Security-Policy": pages.CONTENT_SECURITY_POLICY})


@router.get("/docs")
def show_reference() -> Response:
    """Show the API reference."""
    return _page(pages.reference_page())


@router.get("/docs/{name}")
def send_asset(name: str) -> Response:
    """Send a file of the reference page."""
    content = pages.asset(name)
    if content is None:
        raise RouteNotFoundError("The reference has no such file.")
    media_type = pages.ASSETS.get(name, "text/javascript")
    return Response(content, media_type=media_type, headers={"Cache-Control": "public, max-age=86400"})


@router.get("/errors")
def show_errors() -> Response:
    """Show all error codes."""
    return _page(pages.errors_page() or "")


@router.get("/errors/{kind}")
def show_error(kind: str) -> Response:
    """Show the error codes of one problem type; the address is the ``type`` of the problem."""
    page = pages.errors_page(kind)
    if page is None:
        raise RouteNotFoundError("There is no such error code.")
    return _page(page)

"""The pages for people: the API reference and the error codes, without one byte from elsewhere."""

import html
from importlib import resources
from typing import Final

from functions.api.error_catalogue import EXPLANATIONS, Explanation, problem_kind

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from other hosts and no inline script; Swagger UI sets style attributes, hence ``unsafe-inline`` for them."""

ASSETS: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}

_START_SCRIPT: Final = """
window.ui = SwaggerUIBundle({
  url: "openapi.json", dom_id: "#reference", deepLinking: true, docExpansion: "list",
  presets: [SwaggerUIBundle.presets.apis], persistAuthorization: false, validatorUrl: null,
});
"""

# Every address is relative: behind API Gateway the paths begin with a stage.
_REFERENCE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Recado API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><noscript>This page needs JavaScript. The document itself is <a href="openapi.json">openapi.json</a>,
the error codes are under <a href="errors">errors</a>.</noscript>
<div id="reference"></div><script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script>
</body></html>
"""

_STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "h2{margin-top:2rem}code{background:#eee;padding:.1em .3em;border-radius:3px}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}code{background:#333}a{color:#8cf}}"
)


def reference_page() -> str:
    """Return the HTML that shows the OpenAPI document with Swagger UI."""
    return _REFERENCE


def asset(name: str) -> bytes | None:
    """Return a file of the reference page, or None when the page has no such file.

    Swagger UI itself comes with the package fastapi-offline.
    """
    if name == "start.js":
        return _START_SCRIPT.encode()
    if name not in ASSETS:
        return None
    return resources.files("fastapi_offline").joinpath("static", name).read_bytes()


def errors_page(kind: str | None = None) -> str | None:
    """Return the page of error codes.

    Args:
        kind: only this code, or only the codes of this problem type; None for all.

    Returns:
        The HTML, or None when there is no such code or type.
    """
    chosen = [each for each in EXPLANATIONS if kind in {None, each.error.code, problem_kind(each.error)}]
    if not chosen:
        return None
    title = "Error codes" if kind is None else f"Error {kind}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{html.escape(title)}</title><style>{_STYLE}</style></head>'
        f"<body><h1>{html.escape(title)}</h1>{''.join(map(_section, chosen))}</body></html>"
    )


def _section(explanation: Explanation) -> str:
    error = explanation.error
    return (
        f'<section id="{error.code}"><h2><code>{error.code}</code></h2>'
        f"<p><strong>{error.status} {html.escape(error.title)}</strong></p>"
        f"<p>{_inline(explanation.cause)}</p><p><em>Remedy:</em> {_inline(explanation.remedy)}</p>"
        f'<p lang="pt-BR">{_inline(explanation.portuguese)}</p></section>'
    )


def _inline(text: str) -> str:
    """Return the text as HTML; the catalogue's only markup is code between backticks."""
    pieces = html.escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))

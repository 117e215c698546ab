"""Drawing a pairing code as a picture or as text."""

import io

import segno

_ERROR_CORRECTION = "l"  # as WhatsApp Web draws them: the code is long and read from a clean screen


def as_png(code: str) -> bytes:
    """Return the code as a PNG picture, 8 pixels a module, with the quiet zone that readers need."""
    picture = io.BytesIO()
    segno.make(code, error=_ERROR_CORRECTION, micro=False).save(picture, kind="png", scale=8, border=4)
    return picture.getvalue()


def as_text(code: str) -> str:
    """Return the code drawn in Unicode half blocks for a dark terminal."""
    drawing = io.StringIO()
    segno.make(code, error=_ERROR_CORRECTION, micro=False).terminal(drawing, compact=True, border=2)
    return drawing.getvalue()

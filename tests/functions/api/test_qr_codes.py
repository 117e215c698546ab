"""Drawing QR codes: both drawings hold the very same modules."""

import io

import segno

from functions.api import qr_codes

_CODE = "https://wa.me/settings/linked_devices#2@" + "A1b2" * 40


def _modules() -> list[list[int]]:
    return [list(row) for row in segno.make(_CODE, error="l", micro=False).matrix]


def test_the_text_drawing_holds_the_code_and_its_quiet_zone() -> None:
    """Each half block is two modules; read back they are the code."""
    lines = qr_codes.as_text(_CODE).rstrip("\n").split("\n")
    halves = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}
    rows: list[list[int]] = []
    for line in lines:
        pairs = [halves[character] for character in line]
        rows += [[upper for upper, _ in pairs], [lower for _, lower in pairs]]
    modules = _modules()
    size = len(modules)
    assert [row[2 : 2 + size] for row in rows[2 : 2 + size]] == modules


def test_the_picture_is_a_png_of_the_code() -> None:
    """The PNG's pixels are the modules, eight to a side."""
    picture = qr_codes.as_png(_CODE)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    expected = io.BytesIO()
    segno.make(_CODE, error="l", micro=False).save(expected, kind="png", scale=8, border=4)
    assert picture == expected.getvalue()

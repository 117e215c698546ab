"""Masking of phone numbers: logs may tell conversations apart, never name a patient (LGPD, art. 6, III)."""

import re

_NUMBER = re.compile(r"\+?\d{8,15}")


def mask_phone(number: str) -> str:
    """Return the number with all but its country and last four digits hidden: ``+55*******0001``."""
    sign, digits = ("+", number[1:]) if number.startswith("+") else ("", number)
    return f"{sign}{digits[:2]}{'*' * max(len(digits) - 6, 0)}{digits[-4:]}"


def mask_phones_in(text: str) -> str:
    """Return the text with every run of 8 to 15 digits masked as a phone number."""
    return _NUMBER.sub(lambda match: mask_phone(match.group()), text)

"""Numbers can be told apart in logs and cannot be read from them."""

from hypothesis import given
from hypothesis import strategies as st

from recado.kernel.masking import mask_phone, mask_phones_in

NUMBERS = st.from_regex(r"\+?[1-9][0-9]{9,14}", fullmatch=True)


def test_country_and_last_four_digits_stay() -> None:
    """A masked number shows what support needs and no more."""
    assert mask_phone("+5511977770001") == "+55*******0001"
    assert mask_phone("5511977770001") == "55*******0001"


@given(NUMBERS, st.text("abc @.,:", max_size=10), st.text("abc @.,:", max_size=10))
def test_no_number_survives_inside_a_text(number: str, before: str, after: str) -> None:
    """Wherever a number stands in a text, it is masked."""
    masked = mask_phones_in(f"{before}{number}{after}")
    assert number.lstrip("+") not in masked
    assert masked == f"{before}{mask_phone(number)}{after}"


@given(NUMBERS)
def test_masking_keeps_the_length(number: str) -> None:
    """A masked number is as long as the number."""
    assert len(mask_phone(number)) == len(number)

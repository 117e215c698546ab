"""What integrators write as a recipient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.contacts.model import parse_recipient, same_number
from recado.kernel.errors import InvalidPhoneNumberError


@pytest.mark.parametrize(
    "text",
    [
        "5511977770001",
        "+5511977770001",
        "+55 11 97777-0001",
        "+55 (11) 97777-0001",
        "(11) 97777-0001",
        "11977770001",
        "11 97777 0001",
        "011 97777-0001",
        "0055 11 97777-0001",
        " (11) 97777-0001 ",
        "5511977770001@c.us",
        "5511977770001@s.whatsapp.net",
        "5511977770001:12@s.whatsapp.net",
    ],
)
def test_all_notations_of_a_number_mean_the_same(text: str) -> None:
    """However it is written, it is one number; the text is kept as it came."""
    recipient = parse_recipient(text)
    assert (recipient.e164, recipient.lid, recipient.input) == ("+5511977770001", None, text)


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("+1 650 253 0000", "+16502530000"),
        ("16502530000", "+16502530000"),
        ("+44 7911 123456", "+447911123456"),
        ("447911123456", "+447911123456"),
        ("1133334444", "+551133334444"),
        ("551197770001", "+551197770001"),
        ("551197770001@s.whatsapp.net", "+551197770001"),
    ],
)
def test_other_countries_and_old_mobiles_are_understood(text: str, e164: str) -> None:
    """Foreign numbers, landlines, and Brazilian mobiles as they were before the ninth digit."""
    assert parse_recipient(text).e164 == e164


def test_national_numbers_follow_the_region() -> None:
    """The same digits are another number elsewhere."""
    assert parse_recipient("07911 123456", default_region="GB").e164 == "+447911123456"


@pytest.mark.parametrize("text", ["123456789012345@lid", "123456789012345:3@lid"])
def test_a_lid_is_taken_without_its_device(text: str) -> None:
    """WhatsApp's own ids are recipients too."""
    recipient = parse_recipient(text)
    assert (recipient.e164, recipient.lid) == (None, "123456789012345@lid")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "+",
        "++5511977770001",
        "999",
        "5511",
        "97777-0001",
        "Maria",
        "tel:+5511977770001",
        "11 97777-0001 ramal 3",
        "11977770001; DROP",
        "1203630250@g.us",
        "5511977770001-1500000000@g.us",
        "status@broadcast",
        "120363@newsletter",
        "@lid",
        "+5511977770001@lid@lid",
        "5511977770001@example.com",
        "0@s.whatsapp.net",
        "١١٩٧٧٧٧٠٠٠١",
        "1" * 65,
    ],
)
def test_groups_and_nonsense_are_refused(text: str) -> None:
    """What is no person raises an error that names the field."""
    with pytest.raises(InvalidPhoneNumberError) as refused:
        parse_recipient(text, field="numbers.0")
    assert refused.value.field == "numbers.0"


@given(st.text(max_size=80))
def test_any_text_is_either_a_recipient_or_refused(text: str) -> None:
    """Nothing else comes out, and a recipient always has exactly one address of the promised form."""
    try:
        recipient = parse_recipient(text)
    except InvalidPhoneNumberError:
        return
    assert (recipient.e164 is None) != (recipient.lid is None)
    assert recipient.e164 is None or (recipient.e164[0] == "+" and recipient.e164[1:].isdigit())


@given(st.from_regex(r"\+55(11|21|48|85)9[6-9][0-9]{7}", fullmatch=True))
def test_reading_again_changes_nothing(e164: str) -> None:
    """A number that was read is read as itself, with or without the plus."""
    assert parse_recipient(e164).e164 == e164
    assert parse_recipient(e164[1:]).e164 == e164


def test_the_ninth_digit_makes_no_other_phone() -> None:
    """A Brazilian mobile is registered with or without its ninth digit; elsewhere every digit counts."""
    assert same_number("+5511988880001", "+551188880001")
    assert same_number("+5511988880001", "+5511988880001")
    assert not same_number("+5511988880001", "+551188880002")
    assert not same_number("+5511988880001", "+552188880001")
    assert not same_number("+16502530000", "+1650253000")

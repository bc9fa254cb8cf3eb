"""What callers dictate becomes digits, codes and addresses; what is read back can be understood again."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from num2words import num2words

from voicegw.call.dictation import code_of, email_of
from voicegw.call.number_words import digits_of, number_of
from voicegw.call.spelling import grouped, spell
from voicegw.call.spoken_numbers import cardinal, digit_by_digit, ordinal, year

VI_WORDS = (
    *("không", "một", "mười", "mươi", "trăm", "linh", "rưỡi", "triệu"),
    *("phẩy", "ba", "số", "tám", ",", "12", "1,5", "x"),
)
EN_WORDS = (
    *("oh", "one", "ten", "twenty", "hundred", "and", "thousand", "point"),
    *("double", ",", "12", "1.5", "x", "a"),
)

DICTATED = [
    ("không chín một hai ba bốn năm sáu bảy tám", "vi", "0912345678"),
    ("không chín mười hai, ba trăm bốn mươi lăm, sáu bảy tám", "vi", "0912345678"),
    ("Dạ số em là không chín một hai. Ba bốn năm, sáu bảy tám ạ.", "vi", "0912345678"),
    ("0912 345 sáu bảy tám", "vi", "0912345678"),
    ("0-9-1-2", "vi", "0912"),
    ("mười lăm", "vi", "15"),
    ("hai mươi mốt", "vi", "21"),
    ("hai lăm", "vi", "25"),
    ("ba mươi tư", "vi", "34"),
    ("hai chục", "vi", "20"),
    ("một trăm linh năm", "vi", "105"),
    ("một trăm lẻ năm", "vi", "105"),
    ("một linh năm", "vi", "105"),
    ("một trăm hai ba nghìn", "vi", "123000"),
    ("hai nghìn không trăm hai mươi lăm", "vi", "2025"),
    ("hai mươi lăm ngàn", "vi", "25000"),
    ("không chín không ba, ba số tám, hai mươi mốt", "vi", "090388821"),
    ("số năm", "vi", "5"),
    ("phím ba", "vi", "3"),
    ("cho em hỏi một chút", "vi", ""),
    ("không, số của em là không chín một hai", "vi", "0912"),
    ("sinh năm 1990", "vi", "1990"),
    ("dạ em không nhớ", "vi", ""),
    ("double three", "en", "33"),
    ("zero four double oh, triple seven", "en", "0400777"),
    ("oh nine one two", "en", "0912"),
    ("twenty five", "en", "25"),
    ("Twenty-five.", "en", "25"),
    ("one eight hundred five five five", "en", "1800555"),
    ("nineteen eighty four", "en", "1984"),
    ("one hundred and five", "en", "105"),
    ("two million five hundred thousand", "en", "2500000"),
    ("my number is 555 one two three four", "en", "5551234"),
    ("seven fifty", "en", "750"),
    ("press one", "en", "1"),
    ("I want this one please", "en", ""),
    ("oh I see", "en", ""),
]


@pytest.mark.parametrize(("text", "language", "digits"), DICTATED, ids=[case[0] for case in DICTATED])
def test_dictated_numbers_become_digits(text: str, language: str, digits: str) -> None:
    """An order number or a telephone number that is misread sends a parcel elsewhere."""
    assert digits_of(text, language) == digits


AMOUNTS = [
    ("một triệu rưỡi", "vi", 1_500_000),
    ("một triệu hai", "vi", 1_200_000),
    ("một triệu hai trăm", "vi", 1_200_000),
    ("hai trăm rưỡi", "vi", 250),
    ("hai trăm ba", "vi", 230),
    ("hai lăm triệu", "vi", 25_000_000),
    ("1,5 triệu", "vi", 1_500_000),
    ("một phẩy năm triệu", "vi", 1_500_000),
    ("tầm 20 triệu thôi em", "vi", 20_000_000),
    ("20tr", "vi", 20_000_000),
    ("50k", "vi", 50_000),
    ("1.500.000 đồng", "vi", 1_500_000),
    ("một nghìn tỷ", "vi", 10**12),
    ("mười lăm phẩy sáu", "vi", 15.6),
    ("một triệu, hai trăm nghìn", "vi", 1_200_000),
    ("không", "vi", 0),
    ("hai triệu, à không, ba triệu", "vi", 3_000_000),
    ("em chưa biết", "vi", None),
    ("one point five million", "en", 1_500_000),
    ("1,234.5", "en", 1234.5),
    ("three hundred two", "en", 302),
    ("a hundred", "en", 100),
    ("twenty k", "en", 20),
    ("20k", "en", 20_000),
    ("I do not know", "en", None),
]


@pytest.mark.parametrize(("text", "language", "amount"), AMOUNTS, ids=[case[0] for case in AMOUNTS])
def test_dictated_amounts_become_numbers(text: str, language: str, amount: float | None) -> None:
    """Prices are said short ("một triệu rưỡi"): their value counts, not the words."""
    assert number_of(text, language) == amount


CODES = [
    ("mã là đê hát một hai ba bốn năm sáu", "vi", "DH123456"),
    ("em đọc nhé đê hắt 1 2 3 4 5 6", "vi", "DH123456"),
    ("D, H, một hai ba bốn năm sáu ạ", "vi", "DH123456"),
    ("đơn hàng DH 123456", "vi", "DH123456"),
    ("đê như Đà Nẵng, hát như Huế, một hai", "vi", "DH12"),
    ("mã giảm giá SUMMER2025 ạ", "vi", "SUMMER2025"),
    ("it is DH123456, thanks", "en", "DH123456"),
    ("D as in Delta, H as in hotel, one two three", "en", "DH123"),
    ("delta hotel one two three four five six", "en", "DH123456"),
    ("A B double three", "en", "AB33"),
    ("I have a code, it is X Y nine oh one", "en", "XY901"),
    ("dee aitch twenty five", "en", "DH25"),
    ("dạ em chưa có", "vi", ""),
]


@pytest.mark.parametrize(("text", "language", "code"), CODES, ids=[case[0] for case in CODES])
def test_dictated_codes_become_codes(text: str, language: str, code: str) -> None:
    """Order ids and coupons are spelled in many ways, and Whisper writes each of them differently."""
    assert code_of(text, language) == code


ADDRESSES = [
    ("nam chấm lê a còng gờ meo chấm com", "vi", "nam.le@gmail.com"),
    ("email của em là nguyễn văn nam 1990 a còng gmail chấm com", "vi", "nguyenvannam1990@gmail.com"),
    ("lan gạch dưới chín chín a còng ya hu chấm com chấm vê nờ", "vi", "lan_99@yahoo.com.vn"),
    ("my email is john dot smith at example dot com", "en", "john.smith@example.com"),
    ("it's j o h n underscore nine nine at yahoo dot co dot uk", "en", "john_99@yahoo.co.uk"),
    ("Help.Desk@Example.com.", "en", "help.desk@example.com"),
    ("I will be at home dot", "en", ""),
    ("dạ em chưa có", "vi", ""),
]


@pytest.mark.parametrize(("text", "language", "address"), ADDRESSES, ids=[case[0] for case in ADDRESSES])
def test_dictated_addresses_become_addresses(text: str, language: str, address: str) -> None:
    """An address with a space or an accent in it reaches nobody; none is better than a wrong one."""
    assert email_of(text, language) == address


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("DH123456", "vi", "đê hát, một hai ba, bốn năm sáu"),
        ("DH123456", "en", "D H, one two three, four five six"),
        ("0912345678", "vi", "không chín một hai, ba bốn năm, sáu bảy tám"),
        ("a_b@c.vn", "vi", "a gạch dưới bê a còng xê chấm vê nờ"),
        ("51F-123.45", "en", "five one, F dash, one two three, dot, four five"),
    ],
)
def test_codes_are_read_back_in_groups(text: str, language: str, said: str) -> None:
    """A caller who checks a number writes it down group by group."""
    assert spell(text, language) == said


TAGS = st.sampled_from(["vi", "vi-south", "en", "en-GB"])


@given(st.text("0123456789", min_size=2, max_size=20), TAGS)
def test_digits_said_one_by_one_come_back(digits: str, language: str) -> None:
    """What the agent reads back is what the caller may repeat."""
    assert digits_of(digit_by_digit(digits, language), language) == digits
    assert digits_of(spell(digits, language), language) == digits
    assert "".join(grouped(digits)) == digits


@given(st.integers(0, 10**15 - 1), TAGS)
def test_numbers_in_words_come_back(number: int, language: str) -> None:
    """Both directions know the same language, up to "nine hundred trillion"."""
    if number >= 10**12 and language.startswith("en"):
        number %= 10**12  # callers have no trillions in English
    assert number_of(cardinal(number, language), language) == number


@example("ER57", "vi")  # "e rờ" was once taken for R alone
@example("K00", "en")
@given(st.from_regex(r"[A-Z]{1,4}[0-9]{2,8}", fullmatch=True), st.sampled_from(["vi", "en"]))
def test_codes_read_back_are_understood_again(code: str, language: str) -> None:
    """The caller repeats what the agent spelled."""
    assert code_of(spell(code, language), language) == code


@given(st.integers(0, 10**13))
def test_english_is_what_num2words_says(number: int) -> None:
    """A second opinion for every number."""

    def squeezed(words: str) -> str:
        return re.sub(r",| and(?= )", "", words)

    assert cardinal(number, "en") == squeezed(num2words(number))
    assert squeezed(cardinal(number, "en-GB")) == squeezed(num2words(number))
    assert ordinal(number + 1, "en") == squeezed(num2words(number + 1, to="ordinal"))


@given(st.integers(1100, 2099))
def test_english_years_are_what_num2words_says(number: int) -> None:
    """Two thousand nine, but twenty ten."""
    assert year(number, "en") == num2words(number, to="year").replace("oh-", "oh ").replace(" and ", " ")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "không"),
        (10, "mười"),
        (14, "mười bốn"),
        (15, "mười lăm"),
        (21, "hai mươi mốt"),
        (24, "hai mươi bốn"),
        (55, "năm mươi lăm"),
        (101, "một trăm linh một"),
        (111, "một trăm mười một"),
        (1005, "một nghìn không trăm linh năm"),
        (2025, "hai nghìn không trăm hai mươi lăm"),
        (1_005_000, "một triệu không trăm linh năm nghìn"),
        (20_990_000, "hai mươi triệu chín trăm chín mươi nghìn"),
        (2_000_000_005, "hai tỷ không trăm linh năm"),
        (10**12, "một nghìn tỷ"),
        (-5, "âm năm"),
    ],
)
def test_vietnamese_numbers(number: int, words: str) -> None:
    """The irregular ones: mốt, lăm, linh, the hundreds that are said though there are none."""
    assert cardinal(number, "vi") == words


def test_southern_vietnamese_says_le_and_ngan() -> None:
    """A persona from the South must not sound like the North."""
    assert cardinal(25_105, "vi-south") == "hai mươi lăm ngàn một trăm lẻ năm"


@pytest.mark.parametrize(
    "text", ["", "  ", "?!", "🙂", "\ud83d", "linh", "trăm", "mươi", "double", "and", "a còng"]
)
@pytest.mark.parametrize("language", ["vi", "en", "zh"])
def test_odd_texts_raise_nothing(text: str, language: str) -> None:
    """A transcript may be anything."""
    digits_of(text, language), number_of(text, language), code_of(text, language)
    email_of(text, language), spell(text, language)


@given(
    st.lists(
        st.sampled_from(VI_WORDS),
        max_size=12,
    )
)
def test_any_order_of_number_words_is_read_to_its_end(words: list[str]) -> None:
    """No order of words makes the reader stand still or fail."""
    assert digits_of(" ".join(words), "vi").isdecimal() or digits_of(" ".join(words), "vi") == ""
    number_of(" ".join(words), "vi")


@given(
    st.lists(
        st.sampled_from(EN_WORDS),
        max_size=12,
    )
)
def test_any_order_of_english_number_words_is_read_to_its_end(words: list[str]) -> None:
    """The same in English."""
    assert digits_of(" ".join(words), "en").isdecimal() or digits_of(" ".join(words), "en") == ""
    number_of(" ".join(words), "en")

"""What is written in figures, signs and short forms is said in words, and can be traced back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw.call.sentences import SentenceChunker
from voicegw.call.spoken_form import Said, SpokenForm

# What is written, and what is said for it, in a sentence "Là … ạ."
VI = [
    # Money
    ("1.234,50 ₫", "một nghìn hai trăm ba mươi bốn phẩy năm đồng"),
    ("20.000.000đ", "hai mươi triệu đồng"),
    ("30.000 đ", "ba mươi nghìn đồng"),
    ("1.500.000 VND", "một triệu năm trăm nghìn đồng"),
    ("18,990,000 VNĐ", "mười tám triệu chín trăm chín mươi nghìn đồng"),
    ("100000 đồng", "một trăm nghìn đồng"),
    ("20tr", "hai mươi triệu"),
    ("1tr5", "một triệu năm trăm nghìn"),
    ("2tr25", "hai triệu hai trăm năm mươi nghìn"),
    ("1,5tr", "một phẩy năm triệu"),
    ("1,5 triệu", "một phẩy năm triệu"),
    ("50k", "năm mươi nghìn"),
    ("20 - 25 triệu", "hai mươi đến hai mươi lăm triệu"),
    ("20-25tr", "hai mươi đến hai mươi lăm triệu"),
    ("50.000đ/kg", "năm mươi nghìn đồng mỗi ki lô gam"),
    ("990.000đ/tháng", "chín trăm chín mươi nghìn đồng mỗi tháng"),
    ("$2.50", "hai đô la năm mươi xu"),
    ("20 USD", "hai mươi đô la"),
    # Dates and times
    ("ngày 24/11/2026", "ngày hai mươi bốn tháng mười một năm hai nghìn không trăm hai mươi sáu"),
    ("24.11.2026", "ngày hai mươi bốn tháng mười một năm hai nghìn không trăm hai mươi sáu"),
    ("2026-11-24", "ngày hai mươi bốn tháng mười một năm hai nghìn không trăm hai mươi sáu"),
    ("ngày 5/3", "ngày mùng năm tháng ba"),
    ("mùng 2/9", "mùng hai tháng chín"),
    ("30/4", "ba mươi tháng tư"),
    ("từ 24-26/11", "từ hai mươi bốn đến hai mươi sáu tháng mười một"),
    ("tháng 4", "tháng tư"),
    ("tháng 11/2026", "tháng mười một năm hai nghìn không trăm hai mươi sáu"),
    ("thứ 4", "thứ tư"),
    ("lần thứ 1", "lần thứ nhất"),
    ("10:30", "mười giờ ba mươi phút"),
    ("10:00", "mười giờ"),
    ("8h", "tám giờ"),
    ("8h30", "tám giờ ba mươi phút"),
    ("8g30", "tám giờ ba mươi phút"),
    ("8h-17h30", "tám giờ đến mười bảy giờ ba mươi phút"),
    ("sạc 30p", "sạc ba mươi phút"),
    # Fractions, and what looks like them
    ("3/4 số hàng", "ba phần bốn số hàng"),
    ("24/7", "hai mươi bốn trên bảy"),
    ("số 12/3 Lê Lợi", "số mười hai trên ba Lê Lợi"),
    ("màn 16:10", "màn mười sáu mười"),
    # Telephone numbers, ids, plates
    ("0912 345 678", "không chín một hai, ba bốn năm, sáu bảy tám"),
    ("0912.345.678", "không chín một hai, ba bốn năm, sáu bảy tám"),
    ("0912345678", "không chín một hai, ba bốn năm, sáu bảy tám"),
    ("(028) 3822 1234", "không hai tám, ba tám hai hai, một hai ba bốn"),
    ("1900 1234", "một chín không không, một hai ba bốn"),
    ("+84 912 345 678", "cộng tám bốn, chín một hai, ba bốn năm, sáu bảy tám"),
    ("DH123456", "đê hát, một hai ba, bốn năm sáu"),
    ("mã 4821", "mã bốn tám hai một"),
    ("OTP là 482913", "o tê pê là bốn tám hai, chín một ba"),
    ("CCCD 079123456789", "căn cước công dân không bảy chín, một hai ba, bốn năm sáu, bảy tám chín"),
    ("CMND: 079123456", "chứng minh nhân dân: không bảy chín, một hai ba, bốn năm sáu"),
    ("51F-123.45", "năm một ép, một hai ba bốn năm"),
    ("29A1-234.56", "hai chín a một, hai ba bốn năm sáu"),
    ("SUMMER2025", "summer hai không hai năm"),
    # Places and short forms
    ("TP.HCM", "thành phố Hồ Chí Minh"),
    ("TP. Hồ Chí Minh", "thành phố Hồ Chí Minh"),
    ("Tp. Đà Nẵng", "thành phố Đà Nẵng"),
    ("Q.1", "quận một"),
    ("P. 5, Q. 10", "phường năm, quận mười"),
    ("Q. Bình Thạnh", "quận Bình Thạnh"),
    ("Đ. Nguyễn Trãi", "đường Nguyễn Trãi"),
    ("ĐT: 0912345678", "điện thoại: không chín một hai, ba bốn năm, sáu bảy tám"),
    ("SĐT", "số điện thoại"),
    ("Cty TNHH", "công ty trách nhiệm hữu hạn"),
    ("PGS.TS. Lan", "phó giáo sư tiến sĩ Lan"),
    ("BS. Hùng", "bác sĩ Hùng"),
    ("cơm, v.v. và phở", "cơm, vân vân và phở"),
    ("anh/chị", "anh chị"),
    # Units and products
    ("15.6 inch", "mười lăm phẩy sáu inh"),
    ("16GB RAM", "mười sáu ghi ga bai RAM"),
    ("1.5 kg", "một phẩy năm ki lô gam"),
    ("30m2", "ba mươi mét vuông"),
    ("80 km/h", "tám mươi ki lô mét trên giờ"),
    ("37°C", "ba mươi bảy độ xê"),
    ("15%", "mười lăm phần trăm"),
    ("-5 độ", "âm năm độ"),
    ("RTX 4060", "rờ tê ích bốn không sáu không"),
    ("USB-C", "u ét bê xê"),
    ("5G", "năm giê"),
    ("bản 2.10.3", "bản hai chấm mười chấm ba"),
    ("1.234,5 điểm", "một nghìn hai trăm ba mươi bốn phẩy năm điểm"),
    ("3,14", "ba phẩy mười bốn"),
    ("3,05", "ba phẩy không năm"),
    ("năm 2026", "năm hai nghìn không trăm hai mươi sáu"),
    # What comes up in calls
    ("2.000.000 thôi", "hai triệu thôi"),
    ("2.000.000 - 3.000.000đ/m2", "hai triệu đến ba triệu đồng mỗi mét vuông"),
    ("22tr490", "hai mươi hai triệu bốn trăm chín mươi nghìn"),
    ("8GB/256GB", "tám ghi ga bai, hai trăm năm mươi sáu ghi ga bai"),
    ("30x20x10 cm", "ba mươi nhân hai mươi nhân mười xen ti mét"),
    ("1m70", "một mét bảy mươi"),
    ("số 123/45/6 Lê Lợi", "số một trăm hai mươi ba trên bốn mươi lăm trên sáu Lê Lợi"),
    ("Đ. 3/2", "đường ba tháng hai"),
    ("QL1A", "quốc lộ một a"),
    ("CMND số 024 567 890", "chứng minh nhân dân số không hai bốn, năm sáu bảy, tám chín không"),
    ("thứ 2 - thứ 6", "thứ hai đến thứ sáu"),
    ("T7: 8h, CN nghỉ", "thứ bảy: tám giờ, chủ nhật nghỉ"),
    ("quý I/2026", "quý một năm hai nghìn không trăm hai mươi sáu"),
    ("thế kỷ XXI", "thế kỷ hai mươi mốt"),
    ("3:15 PM", "ba giờ mười lăm phút chiều"),
    ("*100*123#", "sao một không không sao một hai ba thăng"),
    ("0,5%/tháng", "không phẩy năm phần trăm mỗi tháng"),
    ("25-30°C", "hai mươi lăm đến ba mươi độ xê"),
    ("1 USD = 25.450 VND", "một đô la bằng hai mươi lăm nghìn bốn trăm năm mươi đồng"),
    # Addresses and keys
    ("hotro@giaohang.com.vn", "hotro a còng giaohang chấm com chấm vê nờ"),
    ("https://giaohang.vn/don?id=5.2&x=1", "giaohang chấm vê nờ gạch chéo don"),
    ("*101#", "sao một không một thăng"),
    ("phím *", "phím sao"),
    ("phím #", "phím thăng"),
    ("khoảng ~30 phút", "khoảng ba mươi phút"),
    ("2 + 3 = 5", "hai cộng ba bằng năm"),
    ("áo & quần", "áo và quần"),
    # What is said as it is written
    ("Wi-Fi", "Wi-Fi"),
    ("hàng A", "hàng A"),
    ("follow-up", "follow-up"),
    ("Hà Nội - Huế", "Hà Nội - Huế"),
]

EN = [
    ("$2.50", "two dollars and fifty cents"),
    ("$1,234.50", "one thousand two hundred thirty-four dollars and fifty cents"),
    ("$0.99", "ninety-nine cents"),
    ("$1", "one dollar"),
    ("$20k", "twenty thousand dollars"),
    ("$1.5 million", "one point five million dollars"),
    ("20 USD", "twenty dollars"),
    ("20,000,000 ₫", "twenty million dong"),
    ("20.000.000 VND", "twenty million dong"),
    ("11/24/2026", "November twenty-fourth, twenty twenty-six"),
    ("24/11/2026", "November twenty-fourth, twenty twenty-six"),
    ("2026-11-24", "November twenty-fourth, twenty twenty-six"),
    ("Jan. 5", "January fifth"),
    ("November 24, 2026", "November twenty-fourth, twenty twenty-six"),
    ("24 November 2026", "the twenty-fourth of November, twenty twenty-six"),
    ("the 3rd of May", "the third of May"),
    ("due on 3/4", "due on March fourth"),
    ("3/4", "three quarters"),
    ("1/2", "one half"),
    ("24/7", "twenty-four seven"),
    ("10:30 am", "ten thirty A M"),
    ("5 p.m. today", "five P M today"),
    ("10:00", "ten o'clock"),
    ("14:05", "fourteen oh five"),
    ("(555) 123-4567", "five five five, one two three, four five six seven"),
    ("1-800-555-0199", "one, eight zero zero, five five five, zero one nine nine"),
    ("+1 555 123 4567", "plus one, five five five, one two three, four five six seven"),
    ("DH123456", "D H, one two three, four five six"),
    ("order number 4821", "order number four eight two one"),
    ("code 482913", "code four eight two, nine one three"),
    ("SUMMER2025", "summer two zero two five"),
    ("since 2025", "since twenty twenty-five"),
    ("the 1990s", "the nineteen nineties"),
    ("2,500 items", "two thousand five hundred items"),
    ("2500 items", "two thousand five hundred items"),
    ("16 GB", "sixteen gigabytes"),
    ("a 512 GB disk", "a five hundred twelve gigabyte disk"),
    ("1 kg", "one kilogram"),
    ("10-15 kg", "ten to fifteen kilograms"),
    ("5-10 minutes", "five to ten minutes"),
    ("80%", "eighty percent"),
    ("-5 degrees", "minus five degrees"),
    ("RTX 4060", "R T X forty sixty"),
    ("version 2.10.3", "version two point ten point three"),
    ("1.05", "one point zero five"),
    ("1st", "first"),
    ("No. 5", "number five"),
    ("e.g. this", "for example this"),
    ("AT&T", "AT and T"),
    ("and/or", "and or"),
    ("his/her", "his or her"),
    ("help.desk@example.com", "help dot desk at example dot com"),
    ("www.example.com/track?id=7", "example dot com slash track"),
    ("key #", "key pound"),
    ("742 Main Street, Apt. 5B", "seven hundred forty-two Main Street, apartment five B"),
    ("PIN 0042", "PIN zero zero four two"),
    ("800.555.0199 ext. 12", "eight zero zero, five five five, zero one nine nine extension twelve"),
    ("2019-2021", "two thousand nineteen to twenty twenty-one"),
    ("5'10\" tall", "five foot ten tall"),
    ("-3°C", "minus three degrees Celsius"),
    ("3x faster", "three times faster"),
    ("2 1/2 cups", "two and a half cups"),
    ("12:30 p.m. Not later", "twelve thirty P M. Not later"),
    ("1920x1080", "one thousand nine hundred twenty by one thousand eighty"),
    ("8GB/256GB", "eight gigabytes, two hundred fifty-six gigabytes"),
    ("2-4 PM", "two to four P M"),
    ("Mr. Brown", "Mr. Brown"),
    ("plan B", "plan B"),
]


@pytest.mark.parametrize(("text", "words"), VI, ids=[case[0] for case in VI])
def test_vietnamese_is_said_in_words(text: str, words: str) -> None:
    """A voice that guesses reads prices, dates and order numbers differently each time."""
    assert SpokenForm("vi").say(f"Là {text} ạ.").spoken == f"Là {words} ạ."


@pytest.mark.parametrize(("text", "words"), EN, ids=[case[0] for case in EN])
def test_english_is_said_in_words(text: str, words: str) -> None:
    """The same in English."""
    assert SpokenForm("en").say(f"It is {text} then.").spoken == f"It is {words} then."


def test_the_end_of_a_sentence_is_kept() -> None:
    """Without its full stop a voice goes on as if more came."""
    assert SpokenForm("en").say("We close at 5 p.m.").spoken == "We close at five P M."
    assert (
        SpokenForm("en").say("It is due on 3rd May. Fine?").spoken == "It is due on the third of May. Fine?"
    )
    assert SpokenForm("en").say("We sell phones, etc.").spoken == "We sell phones, et cetera."
    assert SpokenForm("vi").say("Bên em có phở, v.v.").spoken == "Bên em có phở, vân vân."
    assert SpokenForm("vi").say("Giá 20.000đ.").spoken == "Giá hai mươi nghìn đồng."


def test_a_british_persona_puts_the_day_first() -> None:
    """4/5 is the fourth of May in London."""
    assert SpokenForm("en-GB").say("By 4/5/2026.").spoken == "By May fourth, twenty twenty-six."
    assert SpokenForm("en").say("By 4/5/2026.").spoken == "By April fifth, twenty twenty-six."


def test_a_southern_persona_says_ngan_and_le() -> None:
    """The words of the region, in prices too."""
    assert SpokenForm("vi-south").say("Giá 105k ạ.").spoken == "Giá một trăm lẻ năm ngàn ạ."


def test_a_personas_pronunciations_come_first() -> None:
    """Names of brands are said as the shop says them; small letters stand for capitals too."""
    form = SpokenForm("vi", {"SSD": "ổ ét ét đê", "laptop": "lép tóp", "16GB": "mười sáu gi"})
    assert form.say("Laptop có SSD và 16GB, laptops thì không.").spoken == (
        "lép tóp có ổ ét ét đê và mười sáu gi, laptops thì không."
    )


def test_a_persona_may_leave_figures_to_the_voice() -> None:
    """Some providers do this well themselves."""
    form = SpokenForm("vi", {"SSD": "ổ cứng"}, rules=False)
    assert form.say("SSD giá 20.000đ.").spoken == "ổ cứng giá 20.000đ."


def test_a_language_without_rules_is_said_as_written() -> None:
    """English words in a Chinese sentence would be worse than figures."""
    assert SpokenForm("zh").say("价格是 20 元。").spoken == "价格是 20 元。"


def test_what_is_shouted_is_not_spelled() -> None:
    """A sentence in capitals is no row of short forms."""
    assert SpokenForm("vi").say("KHÔNG ĐƯỢC TẮT MÁY").spoken == "KHÔNG ĐƯỢC TẮT MÁY"


FRAGMENTS = [case[0] for case in VI + EN] + [
    *" .,;:!?()-–/%&+=#*@\"'\n",
    "một",
    "the",
    "\ud83d",
    "中",
    "a\u0301",
]
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=12).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda gap: gap.join(parts))
)
TAGS = st.sampled_from(["vi", "en", "vi-south", "en-GB"])


def rebuilt(said: Said) -> str:
    """The speech, made of the changes and of what stands between them in the text."""
    out, at = "", 0
    for start, end, spoken_start, spoken_end in said.changes:
        assert at <= start < end
        out += said.written[at:start]
        assert len(out) == spoken_start
        out += said.spoken[spoken_start:spoken_end]
        at = end
    return out + said.written[at:]


@given(TEXTS, TAGS)
def test_every_place_of_the_speech_is_a_place_of_the_text(text: str, language: str) -> None:
    """What was heard is told by this; it never runs backwards, and ends at the end."""
    said = SpokenForm(language, {"the": "thee"}).say(text)
    assert rebuilt(said) == said.spoken
    places = [said.written_until(n) for n in range(len(said.spoken) + 1)]
    assert places == sorted(places)
    assert places[-1] == len(text)


NUMBERS = st.one_of(
    st.from_regex(r"[0-9]{1,3}([.,:/-][0-9]{1,3}){0,3}", fullmatch=True),
    st.from_regex(r"[0-9]{1,13}(đ|k|tr|%|kg|GB|h| ₫| USD|)", fullmatch=True),
    st.from_regex(r"[A-Z]{1,3}[0-9]{1,9}", fullmatch=True),
)


@given(NUMBERS, TAGS)
def test_no_figure_is_left_to_the_voice(text: str, language: str) -> None:
    """Whatever a model makes of numbers, all of it is said in words."""
    assert not any(char.isdecimal() for char in SpokenForm(language).say(f"Là {text} ạ.").spoken)


# 30 s at 15 letters a second.
LONGEST = 450


@pytest.mark.parametrize(
    "text",
    [
        "999.999.999đ " * 60,
        "DH123456 và " * 60,
        "16GB RAM, 512GB SSD, RTX 4060, " * 40,
        "0912 345 678, " * 60,
        "ngày 24/11/2026 lúc 10:30 và " * 40,
        "$1,234.50 and " * 60,
    ],
)
@pytest.mark.parametrize("language", ["vi", "en"])
def test_no_piece_is_longer_than_thirty_seconds_when_it_is_said(text: str, language: str) -> None:
    """A row of prices is five times as long in words as on paper."""
    chunker = SentenceChunker(language)
    form = SpokenForm(language)
    for piece in chunker.push("Ok.\n" + text) + chunker.finish():
        assert len(form.say(piece).spoken) <= LONGEST

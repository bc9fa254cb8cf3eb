"""How Vietnamese says what is written in figures, signs and short forms. Rules for `spoken_form`.

A rule is a pattern and a function that returns the words, or None where it does not apply after all. The
first rule that applies wins, so special ones stand before general ones: a date before a fraction before a
number.
"""

import re
from typing import Final

from voicegw.call.spelling import spell
from voicegw.call.spoken_common import END, FREE, KEYPAD, MAIL, MINUS, SPACED_CODE, URL, Common, before
from voicegw.call.spoken_numbers import cardinal, digit_by_digit, letter
from voicegw.call.spoken_rule import Match, Rule, Say, fixed, rule, word_set

# 1.234.567,5 · 1,234,567.5 · 12,5 · 12.5 · 12
NUMBER: Final = r"\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d{1,3}(?:,\d{3}){2,}(?:\.\d+)?|\d+(?:[.,]\d+)?"

_UNITS: Final = {
    "kg": "ki lô gam", "g": "gam", "mg": "mi li gam", "km": "ki lô mét", "m": "mét", "cm": "xen ti mét",
    "mm": "mi li mét", "km/h": "ki lô mét trên giờ", "m2": "mét vuông", "m²": "mét vuông",
    "km2": "ki lô mét vuông", "km²": "ki lô mét vuông", "m3": "mét khối", "m³": "mét khối", "ha": "héc ta",
    "l": "lít", "L": "lít", "ml": "mi li lít", "ML": "mi li lít", "KB": "ki lô bai", "MB": "mê ga bai",
    "GB": "ghi ga bai", "TB": "tê ra bai", "Hz": "héc", "MHz": "mê ga héc", "GHz": "ghi ga héc",
    "W": "oát", "kW": "ki lô oát", "kWh": "ki lô oát giờ", "Wh": "oát giờ", "V": "vôn",
    "mAh": "mi li am pe giờ", "Mbps": "mê ga bít trên giây", "MP": "mê ga píc xeo",
    "fps": "khung hình trên giây",
    "nits": "nít", "inch": "inh", "in": "inh", '"': "inh", "″": "inh", "%": "phần trăm",
    "°C": "độ xê", "°": "độ", "ph": "phút", "p": "phút", "s": "giây",
}  # fmt: skip
_UNIT: Final = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_DONG: Final = r"(?:₫|đồng|vnđ|vnd|VNĐ|VND|Đ|đ)"
_FOREIGN: Final = {
    "$": ("đô la", "xu"), "USD": ("đô la", "xu"), "€": ("ơ rô", "xu"), "EUR": ("ơ rô", "xu"),
    "£": ("bảng Anh", "xu"), "¥": ("yên", "xu"),
}  # fmt: skip
_FOREIGN_SIGN: Final = r"\$|USD|€|EUR|£|¥"

# Short forms of one word, said in full.
_EXPANDED: Final = {
    "HCM": "Hồ Chí Minh", "TPHCM": "thành phố Hồ Chí Minh", "SĐT": "số điện thoại", "ĐT": "điện thoại",
    "ĐTDĐ": "điện thoại di động", "ĐC": "địa chỉ", "CMND": "chứng minh nhân dân",
    "CCCD": "căn cước công dân", "GPLX": "giấy phép lái xe", "UBND": "ủy ban nhân dân",
    "TNHH": "trách nhiệm hữu hạn", "BHXH": "bảo hiểm xã hội", "BHYT": "bảo hiểm y tế",
    "TK": "tài khoản", "CSKH": "chăm sóc khách hàng", "STK": "số tài khoản", "MST": "mã số thuế",
    "VND": "đồng",
    "VNĐ": "đồng", "KCN": "khu công nghiệp", "OK": "ô kê", "VN": "Việt Nam", "HN": "Hà Nội",
    "USD": "đô la", "VAT": "vê a tê", "Cty": "công ty",
}  # fmt: skip
# Spelled although they could be read as a word; those without a vowel are spelled anyway.
_SPELLED: Final = word_set(
    "ATM COD USB HDMI API CEO CPU GPU OTP QR EMS FAQ IT AI UI ID IP IMEI IOS URL AC EU UK US USA UPS UV IPS"
)
# Words in capitals.
_READ: Final = word_set("RAM SIM VIP NASA LED OLED PIN WIFI SALE SHIP HOT TOP")

_ABBREVIATED: Final = {
    "GS": "giáo sư", "PGS": "phó giáo sư", "TS": "tiến sĩ", "ThS": "thạc sĩ", "Th.S": "thạc sĩ",
    "BS": "bác sĩ", "KS": "kỹ sư", "LS": "luật sư", "DS": "dược sĩ", "VD": "ví dụ", "Vd": "ví dụ",
    "vd": "ví dụ", "Cty": "công ty", "Tel": "điện thoại",
}  # fmt: skip

_DOMAIN_WORDS: Final = word_set("com net org edu gov info shop store biz")
_CODE_CUE = re.compile(
    r"(?:mã|otp|pin|cmnd|cccd|cmt|mst|stk|imei|serial|đuôi|số cuối|tài khoản|số thẻ|căn cước|chứng minh|"
    r"hộ chiếu|vận đơn|đơn hàng|số đơn|#)"
    r"(?:\s+(?:đơn|hàng|số|của|anh|chị|em|mình|là|thuế|xác|nhận|bưu|chính|nhân|dân|công|vận|thẻ))*[\s:]*$",
    re.IGNORECASE,
)
_DATE_CUE = re.compile(
    r"(?:ngày|hôm|sáng|trưa|chiều|tối|đêm|thứ \w+|nhật|đến|từ|trước|sau|lễ|mùng|mồng|nay|mai|qua|vào|tới|"
    r"đường|đ\.)[\s,(]*$",
    re.IGNORECASE,
)
_ROMAN_CUE = re.compile(
    r"(?:quý|thế kỷ|thế kỉ|chương|phần|tập|khoá|khóa|kỳ|hồi|loại|cấp|bậc)\s$", re.IGNORECASE
)
_RATIO_CUE = re.compile(r"(?:tỷ lệ|tỉ lệ|màn|màn hình|khung|khung hình|tỷ số|tỉ số)[\s:]*$", re.IGNORECASE)
_HOUSE_CUE = re.compile(r"(?:số|nhà|hẻm|ngõ|ngách|kiệt|địa chỉ|ở|tại|tới)[\s:]*$", re.IGNORECASE)


def rules(language: str) -> list[Rule]:
    """Return the rules of northern (`vi`) or southern (`vi-south`) Vietnamese, in their order."""
    south = "south" in language.lower()
    language = "vi-south" if south else "vi"
    thousand = "ngàn" if south else "nghìn"
    common = Common(
        language, lambda word: len(word) <= 2 and word.lower() not in ("a", "em", "ha", "an", "me")
    )
    whole, digits = common.whole, common.digits

    def number(text: str, *, thousands: bool = False) -> str:
        """Say a number as `NUMBER` matches it. `thousands`: a lone comma before three digits is none of a
        decimal."""
        if re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", text):
            text = text.replace(".", "")
        elif re.fullmatch(r"\d{1,3}(?:,\d{3}){2,}(?:\.\d+)?", text) or (
            thousands and re.fullmatch(r"\d{1,3},\d{3}", text)
        ):
            text = text.replace(",", "")
        first, _, decimals = text.replace(",", ".").partition(".")
        decimals = decimals.rstrip("0") if len(decimals) != 1 else decimals
        words = whole(first)
        if decimals:
            # Two figures are read as a number ("phẩy mười bốn"), more one by one.
            short = len(decimals) <= 2 and decimals[0] != "0"
            words += " phẩy " + (whole(decimals) if short else digit_by_digit(decimals, language))
        return words

    # Dates and times

    def day(text: str) -> str:
        number_of_day = int(text)
        return ("mùng " if number_of_day <= 10 else "") + cardinal(number_of_day, language)

    def month(text: str) -> str:
        return "tháng " + ("tư" if int(text) == 4 else whole(text))

    def is_date(a: str, b: str) -> bool:
        return 1 <= int(a) <= 31 and 1 <= int(b) <= 12

    def date(match: Match) -> str | None:
        a, b, c = match["d"], match["mo"], match["y"]
        if not is_date(a, b):
            return None
        prefix = "" if re.search(r"(?:ngày|mùng|mồng|đến)\s*$", before(match), re.IGNORECASE) else "ngày "
        said = day(a)
        if re.search(r"(?:mùng|mồng)\s*$", before(match), re.IGNORECASE):
            said = whole(a)
        return f"{prefix}{said} {month(b)} năm {whole(_full_year(c))}"

    def iso_date(match: Match) -> str | None:
        if not is_date(match["d"], match["mo"]):
            return None
        return f"ngày {day(match['d'])} {month(match['mo'])} năm {whole(match['y'])}"

    def day_range(match: Match) -> str | None:
        if not is_date(match["b"], match["mo"]) or not is_date(match["a"], match["mo"]):
            return None
        return f"{day(match['a'])} đến {day(match['b'])} {month(match['mo'])}"

    def month_year(match: Match) -> str | None:
        if not 1 <= int(match["mo"]) <= 12:
            return None
        words = f"{month(match['mo'])} năm {whole(match['y'])}"
        return words.removeprefix("tháng ") if before(match).lower().endswith("tháng ") else words

    def slashed(match: Match) -> str:
        a, b = match["a"], match["b"]
        context = before(match)
        cue = _DATE_CUE.search(context) is not None
        if (a, b) in (("24", "7"), ("24", "24")) or (not cue and _HOUSE_CUE.search(context)):
            return f"{whole(a)} trên {whole(b)}"
        fraction = int(a) < int(b) <= 4 and "0" not in (a[0], b[0])
        if is_date(a, b) and (cue or not fraction):
            # Streets are named after days, without "mùng".
            plain_day = re.search(r"(?:mùng|mồng|đường|đ\.)\s*$", context, re.IGNORECASE)
            said = whole(a) if plain_day else day(a)
            return f"{said} {month(b)}"
        if int(a) < int(b) <= 100:
            return f"{whole(a)} phần {whole(b)}"
        return f"{whole(a)} trên {whole(b)}"

    def half_day_clock(match: Match) -> str | None:
        words = clock(match)
        if words is None:
            return None
        hour = int(match["h"]) % 12
        if match["half"].lower().startswith("a"):
            return f"{words} sáng"
        return f"{words} {'trưa' if hour == 0 else 'chiều' if hour < 6 else 'tối'}"

    def clock(match: Match) -> str | None:
        hours, minutes, seconds = match["h"], match["m"], match["s"]
        if int(hours) > 24 or (minutes and int(minutes) > 59) or _RATIO_CUE.search(before(match)):
            return None
        words = f"{whole(hours)} giờ"
        if minutes and int(minutes):
            words += f" {whole(minutes)} phút"
        if seconds and int(seconds):
            words += f" {whole(seconds)} giây"
        return words

    def ratio(match: Match) -> str:
        return f"{whole(match['a'])} {whole(match['b'])}"

    # Money

    def dong(match: Match) -> str:
        return f"{number(match['n'], thousands=True)} đồng"

    def short_money(match: Match) -> str | None:
        """20tr, 1,5tr, 1tr5, 50k."""
        size = match["size"].lower()
        if match["size"] == "K" and int(re.sub(r"\D", "", match["n"])) < 10:
            return None  # 4K is a screen
        words = f"{number(match['n'])} {'triệu' if size.startswith('tr') else thousand}"
        if rest := match["rest"]:
            # "1tr5" is half a million more, "1tr25" a quarter.
            amount = int(rest) * 10 ** (3 - len(rest))
            words += f" {cardinal(amount, language)}" + (f" {thousand}" if size.startswith("tr") else "")
        return words

    def foreign(match: Match) -> str:
        name, cents = _FOREIGN[match["sign"] or match["after"]]
        text = (match["n"] or match["n2"]).replace(",", "")
        first, _, rest = text.partition(".")
        words = f"{whole(first)} {name}"
        if len(rest) == 2 and int(rest):
            words += f" {whole(rest)} {cents}"
        elif rest.strip("0"):
            words = f"{number(text)} {name}"
        return words

    # Numbers

    def phone(match: Match) -> str:
        plus = "cộng " if match[0].startswith("+") else ""
        return plus + digits(match[0].strip("+"))

    def plate(match: Match) -> str:
        first, second = match["a"], match["b"]
        return f"{spell(first, language).replace(',', '')}, {digit_by_digit(second, language)}"

    def measured(match: Match) -> str:
        return f"{'âm ' if match['minus'] else ''}{number(match['n'])} {_UNITS[match['u']]}"

    def times(match: Match) -> str:
        return f"{whole(match['n'])} lần"

    def metres(match: Match) -> str:
        return f"{whole(match['n'])} mét {whole(match['rest'])}"

    def by(match: Match) -> str:
        numbers = re.findall(r"\d+", match[0].removesuffix(match["u"] or ""))
        words = " nhân ".join(map(whole, numbers))
        return f"{words} {_UNITS[match['u']]}" if match["u"] else words

    def over(match: Match) -> str:
        """A house in a lane of a lane: 123/45/6."""
        return " trên ".join(whole(part) for part in match[0].split("/"))

    def spaced_code(match: Match) -> str | None:
        return digits(match[0]) if _CODE_CUE.search(before(match)) else None

    def road(match: Match) -> str:
        return f"quốc lộ {whole(match['n'])}" + (f" {letter(match['a'], language)}" if match["a"] else "")

    def weekday(match: Match) -> str:
        return "thứ " + {"4": "tư"}.get(match["n"], whole(match["n"]))

    def sunday(match: Match) -> str | None:
        return "chủ nhật" if re.search(r"\bT\d|[Tt]hứ|nghỉ|mở cửa", match.string) else None

    def roman(match: Match) -> str | None:
        if not _ROMAN_CUE.search(before(match)):
            return None
        words = cardinal(_roman(match["r"]), language)
        return f"{words} năm {whole(match['y'])}" if match["y"] else words

    def first_of_range(match: Match) -> str:
        return number(match["n"])

    def per(match: Match) -> str:
        return f" mỗi {_UNITS[match['u']] if match['u'] else ''}"

    def about(match: Match) -> str:
        return "" if before(match).lower().rstrip().endswith("khoảng") else "khoảng "

    def ranked(match: Match) -> str:
        rank = int(match["n"])
        return match["thu"] + {1: "nhất", 4: "tư"}.get(rank, cardinal(rank, language))

    def in_month(match: Match) -> str:
        return match["thang"] + "tư"

    def version(match: Match) -> str:
        return " chấm ".join(whole(part) for part in match[0].split("."))

    def plain(match: Match) -> str:
        text = match["n"]
        sign = "âm " if match["minus"] else ""
        if not text.isdecimal():
            return sign + number(text)
        cue = len(text) >= 3 and _CODE_CUE.search(before(match)) is not None
        if cue or len(text) >= 7 or (text[0] == "0" and len(text) > 1):
            return digits(text)
        return sign + whole(text)

    def to(match: Match) -> str:
        return " đến "

    # Codes and short forms

    def model(match: Match) -> str | None:
        """RTX 4060: figures of a product, one by one."""
        name = acronym_words(match["name"]) or match["name"]
        return f"{name} {digit_by_digit(match['n'], language)}"

    def acronym_words(text: str) -> str | None:
        if text in _EXPANDED:
            return _EXPANDED[text]
        if text in _READ:
            return None
        if text in _SPELLED or not re.search("[AEIOUYƯƠÔÊÂĂ]", text):
            return common.letters(text)
        return None

    def acronym(match: Match) -> str | None:
        if not any(char.islower() for char in match.string):
            return None  # all of it is in capitals
        name = match["name"] or match[0]
        words = acronym_words(name)
        if match["dash"]:
            return f"{words or name} {letter(match['dash'][1], language)}"
        return words

    def numbered_place(match: Match) -> str:
        return f"{_PLACES[match['p']]} {whole(match['n'])}"

    def named_place(match: Match) -> str:
        return _PLACES[match["p"]]

    def abbreviation(match: Match) -> str:
        return _ABBREVIATED[match[1]] + (":" if match[0].endswith(":") else "")

    return [
        rule("w", MAIL, common.address),
        rule("w", URL, common.url),
        rule(
            "w",
            r"(?<![\w@.])[a-zA-Z][\w-]*(?:\.[a-z][\w-]*)*\.(?:com|vn|net|org|edu|gov|io|info|shop|store|ai)"
            r"(?:/[\w/-]*)?(?![\w@])",
            common.address,
        ),
        rule("s", KEYPAD, common.keypad),
        rule("d", rf"{FREE}(?P<a>\d{{2}}-?[A-Z]{{1,2}}\d?)[- ](?P<b>\d{{3}}\.?\d{{2}}|\d{{4}}){END}", plate),
        # Dates
        rule("d", rf"{FREE}(?P<y>\d{{4}})-(?P<mo>\d{{1,2}})-(?P<d>\d{{1,2}}){END}", iso_date),
        rule(
            "d",
            rf"{FREE}(?P<d>\d{{1,2}})(?P<mark>[/.-])(?P<mo>\d{{1,2}})(?P=mark)(?P<y>\d{{4}}|\d{{2}}){END}",
            date,
        ),
        rule(
            "d",
            rf"{FREE}(?P<a>\d{{1,2}})\s?[-–]\s?(?P<b>\d{{1,2}})/(?P<mo>\d{{1,2}})(?![/\d]){END}",
            day_range,
        ),
        rule("d", rf"{FREE}(?P<mo>\d{{1,2}})/(?P<y>(?:19|20)\d{{2}}){END}", month_year),
        rule("d", rf"{FREE}\d{{1,4}}(?:/\d{{1,3}}){{2,}}{END}", over),
        rule("d", rf"{FREE}(?P<a>\d{{1,4}})/(?P<b>\d{{1,3}})(?!/){END}", slashed),
        # Times
        rule(
            "d",
            rf"{FREE}(?P<h>\d{{1,2}})(?::(?P<m>\d{{2}}))?(?P<s>(?!)x)?\s?(?P<half>[AP]M|[ap]m)(?!\w)",
            half_day_clock,
        ),
        rule("d", rf"{FREE}(?P<h>\d{{1,2}}):(?P<m>\d{{2}})(?::(?P<s>\d{{2}}))?(?:h|p)?{END}", clock),
        rule(
            "d",
            rf"{FREE}(?P<h>\d{{1,2}})\s?(?:h|g|giờ)\s?(?P<m>\d{{2}})(?:\s?(?:phút|ph|p))?(?P<s>(?!)x)?{END}",
            clock,
        ),
        rule("d", rf"{FREE}(?P<h>\d{{1,2}})h(?P<m>(?!)x)?(?P<s>(?!)x)?{END}", clock),
        rule("d", rf"{FREE}(?P<a>\d{{1,2}}):(?P<b>\d{{1,2}}){END}", ratio),
        # Telephone numbers
        rule("s", r"(?<![\w.,+])\+84(?:[\s.-]?\d){9,10}(?!\d)", phone),
        rule("ds", rf"{FREE}\(?02\d{{1,2}}\)?(?:[\s.-]?\d){{7,8}}(?!\d)", phone),
        rule("d", rf"{FREE}0[35789](?:[\s.-]?\d){{8}}(?!\d)", phone),
        rule("d", rf"{FREE}1[89]00[\s.]?\d{{2,4}}(?:[\s.]\d{{2,4}})?(?!\d)", phone),
        rule("d", SPACED_CODE, spaced_code),
        # Money
        rule("d", rf"{FREE}(?P<n>{NUMBER})\s?{_DONG}(?!\w)", dong),
        rule("s", rf"(?<!\w)(?:₫|VND|VNĐ)\s?(?P<n>{NUMBER}){END}", dong),
        rule(
            "d", rf"{FREE}(?P<n>\d+(?:[.,]\d+)?)\s?(?P<size>tr|Tr|k|K)(?P<rest>\d{{1,3}})?(?!\w)", short_money
        ),
        rule(
            "s",
            rf"(?<![\w.,])(?P<sign>{_FOREIGN_SIGN})\s?(?P<n>\d+(?:,\d{{3}})*(?:\.\d+)?)(?P<n2>(?!)x)?(?P<after>(?!)x)?{END}",
            foreign,
        ),
        rule(
            "d",
            rf"{FREE}(?P<n2>\d+(?:,\d{{3}})*(?:\.\d+)?)\s?(?P<after>{_FOREIGN_SIGN})(?P<n>(?!)x)?(?P<sign>(?!)x)?(?!\w)",
            foreign,
        ),
        rule(
            "s", rf"(?:(?<=[\dđ₫%kKrgGB])|(?<=đồng)|(?<=VN[DĐ]))/(?:(?P<u>{_UNIT})(?!\w)|(?=[^\W\d_]))", per
        ),
        # Numbers with a unit, ranks, months
        rule("d", rf"{FREE}\d+(?:\s?[x×]\s?\d+)+(?:\s?(?P<u>{_UNIT}))?(?!\w)", by),
        rule("ds", rf"{MINUS}{FREE}(?P<n>{NUMBER})\s?(?P<u>{_UNIT})(?![\w])", measured),
        rule("d", rf"{FREE}(?P<n>\d+)x(?!\w)", times),
        rule("d", rf"{FREE}(?P<n>\d+)m(?P<rest>\d{{1,2}})(?!\w)", metres),
        rule("w", r"(?<!\w)(?P<thu>thứ )(?P<n>\d{1,2})(?!\w)", ranked, re.IGNORECASE),
        rule("w", r"(?<!\w)(?P<thang>tháng )0?4(?![\w/])", in_month, re.IGNORECASE),
        # Places
        rule("w", r"(?<!\w)(?:TP|Tp|tp)(?:\.\s?|\s)?HCM(?!\w)", fixed("thành phố Hồ Chí Minh")),
        rule("w", r"(?<!\w)(?P<p>Q|P|q|p)\.\s?(?P<n>\d{1,2})(?!\w)", numbered_place),
        rule("w", r"(?<!\w)(?P<p>Q)(?P<n>\d{1,2})(?!\w)", numbered_place),
        rule("w", r"(?<!\w)(?P<p>P)(?P<n>\d{1,2})(?=,?\s*[Qq])", numbered_place),
        rule(
            "w",
            r"(?<!\w)(?P<p>TP|Tp|tp|TX|Tx|TT|Q|P|Đ|H)\.\s?(?=[\dA-ZĐÁÀẢÃẠÂĂÔƠƯÊ])",
            _with_space(named_place),
        ),
        rule("w", r"(?<!\w)(Th\.S|GS|PGS|TS|ThS|BS|KS|LS|DS|Cty|Tel)\.\s?(?=\w)", _with_space(abbreviation)),
        rule("w", r"(?<!\w)(VD|Vd|vd|Tel):", abbreviation),
        rule("w", r"(?<!\w)[vV]\.\s?v(?=\.?\W*$)", fixed("vân vân")),
        rule("w", r"(?<!\w)[vV]\.\s?v\.?", fixed("vân vân")),
        # The first number of a range takes the unit of the second.
        rule(
            "d", rf"{FREE}(?P<n>{NUMBER})(?=\s?[-–]\s?\d[\d.,]*\s?(?:tr|Tr|k|{_UNIT})(?!\w))", first_of_range
        ),
        rule("w", r"(?<!\w)(?:QL|ql)\.?\s?(?P<n>\d{1,3})(?P<a>[A-Z])?(?!\w)", road),
        rule("w", r"(?<!\w)T(?P<n>[2-7])(?!\w)", weekday),
        rule("w", r"(?<!\w)CN(?!\w)", sunday),
        rule("w", r"(?<!\w)(?P<r>[IVX]+)(?:/(?P<y>\d{4}))?(?!\w)", roman),
        # Products and codes
        rule("w", r"(?<![\w.])(?P<name>[A-Z]{2,5})\s(?P<n>\d{3,5})(?!\w)(?![.,]\d)", model),
        rule(
            "wd",
            r"(?<![\w.,])(?=[\w-]*\d)(?=[\w-]*[A-ZĐ]|[a-zđ])[A-Za-zĐđ\d]+(?:-[A-Za-zĐđ\d]+)*(?!\w)",
            common.code,
        ),
        rule("d", rf"{FREE}(?!\d{{1,3}}(?:\.\d{{3}})+{END})\d+(?:\.\d+){{2,}}{END}", version),
        rule("ds", rf"{FREE}{MINUS}(?P<n>{NUMBER})(?!\w)", plain),
        rule("s", r"(?:(?<=[\dhkrđ%₫])|(?<=[\dhkrđ%₫] ))[-–]\s?(?=\d|thứ \d|T\d)", to),
        rule("w", r"(?<!\w)(?:(?P<name>[A-ZĐ]{2,6})(?P<dash>-[A-Z])?|Cty)(?!\w)", acronym),
        # Signs
        rule("s", r"(?<=phím )\*", fixed("sao")),
        rule("s", r"(?<=phím )#", fixed("thăng")),
        rule("s", r"#(?=\w)", fixed("số ")),
        rule("s", r"&\s?", fixed(" và ")),
        rule("s", r"(?<=[^\W\d_])/(?=\d)", fixed(", ")),
        rule("s", r"(?<=\S)/(?=[^\W\d_])|(?<=\s)/\s", fixed(" ")),
        rule("s", r"~\s?(?=\d)", about),
        rule("s", r"\+\s?(?=\w)", fixed(" cộng ")),
        rule("s", r"=\s?", fixed(" bằng ")),
        rule("s", r"×\s?", fixed(" nhân ")),
        rule("s", r">=?\s?(?=\d)", fixed(" trên ")),
        rule("s", r"<=?\s?(?=\d)", fixed(" dưới ")),
        rule("s", r"%", fixed(" phần trăm")),
        # Whatever no other rule knows.
        rule("d", r"\d+", common.glued),
    ]


_PLACES: Final = {
    "TP": "thành phố", "Tp": "thành phố", "tp": "thành phố", "TX": "thị xã", "Tx": "thị xã",
    "TT": "thị trấn", "Q": "quận", "q": "quận", "P": "phường", "p": "phường", "Đ": "đường", "H": "huyện",
}  # fmt: skip


def _with_space(say: Say) -> Say:
    return lambda match: f"{say(match)} "


def _roman(text: str) -> int:
    """Return the value of a Roman number of the letters I, V and X."""
    values = [{"I": 1, "V": 5, "X": 10}[char] for char in text]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def _full_year(text: str) -> str:
    if len(text) == 4:
        return text
    return ("20" if int(text) < 70 else "19") + text

"""How English says what is written in figures, signs and short forms. Rules for `spoken_form`.

A rule is a pattern and a function that returns the words, or None where it does not apply after all. The
first rule that applies wins, so special ones stand before general ones. Dates of two ambiguous numbers are
month first, and day first for `en-GB` and the other tags that are not American.
"""

import re
from typing import Final

from voicegw.call.spoken_common import END, FREE, KEYPAD, MAIL, MINUS, SPACED_CODE, URL, Common, before
from voicegw.call.spoken_numbers import cardinal, digit_by_digit, ordinal, year
from voicegw.call.spoken_rule import Match, Rule, Say, fixed, rule, word_set

# 1,234,567.5 · 12.5 · 12, and with thousands in full stops where there are two of them: 1.234.567
NUMBER: Final = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3}){2,}|\d+(?:\.\d+)?"

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_MONTH: Final = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_DAYS: Final = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_UNITS: Final = {
    "kg": ("kilogram", "kilograms"), "g": ("gram", "grams"), "mg": ("milligram", "milligrams"),
    "km": ("kilometer", "kilometers"), "m": ("meter", "meters"), "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"), "km/h": ("kilometer an hour", "kilometers an hour"),
    "mph": ("mile an hour", "miles an hour"), "mi": ("mile", "miles"), "ft": ("foot", "feet"),
    "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"),
    "m2": ("square meter", "square meters"), "m²": ("square meter", "square meters"),
    "l": ("liter", "liters"), "L": ("liter", "liters"), "ml": ("milliliter", "milliliters"),
    "KB": ("kilobyte", "kilobytes"), "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"), "Hz": ("hertz", "hertz"), "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"), "W": ("watt", "watts"), "kW": ("kilowatt", "kilowatts"),
    "kWh": ("kilowatt hour", "kilowatt hours"), "Wh": ("watt hour", "watt hours"), "V": ("volt", "volts"),
    "mAh": ("milliamp hour", "milliamp hours"), "Mbps": ("megabit per second", "megabits per second"),
    "MP": ("megapixel", "megapixels"), "fps": ("frame per second", "frames per second"),
    "nits": ("nit", "nits"), '"': ("inch", "inches"), "″": ("inch", "inches"), "%": ("percent", "percent"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"), "°C": ("degree Celsius", "degrees Celsius"),
    "°": ("degree", "degrees"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"),
    "min": ("minute", "minutes"), "mins": ("minute", "minutes"), "sec": ("second", "seconds"),
    "secs": ("second", "seconds"), "ms": ("millisecond", "milliseconds"),
}  # fmt: skip
_UNIT: Final = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_MONEY: Final = {
    "$": ("dollar", "dollars", "cent", "cents"), "USD": ("dollar", "dollars", "cent", "cents"),
    "US$": ("dollar", "dollars", "cent", "cents"), "€": ("euro", "euros", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
    "GBP": ("pound", "pounds", "penny", "pence"), "¥": ("yen", "yen", "", ""),
    "₫": ("dong", "dong", "", ""), "VND": ("dong", "dong", "", ""),
}  # fmt: skip
_SIGN: Final = r"US\$|\$|USD|€|EUR|£|GBP|¥|₫|VND"
_SCALE: Final = {
    "k": "thousand",
    "K": "thousand",
    "M": "million",
    "m": "million",
    "B": "billion",
    "bn": "billion",
}

_ABBREVIATED: Final = {
    "e.g": "for example", "i.e": "that is", "vs": "versus", "approx": "approximately", "No": "number",
    "Nos": "numbers", "Apt": "apartment", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane",
    "Hwy": "Highway", "Ste": "suite", "ext": "extension", "Ext": "extension", "Tel": "telephone",
    "Dept": "department", "dept": "department", "est": "estimated", "incl": "including",
    "excl": "excluding", "Inc": "incorporated", "Ltd": "limited", "Corp": "corporation",
}  # fmt: skip
# Behind these a number is a year.
_YEAR_CUE = re.compile(
    r"(?:(?:19|20)\d\d\s?[-–]|in|since|of|year|by|until|till|from|before|after|late|early|to|©|"
    rf"{'|'.join(_MONTHS)})\s*$",
    re.IGNORECASE,
)
_CODE_CUE = re.compile(
    r"(?:code|otp|pin|passcode|id|order|ticket|tracking|account|card|confirmation|reference|invoice|serial|imei|"
    r"ssn|ending in|extension|#)(?:\s+(?:number|no\.?|id|code|is))*[\s:]*$",
    re.IGNORECASE,
)
_DATE_CUE = re.compile(
    r"(?:on|by|until|till|before|after|since|from|day|due|of|dated)[\s,(]*$", re.IGNORECASE
)
_SPELLED: Final = word_set(
    "ATM API CEO CPU GPU OTP QR FAQ IT AI UI ID IP IMEI USB URL AC EU UK US USA UPS UV IPS SUV DIY ETA"
)
_READ: Final = word_set("RAM SIM VIP NASA LED OLED PIN ASAP")


def rules(language: str) -> list[Rule]:
    """Return the rules of a tag (`en`, `en-US`, `en-GB`, ...), in their order."""
    day_first = language.lower() not in ("en", "en-us")
    common = Common(language, lambda word: len(word) <= 3 and not re.search("[aeiouy]", word.lower()))
    whole, digits = common.whole, common.digits

    def number(text: str) -> str:
        if re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", text):
            text = text.replace(".", "")
        first, _, decimals = text.replace(",", "").partition(".")
        words = whole(first)
        return f"{words} point {digit_by_digit(decimals, language)}" if decimals else words

    def is_one(text: str) -> bool:
        return text == "1"

    # Dates and times

    def said_date(month: int, day: int, of_year: str) -> str:
        words = f"{_MONTHS[month - 1]} {ordinal(day, language)}"
        if not of_year:
            return words
        if len(of_year) == 2:
            of_year = ("20" if int(of_year) < 70 else "19") + of_year
        return f"{words}, {year(int(of_year), language)}"

    def month_and_day(a: str, b: str) -> tuple[int, int] | None:
        for month, day in (
            ((int(b), int(a)), (int(a), int(b))) if day_first else ((int(a), int(b)), (int(b), int(a)))
        ):
            if 1 <= month <= 12 and 1 <= day <= 31:
                return month, day
        return None

    def date(match: Match) -> str | None:
        found = month_and_day(match["a"], match["b"])
        return said_date(*found, match["y"]) if found else None

    def iso_date(match: Match) -> str | None:
        month, day = int(match["mo"]), int(match["d"])
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        return said_date(month, day, match["y"])

    def month_of(match: Match) -> int:
        return next(n for n, name in enumerate(_MONTHS, 1) if name.startswith(match["month"][:3]))

    def named_month(match: Match) -> str | None:
        if not 1 <= int(match["d"]) <= 31:
            return None
        return said_date(month_of(match), int(match["d"]), match["y"] or "")

    def day_of_month(match: Match) -> str | None:
        if not 1 <= int(match["d"]) <= 31:
            return None
        words = f"{ordinal(int(match['d']), language)} of {_MONTHS[month_of(match) - 1]}"
        article = "" if re.search(r"\bthe\s*$", before(match), re.IGNORECASE) else "the "
        if match["y"]:
            words += f", {year(int(match['y']), language)}"
        elif match["dot"] and (match["month"] in _MONTHS or match.end() == len(match.string)):
            words += "."  # it ends the sentence
        return article + words

    def short_month(match: Match) -> str:
        return _MONTHS[month_of(match) - 1]

    def slashed(match: Match) -> str | None:
        a, b = match["a"], match["b"]
        if (a, b) == ("24", "7"):
            return "twenty-four seven"
        cue = _DATE_CUE.search(before(match)) is not None
        if not cue and int(a) < int(b) <= 10 and "0" not in (a[0], b[0]):
            top, bottom = int(a), int(b)
            if (top, bottom) == (1, 2):
                return "one half"
            name = "quarter" if bottom == 4 else ordinal(bottom, language)
            return f"{whole(a)} {name}{'s' if top > 1 else ''}"
        found = month_and_day(a, b)
        return said_date(*found, "") if found else f"{whole(a)} over {whole(b)}"

    def clock(match: Match) -> str | None:
        hours, minutes = int(match["h"]), match["m"]
        half = (match["half"] or "").replace(".", "").strip().lower()
        if hours > 24 or (minutes and int(minutes) > 59):
            return None
        if minutes is None:
            words = cardinal(hours, language)
        elif int(minutes) == 0:
            words = cardinal(hours, language) + (
                "" if half else " o'clock" if 1 <= hours <= 12 else " hundred hours"
            )
        elif int(minutes) < 10:
            words = f"{cardinal(hours, language)} oh {cardinal(int(minutes), language)}"
        else:
            words = f"{cardinal(hours, language)} {whole(minutes)}"
        if half:
            # The last full stop of "p.m." may end the sentence as well.
            ends = match[0].endswith(".") and _ends_sentence(match)
            words += f" {half[0].upper()} M" + ("." if ends else "")
        return words

    # Money

    def money(match: Match) -> str:
        one, many, cent, cents = _MONEY[match["sign"] or match["after"]]
        text = (match["n"] or match["n2"]).replace(",", "")
        scale = match["scale"] if match["sign"] else ""
        first, _, rest = text.partition(".")
        if one == "dong" and re.fullmatch(r"\d{1,3}(?:\.\d{3})+", text):
            first, rest = text.replace(".", ""), ""  # as it is written in Vietnam
        if scale:
            return f"{number(text)} {_SCALE.get(scale.strip(), scale.strip())} {many}"
        words = f"{whole(first)} {one if is_one(first) else many}"
        if len(rest) == 2 and cents and int(rest):
            small = f"{whole(rest)} {cent if int(rest) == 1 else cents}"
            return small if int(first) == 0 else f"{words} and {small}"
        return f"{number(text)} {many}" if rest.strip("0") else words

    def short_amount(match: Match) -> str | None:
        if match["scale"] == "K" and len(match["n"]) == 1:
            return None  # 4K is a screen
        return f"{number(match['n'])} {_SCALE[match['scale']]}"

    # Numbers

    def phone(match: Match) -> str:
        plus = "plus " if match[0].startswith("+") else ""
        return plus + digits(match[0])

    def measured(match: Match) -> str:
        one, many = _UNITS[match["u"]]
        # "a 512 GB disk", "15-inch"
        single = is_one(match["n"]) or re.search(r"\ban?\s$", before(match), re.IGNORECASE)
        return f"{'minus ' if match['minus'] else ''}{number(match['n'])} {one if single else many}"

    def feet(match: Match) -> str:
        return f"{whole(match['a'])} foot {whole(match['b'])}"

    def times(match: Match) -> str:
        return f"{whole(match['n'])} times"

    def and_a_half(match: Match) -> str:
        return f"{whole(match['n'])} and a half"

    def by(match: Match) -> str:
        numbers = re.findall(r"\d+", match[0].removesuffix(match["u"] or ""))
        words = " by ".join(map(whole, numbers))
        return f"{words} {_UNITS[match['u']][1]}" if match["u"] else words

    def spaced_code(match: Match) -> str | None:
        return digits(match[0]) if _CODE_CUE.search(before(match)) else None

    def ranked(match: Match) -> str:
        return ordinal(int(match["n"]), language)

    def decade(match: Match) -> str:
        tens = cardinal(int(match["n"]) % 100, language)
        century = cardinal(int(match["n"]) // 100, language)
        return f"{century} {tens[:-1]}ies" if tens.endswith("ty") else f"{century} hundreds"

    def version(match: Match) -> str:
        return " point ".join(whole(part) for part in match[0].split("."))

    def first_of_range(match: Match) -> str:
        return number(match["n"])

    def plain(match: Match) -> str:
        text = match["n"]
        sign = "minus " if match["minus"] else ""
        if not text.isdecimal():
            return sign + number(text)
        if (
            (len(text) >= 3 and _CODE_CUE.search(before(match)))
            or len(text) >= 7
            or (text[0] == "0" and len(text) > 1)
        ):
            return digits(text)
        if len(text) == 4 and 1100 <= int(text) < 2100 and _YEAR_CUE.search(before(match)):
            return year(int(text), language)
        return sign + whole(text)

    # Codes and short forms

    def model(match: Match) -> str:
        name = match["name"] if match["name"] in _READ else " ".join(match["name"])
        return f"{name} {_in_pairs(match['n'], language)}"

    def acronym(match: Match) -> str | None:
        if not any(char.islower() for char in match.string):
            return None  # all of it is in capitals
        name = match["name"]
        if name in _READ or (name not in _SPELLED and re.search("[AEIOUY]", name) and not match["dash"]):
            return None
        return " ".join(name) + (f" {match['dash'][1:]}" if match["dash"] else "")

    def abbreviation(match: Match) -> str:
        ends = match.end() == len(match.string) and match[0].endswith(".")
        return _ABBREVIATED[match["a"]] + ("." if ends else "")

    def day_name(match: Match) -> str:
        return _DAYS[match["a"]]

    def et_cetera(match: Match) -> str:
        return "et cetera" + ("." if match.end() == len(match.string) else "")

    half = r"(?P<half>\s?[ap]\.m\.|\s?[ap]m(?!\w)|\s?[AP]\.M\.|\s?[AP]M(?!\w))"
    return [
        rule("w", MAIL, common.address),
        rule("w", URL, common.url),
        rule(
            "w",
            r"(?<![\w@.])[a-zA-Z][\w-]*(?:\.[a-z][\w-]*)*\.(?:com|net|org|edu|gov|io|info|shop|store|ai|vn|co\.uk)"
            r"(?:/[\w/-]*)?(?![\w@])",
            common.url,
        ),
        rule("s", KEYPAD, common.keypad),
        # Dates
        rule("d", rf"{FREE}(?P<y>\d{{4}})-(?P<mo>\d{{1,2}})-(?P<d>\d{{1,2}}){END}", iso_date),
        rule(
            "d",
            rf"{FREE}(?P<a>\d{{1,2}})(?P<mark>[/.-])(?P<b>\d{{1,2}})(?P=mark)(?P<y>\d{{4}}|\d{{2}}){END}",
            date,
        ),
        rule("d", rf"{FREE}(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})(?!/){END}", slashed),
        rule(
            "w",
            rf"(?<!\w){_MONTH}\.?\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s(?P<y>\d{{4}}))?{END}",
            named_month,
        ),
        rule(
            "d",
            rf"{FREE}(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?P<dot>\.)?(?!\w)(?:,?\s(?P<y>\d{{4}}){END})?",
            day_of_month,
        ),
        rule("w", rf"(?<!\w)(?!May|June|July|March){_MONTH}\.(?=\s)", short_month),
        rule("w", rf"(?<!\w)(?P<a>{'|'.join(_DAYS)})\.(?=\s)", day_name),
        # Times
        rule("d", rf"{FREE}(?P<h>\d{{1,2}}):(?P<m>\d{{2}})(?::\d{{2}})?{half}?(?!\w)", clock),
        rule("d", rf"{FREE}(?P<h>\d{{1,2}})(?P<m>(?!)x)?{half}", clock),
        # Telephone numbers
        rule("s", r"(?<![\w.,+])\+\d{1,3}(?:[\s.-]?\(?\d{1,4}\)?){2,5}(?!\d)", phone),
        rule("s", r"(?<!\w)\(\d{3}\)\s?\d{3}[\s.-]\d{4}(?!\d)", phone),
        rule("d", rf"{FREE}(?:1[\s.-])?\d{{3}}[\s.-]\d{{3}}[\s.-]\d{{4}}(?!\d)", phone),
        rule("d", rf"{FREE}0\d{{2,4}}[\s.-]\d{{3,4}}[\s.-]?\d{{3,4}}(?!\d)", phone),
        rule("d", SPACED_CODE, spaced_code),
        # Money
        rule(
            "sw",
            rf"(?<![\w.,])(?P<sign>{_SIGN})\s?(?P<n>{NUMBER})(?P<scale>k|K|M|m|B|bn|\s(?:thousand|million|billion))?"
            rf"(?P<n2>(?!)x)?(?P<after>(?!)x)?{END}",
            money,
        ),
        rule(
            "d",
            rf"{FREE}(?P<n2>\d{{1,3}}(?:[.,]\d{{3}})+(?:\.\d{{1,2}})?|\d+(?:\.\d+)?)\s?(?P<after>{_SIGN})"
            rf"(?P<sign>(?!)x)?(?P<n>(?!)x)?(?!\w)",
            money,
        ),
        rule("d", rf"{FREE}(?P<n>\d+(?:\.\d+)?)(?P<scale>[kK]|bn)(?!\w)", short_amount),
        # Numbers
        rule("d", rf"{FREE}\d+(?:\s?[x×]\s?\d+)+(?:\s?(?P<u>{_UNIT}))?(?!\w)", by),
        rule("d", rf"{FREE}(?P<a>\d)['’](?P<b>\d{{1,2}})(?:\"|(?!\w))", feet),
        rule("d", rf"{FREE}(?P<n>\d+)x(?!\w)", times),
        rule("d", rf"{FREE}(?P<n>\d+)\s1/2{END}", and_a_half),
        rule("ds", rf"{MINUS}{FREE}(?P<n>{NUMBER})\s?-?(?P<u>{_UNIT})(?!\w)", measured),
        rule("d", rf"{FREE}(?P<n>\d+)(?:st|nd|rd|th)(?!\w)", ranked),
        rule("d", rf"{FREE}(?P<n>(?:1[1-9]|20)\d0)s(?!\w)", decade),
        rule("d", rf"{FREE}(?P<n>{NUMBER})(?=\s?[-–]\s?\d[\d.,]*\s?(?:k|{_UNIT})(?!\w))", first_of_range),
        # Products and codes
        rule("w", r"(?<![\w.])(?P<name>[A-Z]{2,5})\s(?P<n>\d{3,5})(?!\w)(?![.,]\d)", model),
        rule(
            "wd",
            r"(?<![\w.,])(?=[\w-]*\d)(?=[\w-]*[A-Z]|[a-z])[A-Za-z\d]+(?:-[A-Za-z\d]+)*(?!\w)",
            common.code,
        ),
        rule("d", rf"{FREE}(?!\d{{1,3}}(?:\.\d{{3}}){{2,}}{END})\d+(?:\.\d+){{2,}}{END}", version),
        rule("ds", rf"{FREE}{MINUS}(?P<n>{NUMBER})(?!\w)", plain),
        rule("s", r"(?:(?<=[\dkKmM%])|(?<=[\dkKmM%] ))[-–]\s?(?=[\d$€£])", fixed(" to ")),
        # Short forms
        rule("w", r"(?<!\w)etc\.", et_cetera),
        rule("w", r"(?<!\w)(?P<a>No|Nos)\.\s?(?=\d)", _with_space(abbreviation)),
        rule(
            "w",
            r"(?<!\w)(?P<a>e\.g|i\.e|vs|approx|Apt|Ave|Blvd|Rd|Ln|Hwy|Ste|[eE]xt|Tel|[dD]ept|est|incl|excl|Inc|Ltd|Corp)\.",
            abbreviation,
        ),
        rule("w", r"(?<!\w)(?P<a>vs)(?!\w)", abbreviation),
        rule("w", r"(?<!\w)(?P<name>[A-Z]{2,6})(?P<dash>-[A-Z])?(?!\w)", acronym),
        # Signs
        rule("s", r"(?<=key )\*|(?<=press )\*", fixed("star")),
        rule("s", r"(?<=key )#|(?<=press )#", fixed("pound")),
        rule("s", r"#(?=\w)", fixed("number ")),
        rule("s", r"&\s?", fixed(" and ")),
        rule("s", r"(?<=\d)/(?=[a-z])", fixed(" per ")),
        rule("s", r"(?<=[^\W\d_])/(?=\d)", fixed(", ")),
        rule("s", r"(?<=and)/(?=or)", fixed(" ")),
        rule("s", r"(?<=[^\W\d_])/(?=[^\W\d_])", fixed(" or ")),
        rule("s", r"~\s?(?=\d)", fixed("about ")),
        rule("s", r"\+\s?(?=\w)", fixed(" plus ")),
        rule("s", r"=\s?", fixed(" equals ")),
        rule("s", r"×\s?", fixed(" times ")),
        rule("s", r">=?\s?(?=\d)", fixed(" over ")),
        rule("s", r"<=?\s?(?=\d)", fixed(" under ")),
        rule("s", r"@\s?", fixed(" at ")),
        rule("s", r"%", fixed(" percent")),
        # Whatever no other rule knows.
        rule("d", r"\d+", common.glued),
    ]


def _ends_sentence(match: Match) -> bool:
    """Tell whether the full stop that a short form ends with ends the sentence as well."""
    behind = match.string[match.end() : match.end() + 2]
    return not behind or (behind[0] == " " and behind[1:].isupper())


def _in_pairs(digits: str, language: str) -> str:
    """RTX 4060 is "forty sixty"; where a pair begins with 0 it is read digit by digit."""
    if len(digits) == 4 and digits[0] != "0" and digits[2] != "0":
        return f"{cardinal(int(digits[:2]), language)} {cardinal(int(digits[2:]), language)}"
    return digit_by_digit(digits, language)


def _with_space(say: Say) -> Say:
    return lambda match: f"{say(match)} "

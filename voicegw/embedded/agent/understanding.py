"""What a caller wants, from words that may be misheard: language, yes or no, intents, things named.

Keywords on folded text (see `numbers.fold`), in the order of `_INTENTS`; the recogniser's usual
mistakes are repaired first.
"""

import difflib
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from voicegw.embedded.agent.numbers import SpokenDigits, fold, numbered, spoken_digits
from voicegw.embedded.agent.shop import COUPON, DESIGN, GAMING, OFFICE, Language, Laptop


class Intent(StrEnum):
    """What an utterance asks for."""

    WHO_ARE_YOU = "who are you"
    REPEAT = "repeat"
    PERSON = "person"
    NO_NUMBER = "no number"
    PHOTO = "photo"
    RESCHEDULE = "reschedule"
    DISCOUNT = "discount"
    DELIVERY = "delivery"
    ORDER = "order"
    PRODUCT = "product"
    GOODBYE = "goodbye"
    WAIT = "wait"
    HELP = "help"
    THANKS = "thanks"
    GREETING = "greeting"


# First match wins, so the narrow ones stand above the wide ones.
_INTENTS: dict[Language, list[tuple[Intent, str]]] = {
    "en": [
        (
            Intent.WHO_ARE_YOU,
            r"who (are you|is this|am i)|(are you|is this|am i (talking|speaking) (to|with)) "
            r"(a|an|the)? ?(real|robot|human|machine|computer|person|bot|ai)",
        ),
        (Intent.REPEAT, r"repeat|say (that|it) again|pardon|what did you say|come again"),
        (
            Intent.PERSON,
            r"human|someone|somebody|operator|representative|manager|transfer me|customer service"
            r"|(speak|talk|connect|put|transfer|get|give)\b.*\b(person|agent|people)"
            r"|^(a |real )*(person|agent)( please)?$",
        ),
        (
            Intent.NO_NUMBER,
            r"(don't|do not|can't|cannot) (know|have|remember|find)|(lost|forgot)( \w+)* number",
        ),
        (Intent.PHOTO, r"(send|show|upload|have)\b.*\b(photo|picture|image)s?"),
        (
            Intent.RESCHEDULE,
            r"reschedul\w*|another day|(change|move|postpone|delay|push)\b.*\b(day|date|delivery|it|to)"
            r"|deliver (it )?(on|another|later)",
        ),
        (Intent.DISCOUNT, r"discounts?|coupons?|promotions?|promo|voucher|summer|some are|code"),
        (
            Intent.DELIVERY,
            r"when|arriv\w*|deliver(y|ed)|what (time|day)|how long|come (today|tomorrow)",
        ),
        (
            Intent.ORDER,
            r"orders?|ordered|packages?|parcels?|track|status|shipped|shipment|where('s| is)"
            r"|(not|haven't) (get|got|receiv)\w*",
        ),
        (
            Intent.PRODUCT,
            r"laptops?|computers?|prices?|how much|costs?|buy|cheap\w*|gaming|games|budget"
            r"|falcon|atlas|canvas"
            r"|office work|video editing|design",
        ),
        (
            Intent.GOODBYE,
            r"good ?bye|bye|that is all|that's (all|it for)|nothing( else)?|no (thank you|thanks)|see you",
        ),
        (Intent.WAIT, r"hold on|(one|just a|a) (moment|second|minute)|wait"),
        (Intent.HELP, r"help|what can (you|i)|how does this"),
        (Intent.THANKS, r"thanks?|thank you"),
        (Intent.GREETING, r"hello|hi|hey|good (morning|afternoon|evening)|can you hear me"),
    ],
    "vi": [
        (
            Intent.WHO_ARE_YOU,
            r"(em|ban|day|ben em) (la|co phai)( la)? .*(nguoi|may|robot|ai|bot)|(em|ban) la ai|ai dang noi",
        ),
        (Intent.REPEAT, r"(nhac|noi|lap) lai|nghe khong ro|khong nghe ro|noi gi co"),
        (
            Intent.PERSON,
            r"(gap|noi chuyen|ket noi|chuyen|noi may|cho)\b.*\b(nhan vien|nguoi|quan ly|tong dai|may)"
            r"|nguoi that|tong dai vien",
        ),
        (Intent.NO_NUMBER, r"(khong|chua) (biet|nho|co|tim thay|thay) (ma|so|don)|quen (ma|so)|mat (ma|so)"),
        (Intent.PHOTO, r"(gui|chup|xem|co)\b.*\b(anh|hinh)\b( (chup|cho|duoc|khong))|gui (anh|hinh)"),
        (
            Intent.RESCHEDULE,
            r"(doi|doi lai|chuyen|hoan|lui|giao)\b.*\b(ngay khac|hom khac|sang|lai ngay|ngay giao|lich giao)"
            r"|hen lai|giao lai|doi (ngay|lich)",
        ),
        (Intent.DISCOUNT, r"giam gia|khuyen mai|uu dai|coupon|voucher|summer|ma giam|code"),
        (
            Intent.DELIVERY,
            r"khi nao|bao gio|bao lau|may gio|luc nao|ngay nao|hom nao|giao (hang|toi|den|chua)"
            r"|thoi gian giao",
        ),
        (
            Intent.ORDER,
            r"don hang|(kiem tra|tra cuu|xem|ma|so|cua) don|tinh trang|kien hang|van don|cho hang|nhan hang",
        ),
        (
            Intent.PRODUCT,
            r"lap ?top|may tinh|bao nhieu tien|gia (bao|cua|may|ca)|bao nhieu|mua|choi game"
            r"|gaming|falcon|atlas|canvas"
            r"|van phong|do hoa|thiet ke|tu van",
        ),
        (
            Intent.GOODBYE,
            r"tam biet|het roi|khong can( gi)?( nua| them)?|(the|vay) (thoi|la xong|duoc roi)|khong con gi"
            r"|khong co gi( nua| them)?"
            r"|chao em nhe|bye",
        ),
        (Intent.WAIT, r"cho (mot|ti|chut|xiu)|doi (mot|ti|chut|xiu)|khoan"),
        (Intent.HELP, r"giup|ho tro|lam duoc gi|huong dan"),
        (Intent.THANKS, r"cam on|cam un"),
        (Intent.GREETING, r"xin chao|chao|alo|a lo|hello"),
    ],
}

_NO: dict[Language, str] = {
    "en": r"no|nope|not|wrong|incorrect|isn't|never|nah",
    "vi": r"khong|sai|chua|nham|ko|k",
}
_YES: dict[Language, str] = {
    "en": (
        r"yes|yeah|yep|yup|yea|correct|right|sure|exactly|okay|ok|please|of course|absolutely|it is|fine"
        r"|guess|yet|jess|yes's"  # heard for yes
    ),
    "vi": r"dung|phai|vang|u|uh|ok|okay|chinh xac|co|da|duoc|roi|yes",
}
# Settle an utterance with words of both kinds: "không đúng" is no, "no, that is right" is yes.
_FIRM_YES: dict[Language, str] = {
    "en": r"(that's|that is|it is) (right|correct)",
    "vi": r"(dung|phai|chinh xac) (roi|a)",
}
_FIRM_NO: dict[Language, str] = {
    "en": r"not (right|correct|it|my)|is wrong|it isn't|it's wrong",
    "vi": r"khong (dung|phai)|sai|chua dung|nham",
}

# What the recogniser often writes for a word of the domain.
_REPAIRS = {"ardor": "order", "older": "order", "border": "order", "warder": "order", "quarter": "order"}
_DOMAIN_WORDS = tuple(
    numbered(
        "order orders package parcel delivery delivered deliver arrive arriving laptop laptops "
        "discount coupon goodbye status person operator representative number price repeat hello "
        "thanks summer gaming"
    )
)

_VIETNAMESE_WORDS = frozenset(
    numbered(
        "khong toi em anh chi muon kiem tra khi nao bao gio cam xin chao duoc mot hai bon bay chin "
        "dung phai vang giam gia cua don hang cho nhe voi la gi nguoi nhan vien tam biet roi giup "
        "minh shop mua nhieu tien may tinh choi oi alo ma co ba sau nam"
    )
)
# Without the English words that Vietnamese callers use too.
_ENGLISH_WORDS = frozenset(
    numbered(
        "the my is order want would like number when it will arrive please thank thanks you good "
        "goodbye that right what where how much laptop for and have do can i need check to of are "
        "correct person one two three four five six seven eight nine zero oh price discount in not "
        "speak with english"
    )
)
# Far more than anybody says in a turn; the patterns below are not made for whole documents.
_LONGEST = 2000
_VIETNAMESE_LETTERS = re.compile("[ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ]")


@dataclass(frozen=True)
class Understood:
    """One utterance of the caller, understood as far as it can be without its context."""

    intents: tuple[Intent, ...]
    """All intents found, the most specific first."""
    digits: SpokenDigits
    yes: bool
    no: bool
    laptop: Laptop | None
    day: str
    """The day that was named, in the caller's words."""
    coupon: str | None
    empty: bool

    def wants(self, *intents: Intent) -> bool:
        """Tell whether any of `intents` was found."""
        return any(intent in self.intents for intent in intents)


def understand(text: str, language: Language, *, digits_expected: bool = False) -> Understood:
    """Understand an utterance; `digits_expected` when the agent has just asked for a number."""
    text = text[:_LONGEST]
    folded = " ".join(_repaired(word, language) for word in fold(text).split())
    digits = spoken_digits(folded, expected=digits_expected)
    no, yes = _found(_NO[language], folded), _found(_YES[language], folded)
    if _found(_FIRM_NO[language], folded):
        yes = False
    elif _found(_FIRM_YES[language], folded):
        no = False
    elif no:
        yes = False
    if folded == "know":
        no = True
    return Understood(
        tuple(intent for intent, pattern in _INTENTS[language] if _found(pattern, folded)),
        digits,
        yes,
        no,
        _laptop(folded),
        _day(text),
        _coupon(folded, text),
        not folded,
    )


def _found(pattern: str, folded: str) -> bool:
    return re.search(rf"\b(?:{pattern})(?![\w'])", folded) is not None


def _repaired(word: str, language: Language) -> str:
    if language == "vi" or len(word) < 5 or word in _ENGLISH_WORDS:
        return word
    if word in _REPAIRS:
        return _REPAIRS[word]
    near = difflib.get_close_matches(word, _DOMAIN_WORDS, n=1, cutoff=0.82)
    return near[0] if near else word


def _laptop(folded: str) -> Laptop | None:
    for laptop, pattern in (
        (GAMING, r"gaming|games?|falcon|choi game"),
        (OFFICE, r"office|work|school|study|programming|coding|atlas|van phong|hoc|lap trinh"),
        (DESIGN, r"design|video|photos?|canvas|thiet ke|do hoa"),
    ):
        if _found(pattern, folded):
            return laptop
    return None


_DAY = re.compile(
    r"thứ (?:hai|ba|tư|năm|sáu|bảy|[2-7])|chủ nhật|ngày mai|ngày kia|ngày mốt|cuối tuần"
    r"|thu (?:hai|ba|tu|nam|sau|bay)\b|chu nhat|ngay mai"
    r"|(?:next )?(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)|tomorrow|next week",
    re.IGNORECASE,
)


def _day(text: str) -> str:
    found = _DAY.search(unicodedata.normalize("NFC", text))
    return found[0] if found else ""


def _coupon(folded: str, text: str) -> str | None:
    """Return a coupon code: written as such, or the shop's own as it is spoken or misheard."""
    if re.search(r"\b(summer|some are|some more|sommer)\b", folded):
        return COUPON
    written = re.search(r"\b(?!DH)[A-Z]{3,}\d{2,}\b", text)
    return written[0] if written else None


def language_of(text: str) -> Language | None:
    """Return the language of a text, by its letters or its usual words; None when they do not tell.

    One word without diacritics does not make a text Vietnamese ("hang on", "may I").
    """
    if _VIETNAMESE_LETTERS.search(text.lower()):
        return "vi"
    words = fold(text).split()
    vietnamese = sum(word in _VIETNAMESE_WORDS for word in words)
    english = sum(word in _ENGLISH_WORDS for word in words)
    if vietnamese > english and vietnamese >= 2:
        return "vi"
    return "en" if english > vietnamese else None

"""Whether an answer means yes or no, in Vietnamese and English. In doubt it is neither."""

import re
import unicodedata
from typing import Literal

_WORDS = {
    "no": r"no|nope|nah|not|don't|do not|wrong|incorrect|never|stop|cancel|wait|khong|sai|chua|nham|huy|khoan"
    r"|thoi|dung lai",
    "yes": r"yes|yeah|yep|yup|correct|right|sure|exactly|ok|okay|absolutely|of course|please do|go ahead"
    r"|dung|phai|vang|da|u|uh|chinh xac|co|duoc|dong y|xac nhan|nhat tri",
}
# These settle an answer that has words of both kinds.
_FIRM = {
    "yes": r"(that's|that is|it is) (right|correct)|(dung|phai|chinh xac) (roi|a|vay)|khong sai",
    "no": r"not (right|correct|it|my|yet)|(is|it's) wrong|khong (dung|phai|duoc)|chua (dung|duoc)|dung lai",
}


def fold(text: str) -> str:
    """Return small letters without diacritics, words separated by one space.

    "đừng" (do not) and "dừng" (stop) would become "đúng" (right): they are written as no words first.
    """
    lowered = unicodedata.normalize("NFC", text.lower().replace("’", "'"))
    lowered = re.sub(r"\b(đừng|dừng)\b", "khong", lowered)
    plain = unicodedata.normalize("NFD", lowered.replace("đ", "d"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"[a-z']+|\d+", plain))


def yes_or_no(text: str) -> Literal["yes", "no"] | None:
    """Return what an answer to a yes/no question means; None when it says neither, or both."""
    folded = fold(text)
    yes, no = (_found(_WORDS[kind], folded) for kind in ("yes", "no"))
    # "…, không?" and "… được không" ask, they do not answer.
    if re.search(r"\b(duoc|co|phai|dung) khong$", folded):
        return None
    if _found(_FIRM["no"], folded):
        return "no" if not _found(_FIRM["yes"], folded) else None
    if _found(_FIRM["yes"], folded):
        return "yes"
    if yes == no:
        # "No, that's fine" is either; "không" with "dạ" is a polite no.
        return "no" if no and re.match(r"(da|vang)? ?(khong|thoi)", folded) else None
    return "yes" if yes else "no"


def _found(pattern: str, folded: str) -> bool:
    return re.search(rf"\b(?:{pattern})(?![\w'])", folded) is not None

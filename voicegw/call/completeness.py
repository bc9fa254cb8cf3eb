"""Does what the caller has said so far look finished? Vietnamese and English, from the words alone.

A recogniser puts a full stop behind nearly everything, so that a full stop proves little: a word that cannot
end a sentence ("and", "để", "của") outweighs it. What the agent asked for decides too: a number that is short
of its digits is not finished, and a "yes" to a yes/no question is.
"""

import re
import unicodedata
from enum import Enum, auto

from voicegw.call import ending_words as ends
from voicegw.call.number_words import digits_of


class Look(Enum):
    """How the words of a turn look."""

    DONE = auto()  # an answer that nothing is expected to follow
    LIKELY = auto()  # nothing speaks against it
    PENDING = auto()  # it can end like this, and often goes on: digits being read out, "and they said"
    OPEN = auto()  # something must follow


class Expected(Enum):
    """The shape of the answer that the agent's last words, or an open slot, ask for."""

    FREE = auto()
    YES_NO = auto()
    DIGITS = auto()  # telephone, account, order number: read out in groups
    EMAIL = auto()


# "And my brother" goes on from what was said before, and has so many words at most.
VERBLESS = 6
_ASKS_YES_NO_EN = re.compile(
    r"\b(?:is|are|was|do|does|did|can|could|would|will|shall|should|have|has|right|correct|may)\b[^.?!]*\?\s*$"
)
_ASKS_WHICH_EN = re.compile(r"\b(?:what|which|when|where|who|why|how|whose|or)\b[^.?!]*\?\s*$")
_ASKS_YES_NO_VI = re.compile(
    r"(?:\bkhông|\bchưa|\bphải không|\bđúng không|\bđược không)(?:\s+(?:ạ|anh|chị|nhỉ|vậy|em|bạn))*\s*\?\s*$"
)
_ASKS_DIGITS = re.compile(
    r"\b(?:number|digits?|code|phone|telephone|account|card|serial|số|mã|điện thoại|tài khoản|biển)\b"
)
_ASKS = re.compile(r"\?|\b(?:please|tell|give|read|say|spell|enter|cho|đọc|nhập|xin|cung cấp|nói)\b")
_ASKS_EMAIL = re.compile(r"\b(?:e-?mail|thư điện tử)\b")
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")
_BEHIND = " .!?…\"'”’"
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
# An address in the making: it has its "at" and no full end yet.
_EMAIL_OPEN = re.compile(r"(?:@|\bat\b|a còng|\bdot\b|\bchấm\b)(?:\s*[\w-]+)?\s*[.,]?\s*$")
_EMAIL_DONE = re.compile(r"(?:@|\bat\b|a còng).*(?:\.|dot\s+|chấm\s+)(?:com|net|org|vn|edu|gov|co|io)\.?\s*$")
# Fewer digits than this are hardly ever a whole number of the kinds that are read out in groups.
LEAST_DIGITS = 6
# Telephone and account numbers have at least so many: between the two it is a guess.
WHOLE_DIGITS = 9
# Whoever reads out so many digits in a row without having been asked for any is reading a number out.
READ_OUT = 3


def expected_from(agent_words: str) -> Expected:
    """Return what kind of answer the agent's last words ask for."""
    last = _SENTENCE.split(unicodedata.normalize("NFC", agent_words).strip().lower())[-1]
    if _ASKS_EMAIL.search(last) and _ASKS.search(last):
        return Expected.EMAIL
    yes_no = _ASKS_YES_NO_VI.search(last) or (
        _ASKS_YES_NO_EN.search(last) and not _ASKS_WHICH_EN.search(last)
    )
    if _ASKS_DIGITS.search(last) and _ASKS.search(last):
        # "Could you give me the number?" is polite, not a yes/no question; "Is the number right?" is one.
        if yes_no and not re.search(r"\b(?:give|tell|read|say|have|cho|đọc|biết)\b", last):
            return Expected.YES_NO
        return Expected.DIGITS
    return Expected.YES_NO if yes_no else Expected.FREE


def look_of(text: str, language: str, expected: Expected = Expected.FREE) -> Look:
    """Return how `text` looks in `language` ("vi", "en-US"), as an answer to what was `expected`."""
    text = unicodedata.normalize("NFC", text).strip().lower()
    words = [word.replace("’", "'") for word in _WORD.findall(text)]
    if not words:
        return Look.OPEN
    vietnamese = language.lower().startswith("vi")
    question = text.endswith("?")
    if expected is Expected.EMAIL and (_EMAIL_OPEN.search(text) or "@" in text or len(words) <= 2):
        return Look.DONE if _EMAIL_DONE.search(text) else Look.OPEN
    if _EMAIL_OPEN.search(text) and ("@" in text or "a còng" in text) and not _EMAIL_DONE.search(text):
        return Look.OPEN
    if text.endswith(("...", "…", "-", "–", ",", ":", ";")):
        return Look.OPEN
    if expected is Expected.DIGITS:
        count = len(re.sub(r"\D", "", digits_of(text, language) or ""))
        if 0 < count < LEAST_DIGITS:
            return Look.OPEN
        if 0 < count < WHOLE_DIGITS:
            return Look.PENDING
    if expected is Expected.YES_NO and all(word in ends.YES_NO for word in words):
        return Look.DONE
    sentence = _SENTENCE.split(text.rstrip(_BEHIND))[-1].replace("’", "'")
    plain = " ".join(_WORD.findall(sentence))
    if expected is Expected.YES_NO and ends.ANSWER_TO_YES_NO.search(plain):
        return Look.DONE
    if not question and _ends_open(words, plain, vietnamese=vietnamese):
        return Look.OPEN
    if question or (vietnamese and words[-1] in ends.END_VI and len(words) > 1):
        return Look.DONE
    if expected is Expected.FREE and (
        _reads_out(words, language) or _half_said(sentence, vietnamese=vietnamese)
    ):
        return Look.PENDING
    return Look.LIKELY


def _reads_out(words: list[str], language: str) -> bool:
    """Whether the last words are single digits."""
    last = words[-READ_OUT:]
    return len(last) == READ_OUT and all(len(digits_of(word, language) or "") == 1 for word in last)


def _half_said(sentence: str, *, vietnamese: bool) -> bool:
    """Whether it tells that somebody spoke and not what, a condition only, or of whom without what."""
    if ends.SAYING.search(sentence):
        return True
    if ends.CONDITION.search(sentence) and not ends.CONSEQUENCE.search(sentence):
        return True
    words = sentence.split()
    if not ends.GOES_ON.search(sentence) or not 2 < len(words) <= VERBLESS:
        return False
    verb = ends.VERB_VI if vietnamese else ends.VERB_EN
    return not any(verb.search(word) for word in words)


def _ends_open(words: list[str], sentence: str, *, vietnamese: bool) -> bool:
    """Whether the last word wants another one."""
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if f"{before} {last}" in (ends.OPEN_PAIRS_VI if vietnamese else ends.OPEN_PAIRS_EN):
        return not ends.SHORT_ANSWER.search(sentence)
    if last not in (ends.OPEN_VI if vietnamese else ends.OPEN_EN):
        return False
    if before in (ends.CLOSED_VI if vietnamese else ends.CLOSED_EN).get(last, ()):
        return False
    if not before and last in ends.ANSWERS:
        return False
    return not ends.SHORT_ANSWER.search(sentence)

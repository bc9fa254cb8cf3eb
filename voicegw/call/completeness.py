"""Does what the caller has said so far look finished? Vietnamese and English, from the words alone.

A recogniser puts a full stop behind nearly everything, so that a full stop proves little: a word that cannot
end a sentence ("and", "để", "của") outweighs it. What the agent asked for decides too: a number that is short
of its digits is not finished, and a "yes" to a yes/no question is.
"""

import re
import unicodedata
from enum import Enum, auto

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


def _set(words: str) -> list[str]:
    return words.split()


# Words that no sentence ends with: conjunctions, prepositions, articles, auxiliaries, fillers.
_OPEN_EN = frozenset(
    _set(
        "and or but so because if when while although though that which who whose whom where whether than "
        "then as of to for from with without in into on onto at by about between under over through during "
        "before until since the a an my your his her its our their this these some any every each no is are "
        "was were am be been will would can could should shall may might must do does did have has had i'm "
        "i'll i'd i've it's we're you're they're um uh uhm er erm hmm hm well like plus also not very "
        "really just maybe"
    )
)

_OPEN_VI = frozenset(
    _set(
        "và hoặc hay nhưng mà thì là vì nếu khi để cho của với từ đến tới ở tại trong ngoài trên dưới bằng "
        "về theo các những một mấy cái chiếc con cuốn quyển bộ mỗi mọi rất quá hơi đang sẽ đã bị được có "
        "muốn cần phải nên còn cũng vẫn chỉ hơn như tên số mã ờ ờm à ừm ừ ậm ơ tức rằng do tuy dù cùng giữa "
        "sau trước"
    )
)
_OPEN_VI_PAIRS = frozenset(
    ("bởi vì", "cho nên", "thế thì", "với lại", "tại vì", "ví dụ", "tức là", "nghĩa là", "kiểu như", "tên là",
     "số là", "mã là", "hay là", "hoặc là", "mà là", "nhưng mà", "là ở", "ở số")
)  # fmt: skip
_OPEN_EN_PAIRS = frozenset(
    ("my name", "my number", "number is", "it is", "as well", "you know", "i mean", "such as", "want to",
     "need to", "going to", "the number", "i was", "i am", "order number", "kind of", "sort of")
)  # fmt: skip
# What was said or asked usually follows.
_SAYING = frozenset(_set("said says told asked replied nói bảo hỏi"))
# Politeness and question particles: a Vietnamese sentence that ends with one of these has ended.
_END_VI = frozenset(_set("ạ nhé nha nhá không chưa hả vậy đấy đó rồi thôi nào sao gì đâu ơi luôn vâng dạ"))

_YES_NO = frozenset(
    _set(
        "yes yeah yep yup no nope nah sure okay ok right correct exactly please vâng dạ ừ có không phải "
        "đúng rồi được ạ chưa ừm thôi em anh chị thanks thank you"
    )
)
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
    last = re.split(r"(?<=[.!?])\s+", unicodedata.normalize("NFC", agent_words).strip().lower())[-1]
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
    if expected is Expected.YES_NO and all(word in _YES_NO for word in words):
        return Look.DONE
    if _ends_open(words, vietnamese=vietnamese) and not question:
        return Look.OPEN
    if question or (vietnamese and words[-1] in _END_VI and len(words) > 1):
        return Look.DONE
    if words[-1] in _SAYING or (expected is Expected.FREE and _reads_out(words, language)):
        return Look.PENDING
    return Look.LIKELY


def _reads_out(words: list[str], language: str) -> bool:
    """Whether the last words are single digits."""
    last = words[-READ_OUT:]
    return len(last) == READ_OUT and all(len(digits_of(word, language) or "") == 1 for word in last)


def _ends_open(words: list[str], *, vietnamese: bool) -> bool:
    last, pair = words[-1], " ".join(words[-2:])
    if vietnamese:
        return (last in _OPEN_VI and last not in _END_VI) or pair in _OPEN_VI_PAIRS
    return last in _OPEN_EN or pair in _OPEN_EN_PAIRS

"""Words that a caller's turn may or may not end with, in English and Vietnamese.

Data for `completeness.py`. Whoever ends with a word that no sentence ends with is waited for; but most such
words do end one in some company ("I think so", "log in", "yes, I do", "giúp em với", "số một"), and who has
finished must not wait. All in lower case, Vietnamese with its marks in NFC.
"""

import re


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Conjunctions, prepositions, articles, auxiliaries, fillers.
OPEN_EN = _set(
    "and or but so because if when while although which who whose whom where whether than then as of "
    "to for from with without in into on onto at by about between under over through during before "
    "until since the a an my your his its our their some every is are was were am be been will would "
    "can could should shall may might must do does did have has had i'm i'll i'd i've it's we're "
    "you're they're um uh uhm er erm hmm hm well like plus also not very really just maybe"
)
OPEN_VI = _set(
    "và hoặc hay nhưng mà thì là vì nếu khi để cho của với từ ở tại trong ngoài trên dưới bằng theo "
    "các những một mấy cái chiếc con cuốn quyển bộ mỗi mọi rất hơi đang sẽ đã bị có muốn cần phải nên "
    "còn cũng vẫn chỉ như tên số mã ờ ờm à ừm ừ ậm ơ tức rằng do tuy dù cùng giữa"
)
OPEN_PAIRS_EN = frozenset(
    ("my name", "my number", "number is", "it is", "you know", "i mean", "such as", "want to", "need to",
     "going to", "the number", "order number", "kind of", "sort of", "think that", "thought that",
     "said that", "told that", "is that", "was that", "one that", "thing that", "hope that", "believe that",
     "me that", "even though")
)  # fmt: skip
OPEN_PAIRS_VI = frozenset(
    ("bởi vì", "cho nên", "thế thì", "với lại", "tại vì", "ví dụ", "tức là", "nghĩa là", "kiểu như", "tên là",
     "số là", "mã là", "hay là", "hoặc là", "mà là", "nhưng mà", "là ở", "ở số", "gửi đến", "giao đến",
     "chuyển đến", "cho đến", "quan đến", "gửi tới", "giao tới", "hỏi về", "nói về", "tin về", "biết về",
     "sau khi", "trước khi")
)  # fmt: skip

_COUNTS_VI = "một hai ba bốn tư năm sáu bảy tám chín mười không vài mấy"
# Behind one of these the word ends a sentence after all.
CLOSED_EN = {
    "so": _set("think thought hope say said guess suppose believe if why even"),
    "not": _set(
        "not why course hope guess suppose probably certainly definitely absolutely or if i'm it's you're "
        "we're they're am is are was were do does did can could will would should"
    ),
    "then": _set("until till by since okay ok back just now you"),
    "when": _set("know sure remember since until say"),
    "where": _set("know sure remember"),
    "who": _set("know sure remember"),
    "which": _set("know sure remember"),
    "whether": _set("know"),
    "while": _set("a"),
    "because": _set("just"),
    "of": _set("know think heard"),
    "by": _set("stand come close near passed"),
    "in": _set(
        "in log logged logging sign signed check checked checking come came coming get plug plugged fill "
        "move moved"
    ),
    "on": _set("turn turned turning hold come go going later switch switched put it's"),
    "over": _set("it's is all start"),
    "through": _set("get got getting put go went come came going"),
    "before": _set(
        "before never ever day week month year night called seen once did times there here it that this "
        "him them"
    ),
    "since": _set("ever"),
    "be": _set("could might may"),
    "well": _set("as very not i'm am feel feeling work works working worked go went pretty quite"),
    "like": _set("looks look looked sounds sound feels tastes"),
    "also": _set("me"),
    "really": _set("not"),
    "maybe": _set("yes no yeah well"),
}
CLOSED_VI = {
    "có": _set("không dạ vâng vẫn cũng chưa đâu"),
    "muốn": _set("không dạ vâng chưa"),
    "cần": _set("không dạ vâng chưa"),
    "phải": _set("không dạ vâng chưa"),
    "nên": _set("không"),
    "còn": _set("không dạ vâng vẫn hết chẳng"),
    "bị": _set("không dạ có"),
    "trong": _set("bên phía mặt"),
    "ngoài": _set("bên phía mặt"),
    "trên": _set("bên phía mặt ở"),
    "dưới": _set("bên phía mặt ở"),
    "một": _set(_COUNTS_VI + " số thứ tháng tầng loại lớp ngày chủ"),
    "mấy": _set("số thứ tầng giờ lúc ngày tháng không"),
    "cái": _set(_COUNTS_VI),
    "chiếc": _set(_COUNTS_VI),
    "con": _set(_COUNTS_VI),
    "cuốn": _set(_COUNTS_VI),
    "quyển": _set(_COUNTS_VI),
    "bộ": _set(_COUNTS_VI + " đi toàn"),
    "hay": _set("rất khá cũng thật"),
    "cùng": _set("cuối đi về ở làm"),
    "mà": _set("rồi đâu phải"),
    "với": _set("em tôi mình con cháu anh chị nhé"),
    "đã": _set("chờ đợi khoan từ chút"),
    "tại": _set("hiện tồn"),
    "ở": _set("chỗ nơi nhà"),
    "theo": _set("đi kèm làm gửi mang"),
    "từ": _set("từ"),
    "giữa": _set("ở"),
    "à": _set("vậy thế rồi sao không hả đấy đó ạ"),
    "ừ": _set("ừ"),
    "tên": _set("không"),
}
# Alone they are answers.
ANSWERS = _set("maybe really not well ừ có phải muốn cần còn hay")
# "Yes, I do", "no, it isn't": the auxiliary ends it, as in "as soon as I can" and "that's all I have".
_WHO = "(?:i|you|we|they|he|she|it|that|this|there|those|these)"
_AUXILIARY = (
    "(?:am|is|are|was|were|do|does|did|have|has|had|can|could|will|would|should|might|must)"
    "(?:n't| not)?(?: really)?"
)
SHORT_ANSWER = re.compile(
    rf"^(?:yes|no|yeah|yep|nope|sure|of course)(?: \w+)? {_WHO} {_AUXILIARY}$"
    rf"|\b(?:if|as|where|what|who|how|when|all|than) {_WHO} {_AUXILIARY}$"
)
ANSWER_TO_YES_NO = re.compile(rf"^(?:\w+ )?{_WHO} {_AUXILIARY}$")

# Politeness and question particles: a Vietnamese sentence that ends with one of these has ended.
END_VI = _set("ạ nhé nha nhá không chưa hả vậy đấy đó rồi thôi nào sao gì đâu ơi luôn vâng dạ")
YES_NO = _set(
    "yes yeah yep yup no nope nah sure okay ok right correct exactly please vâng dạ ừ có không phải "
    "đúng rồi được ạ chưa ừm thôi em anh chị thanks thank you"
)

# What was said or asked usually follows: "and the driver told me", "said the man", "rồi họ bảo em".
SAYING = re.compile(
    r"\b(?:said|says|told|asked|replied|answered)(?: to)?(?: (?:he|she|they|i|we|me|us|him|them|"
    r"(?:the|my|our|his|her|mr|mrs|ms|mister) \w+))?$"
    r"|\b(?:nói|bảo|hỏi)(?: với)?(?: (?:là|tôi|em|anh|chị|mình|con|cháu|họ))?$"
)
# A condition or a time comes first, its consequence second; a comma, "then" or "thì" tells that it is there.
# A question ("when does it come") is none.
CONDITION = re.compile(
    r"^(?:and |but |so )?(?:(?:if|unless|although|though|even though|whenever) "
    r"|(?:when|while) (?!(?:do|does|did|is|are|was|were|will|would|can|could|should|have|has)\b))"
    r"|^(?:và |nhưng )?(?:nếu|khi|lúc|hễ|mặc dù|dù|tuy|trong khi|sau khi|trước khi|từ khi) (?!nào)"
)
CONSEQUENCE = re.compile(r",|\b(?:then|thì|nhưng)\b")
# "And my brother", "nhưng chiếc xe": what goes on from before and has no verb yet (nor a noun like one).
GOES_ON = re.compile(r"^(?:and|but|so|now)\b|^(?:và|nhưng|còn|thế)\b")
VERB_EN = re.compile(
    r"'|^(?:am|is|are|was|were|be|been|do|does|did|done|have|has|had|can|could|will|would|shall|should|may|might|must|"
    r"need|needs|want|wants|get|gets|got|go|goes|went|come|comes|came|say|says|said|tell|told|ask|know|knew|think|"
    r"thought|see|saw|take|took|give|gave|make|made|let|like|love|hope|send|sent|bring|"
    r"brought|buy|bought|pay|paid|put|read|keep|kept|leave|left|lost|broke|found|find|cancel|"
    r"wait|thanks|thank|please|yes|no|not|\w+ed|\w+ing)$"
)
VERB_VI = re.compile(
    r"^(?:là|có|không|chưa|bị|được|muốn|cần|phải|đi|đến|tới|về|ra|vào|lên|đặt|mua|bán|gọi|nói|bảo|hỏi|biết|thấy|nghĩ|"
    r"xem|nhìn|lấy|đưa|cho|gửi|nhận|làm|giúp|dùng|hủy|đổi|trả|thanh|chờ|đợi|mất|hỏng|hư|tìm|thử|ở|đang|đã|sẽ|cảm|xin|"
    r"vâng|dạ|ạ|nhé|rồi|thôi|nữa)$"
)

"""Words that decide where a sentence ends, per language. Data only.

An abbreviation is written without its last full stop, inner ones included (`e.g`, `Th.S`), in the case in
which it is used: "No." is number, "no." is an answer. The groups say what the character or word behind the
stop has to be for a sentence to end there:

    titles     never an end: a name or a place follows (Mr., Dr., TP., PGS.)
    numbered   an end unless a number follows (No. 5, Fig. 2)
    tails      an end unless the text goes on in lower case or with a number (5 p.m. today; v.v. và)
    hours      an end unless a day or a time zone follows (5 p.m. Monday, 3 p.m. EST)
    initials   an end only before a word that opens sentences (the U.S. We …; Q. Bình Thạnh)

The group of initials also takes every single capital letter and every "x.y" of parts of one or two letters;
it needs no list except where a language uses small letters so.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class SentenceWords:
    """What one language knows about full stops and about where a long sentence may be cut."""

    titles: frozenset[str]
    numbered: frozenset[str]
    tails: frozenset[str]
    initials: frozenset[str]
    hours: frozenset[str]
    behind_hours: frozenset[str]
    starters: frozenset[str]  # with a capital: words that open a sentence and are hardly ever part of a name
    links: frozenset[str]  # lower case: a long sentence is best cut before one of these
    leads: frozenset[str]  # lower case: and worst behind one of these, which need the next word


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Titles that are a street behind a house number ("12 Main St.", "8 Ocean Dr.") and may then end a sentence.
STREETS = frozenset({"St", "Dr"})

_EN_TITLES = _words(
    """
    Mr Mrs Ms Mx Messrs Dr Drs Prof Rev Fr Hon Pres Gov Sen Rep Gen Col Maj Capt Lt Sgt Cpl Cmdr St Mt
    Ft vs e.g i.e eg ie cf viz approx al c.f Attn
    """
)
_EN_NUMBERED = _words("No Nos no.s N° № Fig Figs Ext ext Apt Art Sec Ch Vol vol Nr nr p pp Ste Rm Tel tel")
_EN_TAILS = _words(
    """
    etc Inc Ltd
    Co co st ave Corp LLC Bros Jr Sr Esq Ave Blvd Rd Ln Hwy Sq Pl Bldg Dept dept est
    Est Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue Tues Wed Thu Thur Thurs Fri min max hr
    hrs mins sec secs oz lb lbs ft kg km cm Ph.D M.D B.A M.A B.Sc M.Sc Univ misc incl excl
    """
)
_HOURS = _words("a.m p.m A.M P.M")
_BEHIND_HOURS = _words(
    """
    Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mon Tue Tues Wed Thu Thur Thurs Fri Sat Sun
    January February March April June July August September October November December
    EST EDT CST CDT MST MDT PST PDT ET CT MT PT GMT BST CET UTC ICT Eastern Central Mountain Pacific
    """
)
_EN_STARTERS = _words(
    """
    The A An I We You He She It They This That These Those There Here My Our Your His Her Its Their If
    When While What Where Why Who Which How Is Are Was Were Am Do Does Did Has Have Had Can Could Would
    Will Should May Might Must Shall Please Thank Thanks Sorry Yes No Ok OK Okay Sure Great Well Now
    Then So But And Or Also Just Let Not For In On At To As By With From After Before Since Once Until
    Because Although However Anyway Next First Take Call Ask Tell Give Use Check Press Hold Wait Try Go
    Come Keep Is Any All Some Each Every Both Today Tomorrow
    """
)
_EN_LINKS = _words(
    """
    and but or so because since although though while when where which who that if unless until before
    after then to for with from as than whether
    """
)
_EN_LEADS = _words(
    """
    the a an of to in on at by for with from and or but is are was were be been has have had will would can
    could my your our his her its their this that these those very more most than as not no
    """
)

# Vietnamese short forms that cannot be mistaken in an English text, so that both languages know them: city,
# degrees, company, telephone; and so on.
_VI_TITLES_EVERYWHERE = _words("TP Tp tp Th.S ThS Ths PGS Pgs GS Gs GS.TS PGS.TS BS.CK Cty cty ĐT SĐT Đc")
_VI_TAILS_EVERYWHERE = _words("v.v v..v V.v")

# TX (town), TT (township), Đ (street), degrees, VD (for example), NXB (publisher), Tr (page).
_VI_TITLES = _words(
    """
    TX Tx tx TT Tt TS Ts BS Bs bs DS Ds KS Ks LS Ls CN CK CKI CKII NCS NGND NSND NSƯT Đ VD Vd vd NXB Nxb
    Tr T.P T.x Tel ĐC Hotline
    """
)
# q (district), p (ward), h (rural district), x (commune); with a capital they are initials anyway.
_VI_INITIALS = _words("q p h x")
_VI_STARTERS = _words(
    """
    Anh Chị Em Dạ Vâng Bạn Mình Quý Cô Chú Bác Ông Bà Tôi Chúng Nếu Khi Để Cho Đơn Hàng Hiện Bên Xin Cảm
    Vui Còn Và Nhưng Vì Do Theo Sau Trước Có Không Được Hôm Ngày Giá Phí Tổng Thời Địa Mã Sản Shop Cửa
    Nhân Hệ Mời Rất Đây Đó Nay Vậy Thế Thì Ngoài Tuy Tuần Tháng Sáng Chiều Tối Ai Gì Sao Đã Đang Sẽ Phải
    Nên Hãy Giờ Bây Tại Ở Với Từ Trong Trên Một Hai Các Những Mỗi Ừ Alo Chào Rồi À
    """
)
_VI_LINKS = _words(
    """
    và nhưng hoặc hay để nên vì nếu khi thì mà là do bởi tuy cho với từ tại trong sau trước rồi còn cùng
    cũng đến bằng như
    """
)
_VI_LEADS = _words(
    """
    của là và hoặc hay các những một mỗi từng rất hơi quá không chưa đã đang sẽ bị được cho với ở tại từ đến
    mà thì số mã giá nếu vì để trong trên dưới về theo như bằng hơn cái chiếc con mẫu
    """
)

_ENGLISH = SentenceWords(
    titles=_EN_TITLES | _VI_TITLES_EVERYWHERE,
    numbered=_EN_NUMBERED,
    tails=_EN_TAILS | _VI_TAILS_EVERYWHERE,
    initials=frozenset(),
    hours=_HOURS,
    behind_hours=_BEHIND_HOURS,
    starters=_EN_STARTERS,
    links=_EN_LINKS,
    leads=_EN_LEADS,
)
# English sentence openers that are Vietnamese given names: "Nguyễn V. An" is one name.
_VI_NAMES = _words("An A May")
# A Vietnamese reply is full of English names and terms, so it knows both.
_VIETNAMESE = SentenceWords(
    titles=_ENGLISH.titles | _VI_TITLES,
    numbered=_ENGLISH.numbered - _VI_INITIALS,
    tails=_ENGLISH.tails,
    initials=_VI_INITIALS,
    hours=_HOURS,
    behind_hours=_BEHIND_HOURS,
    starters=(_ENGLISH.starters - _VI_NAMES) | _VI_STARTERS,
    links=_ENGLISH.links | _VI_LINKS,
    leads=_ENGLISH.leads | _VI_LEADS,
)


def sentence_words(language: str) -> SentenceWords:
    """Return the words of a language tag (`vi`, `vi-VN`, `en`, …); an unknown one gets the English words."""
    return _VIETNAMESE if language.lower().startswith("vi") else _ENGLISH

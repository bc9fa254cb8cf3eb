"""Which words a caller can have ended with: who hesitates is waited for, who has finished is not."""

import pytest

from voicegw.call.completeness import Expected, Look, look_of
from voicegw.call.end_of_turn import EndOfTurn
from voicegw.config import TurnSettings

OPEN, LIKELY, PENDING, DONE = Look.OPEN, Look.LIKELY, Look.PENDING, Look.DONE


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ("I want the", OPEN),
        ("A large pizza with", OPEN),
        ("I want to go to", OPEN),
        ("The problem is that", OPEN),
        ("I'd like some", OPEN),
        ("I do.", OPEN),
        ("I think so.", LIKELY),
        ("Yes, I do.", LIKELY),
        ("No, it isn't.", LIKELY),
        ("As soon as I can.", LIKELY),
        ("That's all I have.", LIKELY),
        ("I can't log in.", LIKELY),
        ("It won't turn on.", LIKELY),
        ("I've never been there before.", LIKELY),
        ("The blue one as well.", LIKELY),
        ("Not really.", LIKELY),
        ("No.", LIKELY),
        ("Maybe.", LIKELY),
        ("When I opened the box yesterday.", PENDING),
        ("When I opened the box, the screen was broken.", LIKELY),
        ("If it rains then I will come on Monday.", LIKELY),
        ("When does it arrive", LIKELY),
        ("And the driver told me.", PENDING),
        ("I told you.", LIKELY),
        ("But my other order.", PENDING),
        ("But my other order is late.", LIKELY),
    ],
)
def test_english_endings(text: str, look: Look) -> None:
    """A full stop of the recogniser's proves nothing, and a preposition not much."""
    assert look_of(text, "en") is look


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ("em muốn đặt một", OPEN),
        ("em muốn", OPEN),
        ("tên em là", OPEN),
        ("gửi đến", OPEN),
        ("em hỏi về", OPEN),
        ("ờ", OPEN),
        ("thứ hai tuần sau", LIKELY),
        ("Đắt quá.", LIKELY),
        ("rẻ hơn", LIKELY),
        ("Dạ có.", LIKELY),
        ("Dạ không có.", LIKELY),
        ("Giúp em với.", LIKELY),
        ("số nhà chín một", LIKELY),
        ("cho em hai cái", LIKELY),
        ("chờ đã", LIKELY),
        ("vậy à", LIKELY),
        ("Ừ.", LIKELY),
        ("thế cũng được", LIKELY),
        ("tháng tới", LIKELY),
        ("Nếu mai em đến.", PENDING),
        ("Nếu mai em đến thì anh giữ giúp.", LIKELY),
        ("Khi tôi mở hộp ra.", PENDING),
        ("khi nào giao hàng", LIKELY),
        ("Rồi họ bảo em.", PENDING),
        ("Nhưng chiếc xe màu đỏ.", PENDING),
        ("Nhưng tôi không biết.", LIKELY),
    ],
)
def test_vietnamese_endings(text: str, look: Look) -> None:
    """Many a word that begins something ends a sentence in other company."""
    assert look_of(text, "vi") is look


def test_a_short_answer_to_a_yes_no_question_is_complete() -> None:
    """ "I do" is half a sentence, and a whole answer."""
    assert look_of("I do.", "en", Expected.YES_NO) is DONE
    assert look_of("yes it is", "en", Expected.YES_NO) is DONE


def test_a_long_number_may_end_in_one() -> None:
    """ "Một" is an article as well."""
    number = "không chín một hai ba bốn năm sáu bảy một"
    assert look_of(number, "vi", Expected.DIGITS) is LIKELY


def test_a_missing_full_stop_counts_where_the_recogniser_writes_them() -> None:
    """Whisper leaves it away behind half a sentence more often than behind a whole one; others write none."""
    end = EndOfTurn(TurnSettings(), "vi")
    marked, bare = "Em muốn đặt phòng.", "Em muốn đặt phòng"
    assert end.needed(bare) > end.needed(marked)
    end.finished("em muốn đặt hai phòng")
    assert end.needed(bare) == end.needed(marked)
    end.finished("Dạ, vâng.")
    assert end.needed(bare) > end.needed(marked)


def test_the_end_of_a_turn_waits_longer_the_more_the_noise_hides() -> None:
    """Where the voice is only just louder than the room, whole words are not heard."""
    end = EndOfTurn(TurnSettings(), "en")
    needed = [end.needed("My order is late.", contrast_db=db) for db in (40, 22, 17, 13, 9)]
    assert needed[0] == needed[1]
    assert needed == sorted(needed)
    assert needed[4] > needed[3] > needed[2] > needed[1]

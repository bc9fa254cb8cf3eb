"""From samples played to words heard: never a word too many."""

from hypothesis import given
from hypothesis import strategies as st

from voicegw.call.playback import Playback
from voicegw.call.spoken_form import Said, SpokenForm
from voicegw.rehearsal.script import word_times

SENTENCE = "Your order left the warehouse this morning."
VIETNAMESE = "Dạ, đơn hàng của mình đang trên đường giao ạ."


def played(text: str, samples: int, of: int, *, complete: bool = True) -> Playback:
    """One sentence said as it is written, and how far it was played."""
    return said_and_played(Said(text, text), samples, of, complete=complete)


def said_and_played(said: Said, samples: int, of: int, *, complete: bool = True) -> Playback:
    """One sentence, and how far it was played."""
    playback = Playback()
    playback.queue(1, said, "reply")
    spoken = playback.get(1)
    assert spoken is not None
    spoken.samples, spoken.complete, spoken.played, spoken.begun = of, complete, samples, True
    return playback


def test_a_word_counts_when_it_was_heard_to_its_end() -> None:
    """ "Your or" is not "Your order"."""
    per_char = 960
    of = len(SENTENCE) * per_char
    assert played(SENTENCE, 10 * per_char - 1, of).heard_text == "Your"
    assert played(SENTENCE, 10 * per_char, of).heard_text == "Your order"
    assert played(SENTENCE, 0, of).heard_text == ""
    # All but the report that it is done: the last word may still be missing.
    assert played(SENTENCE, of, of).heard_text == "Your order left the warehouse this"


@given(
    text=st.sampled_from([SENTENCE, VIETNAMESE, "Vâng.", "a b c d", "1,234,567 đồng"]),
    per_char=st.integers(400, 2000),
    share=st.floats(0, 1),
)
def test_with_known_word_times_there_is_never_a_word_too_many(text: str, per_char: int, share: float) -> None:
    """And never more than the word that was cut is missing."""
    of = len(text) * per_char
    samples = int(of * share)
    really = [word for word in word_times(text, of) if word.end_ms <= samples]
    heard = played(text, samples, of).heard_text.split()
    assert heard == [word.word for word in really][: len(heard)]
    assert len(heard) >= len(really) - 1


PRICE = SpokenForm("vi").say("Máy này giá 20.990.000đ và mã là DH123456, giao ngày 24/11 ạ.")


def test_a_price_counts_when_all_of_it_was_said() -> None:
    """Half of "twenty million nine hundred thousand" is another price."""
    per_char = 960
    of = len(PRICE.spoken) * per_char
    end = PRICE.spoken.index(" đồng") + len(" đồng")
    assert said_and_played(PRICE, (end - 1) * per_char, of).heard_text == "Máy này giá"
    assert said_and_played(PRICE, end * per_char, of).heard_text == "Máy này giá 20.990.000đ"


@given(per_char=st.integers(400, 2000), share=st.floats(0, 1))
def test_what_is_said_differently_is_heard_as_it_was_written(per_char: int, share: float) -> None:
    """The history holds the written words, and never one whose speech was not over."""
    of = len(PRICE.spoken) * per_char
    samples = int(of * share)
    heard = said_and_played(PRICE, samples, of).heard_text
    assert PRICE.written.startswith(heard)
    really = " ".join(word.word for word in word_times(PRICE.spoken, of) if word.end_ms <= samples)
    assert really.startswith(SpokenForm("vi").say(heard).spoken.rstrip(","))


def test_an_incomplete_sentence_is_measured_by_estimate() -> None:
    """While it streams, its length is not known: what has arrived is not all of it."""
    # 15 characters a second: one second of a sentence of 43 characters.
    assert played(SENTENCE, 16_000, 16_000, complete=False).heard_text == "Your order left"


def test_an_apology_is_heard_but_not_remembered() -> None:
    """Two different questions: what the caller knows, and what the model said."""
    playback = Playback()
    playback.queue(1, Said("Here it is.", "Here it is."), "reply")
    playback.queue(2, Said("I am sorry.", "I am sorry."), "apology", remembered=False)
    for speech_id in (1, 2):
        spoken = playback.get(speech_id)
        assert spoken is not None
        spoken.begun = spoken.done = True
    assert playback.heard_text == "Here it is. I am sorry."
    assert " ".join(playback.remembered_texts) == "Here it is."


def test_a_sentence_whose_audio_has_run_out_does_not_sound() -> None:
    """That is when the caller's patience must run."""
    assert played(SENTENCE, 1000, 8000, complete=False).sounding
    assert not played(SENTENCE, 8000, 8000, complete=False).sounding
    assert played(SENTENCE, 8000, 8000).sounding

"""Start and end of the caller's turns."""

from typing import Any

from voicegw.audio.pcm import SAMPLES_PER_MS
from voicegw.call.turns import Phase, Step, Turns, Utterance
from voicegw.config import TurnSettings


def settings(**given: Any) -> TurnSettings:
    """One pause ends the turn whether its words have come or not."""
    return TurnSettings(**{"pause_ms": 300, "end_ms": 700, "acoustic_end_ms": 700, **given})


def at(ms: int) -> int:
    """Milliseconds as samples."""
    return ms * SAMPLES_PER_MS


def test_a_turn_is_transcribed_after_a_short_pause_and_over_after_a_long_one() -> None:
    """The transcript is ready when the end is sure."""
    turns = Turns(settings())
    assert turns.voice_began(at(1000)) is None
    assert turns.voice_ended(at(2000)) == at(2300)
    step = turns.pause_reached(at(2300))
    assert step.transcribe == Utterance(1, at(700), at(2300))
    assert step.watch == at(2700)
    assert turns.transcribed(1, "Hello.")
    over = turns.over
    assert turns.pause_reached(at(2700)) == Step()
    assert (over, turns.over, turns.text) == (False, True, "Hello.")


def test_a_turn_at_the_start_of_the_call_begins_with_its_first_sample() -> None:
    """There is no audio before it to be taken along."""
    turns = Turns(settings())
    turns.voice_began(at(100))
    assert turns.from_sample == 0


def test_a_voice_in_the_pause_makes_the_transcript_useless() -> None:
    """Half a sentence transcribed by itself says something else."""
    turns = Turns(settings())
    turns.voice_began(at(1000))
    turns.voice_ended(at(2000))
    half = turns.pause_reached(at(2300)).transcribe
    assert turns.voice_began(at(2400)) == half
    assert not turns.transcribed(1, "half")
    turns.voice_ended(at(3000))
    whole = turns.pause_reached(at(3300)).transcribe
    assert whole == Utterance(2, at(700), at(3300))


def test_a_report_that_is_older_than_the_newest_voice_changes_nothing() -> None:
    """It was on its way when the caller went on; the pause to come is watched as ever."""
    turns = Turns(settings())
    turns.voice_began(at(1000))
    turns.voice_ended(at(2000))
    turns.voice_began(at(2100))
    assert turns.pause_reached(at(2300)) == Step()
    turns.voice_ended(at(2500))
    assert turns.pause_reached(at(2300)) == Step(watch=at(2800))


def test_pieces_of_a_long_turn_join_into_one_text() -> None:
    """The full stop at a cut was the recogniser's guess."""
    turns = Turns(settings(max_turn_s=5))
    turns.voice_began(at(1000))
    assert turns.voice_goes_on(at(5600)) is None
    piece = turns.voice_goes_on(at(5700))
    assert piece == Utterance(1, at(700), at(5700))
    turns.voice_ended(at(8000))
    rest = turns.pause_reached(at(8300)).transcribe
    assert rest == Utterance(2, at(5700), at(8300))
    turns.pause_reached(at(8700))
    turns.transcribed(2, "and the rest.")
    over = turns.over
    turns.transcribed(1, "The beginning.")
    assert (over, turns.over) == (False, True)
    assert turns.text == "The beginning and the rest."


def test_a_failed_guess_is_made_again_and_a_failed_piece_tears_the_turn() -> None:
    """Only what can still be asked for is forgiven."""
    turns = Turns(settings(max_turn_s=5))
    turns.voice_began(at(0))
    piece = turns.voice_goes_on(at(5000))
    turns.voice_ended(at(7000))
    turns.pause_reached(at(7300))
    assert turns.failed(2)
    torn = turns.torn
    fresh = turns.pause_reached(at(7700)).transcribe
    assert fresh == Utterance(3, at(5000), at(7700))
    assert piece is not None
    assert turns.failed(piece.utterance_id)
    assert (torn, turns.torn) == (False, True)
    assert not turns.failed(99)


def test_a_turn_that_is_dealt_with_leaves_nothing() -> None:
    """The next one begins anew."""
    turns = Turns(settings())
    turns.voice_began(at(1000))
    turns.voice_ended(at(2000))
    turns.pause_reached(at(2300))
    assert [utterance.utterance_id for utterance in turns.reset()] == [1]
    assert turns.phase is Phase.QUIET
    assert turns.wanted == []
    assert not turns.over


def test_the_voice_that_reopens_a_turn_comes_behind_its_words() -> None:
    """The words that were transcribed are not asked for a second time."""
    turns = Turns(settings())
    turns.voice_began(at(1000))
    turns.voice_ended(at(3000))
    turns.pause_reached(at(3700))
    turns.transcribed(1, "I want two.")
    said = turns.reset()
    turns.voice_began(at(5000))
    turns.reopen(said)
    turns.voice_ended(at(6000))
    turns.pause_reached(at(6700))
    turns.transcribed(2, "No, three.")
    assert turns.text == "I want two. No, three."


def test_a_short_tail_goes_with_the_piece_before_it() -> None:
    """Whisper makes little of half a word: both are transcribed as one, in place of the piece."""
    turns = Turns(settings(max_turn_s=5))
    turns.voice_began(at(1000))
    piece = None
    for now in range(1100, 6200, 100):
        piece = turns.voice_goes_on(at(now), -20) or piece
    assert piece is not None
    turns.voice_ended(at(6200))
    step = turns.pause_reached(turns.last_voice + at(300))
    assert step.transcribe is not None
    assert step.transcribe.from_sample == piece.from_sample
    assert step.cancel == [piece]
    assert turns.wanted == [step.transcribe]


def test_noise_behind_the_last_word_does_not_hold_the_turn_open() -> None:
    """A street that sounds like a voice now and then: the words are the same, so nobody spoke."""
    turns = Turns(settings())
    turns.voice_began(at(1000))
    turns.voice_ended(at(2000))
    turns.pause_reached(at(2300))
    turns.transcribed(1, "Where is my order?")
    for begin in (2400, 2900):
        turns.voice_began(at(begin))
        turns.voice_ended(at(begin + 150))
    assert turns.pause_reached(at(3400)).transcribe is not None
    turns.transcribed(2, "Where is my order?")
    # Heard already: the turn is over at once.
    assert turns.watch is not None
    assert turns.watch <= at(3400)
    turns.pause_reached(at(3420))
    assert turns.over


def test_a_word_behind_a_pause_counts_as_one() -> None:
    """The pause that ends the turn begins behind it."""
    turns = Turns(settings())
    turns.voice_began(at(1000))
    turns.voice_ended(at(2000))
    turns.pause_reached(at(2300))
    turns.transcribed(1, "Two.")
    turns.voice_began(at(2400))
    turns.voice_ended(at(2600))
    turns.pause_reached(at(2900))
    turns.transcribed(2, "Two, please.")
    assert turns.watch is not None
    assert turns.watch > at(2600) + at(300)


def test_a_lull_on_a_quiet_line_is_transcribed_before_the_voice_has_ended() -> None:
    """Its transcript is the one that counts if nobody goes on, and useless when somebody does."""
    turns = Turns(settings())
    turns.voice_began(at(1000))
    turns.voice_goes_on(at(2000), level_db=-20)
    assert turns.lull(at(2000), at(2100), level_db=-60) is None
    assert turns.lull(at(2000), at(2120), level_db=-60) == Utterance(1, at(700), at(2120))
    assert turns.outdated(at(2000)) is None
    assert turns.voice_ended(at(2000), -60) == at(2300)
    assert turns.pause_reached(at(2300)).transcribe is None
    turns.voice_began(at(2400))
    turns.voice_goes_on(at(2500), level_db=-20)
    # Not again so soon, and not in noise; later it is, and what follows makes it useless.
    assert turns.lull(at(2500), at(2620), level_db=-60) is None
    turns.voice_goes_on(at(4500), level_db=-20)
    assert turns.lull(at(4500), at(4620), level_db=-35) is None
    again = turns.lull(at(4500), at(4640), level_db=-60)
    assert again is not None
    assert turns.outdated(at(4700)) is again
    assert turns.utterance is None

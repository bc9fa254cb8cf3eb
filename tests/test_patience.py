"""The ladder: what a caller hears who waits, and when; calls without a driver."""

import dataclasses

import pytest
from call_alone import PHRASES, Talk, call_settings, heard_notice

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.floor import State
from voicegw.call.patience import rung_after

FILLED = dataclasses.replace(
    PHRASES, fillers=("One moment.", "Still on it."), offer="Again, or press 1.", callback="We call you."
)


def waiting(usual_wait_ms: int = 0) -> Talk:
    """A caller who was greeted and has asked at 3,000 ms."""
    talk = Talk(dataclasses.replace(call_settings(phrases=FILLED), usual_wait_ms=usual_wait_ms))
    talk.greet()
    talk.answered(3000)
    return talk


def rungs(talk: Talk) -> list[tuple[int, str]]:
    """Wake the call until it gives up; when (ms) and which rung. Each clip is heard for a second."""
    found: list[tuple[int, str]] = []
    while not found or found[-1][1] == "filler":
        talk.tick()
        found.append((int(talk.ms), talk.notices(n.Rung)[-1].rung))
        talk.hear_out(talk.last(c.PlayClip).speech_id, talk.ms, talk.ms + 1000)
    return found


def test_a_wait_is_filled_twice_and_then_given_up() -> None:
    """1.2 s after the last word a sign, 3 s of silence later another, an apology at 8 s."""
    assert rungs(waiting()) == [(4200, "filler"), (8200, "filler"), (11_000, "apology")]


def test_the_first_sign_comes_when_the_answer_is_usually_there() -> None:
    """Where answers usually take two seconds, a filler at 1.2 s would talk into most of them."""
    assert rungs(waiting(usual_wait_ms=2000))[0] == (5000, "filler")
    # And where they take ten, nobody waits that long for a sign.
    assert rungs(waiting(usual_wait_ms=10_000))[0] == (5500, "filler")


def test_a_call_learns_how_long_its_own_answers_take() -> None:
    """Five slow answers: the filler comes later than at first."""
    talk = waiting()
    first = talk.call.wake_at
    assert first == 4_200_000
    for _ in range(5):
        reply = talk.last(c.Ask).reply_id
        asked = talk.ms
        talk.at(asked + 2000, e.ReplyText(reply, "Here it is. "), e.ReplyDone(reply))
        talk.hear_out(talk.last(c.Speak).speech_id, asked + 2000, asked + 3000)
        talk.answered(talk.ms + 1000)
    assert talk.call.wake_at is not None
    assert talk.call.wake_at - talk.ms * 1000 > 1_700_000


def test_the_answer_takes_over_behind_the_filler() -> None:
    """The filler is heard to its end, goes in front of the answer, and is nothing that the model sees."""
    talk = waiting()
    reply = talk.last(c.Ask).reply_id
    talk.at(4100, e.ReplyText(reply, "Here it is. "), e.ReplyDone(reply))
    answer = talk.last(c.Speak).speech_id
    talk.tick()
    filler = talk.last(c.PlayClip)
    assert filler == c.PlayClip(filler.speech_id, "One moment.", "filler", first=True)
    talk.at(4200, e.SpeechBegan(filler.speech_id), e.SpeechArrived(answer, 16_000, True))
    talk.at(5100, e.SpeechBegan(answer))
    talk.at(5200, e.Played(filler.speech_id, 16_000, True))
    talk.at(6100, e.Played(answer, 16_000, True))
    assert c.ClearSpeech() not in talk.commands
    stops = [(told.reply_id, told.heard) for told in talk.notices(n.SpeechStopped)][1:]
    assert stops == [(0, "One moment."), (reply, "Here it is.")]
    assert [m["content"] for m in talk.call.history[1:]] == ["Hello.", "Where is my order?", "Here it is."]


def test_a_failure_behind_a_filler_leaves_the_filler_whole() -> None:
    """The apology follows it; nothing is cut off in mid-word."""
    talk = waiting()
    talk.at(4100, e.ReplyText(talk.last(c.Ask).reply_id, "Here it is. "))
    answer = talk.last(c.Speak).speech_id
    talk.tick()
    filler = talk.last(c.PlayClip).speech_id
    talk.at(4300, e.SpeechBegan(filler), e.SpeechFailed(answer, "http_500"))
    assert talk.all(c.ClearSpeech) == [c.ClearSpeech(keep=filler)]
    assert talk.last(c.PlayClip).text == PHRASES.apology


def test_who_speaks_into_a_filler_goes_on_with_the_turn() -> None:
    """The transcript is still being made: the filler stops, and the turn is the same one."""
    talk = Talk(call_settings(phrases=FILLED))
    talk.greet()
    talk.voice(2000, 3000)
    talk.silence_until(4100)
    talk.at(4200, e.Tick())
    filler = talk.last(c.PlayClip).speech_id
    talk.at(4250, e.SpeechBegan(filler))
    out = talk.at(4600, e.VoiceActivity(16 * 4500, True, -20, 16 * 4600))
    assert c.ClearSpeech() in out
    assert heard_notice(talk) == n.SpeechStopped(0, "", True)
    assert talk.call.state is State.LISTENING


def test_the_ladder_over_answers_that_fail() -> None:
    """Sorry; a way out; goodbye. With one failure allowed there is only the goodbye."""
    assert [rung_after(n, 3) for n in (1, 2, 3)] == ["apology", "offer", "goodbye"]
    assert [rung_after(n, 2) for n in (1, 2)] == ["apology", "goodbye"]
    assert rung_after(1, 1) == "goodbye"
    assert [rung_after(n, 5) for n in range(1, 6)] == ["apology"] * 3 + ["offer", "goodbye"]


@pytest.mark.parametrize("digit", ["1", "2"])
def test_the_offer_is_taken_with_one_key(digit: str) -> None:
    """The reason of the hang-up is the order to call back; another key is an answer like any other."""
    talk = waiting()
    for _ in range(2):
        talk.now(e.ReplyFailed(talk.last(c.Ask).reply_id, "http_500"))
        talk.hear_out(talk.last(c.PlayClip).speech_id, talk.ms, talk.ms + 1000)
        if talk.notices(n.Rung)[-1].rung != "offer":
            talk.answered(talk.ms + 1000)
    assert talk.notices(n.Rung)[-1] == n.Rung("offer", "Again, or press 1.", "http_500")
    talk.now(e.Dtmf(digit))
    assert (talk.call.state is State.ENDING) == (digit == "1")
    if digit == "1":
        talk.hear_out(talk.last(c.PlayClip).speech_id, talk.ms, talk.ms + 1000)
        assert talk.last(c.PlayClip).text == "We call you."
        assert talk.last(c.HangUp) == c.HangUp("callback_requested")


@pytest.mark.parametrize("fails", [True, False])
def test_a_greeting_whose_voice_does_not_come_is_a_clip(fails: bool) -> None:
    """A caller who hears nothing after dialling hangs up; the words that were heard are remembered."""
    talk = Talk(call_settings(phrases=FILLED))
    talk.at(0, e.CallStarted())
    if fails:
        talk.at(100, e.SpeechFailed(talk.last(c.Speak).speech_id, "connection"))
    else:
        talk.tick()
        assert talk.ms == 1200
    clip = talk.last(c.PlayClip)
    assert (clip.text, clip.role) == ("Hello.", "greeting")
    talk.now(e.StandIn(clip.speech_id, "Good day."))
    talk.hear_out(clip.speech_id, talk.ms, talk.ms + 1000)
    assert heard_notice(talk).heard == "Good day."
    assert [m["content"] for m in talk.call.history[1:]] == ["Good day."]

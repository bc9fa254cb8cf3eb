"""The rules of a call, event by event: no audio, no driver, no clock."""

import pytest
from call_alone import PHRASES, Talk, call_settings, heard_notice, samples

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.floor import TRANSITIONS, State
from voicegw.call.settings import Phrases
from voicegw.config import LimitSettings

SILENT = Phrases("", "I am sorry.", "", "", "")


def roles(talk: Talk) -> list[tuple[str, str]]:
    """The history without the system prompt."""
    return [(message["role"], message["content"]) for message in talk.call.history[1:]]


def test_a_call_from_greeting_to_answer_asks_for_each_thing_once() -> None:
    """The order of commands is the order of the conversation."""
    talk = Talk()
    talk.greet()
    talk.voice(2000, 3000)
    talk.silence_until(3400)
    utterance = talk.last(c.Transcribe)
    # From 300 ms before the voice to the end of the pause.
    assert (utterance.from_sample, utterance.to_sample) == (samples(1700), samples(3300))
    talk.at(3500, e.Transcript(utterance.utterance_id, "Where is my order?"))
    # The model is asked already, and nothing of it may be heard before the turn is over.
    assert [ask.speculative for ask in talk.all(c.Ask)] == [True]
    talk.silence_until(3700)
    assert len(talk.all(c.Transcribe)) == 1
    ask = talk.last(c.Ask)
    assert ask.messages[-1] == {"role": "user", "content": "Where is my order?"}
    talk.at(4000, e.ReplyText(ask.reply_id, "On its way. "), e.ReplyDone(ask.reply_id))
    talk.hear_out(talk.last(c.Speak).speech_id, 4200, 5200)
    assert roles(talk) == [
        ("assistant", "Hello."),
        ("user", "Where is my order?"),
        ("assistant", "On its way."),
    ]
    latency = talk.notices(n.Latency)[-1]
    assert (latency.end_of_turn_ms, latency.transcription_ms, latency.total_ms) == (700, 0, 1200)
    assert talk.call.longest_wait_us == 1_200_000
    assert talk.call.state is State.LISTENING


def test_a_voice_while_the_transcript_is_on_its_way_is_the_same_turn() -> None:
    """The caller waited for nothing yet: what was said before the second voice must not be lost."""
    talk = Talk()
    talk.greet()
    talk.voice(2000, 3000)
    talk.silence_until(3900)
    assert talk.call.state is State.THINKING
    talk.voice(4000, 4500)
    talk.silence_until(5200)
    first, second = talk.all(c.Transcribe)
    assert talk.all(c.CancelTranscribe) == [c.CancelTranscribe(first.utterance_id)]
    assert (second.from_sample, second.to_sample) == (samples(1700), samples(4800))
    talk.at(5300, e.Transcript(first.utterance_id, "too late"))
    assert talk.call.ignored == 1
    talk.at(5400, e.Transcript(second.utterance_id, "both parts"))
    assert talk.last(c.Ask).messages[-1]["content"] == "both parts"


def test_a_reopened_turn_takes_its_question_back() -> None:
    """The model must not see half a question as a turn of its own."""
    talk = Talk()
    talk.greet()
    talk.voice(2000, 3000)
    talk.silence_until(3700)
    talk.now(e.Transcript(1, "I want two."))
    first = talk.last(c.Ask)
    talk.voice(4000, 5000)
    assert talk.all(c.CancelAsk) == [c.CancelAsk(first.reply_id)]
    assert roles(talk) == [("assistant", "Hello.")]
    talk.silence_until(5700)
    talk.now(e.Transcript(talk.last(c.Transcribe).utterance_id, "No, three."))
    assert roles(talk)[1:] == [("user", "I want two. No, three.")]
    # The first answer comes all the same, and changes nothing.
    talk.now(e.ReplyText(first.reply_id, "Two, then. "), e.ReplyDone(first.reply_id))
    assert not [speak for speak in talk.all(c.Speak) if speak.text == "Two, then."]


def test_a_turn_does_not_reopen_behind_the_first_sound() -> None:
    """The caller has heard the answer begin: what is said now is said about it."""
    talk = Talk()
    talk.greet()
    talk.voice(2000, 3000)
    talk.silence_until(3700)
    talk.now(e.Transcript(1, "I want two."))
    ask = talk.last(c.Ask)
    talk.at(3800, e.ReplyText(ask.reply_id, "Two of them, is that right? "), e.ReplyDone(ask.reply_id))
    speech = talk.last(c.Speak).speech_id
    talk.at(3900, e.SpeechArrived(speech, samples(1620), True), e.SpeechBegan(speech))
    talk.at(4600, e.VoiceActivity(samples(4500), True, -20, samples(4600)))
    talk.now(e.Played(speech, samples(720), False))
    talk.at(5100, e.VoiceActivity(samples(5100), True, -20, samples(5100)))
    assert heard_notice(talk) == n.SpeechStopped(ask.reply_id, "Two of them,", True)
    assert roles(talk)[1:] == [("user", "I want two."), ("assistant", "Two of them,")]


@pytest.mark.parametrize(("length_ms", "yields"), [(100, False), (250, False), (600, True), (900, True)])
def test_only_a_voice_that_lasts_is_an_interruption(length_ms: int, yields: bool) -> None:
    """The setting says how long; the silence behind a cough does not count."""
    talk = Talk()
    talk.at(0, e.CallStarted())
    speech = talk.last(c.Speak).speech_id
    talk.at(100, e.SpeechArrived(speech, samples(3000), True), e.SpeechBegan(speech))
    commands = talk.voice(1000, 1000 + length_ms)
    assert c.PauseSpeech() in commands
    assert (c.ClearSpeech() in commands) == yields
    assert (c.ResumeSpeech() in commands) == (not yields)
    assert talk.call.state is (State.LISTENING if yields else State.SPEAKING)


def test_an_answer_heard_to_its_end_during_a_cough_is_whole() -> None:
    """Nothing waits for a decision about an interruption of something that is over."""
    talk = Talk()
    talk.at(0, e.CallStarted())
    speech = talk.last(c.Speak).speech_id
    talk.at(100, e.SpeechArrived(speech, samples(900), True), e.SpeechBegan(speech))
    talk.at(990, e.VoiceActivity(samples(900), True, -20, samples(990)))
    commands = talk.now(e.Played(speech, samples(900), True))
    assert c.ResumeSpeech() in commands
    assert heard_notice(talk) == n.SpeechStopped(1, "Hello.", False)
    assert talk.call.state is State.LISTENING


def test_at_most_two_sentences_are_on_their_way_to_tts() -> None:
    """More would be paid for and thrown away at the next interruption."""
    talk = Talk()
    talk.greet()
    reply = talk.answered(2000)
    talk.now(e.ReplyText(reply, "The first is here. The second is here. The third is here. "))
    talk.now(e.ReplyDone(reply))
    assert len(talk.all(c.Speak)) == 1 + 2
    talk.hear_out(talk.all(c.Speak)[1].speech_id, 2100, 3000)
    assert len(talk.all(c.Speak)) == 1 + 3


def test_two_sentences_without_a_voice_are_one_failure_and_one_apology() -> None:
    """Both requests were on their way when TTS died."""
    talk = Talk()
    talk.greet()
    reply = talk.answered(2000)
    talk.now(e.ReplyText(reply, "The first is here. The second is here. "), e.ReplyDone(reply))
    one, two = (speak.speech_id for speak in talk.all(c.Speak)[1:])
    talk.at(2500, e.SpeechFailed(one, "http_500"), e.SpeechFailed(two, "http_500"))
    assert [clip.text for clip in talk.all(c.PlayClip)] == [PHRASES.apology]
    assert len(talk.notices(n.Rung)) == 1
    talk.hear_out(talk.last(c.PlayClip).speech_id, 2600, 3600)
    assert talk.call.state is State.LISTENING


def test_a_reply_without_a_word_is_a_failure() -> None:
    """Some models answer nothing; the caller must hear something."""
    talk = Talk()
    talk.greet()
    reply = talk.answered(2000)
    talk.at(2300, e.ReplyDone(reply))
    assert talk.last(c.PlayClip).text == PHRASES.apology
    assert talk.notices(n.Rung)[-1].reason == "empty_reply"


def test_a_reply_without_a_sound_is_a_failure() -> None:
    """TTS said that it had spoken, and there was no audio."""
    talk = Talk()
    talk.greet()
    reply = talk.answered(2000)
    talk.now(e.ReplyText(reply, "Here it is. "), e.ReplyDone(reply))
    speech = talk.last(c.Speak).speech_id
    talk.at(2300, e.SpeechArrived(speech, 0, True), e.Played(speech, 0, True))
    assert talk.notices(n.Rung)[-1].reason == "no_audio"
    assert talk.last(c.PlayClip).text == PHRASES.apology


def test_what_the_gateway_says_for_itself_is_heard_but_not_remembered() -> None:
    """A model that reads its own apologies begins to apologise."""
    talk = Talk()
    talk.greet()
    reply = talk.answered(2000)
    talk.at(2300, e.ReplyFailed(reply, "timeout"))
    talk.hear_out(talk.last(c.PlayClip).speech_id, 2300, 3300)
    assert heard_notice(talk).heard == PHRASES.apology
    assert roles(talk) == [("assistant", "Hello."), ("user", "Where is my order?")]


def test_patience_runs_out_whatever_is_waited_for() -> None:
    """STT, the model, the first sound, the next sentence: each is silence to the caller."""
    waits: dict[str, Talk] = {}
    talk = waits["stt"] = Talk()
    talk.greet()
    talk.voice(2000, 3000)
    talk.silence_until(3700)
    talk = waits["llm"] = Talk()
    talk.greet()
    talk.answered(3000)
    talk = waits["tts"] = Talk()
    talk.greet()
    talk.at(3000, e.ReplyText(talk.answered(3000), "Here it is. "))
    talk = waits["next sentence"] = Talk()
    talk.greet()
    talk.at(2000, e.ReplyText(talk.answered(2000), "Here it is. "))
    talk.hear_out(talk.last(c.Speak).speech_id, 2100, 3000)
    talk = waits["rest of the sentence"] = Talk()
    talk.greet()
    talk.at(2000, e.ReplyText(talk.answered(2000), "Here it is. "))
    speech = talk.last(c.Speak).speech_id
    talk.at(2500, e.SpeechArrived(speech, samples(500), False), e.SpeechBegan(speech))
    talk.at(3000, e.Played(speech, samples(500), False))
    # That one is begun anew first, once a rest that is on its way would have come.
    assert talk.call.wake_at == 6_000_000
    talk.tick()
    assert (talk.last(c.Speak).text, talk.last(c.Speak).speech_id) == ("Here it is.", speech + 1)
    for waited_for, talk in waits.items():
        assert talk.call.wake_at == 11_000_000, waited_for
        talk.tick()
        assert talk.last(c.PlayClip).text == PHRASES.apology, waited_for
        assert talk.notices(n.Rung)[-1].reason == "too_slow", waited_for


def test_a_goodbye_that_makes_no_sound_still_hangs_up() -> None:
    """Nothing may keep a call open that is over."""
    talk = Talk(call_settings(limits=LimitSettings(check_ins=0)))
    talk.greet()
    talk.tick()
    assert talk.last(c.PlayClip).text == PHRASES.goodbye
    talk.tick()
    assert talk.last(c.HangUp) == c.HangUp("idle")
    assert talk.call.state is State.ENDED


def test_a_persona_without_phrases_is_silent_where_it_has_none() -> None:
    """An empty phrase is not said: no greeting, no check-in, and the end comes without a word."""
    talk = Talk(call_settings(phrases=SILENT))
    talk.at(0, e.CallStarted())
    assert talk.call.state is State.LISTENING
    talk.voice(2000, 3000)
    talk.silence_until(3700)
    talk.now(e.Transcript(1, ""))
    assert talk.call.state is State.LISTENING
    talk.tick()
    assert talk.all(c.HangUp) == [c.HangUp("idle")]
    assert not talk.all(c.Speak) + talk.all(c.PlayClip)


def test_nothing_interrupts_the_last_words() -> None:
    """The caller was told that the call ends; a new turn would never be answered."""
    talk = Talk(call_settings(limits=LimitSettings(max_call_s=5)))
    talk.greet()
    talk.tick()
    assert talk.call.state is State.ENDING
    assert not talk.voice(5100, 6000) or talk.all(c.PauseSpeech) == []
    assert talk.now(e.CallerText("Wait!"), e.Dtmf("1")) == []
    talk.hear_out(talk.last(c.PlayClip).speech_id, 6300, 7000)
    assert talk.last(c.HangUp).reason == "max_call_length"


def test_after_the_end_nothing_is_asked_any_more() -> None:
    """Answers that were on their way arrive at a call that is over."""
    talk = Talk()
    talk.greet()
    reply = talk.answered(2000)
    talk.at(2500, e.HungUp("caller"))
    assert talk.call.wake_at is None
    late: list[e.Event] = [
        e.ReplyText(reply, "Hello? "), e.ReplyDone(reply), e.Transcript(1, "x"), e.CallerText("x"),
        e.Dtmf("1"), e.VoiceActivity(1, True, -20, 1), e.SampleReached(1), e.Tick(), e.CarrierBack(),
        e.HungUp("again"), e.CallStarted(), e.SpeechBegan(1), e.Played(1, 1, True),
    ]  # fmt: skip
    assert talk.at(99_000, *late) == []
    assert talk.call.ignored == len(late)


def test_who_hangs_up_in_a_sentence_has_heard_that_much_of_it() -> None:
    """The record must tell what the caller knew when the line went."""
    talk = Talk()
    talk.greet()
    reply = talk.answered(2000)
    talk.now(e.ReplyText(reply, "Here it is, at last. "), e.ReplyDone(reply))
    speech = talk.last(c.Speak).speech_id
    talk.at(2100, e.SpeechArrived(speech, samples(1200), True), e.SpeechBegan(speech))
    talk.at(2700, e.Played(speech, samples(600), False), e.HungUp("caller"))
    assert heard_notice(talk) == n.SpeechStopped(reply, "Here it", True)


def test_nobody_waits_while_the_line_is_gone() -> None:
    """The patience of a caller who is not there neither runs out nor is counted."""
    talk = Talk()
    talk.greet()
    talk.answered(2000)
    talk.at(3000, e.CarrierLost())
    assert talk.call.wake_at == 3_600_000_000
    talk.at(30_000, e.CarrierBack())
    assert talk.call.wake_at == 38_000_000
    assert talk.call.longest_wait_us == 1_000_000


def test_nobody_is_asked_for_while_the_call_is_held() -> None:
    """Whoever holds the line is not there: no check-in, no apology, no turn from the music on the line."""
    talk = Talk()
    talk.greet()
    talk.answered(2000)
    talk.at(3000, e.CallerHold(True), e.CallerHold(True))
    assert talk.call.wake_at == 603_000_000
    talk.at(9000, e.VoiceActivity(samples(8800), True, -20, samples(9000)))
    talk.at(9500, e.VoiceActivity(samples(9400), False, -60, samples(9500)))
    assert not talk.notices(n.VoiceStarted)
    talk.at(30_000, e.CallerHold(False))
    assert talk.call.wake_at == 38_000_000
    assert talk.call.longest_wait_us == 1_000_000
    # A voice is one again.
    talk.voice(31_000, 31_500)
    assert talk.notices(n.VoiceStarted)


def test_a_hold_keeps_what_the_agent_was_saying() -> None:
    """Neither cut nor thought to be heard: it goes on for whoever comes back."""
    talk = Talk()
    talk.at(0, e.CallStarted())
    speech = talk.last(c.Speak).speech_id
    talk.at(100, e.SpeechArrived(speech, samples(3000), True), e.SpeechBegan(speech))
    talk.at(1100, e.VoiceActivity(samples(1000), True, -20, samples(1100)))
    # In the middle of an interruption that is not decided: nobody is there to go on with it.
    assert c.ResumeSpeech() in talk.at(1150, e.Played(speech, samples(1000), False), e.CallerHold(True))
    talk.at(60_000, e.CallerHold(False), e.SpeechBegan(speech))
    assert talk.call.state is State.SPEAKING
    talk.at(62_000, e.Played(speech, samples(3000), True))
    assert heard_notice(talk) == n.SpeechStopped(1, "Hello.", False)


def test_a_turn_that_was_spoken_before_the_hold_is_answered() -> None:
    """ "Wait, I look it up" and the button: the words count, and the answer waits."""
    talk = Talk()
    talk.greet()
    talk.at(2100, e.VoiceActivity(samples(2000), True, -20, samples(2100)))
    talk.at(2900, e.VoiceActivity(samples(2900), True, -20, samples(2900)), e.CallerHold(True))
    talk.at(3100, e.VoiceActivity(samples(3000), False, -60, samples(3100)))
    talk.silence_until(4000)
    talk.now(e.Transcript(talk.last(c.Transcribe).utterance_id, "One moment, please."))
    assert talk.last(c.Ask).messages[-1]["content"] == "One moment, please."


def test_a_hold_has_an_end() -> None:
    """A line costs something; nobody would hear the goodbye."""
    talk = Talk(call_settings(limits=LimitSettings(hold_s=60)))
    talk.greet()
    talk.at(3000, e.CallerHold(True))
    assert c.HangUp("hold_too_long") in talk.at(63_000, e.Tick())
    assert talk.call.state is State.ENDED


def test_who_comes_back_to_a_held_call_still_holds_it() -> None:
    """The line may break meanwhile, and come back."""
    talk = Talk()
    talk.greet()
    talk.at(3000, e.CallerHold(True))
    talk.at(4000, e.CarrierLost())
    talk.at(9000, e.CarrierBack())
    assert talk.call.wake_at == 603_000_000
    talk.at(20_000, e.CallerHold(False))
    assert talk.call.wake_at == 30_000_000  # the check-in, if nobody speaks


def test_a_voice_that_ends_behind_a_typed_turn_frees_its_audio() -> None:
    """The ear keeps 30 s for a voice that may be a turn; this one is none any more."""
    talk = Talk()
    talk.greet()
    talk.at(2100, e.VoiceActivity(samples(2000), True, -20, samples(2100)))
    talk.answered(2150)
    commands = talk.at(2400, e.VoiceActivity(samples(2160), False, -60, samples(2400)))
    assert commands == [c.ReleaseAudio(samples(2160))]
    told = [type(notice) for notice in talk.notices(object) if "Voice" in type(notice).__name__]
    assert told == [n.VoiceStarted, n.VoiceStopped]


def test_every_state_can_end_and_none_can_come_back() -> None:
    """The table is the contract: whoever changes it changes the call."""
    for state, following in TRANSITIONS.items():
        assert (State.ENDED in following) == (state is not State.ENDED)
        assert State.NEW not in following
    assert TRANSITIONS[State.ENDING] == {State.ENDED}


def test_two_sentences_that_fail_while_the_first_is_heard_are_one_failure() -> None:
    """The caller hears one apology, behind what had arrived."""
    talk = Talk()
    talk.greet()
    reply = talk.answered(2000)
    talk.now(e.ReplyText(reply, "The first is here. The second is here. "), e.ReplyDone(reply))
    one, two = (speak.speech_id for speak in talk.all(c.Speak)[1:])
    talk.at(2100, e.SpeechArrived(one, samples(500), False), e.SpeechBegan(one))
    talk.at(2500, e.SpeechFailed(one, "http_500"), e.SpeechFailed(two, "http_500"))
    assert c.ClearSpeech() not in talk.commands
    assert len(talk.all(c.PlayClip)) == len(talk.notices(n.Rung)) == 1


def test_a_line_that_breaks_in_a_cough_decides_for_the_agent() -> None:
    """Nobody is there to go on interrupting: the rest of the sentence waits to be heard, unpaused."""
    talk = Talk()
    talk.at(0, e.CallStarted())
    speech = talk.last(c.Speak).speech_id
    talk.at(100, e.SpeechArrived(speech, samples(3000), True), e.SpeechBegan(speech))
    talk.at(1100, e.VoiceActivity(samples(1000), True, -20, samples(1100)))
    assert c.ResumeSpeech() in talk.at(1150, e.CarrierLost())
    talk.at(9000, e.CarrierBack(), e.SpeechBegan(speech))
    assert talk.call.state is State.SPEAKING
    # The voice that was cut off ends on the new line, as no turn.
    talk.at(9300, e.VoiceActivity(samples(1150), False, -60, samples(1350)))
    talk.at(11_000, e.Played(speech, samples(3000), True))
    assert heard_notice(talk) == n.SpeechStopped(1, "Hello.", False)
    assert not talk.all(c.Transcribe)

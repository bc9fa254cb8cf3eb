"""The rules of one call, as a state machine without I/O.

    call = Call(settings)
    commands = call.receive(event, now)     # now: us since the call began, never going back
    call.wake_at                            # send a Tick then (None: not needed)

Invariants, each a test: the history holds no more than was heard; whoever waits has a `wake_at`; late
events of an old reply, sentence or utterance change nothing; after `ENDED` nothing is asked any more.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from voicegw.audio.pcm import SAMPLES_PER_MS, ms_to_samples, samples_to_us
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.dialogue import Dialogue
from voicegw.call.patience import Patience, rung_after
from voicegw.call.playback import Kind, Playback
from voicegw.call.reply import Reply, Stages
from voicegw.call.sentences import SentenceChunker
from voicegw.call.settings import CallSettings
from voicegw.call.spoken_form import SpokenForm
from voicegw.call.turns import Phase, Turns, Utterance

# One sentence is synthesised while another plays: more would be wasted by an interruption.
SENTENCES_AHEAD = 2
# Keys belong together until # or a pause of this length: callers type slower than they dial.
KEYS_PAUSE_US = 3_000_000
# What the offer of the ladder asks for: press 1 and we call you back.
CALL_BACK_KEY = "1"
# Longer than any number that is typed at a telephone: an account number with its prefix has 34 digits.
MOST_KEYS = 40


class State(Enum):
    """What the agent is doing."""

    NEW = auto()
    LISTENING = auto()  # it is the caller's turn
    THINKING = auto()  # the caller waits for the agent
    SPEAKING = auto()  # the caller hears the agent
    ENDING = auto()  # the agent's last words, which nothing interrupts
    ENDED = auto()


TRANSITIONS: dict[State, set[State]] = {
    State.NEW: {State.LISTENING, State.THINKING, State.ENDED},
    State.LISTENING: {State.THINKING, State.ENDING, State.ENDED},
    State.THINKING: {State.LISTENING, State.SPEAKING, State.ENDING, State.ENDED},
    State.SPEAKING: {State.LISTENING, State.THINKING, State.ENDING, State.ENDED},
    State.ENDING: {State.ENDED},
    State.ENDED: set(),
}


class Call:
    """One caller's conversation, across reconnects. Events in, commands out."""

    def __init__(self, settings: CallSettings) -> None:
        self._settings = settings
        self._phrases = settings.phrases
        self._barge_in = ms_to_samples(settings.turns.barge_in_ms)
        self._state = State.NEW
        self._now = 0
        self._out: list[c.Command] = []
        self._turns = Turns(settings.turns)
        self._dialogue = Dialogue(settings.system_prompt, settings.limits.history_exchanges)
        for caller, agent in settings.history:
            self._dialogue.caller_said(caller)
            self._dialogue.agent_heard(agent)
        self._patience = Patience(
            settings.patience,
            settings.phrases.fillers,
            int(settings.limits.patience_s * 1e6),
            settings.usual_wait_ms * 1000,
        )
        self._idle_us = int(settings.limits.idle_s * 1e6)
        self._ends_at = int(settings.limits.max_call_s * 1e6)
        self._spoken_form = SpokenForm.of(settings.language, settings.speech)
        self._reply: Reply | None = None
        self._replies = 0
        self._speeches = 0
        self._exchanges = 0
        # The utterances of the newest committed turn, while it may still turn out not to have been over.
        self._committed: list[Utterance] | None = None
        # The caller speaks over the agent, and it is not decided yet whether that is an interruption.
        self._undecided = False
        self._last_word = 0
        self._turn_over_at = 0
        self._idle_since = 0
        self._check_ins = 0
        self._failures = 0
        self._misheard = False
        self._failure_code = ""
        self._keys = ""
        self._keys_due = 0
        self._lost = False
        self.ignored = 0  # events that came too late, or that the state does not know
        self.wake_at: int | None = None

    @property
    def state(self) -> State:
        """What the agent is doing."""
        return self._state

    @property
    def longest_wait_us(self) -> int:
        """The longest time that the caller waited for the agent and heard nothing."""
        return self._patience.longest_us

    @property
    def gives_up_us(self) -> int | None:
        """When the answer that is waited for is given up: the deadline of all that is asked for it."""
        return self._patience.gives_up_us

    @property
    def history(self) -> tuple[c.Message, ...]:
        """What the model would be shown now: all that it holds of the agent was heard."""
        return self._dialogue.messages()

    def receive(self, event: e.Event, now: int) -> list[c.Command]:
        """Take the next event. Returns what is to be done about it, in order."""
        self._now = now
        self._out = []
        if self._state is State.ENDED:
            self.ignored += 1
            return self._out
        if self._patience.filler_id and getattr(event, "speech_id", 0) == self._patience.filler_id:
            self._out += self._patience.filler_event(event, now)
        else:
            _HANDLERS[type(event)](self, event)
        self.wake_at = self._next_wake()
        return self._out

    def _go(self, state: State) -> None:
        """The only writer of the state."""
        if state is self._state:
            return
        if state not in TRANSITIONS[self._state]:
            raise RuntimeError(f"no way from {self._state.name} to {state.name}")
        self._state = state

    def _notify(self, notice: n.Notice) -> None:
        self._out.append(c.Notify(notice))

    # Begin and end

    def _on_started(self, event: e.CallStarted) -> None:
        if self._state is not State.NEW:
            self.ignored += 1
            return
        if self._phrases.greeting:
            self._say("greeting", self._phrases.greeting)
        else:
            self._listen()

    def _on_details(self, event: e.CallerDetails) -> None:
        """Identity that came late is the driver's and the records' concern; the rules do not use it."""

    def _on_hung_up(self, event: e.HungUp) -> None:
        self._patience.stop(self._now)
        if self._reply is not None:
            self._remember(self._reply, cut=True)
            self._reply = None
        self._turns.reset()
        self._go(State.ENDED)

    def _farewell(self, reason: str, *, protected: bool) -> None:
        """Say goodbye and hang up when it was heard."""
        self._cut_reply()
        self._drop_turn()
        if not self._phrases.goodbye:
            self._go(State.ENDED)
            self._out.append(c.HangUp(reason))
            return
        reply = self._say("goodbye", self._phrases.goodbye, clip=True)
        reply.hang_up = reason
        if protected:
            self._go(State.ENDING)

    # The caller's turn

    def _on_voice(self, event: e.VoiceActivity) -> None:
        if event.speaking and self._turns.phase is not Phase.VOICED:
            self._voice_began(event)
        elif event.speaking:
            self._voice_goes_on(event)
        elif self._turns.phase is Phase.VOICED:
            self._voice_ended(event)
        elif self._turns.phase is Phase.QUIET:
            # The end of a voice that was no turn, or not any more: its audio is kept for nothing.
            self._out.append(c.ReleaseAudio(event.at_sample))

    def _voice_began(self, event: e.VoiceActivity) -> None:
        if self._state is State.ENDING:
            return
        self._notify(n.VoiceStarted(event.at_sample // SAMPLES_PER_MS))
        useless = self._turns.voice_began(event.at_sample)
        if useless is not None and useless.text is None:
            self._out.append(c.CancelTranscribe(useless.utterance_id))
        if self._reply is not None:
            self._undecided = True
            self._out.append(c.PauseSpeech())
        else:
            # Also when the turn had ended and its transcript was on its way: it is the same turn.
            self._cut_filler()
            self._listen()

    def _voice_goes_on(self, event: e.VoiceActivity) -> None:
        piece = self._turns.voice_goes_on(event.at_sample)
        if piece is not None:
            self._transcribe(piece)
        if self._undecided and event.at_sample - self._turns.voice_from >= self._barge_in:
            self._yield_floor()

    def _voice_ended(self, event: e.VoiceActivity) -> None:
        watch = self._turns.voice_ended(event.at_sample)
        self._notify(n.VoiceStopped(event.at_sample // SAMPLES_PER_MS))
        if self._undecided:
            if event.at_sample - self._turns.voice_from < self._barge_in:
                # A cough or an "uh-huh": no turn, and the agent goes on.
                self._drop_turn()
                self._notify(n.Transcript("rejected", "", reason="too_short"))
                self._keep_floor()
                return
            self._yield_floor()
        self._out.append(c.WatchSample(watch))

    def _on_sample_reached(self, event: e.SampleReached) -> None:
        was = self._turns.phase
        fresh, watch = self._turns.pause_reached(event.at_sample)
        if watch is not None:
            self._out.append(c.WatchSample(watch))
        if fresh is not None:
            self._transcribe(fresh)
        if self._turns.phase is Phase.ENDED and was is not Phase.ENDED:
            self._last_word = self._now - samples_to_us(event.at_sample - self._turns.last_voice)
            self._turn_over_at = self._now
            self._wait_from(self._last_word)
            self._go(State.THINKING)
            self._commit_turn()

    def _transcribe(self, utterance: Utterance) -> None:
        self._out.append(c.Transcribe(utterance.utterance_id, utterance.from_sample, utterance.to_sample))

    def _on_transcript(self, event: e.Transcript) -> None:
        if not self._turns.transcribed(event.utterance_id, event.text):
            self.ignored += 1
            return
        if self._turns.phase is not Phase.ENDED:
            self._notify(n.Transcript("partial", self._turns.text))
        self._commit_turn()

    def _on_transcript_failed(self, event: e.TranscriptFailed) -> None:
        if not self._turns.failed(event.utterance_id):
            self.ignored += 1
            return
        self._failure_code = event.code
        self._commit_turn()

    def _reject_torn_turn(self) -> None:
        """Words are missing: to answer the rest would be to answer something that was not said."""
        self._drop_turn()
        self._notify(n.Transcript("rejected", "", reason=self._failure_code))
        self._apologise(self._phrases.not_understood or self._phrases.apology, self._failure_code)

    def _commit_turn(self) -> None:
        """Ask the model, if the turn is over and its words are there."""
        if not self._turns.over:
            return
        if self._turns.torn:
            self._reject_torn_turn()
            return
        text = self._turns.text
        self._out.append(c.ReleaseAudio(self._turns.last_voice))
        utterances = self._turns.reset()
        if not text:
            self._notify(n.Transcript("rejected", "", reason="empty"))
            self._not_understood()
            return
        self._misheard = False
        self._notify(n.Transcript("final", text))
        self._committed = utterances
        self._ask(text, Stages(self._last_word, self._turn_over_at, self._now))

    def _not_understood(self) -> None:
        """Say so, but not twice in a row: then it is rather noise than a caller."""
        if self._misheard or not self._phrases.not_understood:
            self._listen()
            return
        self._misheard = True
        self._say("apology", self._phrases.not_understood, clip=True)

    def _drop_turn(self) -> None:
        """What the caller said just now is no turn."""
        if self._turns.phase is Phase.VOICED:
            # Its voice may go on: that is then told as a new one.
            self._notify(n.VoiceStopped(self._turns.last_voice // SAMPLES_PER_MS))
        for utterance in self._turns.reset():
            if utterance.text is None:
                self._out.append(c.CancelTranscribe(utterance.utterance_id))
        self._out.append(c.ReleaseAudio(self._turns.last_voice))
        self._undecided = False

    # Text and keys

    def _on_caller_text(self, event: e.CallerText) -> None:
        self._take_words(event.text.strip(), "text")

    def _on_dtmf(self, event: e.Dtmf) -> None:
        if self._state is State.ENDING:
            return
        if not self._keys and self._reply is not None:
            self._cut_reply()
            self._listen()
        if self._patience.offered and not self._keys and event.digit == CALL_BACK_KEY:
            self._call_back()
            return
        if event.digit == "#" and self._keys:
            self._take_keys()
            return
        self._keys += event.digit
        self._keys_due = self._now + KEYS_PAUSE_US
        if len(self._keys) >= MOST_KEYS:
            self._take_keys()

    def _call_back(self) -> None:
        """The caller takes the offer: the reason of the hang-up is the order to call back."""
        self._drop_turn()
        text = self._phrases.callback or self._phrases.goodbye
        self._say("goodbye", text, clip=True).hang_up = "callback_requested"
        self._go(State.ENDING)

    @property
    def _keys_wait(self) -> bool:
        """True when only time is missing: what the caller is saying at the same time comes first."""
        return bool(self._keys) and self._turns.phase is Phase.QUIET

    def _take_keys(self) -> None:
        keys, self._keys = self._keys, ""
        self._take_words(keys, "keypad")

    def _take_words(self, text: str, source: str) -> None:
        """A turn that did not come by voice; it takes the place of one that was being spoken."""
        if not text or self._state is State.ENDING:
            self.ignored += 1
            return
        self._cut_reply()
        self._drop_turn()
        self._wait_from(self._now)
        self._notify(n.Transcript("final", text, source="text" if source == "text" else "keypad"))
        self._committed = None
        self._ask(text, Stages(self._now, self._now, self._now))

    # The agent's turn

    def _ask(self, text: str, stages: Stages) -> None:
        self._exchanges += 1
        self._check_ins = 0
        self._dialogue.caller_said(text)
        reply = self._new_reply("reply")
        reply.asked = True
        reply.stages = stages
        self._out.append(c.Ask(reply.reply_id, self._dialogue.messages()))

    def _new_reply(self, kind: Kind) -> Reply:
        self._replies += 1
        self._reply = reply = Reply(self._replies, kind, SentenceChunker(self._settings.language))
        self._go(State.THINKING)
        return reply

    def _say(self, kind: Kind, text: str, *, clip: bool = False) -> Reply:
        """Say a fixed sentence. With `clip` its audio must need no provider."""
        self._wait_from(self._now, prepared=not clip)
        reply = self._new_reply(kind)
        reply.prepared = "" if clip else text
        self._speak(reply, text, clip=clip)
        return reply

    def _speak(self, reply: Reply, text: str, *, clip: bool = False) -> None:
        self._speeches += 1
        # A phrase that closes a failed reply is an apology, whatever the reply was to be.
        kind: Kind = "apology" if text == reply.closing else reply.kind
        # What the gateway says for itself stays out of the model's history.
        said = self._spoken_form.say(text)
        remembered = kind not in ("apology", "goodbye")
        reply.playback.queue(self._speeches, said, kind, remembered=remembered)
        if clip:
            self._out.append(c.PlayClip(self._speeches, text, self._phrases.role(text)))
        else:
            self._out.append(c.Speak(self._speeches, text, said.spoken))

    def _speak_pending(self, reply: Reply) -> None:
        while reply.pending and reply.playback.unfinished < SENTENCES_AHEAD:
            if reply.stages is not None and reply.stages.first_sentence is None:
                reply.stages.first_sentence = self._now
            self._speak(reply, reply.pending.popleft())
        if reply.closing and not reply.pending:
            self._speak(reply, reply.closing, clip=True)
            reply.closing = ""

    def _current(self, reply_id: int) -> Reply | None:
        """The one place where late answers of the model are dropped."""
        reply = self._reply
        if reply is None or reply.reply_id != reply_id or not reply.asked:
            self.ignored += 1
            return None
        return reply

    def _on_reply_text(self, event: e.ReplyText) -> None:
        if (reply := self._current(event.reply_id)) is None:
            return
        if reply.stages is not None and reply.stages.first_token is None:
            reply.stages.first_token = self._now
        reply.pending.extend(reply.chunker.push(event.text))
        self._speak_pending(reply)

    def _on_reply_done(self, event: e.ReplyDone) -> None:
        if (reply := self._current(event.reply_id)) is None:
            return
        reply.asked = False
        reply.pending.extend(reply.chunker.finish())
        if not reply.pending and not reply.playback.unfinished and not reply.playback.begun:
            self._fail(reply, "empty_reply")
            return
        self._speak_pending(reply)
        self._end_reply_if_heard(reply)

    def _on_reply_failed(self, event: e.ReplyFailed) -> None:
        if (reply := self._current(event.reply_id)) is None:
            return
        # Whole sentences that came are still said; the torn one at the end is not.
        reply.asked = False
        self._fail(reply, event.code)

    # The agent's voice

    def _on_speech_arrived(self, event: e.SpeechArrived) -> None:
        spoken = self._reply and self._reply.playback.get(event.speech_id)
        if not spoken:
            self.ignored += 1
            return
        spoken.samples = max(spoken.samples, event.samples)
        spoken.complete = spoken.complete or event.done

    def _on_speech_failed(self, event: e.SpeechFailed) -> None:
        reply = self._reply
        spoken = reply and reply.playback.get(event.speech_id)
        if reply is None or not spoken or spoken.complete:
            self.ignored += 1
            return
        spoken.broken = True
        # Without its voice the rest of the reply is of no use; what the caller hears of it already goes on.
        if reply.asked:
            reply.asked = False
            self._out.append(c.CancelAsk(reply.reply_id))
        reply.pending.clear()
        if not reply.playback.begun and not self._undecided:
            if reply.prepared:
                self._stand_in(reply)
                return
            self._out.append(c.ClearSpeech(self._patience.filler_id))
            reply.playback = Playback()
        self._fail(reply, event.code)

    def _stand_in(self, reply: Reply) -> None:
        """A fixed sentence whose voice does not come is said by a clip instead."""
        text = reply.prepared
        self._out.append(c.ClearSpeech(self._patience.filler_id))
        reply.playback, reply.prepared = Playback(), ""
        self._patience.stood_in()
        self._speak(reply, text, clip=True)

    def _on_stand_in(self, event: e.StandIn) -> None:
        spoken = self._reply and self._reply.playback.get(event.speech_id)
        if not spoken:
            self.ignored += 1
            return
        spoken.said = self._spoken_form.say(event.text)

    def _on_speech_began(self, event: e.SpeechBegan) -> None:
        reply = self._reply
        spoken = reply and reply.playback.get(event.speech_id)
        if reply is None or not spoken:
            self.ignored += 1
            return
        spoken.begun = True
        # All of a filler has left before it: it will be heard to its end.
        self._out += self._patience.end_filler(self._now)
        self._patience.stop(self._now)
        if not reply.started:
            reply.started = True
            self._committed = None
            if self._state is not State.ENDING:
                self._go(State.SPEAKING)
            self._notify(n.SpeechStarted(reply.reply_id, spoken.kind))
            if reply.stages is not None and spoken.kind == "reply":
                self._patience.learn(self._now - reply.stages.last_word)
            if reply.stages is not None:
                self._notify(reply.stages.latency(self._exchanges, self._now))
        self._notify(n.ReplyText(reply.reply_id, event.speech_id, spoken.kind, spoken.text))

    def _on_played(self, event: e.Played) -> None:
        reply = self._reply
        spoken = reply and reply.playback.get(event.speech_id)
        if reply is None or not spoken:
            self.ignored += 1
            return
        further = event.samples > spoken.played
        spoken.played = max(spoken.played, event.samples)
        spoken.done = spoken.done or event.done
        if event.done:
            self._speak_pending(reply)
            if self._end_reply_if_heard(reply):
                return
        if further:
            self._patience.stop(self._now)
        if not reply.playback.sounding:
            # The model or TTS is slower than the voice: the caller waits again.
            self._wait_from(self._now, within=reply.playback.torn)

    def _end_reply_if_heard(self, reply: Reply) -> bool:
        """End a reply of which all was heard. One that made no sound at all has failed."""
        if not reply.finished:
            return False
        if not reply.started and not reply.failed:
            self._fail(reply, "no_audio")
            return False
        self._remember(reply)
        self._reply = None
        if not reply.failed and reply.kind == "reply":
            self._failures = 0
            self._patience.offered = False
        if reply.hang_up:
            self._go(State.ENDED)
            self._out.append(c.HangUp(reply.hang_up))
        else:
            if self._undecided:
                # It was heard to the end while the caller began to speak: now it is the caller's turn.
                self._undecided = False
                self._out.append(c.ResumeSpeech())
            self._listen()
        return True

    def _remember(self, reply: Reply, *, cut: bool = False) -> None:
        self._dialogue.agent_heard(reply.playback.remembered_text)
        if reply.started:
            self._notify(n.SpeechStopped(reply.reply_id, reply.playback.heard_text, cut))

    def _listen(self) -> None:
        self._patience.stop(self._now)
        self._idle_since = self._now
        self._go(State.LISTENING)

    # Interruptions

    def _keep_floor(self) -> None:
        self._undecided = False
        self._out.append(c.ResumeSpeech())

    def _yield_floor(self) -> None:
        """The caller interrupts. A reply of which nothing was heard means that the turn was not over."""
        reply = self._reply
        if reply is None:
            self._keep_floor()
            return
        reopens = reply.kind == "reply" and not reply.started and self._committed is not None
        pieces = self._committed
        self._cut_reply()
        if reopens and pieces is not None:
            self._dialogue.take_back()
            self._exchanges -= 1
            self._turns.reopen(pieces)
            self._committed = None
        self._listen()

    def _cut_reply(self) -> None:
        """Stop what the agent is saying or about to say; what was heard of it is remembered."""
        reply = self._reply
        self._undecided = False
        if reply is None:
            self._cut_filler()
            return
        if reply.asked:
            self._out.append(c.CancelAsk(reply.reply_id))
        self._out.append(c.ClearSpeech())
        self._out += self._patience.end_filler(self._now, cut=True)
        self._remember(reply, cut=True)
        self._reply = None
        self._patience.stop(self._now)

    def _cut_filler(self) -> None:
        """Stop a filler to which no reply has come yet."""
        if self._patience.filler_id:
            self._out.append(c.ClearSpeech())
            self._out += self._patience.end_filler(self._now, cut=True)

    # Failures

    def _fail(self, reply: Reply, code: str) -> None:
        """The reply will not be whole: an apology follows what there is of it."""
        if reply.hang_up:
            self._go(State.ENDED)
            self._out.append(c.HangUp(reply.hang_up))
            return
        if reply.failed:
            # Two of its sentences were on their way: the caller is told once.
            return
        reply.failed = True
        if text := self._next_rung(self._phrases.apology, code):
            reply.closing = text
            self._speak_pending(reply)

    def _apologise(self, text: str, code: str) -> None:
        """There is no reply to attach an apology to."""
        if text := self._next_rung(text, code):
            self._say("apology", text, clip=True).failed = True

    def _next_rung(self, apology: str, code: str) -> str:
        """Go up the ladder by a failed answer. Returns what is to be said; "": the goodbye is under way."""
        self._failures += 1
        rung = rung_after(self._failures, self._settings.limits.failures)
        if rung == "goodbye":
            self._notify(n.Rung("goodbye", self._phrases.goodbye, code))
            self._farewell("provider_failure", protected=True)
            return ""
        if rung == "offer" and self._phrases.offer:
            self._patience.offered = True
            apology = self._phrases.offer
            self._notify(n.Rung("offer", apology, code))
        else:
            self._notify(n.Rung("apology", apology, code))
        return apology

    # Time

    def _on_tick(self, event: e.Tick) -> None:
        if self._now >= self._ends_at and self._state is not State.ENDING:
            self._farewell("max_call_length", protected=True)
        elif self._keys_wait and self._now >= self._keys_due:
            self._take_keys()
        elif not self._lost and (due := self._patience.due_us) is not None and self._now >= due:
            self._run_out_of_patience()
        elif (due := self._idle_due) is not None and self._now >= due:
            self._check_in()

    def _run_out_of_patience(self) -> None:
        """Whatever is being waited for takes too long: a sign, or the end of it."""
        if self._patience.wants_sign(self._now):
            if self._reply is not None and self._reply.prepared and not self._reply.playback.begun:
                self._stand_in(self._reply)
            elif self._patience.can_fill:
                self._speeches += 1
                self._out += self._patience.fill(self._speeches)
            return
        ending = self._reply is not None and self._reply.hang_up
        self._cut_reply()
        self._patience.stop(self._now)
        if ending:
            # Not even the goodbye comes.
            self._go(State.ENDED)
            self._out.append(c.HangUp(ending))
            return
        self._drop_turn()
        self._apologise(self._phrases.apology, "too_slow")

    @property
    def _idle_due(self) -> int | None:
        if self._state is not State.LISTENING or self._turns.phase is not Phase.QUIET:
            return None
        if self._lost or self._keys:
            return None
        return self._idle_since + self._idle_us

    def _check_in(self) -> None:
        self._check_ins += 1
        if self._check_ins > self._settings.limits.check_ins or not self._phrases.check_in:
            self._farewell("idle", protected=False)
        else:
            self._say("check_in", self._phrases.check_in)

    def _next_wake(self) -> int | None:
        if self._state is State.ENDED:
            return None
        waits = [self._idle_due]
        if self._state is not State.ENDING:
            waits.append(self._ends_at)
        if self._keys_wait:
            waits.append(self._keys_due)
        if not self._lost:
            waits.append(self._patience.due_us)
        return min((at for at in waits if at is not None), default=None)

    # The carrier

    def _on_carrier_lost(self, event: e.CarrierLost) -> None:
        self._patience.stop(self._now)
        self._lost = True
        if self._undecided:
            # Nobody is there to go on interrupting; whoever comes back hears the rest.
            self._drop_turn()
            self._keep_floor()

    def _on_carrier_back(self, event: e.CarrierBack) -> None:
        self._lost = False
        self._idle_since = self._now
        if self._reply is not None or self._state is State.THINKING:
            self._wait_from(self._now)

    def _wait_from(self, since: int, *, prepared: bool = False, within: bool = False) -> None:
        """The caller hears nothing and waits for us, if there is a caller."""
        if not self._lost:
            self._patience.wait_from(since, prepared=prepared, within=within)


_HANDLERS: dict[type, Callable[[Call, Any], None]] = {
    e.CallStarted: Call._on_started,
    e.CallerDetails: Call._on_details,
    e.VoiceActivity: Call._on_voice,
    e.SampleReached: Call._on_sample_reached,
    e.Transcript: Call._on_transcript,
    e.TranscriptFailed: Call._on_transcript_failed,
    e.ReplyText: Call._on_reply_text,
    e.ReplyDone: Call._on_reply_done,
    e.ReplyFailed: Call._on_reply_failed,
    e.SpeechArrived: Call._on_speech_arrived,
    e.SpeechFailed: Call._on_speech_failed,
    e.StandIn: Call._on_stand_in,
    e.SpeechBegan: Call._on_speech_began,
    e.Played: Call._on_played,
    e.Dtmf: Call._on_dtmf,
    e.CallerText: Call._on_caller_text,
    e.CarrierLost: Call._on_carrier_lost,
    e.CarrierBack: Call._on_carrier_back,
    e.Tick: Call._on_tick,
    e.HungUp: Call._on_hung_up,
}

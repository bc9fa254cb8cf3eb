"""The rules of one call, as a state machine without I/O.

    call = Call(settings)
    commands = call.receive(event, now)     # now: us since the call began, never going back
    call.wake_at                            # send a Tick then (None: not needed)

Invariants, each a test: the history holds no more than was heard; whoever waits has a `wake_at`; late
events of an old reply, sentence or utterance change nothing; after `ENDED` nothing is asked any more.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Literal

from voicegw.audio.pcm import SAMPLES_PER_MS, samples_to_us
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call import slots
from voicegw.call.acting import Acting
from voicegw.call.completeness import expected_from
from voicegw.call.dialogue import Dialogue, Photo
from voicegw.call.draft import Drafts
from voicegw.call.interruption import Interruption, Verdict
from voicegw.call.keypad import Keypad
from voicegw.call.patience import Patience, rung_after
from voicegw.call.playback import Kind, Playback
from voicegw.call.reply import Reply, Stages
from voicegw.call.sentences import SentenceChunker
from voicegw.call.settings import CallSettings, Slot
from voicegw.call.spoken_form import SpokenForm
from voicegw.call.transcript_gate import TranscriptGate
from voicegw.call.turns import Phase, Turns, Utterance

# One sentence is synthesised while another plays: more would be wasted by an interruption.
SENTENCES_AHEAD = 2
# A stream that breaks is asked to go on so often: a third break in one answer is no accident.
MOST_RESUMES = 2
# What the offer of the ladder asks for: press 1 and we call you back.
CALL_BACK_KEY = "1"
# Echo of the agent's last word comes back up to this much later.
ECHO_TAIL_US = 600_000
# The agent says a word again that it was torn from for longer than this.
TORN_WORD_US = 300_000
# Reasons for which nobody is asked to repeat: nobody spoke, the first time at least.
NOBODY_SPOKE = frozenset({"no_voice", "no_speech", "phantom", "said_before", "echo"})
# Photos that wait for their turn; more at once would cost more than they tell.
MOST_PHOTOS = 4


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
        self._state = State.NEW
        self._now = 0
        self._out: list[c.Command] = []
        self._turns = Turns(settings.turns, settings.language)
        self._drafts = Drafts()
        self._gate = TranscriptGate(settings.language)
        # A voice over the agent's speech; while it is undecided the agent is silent.
        self._interruption = Interruption(
            settings.interruptions, settings.turns.barge_in_ms, settings.language
        )
        self._dialogue = Dialogue(
            settings.system_prompt,
            settings.limits.history_exchanges,
            most_tokens=settings.window.tokens,
            most_photos=settings.window.photos,
        )
        self._acting = Acting(settings)
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
        # The newest turn began over the agent's speech, or that soon after that it may be its echo.
        self._over_agent = False
        self._agent_until = -ECHO_TAIL_US
        self._rejection = ""  # why the newest transcript was not taken
        self._rejected = 0  # turns in a row of which nothing was left
        self._last_word = 0
        self._turn_over_at = 0
        self._idle_since = 0
        self._check_ins = 0
        self._failures = 0
        self._misheard = False
        self._failure_code = ""
        self._keypad = Keypad(settings.keypad)
        self._slot: Slot | None = None
        self._photos: tuple[Photo, ...] = ()
        self._summaries = 0
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
    def unfinished_tools(self) -> list[c.RunTool]:
        """Tools that were begun, or may have been, and have no result: for whoever picks up a broken call."""
        return self._acting.unfinished

    @property
    def slot(self) -> Slot | None:
        """The answer that the agent has asked for last."""
        return self._slot

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
        elif not self._drafts.keep(event, now):
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
        if state is State.ENDED:
            self._expect(None)
            self._notify(self._acting.outcome)

    def _notify(self, notice: n.Notice) -> None:
        self._out.append(c.Notify(notice))

    # Begin and end

    def _on_started(self, event: e.CallStarted) -> None:
        if self._state is not State.NEW:
            self.ignored += 1
            return
        greeting = self._phrases.greeting
        if not self._settings.in_hours:
            greeting = self._phrases.closed or greeting
        first = self._phrases.consent or greeting
        if not first:
            self._listen()
            return
        reply = self._say("greeting", first)
        if self._phrases.consent and greeting:
            reply.add([greeting])
        if not self._settings.in_hours and self._settings.closed_hangs_up:
            reply.hang_up = "closed"
            self._go(State.ENDING)

    def _on_details(self, event: e.CallerDetails) -> None:
        """Identity that came late is the driver's and the records' concern; the rules do not use it."""

    def _on_hung_up(self, event: e.HungUp) -> None:
        self._patience.stop(self._now)
        if self._reply is not None:
            self._remember(self._reply, cut=True)
            self._reply = None
        self._waste_draft()
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
        if self._state is State.ENDING or self._consent_sounds:
            return
        self._notify(n.VoiceStarted(event.at_sample // SAMPLES_PER_MS))
        if self._turns.phase is Phase.QUIET:
            self._over_agent = self._reply is not None or self._now - self._agent_until < ECHO_TAIL_US
        useless = self._turns.voice_began(event.at_sample)
        self._cancel_useless([useless] if useless is not None else [])
        self._waste_draft()
        if self._reply is not None:
            if self._may_interrupt(self._reply):
                self._interruption.begin(self._now)
                self._out.append(c.PauseSpeech())
        else:
            # Also when the turn had ended and its transcript was on its way: it is the same turn.
            self._cut_filler()
            self._listen()

    @property
    def _consent_sounds(self) -> bool:
        """True until the line that the law asks for was heard: nobody talks over it."""
        reply = self._reply
        if reply is None or reply.kind != "greeting" or not self._phrases.consent:
            return False
        return not reply.playback.first_done

    def _voice_goes_on(self, event: e.VoiceActivity) -> None:
        piece = self._turns.voice_goes_on(event.at_sample, event.level_db)
        if piece is not None:
            self._transcribe(piece)
        verdict = self._interruption.goes_on(event.at_sample - self._turns.voice_from, event.level_db)
        if self._interruption.undecided and verdict is Verdict.YIELD:
            self._yield_floor()

    def _voice_ended(self, event: e.VoiceActivity) -> None:
        watch = self._turns.voice_ended(event.at_sample)
        self._notify(n.VoiceStopped(event.at_sample // SAMPLES_PER_MS))
        if self._interruption.undecided:
            verdict = self._interruption.ended(event.at_sample - self._turns.voice_from, self._now)
            if verdict is Verdict.KEEP:
                # A cough: no turn, and the agent goes on.
                self._reject_turn("too_short")
                return
            if verdict is Verdict.OPEN:
                # Too short to be sure, too long for a cough: its words decide.
                self._transcribe(self._turns.early(event.position))
                return
            self._yield_floor()
        elif self._reply is not None and not self._may_interrupt(self._reply):
            self._reject_turn("protected")
            return
        self._out.append(c.WatchSample(watch))

    def _may_interrupt(self, reply: Reply) -> bool:
        """Whether the caller may take the floor now. What makes no sound yet can always be taken back."""
        spoken = reply.playback.now_saying
        return not spoken or not spoken.begun or self._interruption.allowed(spoken.kind, spoken.text)

    def _on_sample_reached(self, event: e.SampleReached) -> None:
        if self._interruption.undecided:
            # Whose turn it is comes first.
            return
        was = self._turns.phase
        step = self._turns.pause_reached(event.at_sample)
        self._cancel_useless(step.cancel)
        if step.watch is not None:
            self._out.append(c.WatchSample(step.watch))
        if step.transcribe is not None:
            self._transcribe(step.transcribe)
        if self._turns.phase is Phase.ENDED and was is not Phase.ENDED:
            self._last_word = self._now - samples_to_us(event.at_sample - self._turns.last_voice)
            self._turn_over_at = self._now
            self._wait_from(self._last_word)
            self._go(State.THINKING)
            self._commit_turn()

    def _transcribe(self, utterance: Utterance) -> None:
        hint = self._turns.prompt(utterance) or self._hint
        self._out.append(
            c.Transcribe(utterance.utterance_id, utterance.from_sample, utterance.to_sample, hint)
        )

    def _cancel_useless(self, utterances: list[Utterance]) -> None:
        for utterance in utterances:
            if utterance.text is None:
                self._out.append(c.CancelTranscribe(utterance.utterance_id))

    def _on_transcript(self, event: e.Transcript) -> None:
        utterance = self._turns.find(event.utterance_id)
        if utterance is None:
            self._take_late_words(event)
            return
        rejection = self._gate.judge(
            event,
            voice_ms=self._turns.voice_ms(utterance),
            previous=[u.text for u in self._turns.pieces if u is not utterance and u.text],
            over_agent=self._over_agent,
            now=self._now,
        )
        if rejection is not None:
            self._rejection = rejection.reason
            self._notify(
                n.Transcript("rejected", event.text, reason=rejection.reason, numbers=rejection.numbers)
            )
        self._turns.transcribed(event.utterance_id, "" if rejection is not None else event.text)
        if self._interruption.undecided:
            self._decide_by_words("" if rejection is not None else event.text)
            return
        if self._turns.phase is not Phase.ENDED and self._turns.text:
            self._notify(n.Transcript("partial", self._turns.text))
        if self._turns.phase is Phase.PAUSED:
            self._speculate(event.headroom)
        self._watch_turn()
        self._commit_turn()

    def _on_turn_judged(self, event: e.TurnJudged) -> None:
        if self._turns.judged(event.utterance_id, event.p):
            self._watch_turn()
        else:
            self.ignored += 1

    def _watch_turn(self) -> None:
        """The pause that ends the turn may be another one now."""
        if not self._interruption.undecided and (at_sample := self._turns.watch) is not None:
            self._out.append(c.WatchSample(at_sample))

    def _speculate(self, headroom: float) -> None:
        """Ask the model already, if the words look complete and nothing else is being said."""
        turns, drafts = self._turns, self._drafts
        known = all(u.text is not None and not u.failed for u in turns.wanted)
        if self._reply is not None or not known or not (text := turns.text) or drafts.open is not None:
            return
        if self._photos or self._acting.has_late or self._acting.decides:
            return
        if drafts.may(turns.end.look(text), headroom):
            self._replies += 1
            drafts.begin(self._replies, text)
            messages = self._dialogue.preview(self._noted(text))
            self._out.append(c.Ask(self._replies, messages, speculative=True))

    def _waste_draft(self) -> None:
        draft = self._drafts.close()
        if draft is not None:
            self._out.append(c.CancelAsk(draft.reply_id))
            self._notify(n.Draft(draft.reply_id, "wasted", draft.characters))

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
        self._drafts.turn_done()
        reason, self._rejection = self._rejection, ""
        if not text:
            self._not_understood(reason)
            return
        self._misheard = False
        self._rejected = 0
        self._interruption.learn()
        self._notify(n.Transcript("final", text))
        self._committed = utterances
        self._ask(text, Stages(self._last_word, self._turn_over_at, self._now))

    def _not_understood(self, reason: str) -> None:
        """Say so, but not twice in a row: then it is rather noise than a caller; nor at the first noise."""
        self._waste_draft()
        self._rejected += 1
        noise = reason == "echo" or (reason in NOBODY_SPOKE and self._rejected < 2)
        if noise or self._misheard or not self._phrases.not_understood:
            self._listen()
            return
        self._misheard = True
        self._say("apology", self._phrases.not_understood, clip=True)

    def _drop_turn(self) -> None:
        """What the caller said just now is no turn."""
        if self._turns.phase is Phase.VOICED:
            # Its voice may go on: that is then told as a new one.
            self._notify(n.VoiceStopped(self._turns.last_voice // SAMPLES_PER_MS))
        self._waste_draft()
        self._drafts.turn_done()
        self._cancel_useless(self._turns.reset())
        self._out.append(c.ReleaseAudio(self._turns.last_voice))
        self._interruption.close()

    def _reject_turn(self, reason: str) -> None:
        """The agent keeps the floor: what the caller said over it is no turn."""
        undecided = self._interruption.undecided
        self._drop_turn()
        self._notify(n.Transcript("rejected", "", reason=reason))
        if undecided:
            self._keep_floor()

    # Text and keys

    def _on_caller_text(self, event: e.CallerText) -> None:
        self._take_words(event.text.strip(), "text")

    def _on_dtmf(self, event: e.Dtmf) -> None:
        if self._state is State.ENDING:
            return
        if not self._keypad and self._reply is not None:
            self._cut_reply()
            self._listen()
        if self._patience.offered and not self._keypad and event.digit == CALL_BACK_KEY:
            self._call_back()
        elif self._keypad.press(event.digit, self._now, self._slot):
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
        return bool(self._keypad) and self._turns.phase is Phase.QUIET

    def _take_keys(self) -> None:
        self._take_words(self._keypad.take(self._slot), "keypad")

    def _take_words(self, text: str, source: Literal["voice", "text", "keypad"]) -> None:
        """A turn that did not come by voice; it takes the place of one that was being spoken."""
        if not (text or self._photos) or self._state is State.ENDING:
            self.ignored += 1
            return
        self._cut_reply()
        self._drop_turn()
        self._wait_from(self._now)
        if text:
            self._notify(n.Transcript("final", text, source=source))
        self._committed = None
        self._ask(text, Stages(self._now, self._now, self._now))

    def _on_caller_image(self, event: e.CallerImage) -> None:
        """A photo belongs to the turn that goes on, else it is one; it does not interrupt the agent."""
        self._photos = (*self._photos, Photo(event.image_id, event.width, event.height))[-MOST_PHOTOS:]
        if event.text.strip():
            self._take_words(event.text.strip(), "text")
        else:
            self._take_up_news()

    def _take_up_news(self) -> None:
        """At a good moment, take up what has come meanwhile: a photo, the result of a long tool."""
        if self._state is not State.LISTENING or self._turns.phase is not Phase.QUIET or self._keypad:
            return
        if self._photos:
            self._take_words("", "text")
        elif self._acting.has_late and not self._lost:
            self._wait_from(self._now)
            self._ask_model(self._new_reply("reply"), tools=False)

    def _expect(self, slot: Slot | None) -> None:
        """The agent has asked for this answer; what is sensitive must not be recorded."""
        was, self._slot = self._slot, slot
        if slot is not None:
            self._turns.end.expected = slots.SHAPES[slot.kind]
        if (sensitive := slot is not None and slot.sensitive) != (was is not None and was.sensitive):
            self._out.append(c.MaskRecording(sensitive))

    # The agent's turn

    def _ask(self, text: str, stages: Stages) -> None:
        self._exchanges += 1
        self._check_ins = 0
        slot, noted = self._slot, self._noted(text)
        decided = self._acting.answered(text)
        question = slots.read_back(slot, text, self._settings.language) if slot else ""
        if self._drafts.open is not None and (self._drafts.open.text != text or decided or question):
            self._waste_draft()
        draft = self._drafts.close()
        photos, self._photos = self._photos, ()
        self._dialogue.caller_said(noted, photos)
        self._expect(None)
        self._summarise()
        reply = self._new_reply("reply", draft.reply_id if draft is not None else None)
        reply.stages = stages
        if decided is not None:
            unit, commands = decided
            self._dialogue.tools_called(unit)
            reply.rounds.append((unit, 0))
            reply.acting = True
            self._out += commands
            self._after_tools(reply)
        elif question:
            reply.add([question])
            self._speak_pending(reply)
        elif draft is None:
            self._ask_model(reply)
        else:
            reply.asked = True
            self._notify(n.Draft(draft.reply_id, "used", draft.characters))
            stages.first_token = draft.first_token
            for event in draft.events:
                _HANDLERS[type(event)](self, event)

    def _noted(self, text: str) -> str:
        """The caller's words as the model gets them."""
        return slots.noted(self._slot, text, self._settings.language) if self._slot else text

    @property
    def _hint(self) -> str:
        """What the caller is likely to say, for STT."""
        return (self._slot.hint if self._slot else "") or ", ".join(self._settings.vocabulary)

    def _ask_model(self, reply: Reply, *, tools: bool = True, said: str = "") -> None:
        """Ask for a reply; one of which `said` was spoken already is to go on behind it."""
        self._acting.show_late(self._dialogue)
        reply.asked = True
        begun: tuple[c.Message, ...] = ({"role": "assistant", "content": said},) if said else ()
        self._out.append(c.Ask(reply.reply_id, self._dialogue.messages() + begun, tools=tools))

    def _summarise(self) -> None:
        if self._settings.window.summarise and (dropped := self._dialogue.take_dropped()):
            self._summaries += 1
            earlier: tuple[c.Message, ...] = ()
            if self._dialogue.summary:
                earlier = ({"role": "system", "content": f"Earlier in this call: {self._dialogue.summary}"},)
            self._out.append(c.Summarise(self._summaries, earlier + dropped))

    def _on_summarised(self, event: e.Summarised) -> None:
        if event.text and event.summary_id == self._summaries:
            self._dialogue.summary = event.text

    def _new_reply(self, kind: Kind, reply_id: int | None = None) -> Reply:
        if reply_id is None:
            self._replies += 1
            reply_id = self._replies
        self._reply = reply = Reply(reply_id, kind, SentenceChunker(self._settings.language))
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
        reply.add(reply.chunker.push(event.text))
        self._speak_pending(reply)

    def _on_reply_done(self, event: e.ReplyDone) -> None:
        if (reply := self._current(event.reply_id)) is None:
            return
        reply.asked = False
        reply.add(reply.chunker.finish())
        if reply.calls:
            self._act(reply)
            return
        if not reply.newest:
            self._fail(reply, "empty_reply")
            return
        self._speak_pending(reply)
        self._end_reply_if_heard(reply)

    def _on_reply_tool_call(self, event: e.ReplyToolCall) -> None:
        if (reply := self._current(event.reply_id)) is not None:
            reply.calls.take(event)

    def _act(self, reply: Reply) -> None:
        """The model has called tools."""
        reply.chunker = SentenceChunker(self._settings.language)
        self._out += self._acting.called(reply)
        self._dialogue.tools_called(reply.rounds[-1][0])
        self._speak_pending(reply)
        self._after_tools(reply)

    def _after_tools(self, reply: Reply) -> None:
        step = self._acting.next_step(reply)
        if step == "wait":
            if not reply.playback.sounding:
                self._wait_from(self._now)
            # A tool has its own time-out, and as long again for the answer to its result.
            self._patience.allow_until(self._now + 2 * self._acting.timeout_us(reply))
            return
        reply.acting = False
        if step == "end":
            self._end_reply_if_heard(reply)
        else:
            self._ask_model(reply, tools=step == "ask")

    def _on_committed(self, event: e.Committed) -> None:
        self._out += self._acting.committed(event)

    def _on_tool_result(self, event: e.ToolResult) -> None:
        reply = self._reply
        told = self._acting.result(event, reply)
        self.ignored += not told
        self._out += told
        if reply is not None and reply.acting and told:
            self._after_tools(reply)
        self._take_up_news()

    def _on_transfer_ended(self, event: e.TransferEnded) -> None:
        self._out += self._acting.transfer_ended(event.done)
        if event.done:
            self._cut_reply()
            self._go(State.ENDED)
            self._out.append(c.HangUp("transferred"))
        else:
            self._take_up_news()

    def _on_reply_failed(self, event: e.ReplyFailed) -> None:
        if (reply := self._current(event.reply_id)) is None:
            return
        # Whole sentences that came are still said; the torn one at the end is not.
        if event.broken and reply.resumes < MOST_RESUMES:
            self._ask_model(reply, said=reply.go_on(self._settings.language))
            return
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
        if not reply.playback.begun and not self._interruption.undecided:
            if reply.prepared:
                self._stand_in(reply)
                return
            self._out.append(c.ClearSpeech(self._patience.filler_id))
            reply.playback = Playback()
        elif reply.playback.drop_behind(event.speech_id):
            # What follows makes no sense without it.
            self._out.append(c.ClearSpeech(event.speech_id))
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
        self._gate.agent_said(spoken.text, self._now)
        self._turns.end.expected = expected_from(spoken.text)
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
        self._agent_until = self._now
        if reply.hang_up:
            self._go(State.ENDED)
            self._out.append(c.HangUp(reply.hang_up))
        else:
            if reply.transfer is not None:
                self._out += self._acting.hand_over(reply, self._now)
            if self._interruption.undecided:
                # It was heard to the end while the caller began to speak: now it is the caller's turn.
                self._interruption.close()
                self._out.append(c.ResumeSpeech())
                self._watch_turn()
            self._listen()
            self._take_up_news()
        return True

    def _remember(self, reply: Reply, *, cut: bool = False) -> None:
        self._dialogue.agent_heard(reply.heard_since_tools())
        self._acting.reply_ended(reply, cut=cut)
        if reply.kind in ("reply", "greeting"):
            self._expect(slots.expected(self._settings.slots, reply.playback.heard_text))
        if reply.started:
            self._notify(n.SpeechStopped(reply.reply_id, reply.playback.heard_text, cut))

    def _listen(self) -> None:
        self._patience.stop(self._now)
        self._idle_since = self._now
        self._go(State.LISTENING)

    # Interruptions

    def _keep_floor(self) -> None:
        """The agent goes on; with the word that it was torn from, if that is long ago."""
        self._interruption.close()
        reply = self._reply
        torn = reply is not None and self._interruption.lost_us(self._now) > TORN_WORD_US
        self._out.append(c.ResumeSpeech(reply.playback.into_word if torn and reply is not None else 0))

    def _decide_by_words(self, text: str) -> None:
        """The words of a voice over the agent's speech have come."""
        if self._turns.phase is not Phase.PAUSED:
            # The caller speaks again: the length of that decides.
            return
        if self._interruption.said(text) is Verdict.KEEP:
            self._reject_turn("backchannel")
        else:
            self._yield_floor()
            self._watch_turn()

    def _stop_waiting_for_words(self) -> None:
        """The agent goes on rather than be silent any longer; words that still come may interrupt it."""
        waiting = self._turns.utterance
        self._interruption.late = waiting.utterance_id if waiting is not None else None
        self._turns.reset()
        self._out.append(c.ReleaseAudio(self._turns.last_voice))
        self._keep_floor()

    def _take_late_words(self, event: e.Transcript) -> None:
        if event.utterance_id != self._interruption.late:
            self.ignored += 1
            return
        self._interruption.late = None
        rejection = self._gate.judge(event, voice_ms=1000, previous=(), over_agent=True, now=self._now)
        free = self._state in (State.SPEAKING, State.LISTENING) and self._turns.phase is Phase.QUIET
        if rejection is None and free and self._interruption.said(event.text) is Verdict.YIELD:
            self._take_words(event.text, "voice")
        else:
            reason = rejection.reason if rejection is not None else "backchannel"
            self._notify(n.Transcript("rejected", event.text, reason=reason))

    def _yield_floor(self) -> None:
        """The caller interrupts. A reply of which nothing was heard means that the turn was not over."""
        reply = self._reply
        if reply is None:
            self._keep_floor()
            return
        # What tools did cannot be taken back.
        reopens = (
            reply.kind == "reply" and not (reply.started or reply.rounds) and self._committed is not None
        )
        pieces = self._committed
        self._cut_reply()
        if reopens and pieces is not None:
            self._photos = self._dialogue.take_back()
            self._exchanges -= 1
            self._turns.reopen(pieces)
            self._committed = None
        self._listen()

    def _cut_reply(self) -> None:
        """Stop what the agent is saying or about to say; what was heard of it is remembered."""
        reply = self._reply
        self._interruption.close()
        if reply is None:
            self._cut_filler()
            return
        self._agent_until = self._now
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
        reply.acting = False
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
        if (due := self._interruption.due_us) is not None and self._now >= due:
            self._stop_waiting_for_words()
        elif self._now >= self._ends_at and self._state is not State.ENDING:
            self._farewell("max_call_length", protected=True)
        elif (due := self._acting.transfer_due) is not None and self._now >= due:
            self._on_transfer_ended(e.TransferEnded(False))
        elif self._keys_wait and self._now >= self._keypad.due:
            self._take_keys()
        elif (due := self._patience_due) is not None and self._now >= due:
            self._run_out_of_patience()
        elif (due := self._idle_due) is not None and self._now >= due:
            self._check_in()

    @property
    def _patience_due(self) -> int | None:
        """When the caller must hear something; None where nobody is there, or is talking just now."""
        if self._lost:
            return None
        # Whoever is talking is given no sign, but is not forgotten.
        undecided = self._interruption.undecided
        return self._patience.gives_up_us if undecided else self._patience.due_us

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
        if self._lost or self._keypad or self._acting.transfer_due is not None:
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
        waits = [self._idle_due, self._interruption.due_us, self._patience_due]
        if self._state is not State.ENDING:
            waits += [self._ends_at, self._acting.transfer_due]
        if self._keys_wait:
            waits.append(self._keypad.due)
        return min((at for at in waits if at is not None), default=None)

    # The carrier

    def _on_carrier_lost(self, event: e.CarrierLost) -> None:
        self._patience.stop(self._now)
        self._lost = True
        if self._interruption.undecided:
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
    e.TurnJudged: Call._on_turn_judged,
    e.TranscriptFailed: Call._on_transcript_failed,
    e.ReplyText: Call._on_reply_text,
    e.ReplyToolCall: Call._on_reply_tool_call,
    e.ReplyDone: Call._on_reply_done,
    e.Committed: Call._on_committed,
    e.ToolResult: Call._on_tool_result,
    e.TransferEnded: Call._on_transfer_ended,
    e.Summarised: Call._on_summarised,
    e.ReplyFailed: Call._on_reply_failed,
    e.SpeechArrived: Call._on_speech_arrived,
    e.SpeechFailed: Call._on_speech_failed,
    e.StandIn: Call._on_stand_in,
    e.SpeechBegan: Call._on_speech_began,
    e.Played: Call._on_played,
    e.Dtmf: Call._on_dtmf,
    e.CallerText: Call._on_caller_text,
    e.CallerImage: Call._on_caller_image,
    e.CarrierLost: Call._on_carrier_lost,
    e.CarrierBack: Call._on_carrier_back,
    e.Tick: Call._on_tick,
    e.HungUp: Call._on_hung_up,
}

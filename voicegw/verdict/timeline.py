"""Folds a call's events, with their times and the commands they caused, into exchanges.

    timeline = Timeline()
    timeline.take(event, now, call.receive(event, now))       # live, or from a journal played again
    timeline.exchanges        # list[Exchange], see exchanges.py; number 0 is what came before the first turn
    timeline.exchanges[-1].stages, .gap_us, .heard, .asked, .sentences, .tools, .rungs, .costs, .failures ...
    timeline.call             # external_id, caller, called, language, metadata: as told, the latest wins
    timeline.ended_us, timeline.end_reason
    timeline.voice            # list[Span]: when the caller spoke; .speech: when the agent sounded

Cheap enough to run beside every call (about a microsecond an event; most are ignored at once). Its size is
bounded by the call's length: about 3 kB an exchange. What a call said about itself is taken from its notices,
so that the records and the other side are told the same.
"""

from collections.abc import Callable, Iterable
from typing import Any

from voicegw.audio.pcm import samples_to_us
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.call import Call
from voicegw.call.settings import CallSettings
from voicegw.verdict.coming_turn import ComingTurn
from voicegw.verdict.exchanges import (
    Asked,
    CallerTold,
    Exchange,
    Failure,
    HandOver,
    Interruption,
    Rejected,
    RungHeard,
    Sentence,
    Span,
    ToolUse,
    Utterance,
)
from voicegw.verdict.sounding import Sounding

# What of `events.Charged` is kept with its exchange.
_CHARGED = (
    "work", "number", "provider", "model", "usd", "prompt_tokens", "completion_tokens", "audio_ms",
    "characters", "estimated",
)  # fmt: skip


class Timeline:
    """One call. Feed it every event in order; read it at any time."""

    def __init__(self) -> None:
        self.call = CallerTold()
        self.exchanges: list[Exchange] = [Exchange(0)]
        self.voice: list[Span] = []
        self.keys: list[tuple[int, str]] = []
        self.lost: list[Span] = []
        self.held: list[Span] = []  # the caller held the call: nobody waited
        self.ended_us: int | None = None
        self.end_reason = ""
        self.hang_up = ""  # the reason, where the agent ended the call
        self.transfers: list[HandOver] = []
        self.outcome: n.Outcome | None = None  # told once, at the end
        self.last_us = 0
        self._event: e.Event | None = None
        self._coming = ComingTurn()
        self._sounding = Sounding()
        # Failures whose consequence is still to be heard.
        self._unheard: list[Failure] = []
        self._wasted: set[int] = set()  # replies that were asked for ahead and not used
        self._interruption: Interruption | None = None  # being decided

    @property
    def speech(self) -> list[Span]:
        """When the agent sounded, sentence by sentence."""
        said = (s for exchange in self.exchanges for s in exchange.sentences)
        return [Span(s.began_us, s.ended_us) for s in said if s.began_us is not None]

    @property
    def current(self) -> Exchange:
        """The newest exchange."""
        return self.exchanges[-1]

    def take(self, event: e.Event, now: int, commands: Iterable[c.Command]) -> None:
        """Take an event, its time, and the commands that the call gave for it."""
        self.last_us = now
        self._event = event
        on_event = _EVENTS.get(type(event))
        if on_event is not None:
            on_event(self, event, now)
        for command in commands:
            on_command = _COMMANDS.get(type(command))
            if on_command is not None:
                on_command(self, command, now)

    # The caller's side

    def _on_started(self, event: e.CallStarted, now: int) -> None:
        self.call = CallerTold(
            event.external_id, event.caller, event.called, event.language, dict(event.metadata)
        )

    def _on_details(self, event: e.CallerDetails, now: int) -> None:
        known = self.call
        known.external_id = event.external_id or known.external_id
        known.caller = event.caller or known.caller
        known.called = event.called or known.called
        known.metadata |= event.metadata

    def _on_voice(self, event: e.VoiceActivity, now: int) -> None:
        # How long ago that was is told in samples; it is put on the one time line here.
        at_us = now - samples_to_us(event.position - event.at_sample)
        speaks = bool(self.voice) and self.voice[-1].to_us is None
        if event.speaking and not speaks:
            self.voice.append(Span(at_us))
            if self._coming.from_us is None:
                self._coming.from_us = at_us
        elif not event.speaking and speaks:
            self.voice[-1].to_us = at_us

    def _on_sample_reached(self, event: e.SampleReached, now: int) -> None:
        self._coming.reached_us = now

    def _on_transcript(self, event: e.Transcript, now: int) -> None:
        utterance = self._coming.utterances.get(event.utterance_id)
        if utterance is not None:
            utterance.done_us, utterance.text, utterance.language = now, event.text, event.language

    def _on_transcript_failed(self, event: e.TranscriptFailed, now: int) -> None:
        utterance = self._coming.utterances.get(event.utterance_id)
        if utterance is not None:
            utterance.done_us, utterance.code = now, event.code

    def _on_dtmf(self, event: e.Dtmf, now: int) -> None:
        self.keys.append((now, event.digit))

    def _on_lost(self, event: e.CarrierLost, now: int) -> None:
        self.lost.append(Span(now))

    def _on_back(self, event: e.CarrierBack, now: int) -> None:
        if self.lost:
            self.lost[-1].to_us = now

    def _on_hold(self, event: e.CallerHold, now: int) -> None:
        if event.on:
            self.held.append(Span(now))
        elif self.held:
            self.held[-1].to_us = now

    def _on_hung_up(self, event: e.HungUp, now: int) -> None:
        if self.ended_us is not None:
            return
        self.ended_us, self.end_reason = now, event.reason
        if self.voice and self.voice[-1].to_us is None:
            self.voice[-1].to_us = now
        self._sounding.cut(now)

    # The agent's side

    def _on_reply_text(self, event: e.ReplyText, now: int) -> None:
        asked = self._find_asked(event.reply_id)
        if asked is not None:
            if asked.first_token_us is None:
                asked.first_token_us = now
            asked.text += event.text

    def _on_reply_done(self, event: e.ReplyDone, now: int) -> None:
        asked = self._find_asked(event.reply_id)
        if asked is not None:
            asked.done_us, asked.finish_reason = now, event.finish_reason
            asked.prompt_tokens, asked.completion_tokens = event.prompt_tokens, event.completion_tokens

    def _on_reply_failed(self, event: e.ReplyFailed, now: int) -> None:
        asked = self._find_asked(event.reply_id)
        if asked is not None:
            asked.done_us, asked.code = now, event.code

    def _find_asked(self, reply_id: int) -> Asked | None:
        found = self._coming.asked.get(reply_id)
        if found is not None:
            return found
        return next((a for a in reversed(self.current.asked) if a.reply_id == reply_id), None)

    def _on_failed(self, event: e.ProviderFailed, now: int) -> None:
        failure = Failure(
            now, event.work, event.number, event.provider, event.code, event.status, event.request_id,
            event.retry_after,
        )  # fmt: skip
        ahead = self._coming.is_for(event.work, event.number)
        (self._coming if ahead else self.current).failures.append(failure)
        self._unheard.append(failure)

    def _on_charged(self, event: e.Charged, now: int) -> None:
        cost = {name: value for name in _CHARGED if (value := getattr(event, name)) not in (None, 0, False)}
        if event.work == "llm" and event.number in self._wasted:
            cost["wasted"] = True
        ahead = self._coming.is_for(event.work, event.number)
        (self._coming if ahead else self._exchange_of(event.work, event.number)).costs.append(cost)

    def _exchange_of(self, work: str, number: int) -> Exchange:
        for exchange in reversed(self.exchanges[-3:]):
            ids: Iterable[int] = ()
            if work == "stt":
                ids = (utterance.utterance_id for utterance in exchange.utterances)
            elif work == "llm":
                ids = (asked.reply_id for asked in exchange.asked)
            elif work == "tts":
                ids = (sentence.speech_id for sentence in exchange.sentences)
            if number in ids:
                return exchange
        return self.current

    def _on_tool_result(self, event: e.ToolResult, now: int) -> None:
        for exchange in reversed(self.exchanges):
            for tool in exchange.tools:
                if tool.tool_id == str(event.tool_id):
                    tool.done_us, tool.outcome, tool.result = now, event.status, event.content
                    return

    def _on_speech_arrived(self, event: e.SpeechArrived, now: int) -> None:
        self._sounding.arrived(event.speech_id, event.samples, now)

    def _on_speech_failed(self, event: e.SpeechFailed, now: int) -> None:
        self._sounding.failed(event.speech_id, event.code)

    def _on_speech_began(self, event: e.SpeechBegan, now: int) -> None:
        if self._sounding.began(event.speech_id, now) and self.current.sounded_us is None:
            self.current.sounded_us = now

    def _on_played(self, event: e.Played, now: int) -> None:
        self._sounding.played(event.speech_id, event.samples, now, done=event.done)

    def _on_stand_in(self, event: e.StandIn, now: int) -> None:
        self._sounding.stood_in(event.speech_id, event.text)

    # What the call decided

    def _transcribe(self, command: c.Transcribe, now: int) -> None:
        self._coming.utterances[command.utterance_id] = Utterance(
            command.utterance_id, command.from_sample, command.to_sample, now
        )

    def _cancel_transcribe(self, command: c.CancelTranscribe, now: int) -> None:
        utterance = self._coming.utterances.get(command.utterance_id)
        if utterance is not None:
            utterance.cancelled = True

    def _ask(self, command: c.Ask, now: int) -> None:
        asked = Asked(command.reply_id, now)
        if self._coming.utterances:
            # The turn is not committed: asked ahead.
            self._coming.asked[command.reply_id] = asked
        else:
            self.current.asked.append(asked)

    def _cancel_ask(self, command: c.CancelAsk, now: int) -> None:
        asked = self._find_asked(command.reply_id)
        if asked is not None:
            asked.cancelled = True
            self._coming.reopens |= self._unanswered

    @property
    def _unanswered(self) -> bool:
        """True when the caller speaks again before anything of the answer was heard."""
        return (
            isinstance(self._event, e.VoiceActivity)
            and self.current.source == "voice"
            and self.current.began_us is None
        )

    def _speak(self, command: c.Speak | c.PlayClip, now: int) -> None:
        clip = isinstance(command, c.PlayClip)
        sentence = Sentence(command.speech_id, command.text, clip, now)
        self._sounding.add(sentence)
        exchange = self.current
        exchange.sentences.append(sentence)
        if exchange.first_sentence_us is None and exchange.asked and not clip:
            exchange.first_sentence_us = now

    def _pause(self, command: c.PauseSpeech, now: int) -> None:
        voice = self.voice[-1].from_us if self.voice else now
        self._interruption = Interruption(voice, now)
        self.current.interruptions.append(self._interruption)

    def _resume(self, command: c.ResumeSpeech, now: int) -> None:
        self._settle("kept", now)

    def _clear(self, command: c.ClearSpeech, now: int) -> None:
        self._coming.reopens |= self._unanswered
        if self._interruption is not None:
            self._coming.yielded = self._interruption
        self._settle("yielded", now)
        self._sounding.cut(now, keep=command.keep)

    def _settle(self, outcome: Any, now: int) -> None:
        if self._interruption is not None:
            self._interruption.outcome, self._interruption.decided_us = outcome, now
            self._interruption = None

    def _run_tool(self, command: c.RunTool, now: int) -> None:
        self.current.tools.append(ToolUse(str(command.tool_id), command.name, command.arguments, now))

    def _hang_up(self, command: c.HangUp, now: int) -> None:
        self.hang_up = command.reason

    def _notify(self, command: c.Notify, now: int) -> None:
        on_notice = _NOTICES.get(type(command.notice))
        if on_notice is not None:
            on_notice(self, command.notice, now)

    def _told_transcript(self, notice: n.Transcript, now: int) -> None:
        if notice.status == "final":
            self._turn_taken(notice, now)
        elif notice.status == "rejected":
            self.current.rejected.append(Rejected(now, notice.reason, notice.text))
            if self._coming.yielded is not None:
                self._coming.yielded.false = True
            self._end_turn()

    def _turn_taken(self, notice: n.Transcript, now: int) -> None:
        """The caller's turn is over: a new exchange begins, or the newest one goes on."""
        exchange, coming = self.current, self._coming
        if coming.reopens and notice.source == "voice":
            exchange.reopened += 1
            exchange.text = notice.text
            exchange.first_sentence_us = exchange.sounded_us = None
        else:
            exchange = Exchange(len(self.exchanges), notice.source, notice.text)
            self.exchanges.append(exchange)
            exchange.voice_us = coming.from_us if notice.source == "voice" else None
        exchange.last_word_us = exchange.turn_over_us = exchange.transcribed_us = now
        if notice.source == "voice":
            if self.voice and self.voice[-1].to_us is not None:
                exchange.last_word_us = self.voice[-1].to_us
            if coming.reached_us is not None:
                exchange.turn_over_us = max(exchange.last_word_us, coming.reached_us)
            exchange.utterances += coming.utterances.values()
            exchange.asked += coming.asked.values()
        coming.mark_superseded()
        self._end_turn()

    def _told_draft(self, notice: n.Draft, now: int) -> None:
        if notice.outcome != "wasted":
            return
        self._wasted.add(notice.reply_id)
        self._coming.mark_wasted(notice.reply_id)

    def _end_turn(self) -> None:
        self.current.costs += self._coming.costs
        self.current.failures += self._coming.failures
        self._coming = ComingTurn()

    def _told_latency(self, notice: n.Latency, now: int) -> None:
        """The call's own account of the gap is the exact one."""
        exchange = self.current
        exchange.last_word_us = now - notice.total_ms * 1000
        exchange.turn_over_us = exchange.last_word_us + notice.end_of_turn_ms * 1000
        exchange.transcribed_us = exchange.turn_over_us + notice.transcription_ms * 1000

    def _told_sentence(self, notice: n.ReplyText, now: int) -> None:
        exchange = self.current
        self._sounding.told(notice.speech_id, notice.reply_id, notice.kind)
        if notice.kind == "reply" and exchange.began_us is None:
            exchange.began_us = now
        if notice.kind == "reply":
            self._heard_next("the answer")
            self._unheard.clear()

    def _told_speech_stopped(self, notice: n.SpeechStopped, now: int) -> None:
        # Fillers (reply 0) stand among the rungs: they answer nothing.
        if notice.heard and notice.reply_id:
            self.current.heard = f"{self.current.heard} {notice.heard}".strip()

    def _told_rung(self, notice: n.Rung, now: int) -> None:
        because = self._unheard[-1].told if self._unheard else ""
        self.current.rungs.append(RungHeard(now, notice.rung, notice.text, notice.reason, because))
        self._heard_next(f"{notice.rung}: {notice.text}")
        if notice.rung != "filler":
            # That was the answer to them: what comes next has other reasons.
            self._unheard.clear()

    def _heard_next(self, what: str) -> None:
        for failure in self._unheard:
            failure.heard.append(what)

    def _told_transfer(self, notice: n.Transfer, now: int) -> None:
        if notice.status == "started":
            self.transfers.append(HandOver(now, notice.target, notice.status))
        elif self.transfers:
            self.transfers[-1].status = notice.status

    def _told_callback(self, notice: n.Callback, now: int) -> None:
        self.transfers.append(HandOver(now, notice.number or self.call.caller, "callback_requested"))

    def _told_outcome(self, notice: n.Outcome, now: int) -> None:
        self.outcome = notice


def play_journal(settings: CallSettings, events: Iterable[tuple[e.Event, int]]) -> Timeline:
    """Return the timeline of a journal: its events are given to a fresh call again.

    Takes about a tenth of a second for a call of an hour's talking: off the loop in a server.
    """
    timeline, call = Timeline(), Call(settings)
    for event, now in events:
        timeline.take(event, now, call.receive(event, now))
    return timeline


_EVENTS: dict[type, Callable[[Timeline, Any, int], None]] = {
    e.CallStarted: Timeline._on_started,
    e.CallerDetails: Timeline._on_details,
    e.VoiceActivity: Timeline._on_voice,
    e.SampleReached: Timeline._on_sample_reached,
    e.Transcript: Timeline._on_transcript,
    e.TranscriptFailed: Timeline._on_transcript_failed,
    e.ReplyText: Timeline._on_reply_text,
    e.ReplyDone: Timeline._on_reply_done,
    e.ReplyFailed: Timeline._on_reply_failed,
    e.ProviderFailed: Timeline._on_failed,
    e.Charged: Timeline._on_charged,
    e.ToolResult: Timeline._on_tool_result,
    e.SpeechArrived: Timeline._on_speech_arrived,
    e.SpeechFailed: Timeline._on_speech_failed,
    e.StandIn: Timeline._on_stand_in,
    e.SpeechBegan: Timeline._on_speech_began,
    e.Played: Timeline._on_played,
    e.Dtmf: Timeline._on_dtmf,
    e.CarrierLost: Timeline._on_lost,
    e.CarrierBack: Timeline._on_back,
    e.CallerHold: Timeline._on_hold,
    e.HungUp: Timeline._on_hung_up,
}
_COMMANDS: dict[type, Callable[[Timeline, Any, int], None]] = {
    c.Transcribe: Timeline._transcribe,
    c.CancelTranscribe: Timeline._cancel_transcribe,
    c.Ask: Timeline._ask,
    c.CancelAsk: Timeline._cancel_ask,
    c.Speak: Timeline._speak,
    c.PlayClip: Timeline._speak,
    c.PauseSpeech: Timeline._pause,
    c.ResumeSpeech: Timeline._resume,
    c.ClearSpeech: Timeline._clear,
    c.RunTool: Timeline._run_tool,
    c.HangUp: Timeline._hang_up,
    c.Notify: Timeline._notify,
}
_NOTICES: dict[type, Callable[[Timeline, Any, int], None]] = {
    n.Transcript: Timeline._told_transcript,
    n.Draft: Timeline._told_draft,
    n.Latency: Timeline._told_latency,
    n.ReplyText: Timeline._told_sentence,
    n.SpeechStopped: Timeline._told_speech_stopped,
    n.Rung: Timeline._told_rung,
    n.Transfer: Timeline._told_transfer,
    n.Callback: Timeline._told_callback,
    n.Outcome: Timeline._told_outcome,
}

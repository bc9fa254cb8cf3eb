"""The rules of one call, as a state machine without I/O.

    call = Call(settings)
    commands = call.receive(event, now)     # now: us since the call began, never going back
    call.wake_at                            # send a Tick then (None: not needed)

Invariants, each a test: the history holds no more than was heard; whoever waits has a `wake_at`; late
events of an old reply, sentence or utterance change nothing; after `ENDED` nothing is asked any more.

Here the parts are put together; each knows those above it only:

    Floor        state, time and commands; who waits since when
    CallerTurn   the turn that is going on
    Speaking     the agent begins to say something, and stops
    Presence     the line is lost, or the caller holds it
    Ladder       what is said when no answer comes
    Speech       sentences on their way to the caller's ear
    Answering    the model is asked, its tools run
    Written      text, keys, photos
    Hearing      the caller's voice
"""

from collections.abc import Callable
from typing import Any

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call.acting import Acting
from voicegw.call.answering import Answering
from voicegw.call.caller_turn import CallerTurn
from voicegw.call.dialogue import Dialogue
from voicegw.call.floor import Floor, State
from voicegw.call.hearing import Hearing
from voicegw.call.ladder import Ladder
from voicegw.call.presence import Presence
from voicegw.call.settings import CallSettings, Slot
from voicegw.call.speaking import Speaking
from voicegw.call.speech import Speech
from voicegw.call.turns import Phase
from voicegw.call.written import Written


class Call:
    """One caller's conversation, across reconnects. Events in, commands out."""

    def __init__(self, settings: CallSettings) -> None:
        self._settings = settings
        self._dialogue = dialogue = Dialogue(
            settings.system_prompt,
            settings.limits.history_exchanges,
            most_tokens=settings.window.tokens,
            most_photos=settings.window.photos,
        )
        for caller, agent in settings.history:
            dialogue.caller_said(caller)
            dialogue.agent_heard(agent)
        self._acting = acting = Acting(settings)
        self._floor = floor = Floor(settings)
        self._turn = turn = CallerTurn(floor)
        self._speaking = speaking = Speaking(floor, turn, dialogue, acting)
        self._presence = Presence(floor, turn, speaking)
        self._ladder = ladder = Ladder(floor, turn, speaking, acting)
        self._speech = speech = Speech(floor, turn, speaking, ladder, acting)
        self._answering = answering = Answering(floor, turn, speaking, speech, ladder, dialogue, acting)
        self._written = written = Written(floor, turn, speaking, ladder, answering, acting)
        self._hearing = Hearing(floor, turn, speaking, ladder, answering, written, dialogue)
        self._idle_us = int(settings.limits.idle_s * 1e6)
        self._ends_at = int(settings.limits.max_call_s * 1e6)
        self.wake_at: int | None = None

    def receive(self, event: e.Event, now: int) -> list[c.Command]:
        """Take the next event. Returns what is to be done about it, in order."""
        floor = self._floor
        out = floor.begin(now)
        if floor.state is State.ENDED:
            floor.ignored += 1
            return out
        patience = floor.patience
        if patience.filler_id and getattr(event, "speech_id", 0) == patience.filler_id:
            floor.do(*patience.filler_event(event, now))
        elif not self._turn.drafts.keep(event, now):
            _HANDLERS[type(event)](self, event)
        if floor.news_wanted:
            self._written.take_up_news()
        self.wake_at = self._next_wake()
        return out

    # What can be asked about it

    @property
    def state(self) -> State:
        """What the agent is doing."""
        return self._floor.state

    @property
    def ignored(self) -> int:
        """How many events came too late, or were not known in the state."""
        return self._floor.ignored

    @property
    def longest_wait_us(self) -> int:
        """The longest time that the caller waited for the agent and heard nothing."""
        return self._floor.patience.longest_us

    @property
    def gives_up_us(self) -> int | None:
        """When the answer that is waited for is given up: the deadline of all that is asked for it."""
        return self._floor.patience.gives_up_us

    @property
    def unfinished_tools(self) -> list[c.RunTool]:
        """Tools that were begun, or may have been, and have no result: for whoever picks up a broken call."""
        return self._acting.unfinished

    @property
    def slot(self) -> Slot | None:
        """The answer that the agent has asked for last."""
        return self._turn.slot

    @property
    def history(self) -> tuple[c.Message, ...]:
        """What the model would be shown now: all that it holds of the agent was heard."""
        return self._dialogue.messages()

    # Begin and end

    def _started(self, event: e.CallStarted) -> None:
        floor, settings, phrases = self._floor, self._settings, self._settings.phrases
        if floor.state is not State.NEW:
            floor.ignored += 1
            return
        greeting = phrases.greeting
        if not settings.in_hours:
            greeting = phrases.closed or greeting
        first = phrases.consent or greeting
        if not first:
            floor.listen()
            return
        reply = self._speaking.say("greeting", first)
        if phrases.consent and greeting:
            reply.add([greeting])
        if not settings.in_hours and settings.closed_hangs_up:
            reply.hang_up = "closed"
            floor.go(State.ENDING)

    def _details(self, event: e.CallerDetails | e.VoiceProbability | e.ProviderFailed) -> None:
        """It is the driver's, the ear's or the records' concern; the rules do not use it."""

    def _hung_up(self, event: e.HungUp) -> None:
        self._floor.patience.stop(self._floor.now)
        if self._speaking.reply is not None:
            self._speaking.remember(self._speaking.reply, cut=True)
        self._turn.waste_draft()
        self._floor.tell_cost()
        self._turn.turns.reset()
        self._speaking.end_call()

    # Time

    def _tick(self, event: e.Tick) -> None:
        now = self._floor.now
        if (due := self._turn.interruption.due_us) is not None and now >= due:
            self._hearing.stop_waiting_for_words()
        elif (due := self._presence.due_us) is not None and now >= due:
            self._presence.run_out()
        elif now >= self._ends_at and self._floor.state is not State.ENDING:
            self._ladder.farewell("max_call_length", protected=True)
        elif (due := self._acting.transfer_due) is not None and now >= due:
            self._answering.transfer_ended(e.TransferEnded(False))
        elif (due := self._written.keys_due_us) is not None and now >= due:
            self._written.take_keys()
        elif (due := self._ladder.due_us) is not None and now >= due:
            self._ladder.run_out_of_patience()
        elif (due := self._idle_due) is not None and now >= due:
            self._check_in()

    def _next_wake(self) -> int | None:
        if self._floor.state is State.ENDED:
            return None
        ending = self._floor.state is State.ENDING
        first = None if ending else self._ends_at
        for at in (
            self._turn.interruption.due_us,
            self._written.keys_due_us,
            self._ladder.due_us,
            self._presence.due_us,
            self._idle_due,
            None if ending else self._acting.transfer_due,
        ):
            if at is not None and (first is None or at < first):
                first = at
        return first

    @property
    def _idle_due(self) -> int | None:
        floor = self._floor
        if floor.state is not State.LISTENING or self._turn.turns.phase is not Phase.QUIET:
            return None
        if floor.away or self._written.typing or self._acting.transfer_due is not None:
            return None
        return floor.idle_since + self._idle_us

    def _check_in(self) -> None:
        self._floor.check_ins += 1
        check_in = self._settings.phrases.check_in
        if self._floor.check_ins > self._settings.limits.check_ins or not check_in:
            self._ladder.farewell("idle", protected=False)
        else:
            self._speaking.say("check_in", check_in)


# Who takes which event.
_HANDLERS: dict[type, Callable[[Call, Any], None]] = {
    e.CallStarted: Call._started,
    e.CallerDetails: Call._details,
    e.VoiceActivity: lambda call, event: call._hearing.voice(event),
    e.VoiceProbability: Call._details,
    e.SampleReached: lambda call, event: call._hearing.sample_reached(event),
    e.Transcript: lambda call, event: call._hearing.transcript(event),
    e.TranscriptFailed: lambda call, event: call._hearing.transcript_failed(event),
    e.TurnJudged: lambda call, event: call._hearing.turn_judged(event),
    e.ReplyText: lambda call, event: call._answering.take(event),
    e.ReplyToolCall: lambda call, event: call._answering.take(event),
    e.ReplyDone: lambda call, event: call._answering.take(event),
    e.ReplyFailed: lambda call, event: call._answering.take(event),
    e.Committed: lambda call, event: call._answering.committed(event),
    e.ToolResult: lambda call, event: call._answering.tool_result(event),
    e.TransferEnded: lambda call, event: call._answering.transfer_ended(event),
    e.Summarised: lambda call, event: call._answering.summarised(event),
    e.SpeechArrived: lambda call, event: call._speech.arrived(event),
    e.SpeechFailed: lambda call, event: call._speech.failed(event),
    e.StandIn: lambda call, event: call._speech.stood_in(event),
    e.SpeechBegan: lambda call, event: call._speech.began(event),
    e.Played: lambda call, event: call._speech.played(event),
    e.Dtmf: lambda call, event: call._written.key(event),
    e.CallerText: lambda call, event: call._written.text(event),
    e.CallerImage: lambda call, event: call._written.image(event),
    e.ProviderFailed: Call._details,
    e.Charged: lambda call, event: call._floor.spending.charged(event),
    e.CarrierLost: lambda call, event: call._presence.lost(event),
    e.CarrierBack: lambda call, event: call._presence.back(event),
    e.CallerHold: lambda call, event: call._presence.hold(event),
    e.Tick: Call._tick,
    e.HungUp: Call._hung_up,
}

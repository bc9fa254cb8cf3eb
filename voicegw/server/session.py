"""The driver of one call: carries its events and commands, and owns every task of it.

Pure objects decide (`Ear`, `Call`, `Mouth`, the carrier); here are the clock, the tasks and no rules. The
caller's voice comes in through `voice_in.py`, the agent's speech goes out through `speech_out.py`, both over
`connection.py`. When `run` returns, nothing of the call lives on.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from voicegw.agents.personas import Persona
from voicegw.agents.tools import ToolContext
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.call import Call
from voicegw.carriers.base import (
    Carrier,
    Flow,
    HangUpRequest,
    Inbound,
    Message,
    PhotoPart,
    PlayedReport,
    Ready,
    Start,
)
from voicegw.errors import CarrierError
from voicegw.observe.quantile import Recent
from voicegw.providers.build import Providers
from voicegw.server.clips import Clips
from voicegw.server.connection import Connection, Line
from voicegw.server.photos import BadPhoto, Photos
from voicegw.server.requests import Requests
from voicegw.server.speech_out import SpeechOut
from voicegw.server.ticker import Ticker
from voicegw.server.tool_runs import ToolRuns
from voicegw.server.turn_model import TurnModel
from voicegw.server.uploads import Uploads
from voicegw.server.vault import Vault
from voicegw.server.voice_in import VoiceIn
from voicegw.server.voice_model import VoiceModel
from voicegw.store.journal import Journal
from voicegw.store.recording import Tape
from voicegw.verdict.timeline import Timeline

log = logging.getLogger(__name__)

# A flush a second: a killed process loses at most that much of its journal.
FLUSH_S = 1.0


class Session:
    """One call on its way through the process. Made by the gateway, fed by the call's connection."""

    def __init__(
        self,
        call_id: str,
        resume_token: str,
        persona: Persona,
        start: Start,
        *,
        providers: Providers,
        clips: Clips,
        journal: Journal,
        ticker: Ticker,
        voice_model: VoiceModel | None = None,
        turn_model: TurnModel | None = None,
        waits: Recent,
        uploads: Uploads,
        hand_over: Callable[[str], Awaitable[bool]],
        resume_grace_s: float,
        tape: Tape | None = None,
        on_notice: Callable[[n.Notice], None] | None = None,
        last_words: Callable[[], Sequence[n.Notice]] = tuple,
    ) -> None:
        self.call_id = call_id
        self.resume_token = resume_token
        self.persona = persona
        self.start = start
        self.slot = 0  # the ticker's
        self._language = start.language or persona.call.language
        self._connection = Connection()
        self._uploads = uploads
        self._hand_over = hand_over
        self._photos = Photos(
            journal.path.parent.parent / "photos" / call_id,
            persona.photo_detail,
            self._feed,
            self._refuse_photo,
        )
        self._voice = VoiceIn(call_id, voice_model, turn_model, tape, self._feed)
        self._speech = SpeechOut(persona, clips, self._connection, tape, self._now, self._feed)
        self._requests = Requests(
            call_id,
            persona,
            self._language,
            providers,
            self._patience,
            self._feed,
            self._speech,
            self._photos,
        )
        self._vault = Vault(persona.call.language, persona.call.today)
        self._tools = ToolRuns(
            call_id, persona.tools, journal, self._feed, self._tool_context, self._vault.resolve
        )
        self._journal = journal
        self._ticker = ticker
        self._waits = waits
        self._grace_s = resume_grace_s
        self._tape = tape
        self._on_notice = on_notice
        self._last_words = last_words
        self.timeline = Timeline()
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._flush_at = self._began_at + FLUSH_S
        self._call = Call(persona.call)
        self._lost_at: float | None = None
        self._inbox: deque[e.Event] = deque()
        self._feeding = False
        self._ticking = False
        self._ended = asyncio.Event()
        # What the connection sent before `run` had its first turn on the loop.
        self._early: list[Inbound] = []
        self._early_messages: list[Message] = []
        self.end_reason = ""
        self.hung_up_by_caller = False
        self.transferred = False

    @property
    def ended(self) -> bool:
        """True when the call is over, though its tasks may not be gone yet."""
        return self._ended.is_set()

    @property
    def state(self) -> str:
        """What the call is doing, in a word: the call's state, or `away` while its connection is lost."""
        return "away" if self._lost_at is not None else self._call.state.name.lower()

    # The connection

    def attach(self, line: Line, carrier: Carrier) -> None:
        """Begin, or go on, over this connection. The one before it, if any, is closed."""
        if self._ended.is_set():
            line.close(1000, self.end_reason)
            return
        there = self._connection
        resumed = there.carrier is not None
        if there.line is not None:
            there.close(4409, "resumed on another connection")
            self._lose_line()
        there.line, there.carrier = line, carrier
        self._lost_at = None
        self._voice.ear.start_clock(self._now())
        ready = Ready(self.call_id, self.resume_token, self.persona.name, self._language, resumed)
        there.send(carrier.ready(ready))
        if resumed:
            self._feed(e.CarrierBack())
            self._speech.back()
        else:
            self._speech.begin(carrier.player, self._voice.ear.echo.played)
            self._begin()

    def _begin(self) -> None:
        start = self.start
        self._feed(
            e.CallStarted(start.external_id, start.caller, start.called, self._language, dict(start.metadata))
        )
        # What is known of the caller outlives the process from here on.
        self._journal.flush()
        early, self._early = self._early, []
        self.take(early)
        messages, self._early_messages = self._early_messages, []
        for message in messages:
            self.received(message)

    def lost(self, line: Line) -> None:
        """The connection is gone. The call waits for another one."""
        there = self._connection
        if there.carrier is None:
            # It was never told `ready`: nobody knows how to come back.
            self.finish("carrier_lost")
            return
        if line is not there.line:
            return
        there.line = None
        if there.carrier.ends_with_line:
            # A telephone that is gone has hung up, with or without a goodbye.
            self.hung_up_by_caller = True
            self.finish("caller")
        elif not self._ended.is_set():
            self._lose_line()

    def _lose_line(self) -> None:
        self._lost_at = self._loop.time()
        now = self._now()
        self._journal.flush()
        self._photos.forget_parts()
        self._feed(*self._speech.heard(now, at_once=True), e.CarrierLost())
        self._speech.lost(now)
        self._wake()

    def received(self, message: Message) -> bool:
        """Take a message from the connection; False when it was wrong. A fatally wrong one ends the call."""
        if self._ended.is_set():
            return True
        carrier = self._connection.carrier
        if carrier is None:
            self._early_messages.append(message)
            return True
        try:
            items = carrier.parse(message)
        except CarrierError as error:
            self._connection.refuse(error.code, error.message, error.hint)
            if error.fatal:
                self.finish("carrier_error", close_code=error.close_code)
            return False
        self.take(items)
        return True

    def take(self, items: Sequence[Inbound]) -> None:
        """Take parsed messages."""
        if self._connection.carrier is None:
            self._early.extend(items)
            return
        for item in items:
            if type(item) is bytes:
                self._voice.hear(item, self._now())
            else:
                self._take_other(item)

    def _take_other(self, item: Inbound) -> None:
        match item:
            case PlayedReport():
                self._speech.confirm(item)
            case Start():
                self._late_start(item)
            case HangUpRequest():
                self.hung_up_by_caller = True
                self.finish(item.reason)
            case Flow():
                self._speech.block(not item.on)
                self._wake()
            case PhotoPart():
                self._photos.take(item)
            case e.Dtmf():
                self._voice.key(item)
            case e.CallerHold():
                self._hold(item)
            case e.CallerText() | e.TransferEnded():
                self._feed(item)

    def _hold(self, event: e.CallerHold) -> None:
        now = self._now()
        self._feed(*self._speech.heard(now, at_once=True), event)
        self._speech.hold(event.on, now)
        self._wake()

    def _late_start(self, start: Start) -> None:
        if start.persona and start.persona != self.persona.name:
            hint = "The persona is fixed when the call begins; send start first."
            self._connection.refuse("persona_fixed", "The call has a persona already.", hint)
        self._feed(e.CallerDetails(start.external_id, start.caller, start.called, dict(start.metadata)))

    def _refuse_photo(self, error: BadPhoto) -> None:
        self._connection.refuse(error.code, str(error), error.hint)

    # Tools

    def _tool_context(self, key: str) -> ToolContext:
        journals = self._journal.path.parent
        link = self._photo_link if self._connection.knows(n.PhotoWanted("")) else None
        return ToolContext(self.call_id, key, self.start.caller, self._language, journals.parent, link)

    def _photo_link(self) -> str:
        url = self._uploads.link(self._photos)
        self._connection.notify(n.PhotoWanted(url))
        return url

    # Commands from outside of the call

    @property
    def carrier_name(self) -> str:
        """The protocol of the call's connection."""
        carrier = self._connection.carrier
        return carrier.name if carrier is not None else ""

    def hold(self, on: bool) -> None:
        """Put the caller on hold, or take them back: as if they held the call, but the line sounds open."""
        self._hold(e.CallerHold(on))
        self.open_line(on)

    def open_line(self, on: bool) -> None:
        """Let the caller hear an open line while nothing is said, or end that."""
        self._speech.open_line(on)
        self._wake()

    def press(self, digits: str) -> bool:
        """Press keys towards the caller's side. Returns False where the protocol has no word for it."""
        carrier = self._connection.carrier
        messages = carrier.dtmf(digits) if carrier is not None else ()
        self._connection.send(messages)
        return bool(messages)

    def _transfer(self, command: c.Transfer) -> None:
        # The native protocol has the notice, and answers it with `transferred`.
        if not self._connection.knows(n.PhotoWanted("")):
            self._tools.transfer(self._hand_over(command.address))

    def say_transfer(self, target: str) -> bool:
        """Ask the other side to hand over. Returns False where the protocol has no word for it."""
        carrier = self._connection.carrier
        messages = carrier.transfer(target) if carrier is not None else ()
        self._connection.send(messages)
        return bool(messages)

    def _patience(self) -> float:
        """Seconds that the caller will go on waiting for an answer."""
        gives_up = self._call.gives_up_us
        if gives_up is None:
            return self.persona.call.limits.patience_s
        return max(0.001, (gives_up - self._now()) / 1e6)

    # Events and commands

    def _now(self) -> int:
        # Rounded: cut off, a time would now and then be one microsecond before what is due at it.
        return round((self._loop.time() - self._began_at) * 1e6)

    def _feed(self, *events: e.Event) -> None:
        """Give events to the call, and do what it says. Events that this causes are taken in turn."""
        if self._ended.is_set():
            return
        self._inbox.extend(events)
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._inbox and not self._ended.is_set():
                event = self._inbox.popleft()
                now = self._now()
                if (slot := self._call.slot) is not None and slot.sensitive:
                    event = self._vault.mask(event, slot)
                else:
                    self._vault.forget_keys()
                self._journal.write(event, now)
                commands = self._call.receive(event, now)
                if commands:
                    self._journal.decided(commands)
                self.timeline.take(event, now, commands)
                for command in commands:
                    _DO[type(command)](self, command)
        except Exception:
            # A mistake of ours ends this call and no other.
            log.exception("call %s ends: its rules failed", self.call_id)
            self.finish("internal_error", close_code=1011)
        finally:
            self._feeding = False
        self._wake()

    def _transcribe(self, command: c.Transcribe) -> None:
        pcm = self._voice.recognisable(command.from_sample, command.to_sample)
        self._requests.transcribe(command.utterance_id, pcm, command.prompt)
        self._voice.judge(command.utterance_id, command.from_sample, command.to_sample)

    def _speak(self, command: c.Speak) -> None:
        if not self._speech.speak(command):
            self._requests.speak(command.speech_id, command.spoken)

    def _clear(self, command: c.ClearSpeech) -> None:
        self._requests.cancel_all("tts")
        self._speech.clear(command.keep)

    def _notify(self, command: c.Notify) -> None:
        if isinstance(command.notice, n.Latency):
            self._waits.add(command.notice.total_ms)
        if self._on_notice is not None:
            self._on_notice(command.notice)
        self._connection.notify(command.notice)

    def _mask(self, command: c.MaskRecording) -> None:
        if self._tape is not None:
            self._tape.mask(command.on)

    def _hang_up(self, command: c.HangUp) -> None:
        self.finish(command.reason)

    # Time

    def tick(self) -> None:
        """The ticker calls: send what is due, tell what was heard, fill what is missing."""
        self._ticking = True
        try:
            self._tick()
        except Exception:
            # The ticker has other calls to wake.
            log.exception("call %s ends: its driver failed", self.call_id)
            self.finish("internal_error", close_code=1011)
        finally:
            self._ticking = False
        self._wake()

    def _tick(self) -> None:
        now = self._now()
        if self._lost_at is None:
            self._voice.fill(now)
        elif self._loop.time() >= self._lost_at + self._grace_s:
            self.finish("carrier_lost")
            return
        if self._loop.time() >= self._flush_at:
            self._flush_at = self._loop.time() + FLUSH_S
            self._journal.flush()
            if self._tape is not None:
                self._tape.hand_over(now)
        self._speech.pump()
        if self._call.wake_at is not None and now >= self._call.wake_at:
            self._feed(e.Tick())
            self._speech.pump()

    def _wake(self) -> None:
        """Ask the ticker for the next time at which anything is to do."""
        if self._ticking or self._ended.is_set():
            # A tick asks once, at its end.
            return
        if self._lost_at is None:
            due_us = self._voice.ear.gap_due_us
            speech_us = self._speech.next_due_us(self._now())
            if speech_us is not None and speech_us < due_us:
                due_us = speech_us
        else:
            due_us = round((self._lost_at + self._grace_s - self._began_at) * 1e6)
        wake_us = self._call.wake_at
        if wake_us is not None and wake_us < due_us:
            due_us = wake_us
        self._ticker.schedule(self, due_us / 1e6 + self._began_at)

    # The end

    def finish(self, reason: str, *, close_code: int = 1000) -> None:
        """End the call; `run` then returns. Harmless when it has ended already."""
        if self._ended.is_set():
            return
        self.end_reason = reason
        now = self._now()
        try:
            heard = self._speech.heard(now, at_once=True)
            last: list[e.Event] = [*heard, *self._requests.settle(), e.HungUp(reason)]
            for event in last:
                self._journal.write(event, now)
                commands = self._call.receive(event, now)
                if commands:
                    self._journal.decided(commands)
                self.timeline.take(event, now, commands)
                for command in commands:
                    if type(command) is c.Notify:
                        self._notify(command)
        except Exception:
            # Whatever it is, also the mistake for which the call ends: it ends all the same.
            log.exception("call %s: its end could not be kept", self.call_id)
        there = self._connection
        try:
            if self._tape is not None:
                self._tape.close(now)
            for notice in self._last_words():
                there.notify(notice)
            if there.carrier is not None:
                there.send(there.carrier.hang_up(reason))
        finally:
            # This frees the line and the tasks.
            self._ended.set()
            self._ticker.forget(self)
            there.close(close_code, reason)

    async def run(self, on_begun: Callable[[], None]) -> None:
        """Drive the call to its end. `on_begun` is called once tasks can be started."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._requests.start(tasks)
                self._tools.start(tasks)
                self._photos.start(tasks)
                on_begun()
                await self._ended.wait()
                self._requests.stop()
                self._tools.stop()
        except Exception:
            # A mistake of ours in one of its tasks.
            log.exception("call %s ends: a task of it failed", self.call_id)
            self.finish("internal_error", close_code=1011)
        finally:
            self.finish("stopped")
            self._uploads.forget(self._photos)
            self._photos.close()
            try:
                self._journal.close()
            except OSError as error:
                log.error("call %s: its journal is not whole: %s", self.call_id, error.strerror)


_DO: dict[type, Callable[[Session, Any], None]] = {
    c.Transcribe: Session._transcribe,
    c.CancelTranscribe: lambda session, command: session._requests.cancel("stt", command.utterance_id),
    c.WatchSample: lambda session, command: session._voice.watch(command.at_sample),
    c.ReleaseAudio: lambda session, command: session._voice.ear.release(command.before_sample),
    c.Ask: lambda session, command: session._requests.ask(command),
    c.Commit: lambda session, command: session._tools.commit(command),
    c.RunTool: lambda session, command: session._tools.run(command),
    c.Transfer: Session._transfer,
    c.Summarise: lambda session, command: session._requests.summarise(command),
    c.CancelAsk: lambda session, command: session._requests.cancel("llm", command.reply_id),
    c.Speak: Session._speak,
    c.PlayClip: lambda session, command: session._speech.play_clip(command),
    c.PauseSpeech: lambda session, command: session._speech.pause(),
    c.ResumeSpeech: lambda session, command: session._speech.resume(command.back_samples),
    c.ClearSpeech: Session._clear,
    c.Notify: Session._notify,
    c.MaskRecording: Session._mask,
    c.HangUp: Session._hang_up,
}

"""The agent's speech on its way out: from TTS or a clip through the mouth to the line, and what was heard."""

import asyncio
from collections.abc import Callable

from voicegw.agents.personas import Persona
from voicegw.audio.noise import comfort_noise
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call.mouth import Mouth, Player, SpeechSent
from voicegw.carriers.base import PlayedReport
from voicegw.server.clips import Clips
from voicegw.server.connection import Connection
from voicegw.store.recording import Tape

# The other side says that it has played all there was.
ALL_SAMPLES = 1 << 60


class SpeechOut:
    """Feeds the call with what has come, begun, and was heard. Is the sink of the TTS requests."""

    def __init__(
        self,
        persona: Persona,
        clips: Clips,
        connection: Connection,
        tape: Tape | None,
        now: Callable[[], int],
        feed: Callable[..., None],
    ) -> None:
        self._persona = persona
        self._clips = clips
        self._connection = connection
        self._tape = tape
        self._now = now
        self._feed = feed
        self._mouth = Mouth()
        self._room = asyncio.Event()
        self._held = False  # by the caller

    def begin(self, player: Player, on_frame: Callable[[int, int], None]) -> None:
        """The other side takes speech like this. `on_frame` is told of each frame that leaves."""
        self._mouth = Mouth(player)
        self._mouth.on_frame = on_frame

    # What is to be said

    def speak(self, command: c.Speak) -> bool:
        """Give a sentence its place. Returns False when its audio is not kept: TTS must bring it."""
        clip = self._clips.get(self._persona, command.text)
        self._mouth.expect(command.speech_id)
        if clip is not None:
            self._play(command.speech_id, clip)
        return clip is not None

    def play_clip(self, command: c.PlayClip) -> None:
        """Say a phrase without any provider; where it was never made, another one of the same meaning."""
        self._mouth.expect(command.speech_id, first=command.first)
        clip = self._clips.phrase(self._persona, command.role, command.text)
        if clip.text != command.text:
            self._feed(e.StandIn(command.speech_id, clip.text))
        self._play(command.speech_id, clip.pcm)

    def _play(self, speech_id: int, pcm: bytes) -> None:
        self._mouth.add(speech_id, pcm)
        if self._tape is not None:
            self._tape.say(speech_id, pcm)
        self._feed(e.SpeechArrived(speech_id, self._mouth.finish(speech_id), True))

    async def speech_came(self, speech_id: int, pcm: bytes) -> bool:
        """Queue audio; the first of it leaves at once. Waits while the mouth is full."""
        samples = self._mouth.add(speech_id, pcm)
        if not samples:
            return False
        if self._tape is not None:
            self._tape.say(speech_id, pcm)
        self._feed(e.SpeechArrived(speech_id, samples, False))
        self.pump()
        while not self._mouth.has_room:
            self._room.clear()
            await self._room.wait()
        return True

    def speech_done(self, speech_id: int) -> None:
        """Play the sentence to its end."""
        self._feed(e.SpeechArrived(speech_id, self._mouth.finish(speech_id), True))
        self.pump()

    def speech_failed(self, speech_id: int, code: str) -> None:
        """Play what has come of the sentence; the call decides what follows it."""
        self._mouth.finish(speech_id)
        self._feed(e.SpeechFailed(speech_id, code))
        self.pump()

    # Frames

    def pump(self) -> None:
        """Send what is due now."""
        line, carrier = self._connection.line, self._connection.carrier
        if line is None or carrier is None:
            return
        now = self._now()
        for item in self._mouth.due(now):
            if type(item) is bytes:
                if message := carrier.render(item):
                    line.send(message)
            elif type(item) is SpeechSent:
                self._connection.send(carrier.mark(item.speech_id))
            elif isinstance(item, e.SpeechBegan):
                self._feed(item)
        played = self.heard(now)
        if played:
            self._feed(*played)
        if not self._room.is_set() and self._mouth.has_room:
            self._room.set()

    def next_due_us(self, now: int) -> int | None:
        """When `pump` has something to do again."""
        return self._mouth.next_due_us(now)

    def heard(self, now: int, *, at_once: bool = False) -> list[e.Played]:
        """Return what is new of what the caller has heard; the recording has it then."""
        played = self._mouth.heard(now, at_once=at_once)
        if self._tape is not None:
            for event in played:
                self._tape.played(event.speech_id, event.samples, event.done, now)
        return played

    def confirm(self, report: PlayedReport) -> None:
        """The other side tells how far it has played."""
        now = self._now()
        samples = report.samples if report.samples is not None else ALL_SAMPLES
        self._mouth.confirm(report.speech_id, samples, now)
        self._feed(*self.heard(now))

    # Stop and go

    def pause(self) -> None:
        """Say nothing for the time being."""
        now = self._now()
        self._mouth.pause(now)
        self._feed(*self.heard(now, at_once=True))
        if self._connection.carrier is not None:
            self._connection.send(self._connection.carrier.pause())

    def resume(self, back_samples: int) -> None:
        """Go on, from a little before where it was stopped."""
        if self._connection.line is not None and not self._held:
            self._mouth.resume(self._now(), back_samples)
        carrier = self._connection.carrier
        if carrier is not None:
            if back_samples:
                # What the other side still has of it comes again.
                self._connection.send(carrier.clear())
            self._connection.send(carrier.resume())

    def clear(self, keep: int) -> None:
        """Drop what was not heard; with `keep` only sentences of which nothing was sent, but this one."""
        now = self._now()
        self.heard(now, at_once=True)
        if self._tape is not None:
            self._tape.clear(but=keep)
        if keep:
            self._mouth.drop_but(keep)
            return
        self._mouth.clear(now)
        if self._held:
            # What takes its place waits too.
            self._mouth.pause(now)
        if self._connection.carrier is not None:
            self._connection.send(self._connection.carrier.clear())

    def lost(self, now: int) -> None:
        """The line is gone: what was sent but not heard is kept, to be sent again."""
        self._mouth.rewind(now)

    def back(self) -> None:
        """There is a line again."""
        if self._held:
            return
        self._mouth.resume(self._now())
        self.pump()

    def hold(self, on: bool, now: int) -> None:
        """Nobody listens, or is back: what was sent but not heard is dropped at the other side, and kept."""
        if on is self._held:
            return
        self._held = on
        if on:
            self._mouth.rewind(now)
            if self._connection.carrier is not None:
                self._connection.send(self._connection.carrier.clear())
        elif self._connection.line is not None:
            self.back()

    def block(self, on: bool) -> None:
        """The other side can take nothing at the moment, or can again."""
        self._mouth.block(on)

    def open_line(self, on: bool) -> None:
        """Let the caller hear an open line while nothing is said, or end that."""
        self._mouth.hold(comfort_noise() if on else None)
        self.pump()

"""The listening end of a call: plays the agent's audio at its own pace and knows how much was heard.

Pure: a frame is taken every 20 ms, by whoever has a clock.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from voicegw.audio.pcm import FRAME_BYTES, FRAME_MS, SAMPLE_BYTES, SILENT_FRAME
from voicegw.carriers.base import PlayedReport

# How often the gateway is told how far a sentence was played, besides at its end.
REPORT_FRAMES = 200 // FRAME_MS


class Playout:
    """What a telephone does with the agent's audio, and with `mark`, `pause`, `resume` and `clear`."""

    def __init__(self) -> None:
        # Audio with the sentence it belongs to (None: not told), and marks (no audio), in order.
        self._queue: deque[tuple[int | None, bytes | None]] = deque()
        self._speech_id: int | None = None
        self._paused = False
        self._frames_to_report = REPORT_FRAMES
        self._reports: list[PlayedReport] = []
        self.sounding = False  # whether the newest frame had audio in it
        self.playing: int | None = None  # the sentence that the newest audible frame is of
        self.heard: dict[int, int] = {}  # samples played, by sentence

    @property
    def waiting(self) -> bool:
        """True while there is audio that was not played."""
        return any(audio is not None for _, audio in self._queue)

    def obey(self, event: Mapping[str, Any]) -> None:
        """Take an event of the native protocol; those that are nothing to a player change nothing."""
        match event["type"]:
            case "reply_text":
                self.began(event["speech_id"])
            case "mark":
                self.mark(event["speech_id"])
            case "pause":
                self.pause()
            case "resume":
                self.resume()
            case "clear":
                self.clear()

    def began(self, speech_id: int) -> None:
        """The audio that follows is of this sentence."""
        self._speech_id = speech_id

    def hear(self, audio: bytes) -> None:
        """Take pcm of any even length."""
        self._queue.append((self._speech_id, audio))

    def mark(self, speech_id: int) -> None:
        """Report the sentence as played when what stands in the queue has been."""
        self._queue.append((speech_id, None))

    def pause(self) -> None:
        """Stop playing; report at once how far it was heard."""
        self._paused = True
        self._report_progress()

    def resume(self) -> None:
        """Go on playing."""
        self._paused = False

    def clear(self) -> None:
        """Drop what was not played."""
        self._queue.clear()
        self._paused = False
        self.playing = None

    def frame(self) -> bytes:
        """Return the frame that is played from now on for 20 ms; silence where there is nothing."""
        self.sounding = False
        if self._paused or (not self._queue and self.playing is None):
            return SILENT_FRAME
        frame = bytearray()
        self._pass_marks()
        if self.playing is not None:
            self._frames_to_report -= 1
            if self._frames_to_report <= 0:
                self._report_progress()
        while self._queue and len(frame) < FRAME_BYTES:
            speech_id, audio = self._queue.popleft()
            if audio is None:
                # Inside this frame: it is passed when the frame has been played.
                self._queue.appendleft((speech_id, None))
                break
            taken = audio[: FRAME_BYTES - len(frame)]
            if len(taken) < len(audio):
                self._queue.appendleft((speech_id, audio[len(taken) :]))
            frame += taken
            self.sounding = True
            if speech_id is not None:
                self.heard[speech_id] = self.heard.get(speech_id, 0) + len(taken) // SAMPLE_BYTES
            self.playing = speech_id
        return bytes(frame) + bytes(FRAME_BYTES - len(frame))

    def reports(self) -> list[PlayedReport]:
        """Return what the gateway must be told since the last time."""
        reports, self._reports = self._reports, []
        return reports

    def _pass_marks(self) -> None:
        """All audio before the head of the queue has been played by now."""
        while self._queue and self._queue[0][1] is None:
            speech_id, _ = self._queue.popleft()
            if speech_id is not None:
                self._reports.append(PlayedReport(speech_id, self.heard.get(speech_id, 0)))
            self.playing = None
            self._frames_to_report = REPORT_FRAMES

    def _report_progress(self) -> None:
        if self.playing is not None:
            self._frames_to_report = REPORT_FRAMES
            self._reports.append(PlayedReport(self.playing, self.heard.get(self.playing, 0)))

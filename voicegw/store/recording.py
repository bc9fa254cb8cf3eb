"""Recordings: both sides of a call as stereo FLAC, caller left, agent right, as each heard the other.

The time axis is the call's: second n of the file is what sounded n seconds after the call began. A `Tape`
collects on the loop's thread and hands over once a second; one thread of the process encodes and writes.
While a call runs its file is `<call_id>.flac.part`; it is renamed when it is whole. What a killed process
left is made whole by `repair`.
"""

import contextlib
import logging
import os
import queue
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import soundfile

from voicegw.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ
from voicegw.verdict.sound import Sound, SoundMeter

log = logging.getLogger(__name__)

# Hand-overs that may wait for the disk: four seconds of 250 calls, about 32 MB. Beyond it sound is left out.
MOST_WAITING = 1000
# The newest sound is kept back this long: the agent's is told of up to 100 ms after it was heard.
HOLD_BACK_SAMPLES = SAMPLE_RATE_HZ * 3 // 10
# A caller that sends faster than time may be this far ahead of it (30 s); the rest is left out.
MOST_AHEAD_SAMPLES = 30 * SAMPLE_RATE_HZ
# A silence of the line this long is a gap; audio later than a second has no place in it (as in the ear).
GAP_US = 200_000
LATE_US = 1_000_000
# Parts of a sentence closer than this belong together: they were heard in one piece.
JOIN_SAMPLES = SAMPLE_RATE_HZ * 6 // 100
# Whoever encodes should wait for those who speak.
NICENESS = 5
# libFLAC's fastest level: a third of the CPU time of its default, 2 % larger.
COMPRESSION = 0.0
# A frame of libFLAC's fastest level; a torn file is read in such steps.
FLAC_FRAME = 1152
PART = ".flac.part"


def _samples(now_us: int) -> int:
    return now_us * SAMPLE_RATE_HZ // 1_000_000


class Tape:
    """What one call hands to its recording. Times are the call's, in microseconds."""

    def __init__(self, recorder: "Recorder", writer: "_Writer") -> None:
        self._recorder = recorder
        self._writer = writer
        self._caller: list[bytes | int] = []  # pcm, or so many samples of silence
        self._caller_end = 0  # samples in all, with those that wait here
        self._heard_at = 0
        self._gap: tuple[int, int] | None = None  # place in `_caller`, time
        self._agent: list[tuple[int, bytes]] = []
        # Not yet heard pcm, and how many samples of the sentence were heard.
        self._speeches: dict[int, tuple[bytearray, int]] = {}
        self._agent_end = -JOIN_SAMPLES
        self._masked = False
        self._closed = False
        self.missing_samples = 0  # of the caller, that never came

    @property
    def done(self) -> "Future[Path | None]":
        """The file once it is whole; None when there is none."""
        return self._writer.done

    @property
    def masked(self) -> bool:
        """Whether something sensitive is being said, which nothing may keep."""
        return self._masked

    @property
    def sound(self) -> Sound | None:
        """What both sides sounded like, once the file is whole."""
        return self._writer.sound

    def hear(self, pcm: bytes, now: int) -> None:
        """The caller's next audio came."""
        if now - self._heard_at > GAP_US and self._gap is None:
            self._gap = (len(self._caller), now)
        self._heard_at = now
        n = len(pcm) // SAMPLE_BYTES
        self._caller_end += n
        self._caller.append(n if self._masked else pcm)

    def say(self, speech_id: int, pcm: bytes) -> None:
        """Audio of a sentence was queued; it is recorded when it is heard."""
        found = self._speeches.get(speech_id)
        if found is None:
            self._speeches[speech_id] = (bytearray(pcm), 0)
        else:
            found[0].extend(pcm)

    def played(self, speech_id: int, samples: int, done: bool, now: int) -> None:
        """The caller has heard a sentence as far as `samples`, up to `now`."""
        found = self._speeches.get(speech_id)
        if found is None:
            return
        pcm, before = found
        size = max(0, samples - before) * SAMPLE_BYTES
        piece = bytes(pcm[:size])
        if done:
            del self._speeches[speech_id]
        else:
            del pcm[:size]
            self._speeches[speech_id] = (pcm, max(before, samples))
        if not piece or self._masked:
            return
        n = len(piece) // SAMPLE_BYTES
        at = max(_samples(now) - n, self._agent_end)
        if at - self._agent_end < JOIN_SAMPLES:
            at = self._agent_end
        self._agent_end = at + n
        self._agent.append((at, piece))

    def clear(self, *, but: int = 0) -> None:
        """What was not heard never will be, but for the sentence `but`."""
        self._speeches = {number: pcm for number, pcm in self._speeches.items() if number == but}

    def mask(self, on: bool) -> None:
        """While `on` both sides are recorded as silence: a sensitive thing is being said."""
        self._masked = on

    def hand_over(self, now: int) -> None:
        """Give what was collected to the writer. Once a second is enough."""
        if self._closed:
            return
        ready = len(self._caller)
        missing = _samples(now) - self._caller_end
        if missing <= _samples(GAP_US):
            self._gap = None
        elif now - self._heard_at > LATE_US:
            self._fill(ready, missing)
            ready += 1
        elif self._gap is not None:
            if now - self._gap[1] >= LATE_US:
                self._fill(self._gap[0], missing)
                ready += 1
            else:
                # Late audio may still come: what lies behind the gap has no place yet.
                ready = self._gap[0]
                self._gap = (0, self._gap[1])
        caller, self._caller = self._caller[:ready], self._caller[ready:]
        agent, self._agent = self._agent, []
        if caller or agent:
            self._recorder.put(self._writer, caller, agent, _samples(now) - HOLD_BACK_SAMPLES)

    def _fill(self, place: int, samples: int) -> None:
        self._caller.insert(place, samples)
        self.missing_samples += samples
        self._caller_end += samples
        self._gap = None

    def close(self, now: int) -> None:
        """The call is over: write the rest and make the file whole."""
        if self._closed:
            return
        self._gap = None
        self.hand_over(now)
        self._closed = True
        self._recorder.finish(self._writer)


class _Writer:
    """One recording on the writer's thread."""

    def __init__(self, path: Path) -> None:
        self.path = path  # of the whole file
        self.part = path.with_name(path.name + ".part")
        self.done: Future[Path | None] = Future()
        self.sound: Sound | None = None
        self._meter = SoundMeter()
        self._file: soundfile.SoundFile | None = None
        self._failed = False
        self._written = 0  # samples
        self._caller = bytearray()  # from `_written` on
        self._agent = bytearray()

    def write(self, caller: list[bytes | int], agent: list[tuple[int, bytes]], until: int) -> None:
        if self._failed:
            return
        for item in caller:
            room = MOST_AHEAD_SAMPLES + until - self._written - len(self._caller) // SAMPLE_BYTES
            if isinstance(item, int):
                self._caller += bytes(SAMPLE_BYTES * max(0, min(item, room)))
            elif len(item) <= room * SAMPLE_BYTES:
                self._caller += item
        for at, pcm in agent:
            gap = (at - self._written) * SAMPLE_BYTES - len(self._agent)
            if gap > 0:
                self._agent += bytes(gap)
            self._agent += pcm
        self._encode(min(len(self._caller) // SAMPLE_BYTES, until - self._written))

    def close(self) -> None:
        if not self._failed:
            self._encode(max(len(self._caller), len(self._agent)) // SAMPLE_BYTES)
        whole = None
        try:
            if self._file is not None:
                self._file.close()
                os.replace(self.part, self.path)
                whole = self.path
                self.sound = self._meter.sound()
        except (OSError, RuntimeError) as error:
            self._fail(error)
        self.done.set_result(whole)

    def _encode(self, n: int) -> None:
        if n <= 0:
            return
        size = n * SAMPLE_BYTES
        sound = np.zeros((n, 2), "<i2")
        for side, track in enumerate((self._caller, self._agent)):
            mine = np.frombuffer(bytes(track[:size]), "<i2")
            sound[: len(mine), side] = mine
            del track[:size]
        try:
            if self._file is None:
                self._file = _create(self.part)
            self._file.write(sound)
            self._meter.add(sound[:, 0], sound[:, 1])
        except (OSError, RuntimeError) as error:
            self._fail(error)
        self._written += n

    def _fail(self, error: Exception) -> None:
        """The call goes on without its recording; what was written stays to be repaired."""
        self._failed = True
        self._caller.clear()
        self._agent.clear()
        log.error("the recording %s is not whole: %s", self.path.name, error)


def _create(path: Path) -> soundfile.SoundFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Callers' voices: for nobody else's eyes.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return soundfile.SoundFile(
        path, "w", SAMPLE_RATE_HZ, 2, "PCM_16", format="FLAC", compression_level=COMPRESSION
    )


class Recorder:
    """Writes the recordings of one process, on a thread of its own."""

    def __init__(self, folder: Path, *, most_waiting: int = MOST_WAITING) -> None:
        self.folder = folder
        self._most_waiting = most_waiting
        self.dropped = 0  # hand-overs that were left out because the disk is too slow
        self._open: dict[str, _Writer] = {}
        self._queue: queue.SimpleQueue[
            tuple[_Writer, list[bytes | int], list[tuple[int, bytes]], int] | _Writer | None
        ] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def tape(self, call_id: str) -> Tape:
        """Begin a recording. The file is made with the first second of it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
            self._thread.start()
        writer = _Writer(self.path(call_id))
        self._open[call_id] = writer
        writer.done.add_done_callback(lambda _: self._open.pop(call_id, None))
        return Tape(self, writer)

    def path(self, call_id: str) -> Path:
        """Where the recording of a call is, once it is whole."""
        return self.folder / f"{call_id}.flac"

    def being_written(self, call_id: str) -> "Future[Path | None] | None":
        """The end of a recording that is not whole yet; None when there is none such."""
        writer = self._open.get(call_id)
        return None if writer is None else writer.done

    def put(
        self, writer: _Writer, caller: list[bytes | int], agent: list[tuple[int, bytes]], until: int
    ) -> None:
        """Queue sound of a recording; dropped, and silence in its place, while the disk is too slow."""
        if self._queue.qsize() >= self._most_waiting:
            self.dropped += 1
            if self.dropped % 1000 == 1:
                log.error("the disk is too slow for the recordings: sound is left out")
            silence = sum(c if isinstance(c, int) else len(c) // SAMPLE_BYTES for c in caller)
            caller, agent = [silence], []
        self._queue.put((writer, caller, agent, until))

    def finish(self, writer: _Writer) -> None:
        """Queue the end of a recording."""
        self._queue.put(writer)

    def close(self) -> None:
        """Write what waits and end the thread. Blocks."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while (item := self._queue.get()) is not None:
            if isinstance(item, _Writer):
                item.close()
            else:
                writer, caller, agent, until = item
                writer.write(caller, agent, until)


def repair(part: Path) -> Path | None:
    """Make a whole file of what a killed process left, up to its last whole frame.

    Returns its path, or None when there is no sound in it; `part` is gone in either case. Raises OSError.
    """
    whole = part.with_name(part.name.removesuffix(".part"))
    mended = part.with_name(part.name + ".mended")
    mended.unlink(missing_ok=True)
    written = 0
    # Raised by an empty file, by the end of a torn one, or by one that is no FLAC at all.
    with (
        contextlib.suppress(soundfile.LibsndfileError),
        soundfile.SoundFile(part) as torn,
        _create(mended) as out,
    ):
        # The header does not say how much there is: up to the first frame that is not whole.
        while len(sound := torn.read(FLAC_FRAME, dtype="int16", always_2d=True)) == FLAC_FRAME:
            out.write(sound)
            written += len(sound)
    if written:
        os.replace(mended, whole)
    else:
        mended.unlink(missing_ok=True)
    part.unlink()
    return whole if written else None

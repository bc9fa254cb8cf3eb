"""From a sample call to the caller who says it: its turns cut out of the recording, each with its anchor."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from voicegw.audio.pcm import FRAME_BYTES, FRAME_MS, SILENT_FRAME
from voicegw.errors import ConfigError
from voicegw.replay.anchors import AnchoredCaller, Line
from voicegw.replay.answers import SpokenAudio
from voicegw.replay.recording import read_recording
from voicegw.replay.sample import Sample, Turn
from voicegw.replay.wires import Wire

# Around a turn that much of the recording belongs to it, where its neighbours leave it.
LEAD_S, TAIL_S = 0.2, 0.3
# A gap of a recording is kept within this: longer ones were waits for the agent of then.
LEAST_GAP_S, MOST_GAP_S = 0.4, 1.5
DEFAULT_GAP_S = 0.8


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sample's caller, and what is in his audio. `leads` and `tails`: frames before each turn's words
    and behind them."""

    lines: tuple[Line, ...]
    room: bytes
    spoken: SpokenAudio
    leads: tuple[int, ...]
    tails: tuple[int, ...]
    stays: int

    def caller(self) -> AnchoredCaller:
        """Return the caller, who has not begun."""
        return AnchoredCaller(self.lines, stays=self.stays, room=self.room)


def prepare(sample: Sample, wire: Wire, *, absolute: bool = False) -> Prepared:
    """Cut a sample's recording into its turns. `absolute`: each is said at its recorded time.

    Raises ConfigError where the recording cannot be read or is shorter than the file says.
    """
    turns = sample.file.turns
    pcm = read_recording(sample.audio) if sample.audio is not None else b""
    length_s = len(pcm) / FRAME_BYTES * FRAME_MS / 1000
    lines: list[Line] = []
    leads: list[int] = []
    tails: list[int] = []
    spoken = SpokenAudio()
    for number, turn in enumerate(turns):
        audio, lead, tail = b"", 0, 0
        if turn.say is not None:
            assert turn.start is not None
            assert turn.end is not None
            if turn.end > length_s + 0.5:
                raise ConfigError(
                    f"{sample.path}: turns.{number}: ends at {turn.end} s, the recording at {length_s:.2f} s"
                )
            first, last = _borders(turns, number, length_s)
            audio = pcm[first * FRAME_BYTES : last * FRAME_BYTES]
            lead, tail = max(0, _frames(turn.start) - first), max(0, last - _frames(turn.end))
            spoken.add(number, heard_through(wire, audio), first * FRAME_MS / 1000, turn)
        leads.append(lead)
        tails.append(tail)
        anchor, offset = _anchor(turns, number, lead, absolute)
        gone = None if turn.hangs_up_after is None else lead + _frames(turn.hangs_up_after)
        lines.append(
            Line(anchor, offset, audio, turn.keys or "", turn.text or "", turn.noise, gone)  # type: ignore[arg-type]
        )
    room = _room(pcm, turns) if sample.file.room else b""
    return Prepared(tuple(lines), room, spoken, tuple(leads), tuple(tails), _frames(sample.file.stays))


def heard_through(wire: Wire, audio: bytes) -> bytes:
    """The audio as the gateway hears it."""
    return b"".join(
        wire.heard(audio[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))
        for at in range(0, len(audio), FRAME_BYTES)
    )


def _frames(seconds: float) -> int:
    return round(seconds * 1000 / FRAME_MS)


def _borders(turns: Sequence[Turn], number: int, length_s: float) -> tuple[int, int]:
    """The frames of a turn with its lead and tail; halfway to a neighbour that is near."""
    turn = turns[number]
    assert turn.start is not None
    assert turn.end is not None
    ends = [t.end for t in turns[:number] if t.end is not None]
    begins = [t.start for t in turns[number + 1 :] if t.start is not None]
    before, behind = max(ends, default=0.0), min(begins, default=length_s)
    first = max(turn.start - LEAD_S, (before + turn.start) / 2 if before <= turn.start else turn.start, 0.0)
    last = min(turn.end + TAIL_S, (behind + turn.end) / 2 if behind >= turn.end else turn.end, length_s)
    return _frames(first), _frames(last)


def _anchor(turns: Sequence[Turn], number: int, lead: int, absolute: bool) -> tuple[str, int]:
    turn = turns[number]
    if absolute and turn.start is not None:
        return "at", _frames(turn.start) - lead
    anchor = turn.anchor
    if anchor is None:
        return "after", max(0, _frames(_gap(turns, number)) - lead)
    for kind in ("after", "over", "follows", "at"):
        seconds = getattr(anchor, kind)
        if seconds is not None:
            return kind, max(0, _frames(seconds) - lead)
    raise AssertionError("an anchor has one of them")


def _gap(turns: Sequence[Turn], number: int) -> float:
    """How long after the agent's turn: as recorded where that can be known, within bounds."""
    turn = turns[number]
    if number == 0 or turn.start is None or turns[number - 1].end is None:
        return DEFAULT_GAP_S
    before = turns[number - 1].end
    assert before is not None
    return min(MOST_GAP_S, max(LEAST_GAP_S, turn.start - before))


def _room(pcm: bytes, turns: Sequence[Turn]) -> bytes:
    """The longest stretch of the recording in which nobody speaks."""
    borders = [0.0, *(t for turn in turns for t in (turn.start, turn.end) if t is not None)]
    borders.append(len(pcm) / FRAME_BYTES * FRAME_MS / 1000)
    quiet = [(b - a, a, b) for a, b in list(pairwise(borders))[::2]]
    length, start, end = max(quiet)
    if length < 2 * TAIL_S + 0.2:
        return SILENT_FRAME
    return pcm[_frames(start + TAIL_S) * FRAME_BYTES : _frames(end - LEAD_S) * FRAME_BYTES]

"""A call in the terminal, as it happens: who says what, and what made the caller wait before each answer.

    with ConversationView(console) as view:
        LiveCaller(…, on_happening=view.happened, on_frames=view.frames)

What was said stands as lines and stays; below them one line lives: the caller's voice, or the wait.
"""

import json
import statistics
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.text import Text

from voicegw.audio.level import dbfs
from voicegw.audio.pcm import FRAME_MS
from voicegw.audio.vad import VoiceDetector
from voicegw.replay.caller import Conversation, Happening

# A line longer than this is hard to read.
MOST_COLUMNS = 104
_INDENT = 14
_LEAST_COLUMNS = 20
# A caller that is later than this hears gaps that are its own.
MOST_OWN_LATE_MS = 60
# The bar's scale is the same for all answers, so that they compare: a usual wait takes a third of a line.
MS_PER_CELL = 40
MOST_CELLS = 60
BAR = "━"


@dataclass(frozen=True, slots=True)
class Cause:
    """One part of the gap before an answer: the event's field, what it is called, and its colour."""

    field: str
    name: str
    style: str


# In the order in which they happen.
CAUSES = (
    Cause("end_of_turn_ms", "end of turn", "#8fa3bf"),
    Cause("transcription_ms", "transcription", "#5fafd7"),
    Cause("first_token_ms", "first token", "#af87d7"),
    Cause("first_sentence_ms", "first sentence", "#d7af5f"),
    Cause("speech_ms", "speech", "#5faf87"),
)
CALLER, AGENT = "#5fafd7", "#5faf87"
_REASONS = {
    "too_short": "too short for a turn",
    "empty": "no words in it",
    "echo": "the agent's own echo",
}
# Shorter pauses are between words.
LEAST_WAIT_MS = 200
_WAVE = "▁▂▃▄▅▆▇█"
# Quieter than this is a flat line, louder than the second a full one.
_WAVE_DBFS = (-45.0, -8.0)
# A column of the wave is this long; its refresh is too.
_WAVE_FRAMES = 4
_WAVE_COLUMNS = 32


class ConversationView:
    """Shows one call after another on `console`; without a terminal only what stays, and no colours."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._lines: list[RenderableType] = []
        self._caller_at = 0
        self._partial = ""
        self._last_voice: int | None = None  # None: nobody waits for the agent
        self._turn_open = False
        self._agent_at: int | None = None
        self._voice = VoiceDetector()
        self._frames = 0
        self._loudest = 0
        self._wave: deque[str] = deque(maxlen=_WAVE_COLUMNS)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.update("", refresh=True)
            self._live.stop()
            self._live = None

    # What happens

    def happened(self, happening: Happening) -> None:
        """Show an event, if it is one for people."""
        show = _SHOW.get(str(happening.event["type"]))
        if show is not None:
            show(self, happening.at_ms, happening.event)
            self._refresh()

    def frames(self, says: bytes, hears: bytes) -> None:
        """Take the next 20 ms of both sides."""
        self._frames += 1
        # Heard here: the gateway tells a turn's first voice and its pauses, not that it goes on.
        self._voice.hear(says)
        if self._turn_open and self._voice.frame_voiced:
            self._last_voice = self._frames * FRAME_MS
        self._loudest = max(self._loudest, self._voice.level_rms)
        if self._frames % _WAVE_FRAMES == 0:
            low, high = _WAVE_DBFS
            height = (dbfs(self._loudest) - low) / (high - low) * (len(_WAVE) - 1)
            self._wave.append(_WAVE[max(0, min(len(_WAVE) - 1, round(height)))])
            self._loudest = 0
            self._refresh()

    def note(self, text: str | Text) -> None:
        """Show a line of another kind among those of the call."""
        self.show(_Row("", "", Text(text) if isinstance(text, str) else text))

    def show(self, line: RenderableType) -> None:
        """Show something that stays."""
        self._lines.append(line)
        self._console.print(line)

    def _ready(self, at_ms: int, event: Mapping[str, Any]) -> None:
        said = f"call {event['call_id']} · persona {event['persona']} · {event['language']}"
        self.show(_Row(_clock(at_ms), "", Text(said, style="dim")))

    def _voice_started(self, at_ms: int, event: Mapping[str, Any]) -> None:
        if not self._turn_open:
            self._caller_at = at_ms
            self._wave.clear()
        self._turn_open = True

    def _transcript(self, at_ms: int, event: Mapping[str, Any]) -> None:
        text, status = str(event["text"]), event["status"]
        if status == "partial":
            self._partial = text
            return
        self._turn_open, self._partial = False, ""
        if status == "rejected":
            self._last_voice = None
            reason = _REASONS.get(event["reason"], event["reason"])
            words = Text(text and f"{text}  ", style="dim strike").append(
                f"not taken: {reason}", style="not strike #d7875f"
            )
        else:
            typed = event.get("source", "voice")
            words = Text(text).append("" if typed == "voice" else f"  ({typed})", style="dim")
            self._last_voice = at_ms if self._last_voice is None else self._last_voice
        self.show("")
        at = self._caller_at if event.get("source", "voice") == "voice" else at_ms
        self.show(_Row(_clock(at), "caller", words, CALLER))

    def _speech_started(self, at_ms: int, event: Mapping[str, Any]) -> None:
        self._last_voice = None
        self._agent_at = at_ms
        if event["kind"] not in ("reply", "greeting"):
            self._agent_says(at_ms, Text(f"({event['kind'].replace('_', '-')})", style="dim"))

    def _latency(self, at_ms: int, event: Mapping[str, Any]) -> None:
        self.show(_Gap(event))

    def _reply_text(self, at_ms: int, event: Mapping[str, Any]) -> None:
        self._agent_says(at_ms, Text(str(event["text"])))

    def _agent_says(self, at_ms: int, words: Text) -> None:
        if self._agent_at is None:
            self.show(_Row("", "", words))
            return
        self.show(_Row(_clock(self._agent_at), "agent", words, AGENT))
        self._agent_at = None

    def _speech_stopped(self, at_ms: int, event: Mapping[str, Any]) -> None:
        self._agent_at = None
        if event["cut"]:
            heard = str(event["heard"])
            last = " ".join(heard.split()[-5:])
            said = f"interrupted after “…{last}”" if heard else "interrupted before the first word"
            self.note(Text(said, style="#d7875f"))

    def _rung(self, at_ms: int, event: Mapping[str, Any]) -> None:
        self.note(Text(f"{event['rung']}: {event['reason']}", style="#d7875f"))

    def _tool(self, at_ms: int, event: Mapping[str, Any]) -> None:
        self.note(Text(f"tool {event['name']}: {event['status']}", style="dim"))

    def _unanswered(self, at_ms: int, event: Mapping[str, Any]) -> None:
        self._last_voice = None
        self.note(Text(f"stretch {event['stretch']} of the recording got no answer", style="#d7875f"))

    def _error(self, at_ms: int, event: Mapping[str, Any]) -> None:
        said = f"error {event['code']}: {event['message']} {event['hint']}".rstrip()
        self.show(_Row(_clock(at_ms), "", Text(said, style="#d75f5f")))

    def _hangup(self, at_ms: int, event: Mapping[str, Any]) -> None:
        self._turn_open, self._last_voice = False, None
        self.show("")
        self.show(_Row(_clock(at_ms), "", Text(f"hung up ({event['reason']})", style="dim")))

    # The line that lives

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._living(), refresh=True)

    def _living(self) -> RenderableType:
        """Return the caller's voice or words so far while they talk, and the wait as it grows."""
        now = self._frames * FRAME_MS
        waited = now - self._last_voice if self._last_voice is not None else 0
        wait = _Row("", "", Text(BAR * min(MOST_CELLS, waited // MS_PER_CELL), style="dim"))
        if not self._turn_open:
            return wait if waited else ""
        words = Text(self._partial or "".join(self._wave), style="dim italic" if self._partial else CALLER)
        row = _Row(_clock(self._caller_at), "caller", words, CALLER)
        return Group("", row, wait) if waited >= LEAST_WAIT_MS else Group("", row)

    # After the call

    def save_svg(self, path: Path, title: str) -> None:
        """Write what was shown as a picture. Raises OSError."""
        picture = Console(
            record=True, width=MOST_COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor"
        )
        for line in self._lines:
            picture.print(line)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(picture.export_svg(title=title, unique_id="conversation"), encoding="utf-8")


_SHOW: dict[str, Callable[[ConversationView, int, Mapping[str, Any]], None]] = {
    "ready": ConversationView._ready,
    "voice_started": ConversationView._voice_started,
    "transcript": ConversationView._transcript,
    "speech_started": ConversationView._speech_started,
    "latency": ConversationView._latency,
    "reply_text": ConversationView._reply_text,
    "speech_stopped": ConversationView._speech_stopped,
    "rung": ConversationView._rung,
    "tool": ConversationView._tool,
    "unanswered": ConversationView._unanswered,
    "error": ConversationView._error,
    "hangup": ConversationView._hangup,
}


class JsonView:
    """Writes every event as a line of JSON: `t_ms` since the first frame, `by` whom, and its fields."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def happened(self, happening: Happening) -> None:
        """Write an event."""
        self.write({"t_ms": happening.at_ms, "by": happening.by, **happening.event})

    def write(self, line: Mapping[str, Any]) -> None:
        """Write an object of another kind."""
        self._out.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._out.flush()


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the conversation: when, who, what. Long texts are indented, and end before they tire."""

    clock: str
    who: str
    what: Text
    style: str = ""  # of `who`

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(_LEAST_COLUMNS, min(options.max_width, MOST_COLUMNS) - _INDENT)
        for number, line in enumerate(self.what.wrap(console, width)):
            clock, who = (self.clock, self.who) if number == 0 else ("", "")
            line.rstrip()
            yield Text.assemble((f"{clock:>6} ", "dim"), (f"{who:<6} ", self.style), line)


@dataclass(frozen=True, slots=True)
class _Gap:
    """The gap before an answer. The picture is drawn in colours also where the terminal has none."""

    latency: Mapping[str, Any]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in gap_lines(self.latency, colours=console.color_system is not None):
            yield _Row("", "", line)


def gap_lines(latency: Mapping[str, Any], *, colours: bool) -> list[Text]:
    """Return a `latency` event as a bar and its legend; without colours as one line of words."""
    total = int(latency["total_ms"])
    parts = [(cause, int(latency[cause.field])) for cause in CAUSES]
    legend = _legend(parts)
    if not colours:
        return [Text(f"gap {_ms(total)}: ").append_text(legend)]
    bar = Text()
    for (cause, _), cells in zip(parts, _cells([ms for _, ms in parts]), strict=True):
        bar.append(BAR * cells, style=cause.style)
    return [bar.append(f" {_ms(total)}", style="bold"), legend]


def _legend(parts: list[tuple[Cause, int]]) -> Text:
    legend = Text()
    for cause, ms in parts:
        legend.append(" · " if legend else "", style="dim").append(f"{cause.name} ", style="dim")
        legend.append(str(ms), style=cause.style)
    return legend.append(" ms", style="dim")


def _cells(parts: list[int]) -> list[int]:
    """Divide the bar so that rounding never adds up; a bar longer than the line is shortened as a whole."""
    scale = max(float(MS_PER_CELL), sum(parts) / MOST_CELLS)
    ends = [0]
    so_far = 0
    for ms in parts:
        so_far += max(0, ms)
        ends.append(round(so_far / scale))
    return [end - start for start, end in pairwise(ends)]


def fact(label: str, value: str | Text) -> Text:
    """Return a line of the summary."""
    return Text.assemble((f"{label:<12}", "dim"), value)


def summary(conversation: Conversation, *, colours: bool) -> list[Text]:
    """Return a few lines on how the call went: answers, median gap and its causes, gap as heard."""
    facts = summary_facts(conversation)
    lines = [fact("answers", f"{facts['answers']} to {facts['stretches']} stretches of the caller")]
    if median := facts["median"]:
        legend = _legend([(cause, median[cause.field]) for cause in CAUSES])
        first = gap_lines(median, colours=True)[0] if colours else Text(_ms(median["total_ms"]))
        lines += [fact("median gap", first), fact("", legend)]
    if (heard := facts["median_heard_gap_ms"]) is not None:
        lines.append(fact("as heard", f"{_ms(heard)} from the caller's last voice to the answer's first"))
    if conversation.late_ms > MOST_OWN_LATE_MS:
        lines.append(fact("note", f"this caller itself was up to {conversation.late_ms} ms late"))
    return lines


def summary_facts(conversation: Conversation) -> dict[str, Any]:
    """Return the same as plain values; medians are over the exchanges, in milliseconds."""
    latencies = conversation.events("latency")
    fields = [*(cause.field for cause in CAUSES), "total_ms"]
    gaps = [heard.gap_ms for heard in conversation.heard if heard.gap_ms is not None]
    return {
        "call_id": conversation.call_id,
        "stretches": conversation.stretches,
        "answers": sum(heard.answered_ms is not None for heard in conversation.heard),
        "median": {f: round(statistics.median(e[f] for e in latencies)) for f in fields} if latencies else {},
        "median_heard_gap_ms": round(statistics.median(gaps)) if gaps else None,
        "missing": conversation.missing(),
    }


def _clock(at_ms: int) -> str:
    return f"{at_ms // 60_000}:{at_ms // 1000 % 60:02d}"


def _ms(ms: int) -> str:
    return f"{ms / 1000:.2f} s" if ms >= 1000 else f"{ms} ms"

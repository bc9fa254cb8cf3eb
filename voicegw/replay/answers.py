"""Providers for a sample call without a cassette: they hear what was really said, answer as its file says,
and speak a tone; with delays that are the same for the same words, on every machine.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from voicegw.audio.pcm import FRAME_BYTES, FRAME_MS
from voicegw.providers.cassette import frame_hashes
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Fault, Script, ScriptedReply, ScriptedTranscript, ToolCall
from voicegw.replay.sample import Answer, Sample, Turn

# Without a word for it in the sample.
_DEFAULT = {"vi": "Dạ vâng, em nghe rồi ạ.", "en": "All right, I have got that."}
# A word counts as heard when this much of it is in the audio.
_HEARD = 0.5


@dataclass(frozen=True, slots=True)
class Delays:
    """Least and most of each, in milliseconds; where between them depends on the words."""

    stt: tuple[float, float]
    first_token: tuple[float, float]
    token: float
    first_audio: float


# What good providers deliver near by, and what they deliver in bad hours.
LATENCIES: dict[Literal["instant", "usual", "slow"], Delays] = {
    "instant": Delays((0, 0), (0, 0), 0, 0),
    "usual": Delays((180, 280), (180, 320), 10, 110),
    "slow": Delays((700, 1500), (900, 2600), 45, 500),
}


@dataclass(slots=True)
class SpokenAudio:
    """Which frames of the caller's audio hold which words: turns' audio is laid in by `add`."""

    _places: dict[int, tuple[int, int]] = field(default_factory=dict)  # frame's hash: (turn, frame of it)
    _words: dict[int, list[tuple[int, int, str]]] = field(default_factory=dict)  # of a turn: from, to, word

    def add(self, number: int, audio: bytes, begins_s: float, turn: Turn) -> None:
        """Lay in a turn's audio, which begins at `begins_s` of the recording."""
        for at in range(0, len(audio), FRAME_BYTES):
            frame = audio[at : at + FRAME_BYTES]
            if any(frame) and len(frame) == FRAME_BYTES:
                (key,) = frame_hashes(frame)
                self._places.setdefault(key, (number, at // FRAME_BYTES))
        words: list[tuple[int, int, str]] = []
        for start, end, text in [] if turn.noise else turn.spoken:
            frames_a_char = (end - start) * 1000 / FRAME_MS / max(1, len(text))
            first = (start - begins_s) * 1000 / FRAME_MS
            words += [
                (
                    round(first + found.start() * frames_a_char),
                    round(first + found.end() * frames_a_char),
                    found.group(),
                )
                for found in re.finditer(r"\S+", text)
            ]
        self._words[number] = words

    def words_in(self, pcm: bytes) -> str:
        """Return the words whose sound is in `pcm`."""
        heard: dict[int, set[int]] = {}
        for key in frame_hashes(pcm):
            place = self._places.get(key)
            if place is not None:
                heard.setdefault(place[0], set()).add(place[1])
        return " ".join(
            word
            for number in sorted(heard)
            for first, last, word in self._words[number]
            if sum(f in heard[number] for f in range(first, last)) >= _HEARD * max(1, last - first)
        )


def jitter(words: str, least: float, most: float) -> float:
    """Return a delay between the two, always the same for the same words."""
    part = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big") / 0xFFFFFFFF
    return round(least + (most - least) * part, 1)


def scripted_provider(sample: Sample, spoken: SpokenAudio) -> ScriptedProvider:
    """Return the provider that a sample's file describes."""
    delays = LATENCIES[sample.file.latency]
    file = sample.file
    default = Answer(says=_DEFAULT.get(file.language, _DEFAULT["en"]))

    def transcript(number: int) -> ScriptedTranscript:
        wav: bytes = provider.requests[-1].fields["file"]
        text = spoken.words_in(wav[44:])
        return ScriptedTranscript(text, language=file.language, delay_ms=jitter(text, *delays.stt))

    def reply(messages: list[dict[str, Any]]) -> ScriptedReply:
        said, after_tool = _question(messages)
        answer = answer_to(file.turns, said) or default
        first = answer.first_token_ms
        first = jitter(said, *delays.first_token) if first is None else first
        calls: tuple[ToolCall, ...] = ()
        if answer.tool is not None and not after_tool:
            calls = (ToolCall(answer.tool.name, _json(answer.tool.arguments)),)
        text = "" if calls else answer.says
        return ScriptedReply(text, calls, first_token_ms=first, token_ms=delays.token)

    provider = ScriptedProvider(
        Script(stt=transcript, llm=reply, first_audio_ms=delays.first_audio, ms_per_char=62.0)
    )
    for turn in file.turns:
        if turn.answer is not None and turn.answer.fails is not None:
            earlier = [t for t in file.turns[: file.turns.index(turn)] if t.answer or not t.noise]
            provider.fail("llm", Fault(status=turn.answer.fails), after=len(earlier))
    return provider


def answer_to(turns: Sequence[Turn], said: str) -> Answer | None:
    """Return the answer to the turn that `said` resembles most."""
    ours = set(re.findall(r"\w+", said.lower()))

    def likeness(turn: Turn) -> float:
        theirs = set(re.findall(r"\w+", (turn.say or turn.keys or turn.text or "").lower()))
        return len(ours & theirs) / max(1, len(ours | theirs))

    best = max((t for t in turns if not t.noise), key=likeness, default=None)
    return best.answer if best is not None and likeness(best) > 0 else None


def _question(messages: Sequence[Mapping[str, Any]]) -> tuple[str, bool]:
    """The caller's last words, and whether a tool's result stands behind them."""
    after_tool = False
    for message in reversed(messages):
        if message["role"] == "tool":
            after_tool = True
        if message["role"] == "user":
            content = message["content"]
            return (content if isinstance(content, str) else _joined(content)), after_tool
    return "", after_tool


def _joined(parts: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(str(part["text"]) for part in parts if part.get("type") == "text")


def _json(arguments: Mapping[str, Any]) -> str:
    return json.dumps(arguments, ensure_ascii=False, sort_keys=True)

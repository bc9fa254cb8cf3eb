"""The trials: calls on virtual time through the real gateway, and what is measured of them.

One call per voice and condition for turns, one call per interruption. The scripted provider answers after
fixed delays; its transcript of a range is what was said in that range, written as Whisper would write it.
"""

import multiprocessing
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from voicegw.agents.personas import load_personas
from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.bench.turns import sounds
from voicegw.bench.turns.speech import (
    Half,
    Samples,
    Voice,
    Word,
    interruptions,
    long_voice,
    murmurs,
    voices,
    with_hesitation,
)
from voicegw.carriers.base import Message
from voicegw.config import Settings, load_settings
from voicegw.observe.log import no_logs
from voicegw.providers.build import build_providers
from voicegw.rehearsal.caller import ScriptedCaller
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Script, ScriptedTranscript
from voicegw.server.gateway import Gateway

STT_MS, FIRST_TOKEN_MS, TOKEN_MS, SPEECH_MS = 300.0, 400.0, 20.0, 150.0
PROVIDERS_MS = STT_MS + FIRST_TOKEN_MS + SPEECH_MS
# A recogniser puts a full stop behind so many finished and unfinished stretches: it proves little.
STOPS_FINISHED, STOPS_UNFINISHED = 0.85, 0.4
# Of ranges without a word so many get a phantom with doubts, and without.
PHANTOMS_DOUBTED, PHANTOMS = 0.3, 0.1
MISSED_S = 5.0
# Turns of these lengths show that the wait does not grow with them, with a recogniser that takes a tenth of
# the sound's length besides.
LENGTHS_S = (2, 5, 10, 20, 40, 60)
SLOW_STT_MS = 100.0
# A process gets its trials in so many parts, so that all end at about the same time.
PARTS_A_JOB = 12
# What the agent reads out while it is interrupted: a recording of the half that is not measured.
Kind = Literal["speech", "cough", "murmur", "murmur vi", "keyboard", "noise", "echo"]
_PERSONA = """
name = "bench"
language = "LANG"
system_prompt = "Be brief."

[phrases]
greeting = ""
apology = "Sorry."
not_understood = "Pardon?"
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: cut off, or answered `delay_ms` behind its true end (None: no answer within 5 s)."""

    half: Half
    condition: str
    voice: str
    hesitation_ms: int
    cut_off: bool
    delay_ms: float | None
    requests: int  # to STT
    drafts: int = 0  # requests to the model


@dataclass(frozen=True, slots=True)
class BargeIn:
    """One sound over the agent's speech: when it was paused and cut, in ms from the sound's onset."""

    half: Half
    kind: Kind
    pause_ms: float | None
    clear_ms: float | None
    resumed: bool


@dataclass(frozen=True, slots=True)
class Length:
    """A turn of `spoken_s`, with a recogniser that takes time for each second of sound."""

    half: Half
    wanted_s: int
    spoken_s: float
    requests: int
    delay_ms: float | None


@dataclass(slots=True)
class Results:
    """All trials of one run."""

    silero: bool = False
    turns: list[Turn] = field(default_factory=list)
    barge_ins: list[BargeIn] = field(default_factory=list)
    lengths: list[Length] = field(default_factory=list)

    def add(self, other: "Results") -> None:
        """Take the trials of another part of the run."""
        self.turns += other.turns
        self.barge_ins += other.barge_ins
        self.lengths += other.lengths


class Recogniser:
    """Answers with the words of the range that it is sent: found by its samples in what the line sent."""

    def __init__(self, line: sounds.Line, a_second_ms: float = 0.0) -> None:
        self.provider: ScriptedProvider | None = None
        self._line = line
        self._a_second_ms = a_second_ms  # added to the delay for each second of sound
        self.said: list[Word] = []

    def __call__(self, number: int) -> ScriptedTranscript:
        assert self.provider is not None
        audio = self.provider.requests[-1].fields["file"][44:]
        sent = self._line.sent
        at = sent.rfind(audio)
        if at < 0:
            # The gateway has changed the level: then it was the newest that was sent.
            at = max(0, len(sent) - len(audio))
        from_s, to_s = at / 2 / SAMPLE_RATE_HZ, (at + len(audio)) / 2 / SAMPLE_RATE_HZ
        words = [w for w in self.said if from_s <= (w.from_s + w.to_s) / 2 <= to_s]
        chance = zlib.crc32(f"{number} {from_s:.2f} {len(words)}".encode()) % 1000 / 1000
        if not words:
            if chance < PHANTOMS_DOUBTED:
                return ScriptedTranscript("Thank you.", no_speech_prob=0.75, avg_logprob=-1.1)
            return ScriptedTranscript("Thank you." if chance > 1 - PHANTOMS else "", no_speech_prob=0.5)
        finished = not any(w.from_s >= to_s - 0.05 for w in self.said)
        stop = chance < (STOPS_FINISHED if finished else STOPS_UNFINISHED)
        text = " ".join(w.text for w in words)
        delay_ms = STT_MS + self._a_second_ms * (to_s - from_s)
        return ScriptedTranscript(text[0].upper() + text[1:] + ("." if stop else ""), delay_ms=delay_ms)

    def will_say(self, voice: Voice, at_s: float) -> None:
        """This voice is on the line from `at_s`."""
        self.said += [Word(w.text, w.from_s + at_s, w.to_s + at_s) for w in voice.words]


class Listener(ScriptedCaller):
    """A caller whose line may echo."""

    echo: sounds.Echo | None = None

    def message(self, message: Message) -> None:
        """Take a message of the gateway."""
        if self.echo is not None:
            self.echo.message(message)
        super().message(message)


def pcm(samples: Samples) -> bytes:
    """16-bit samples of a sound."""
    return bytes(np.clip(samples * 32768, -32768, 32767).astype("<i2").tobytes())


def _settings(folder: Path, overrides: dict[str, str], language: str) -> Settings:
    personas = folder / "personas"
    personas.mkdir(exist_ok=True)
    (personas / "bench.toml").write_text(_PERSONA.replace("LANG", language), encoding="utf-8")
    base = {
        "provider.base_url": "http://scripted.invalid/v1",
        "provider.api_key": "bench-key",
        "persona.default": "bench",
        "persona.folders": str(personas),
        "store.data_dir": str(folder),
        "limits.idle_s": "86400",
        # A filler would sound in the place of the answer that is waited for.
        "patience.first_ms": "8000",
        "patience.first_max_ms": "10000",
    }
    return load_settings({}, None, {**base, **overrides})


class Bench:
    """Runs trials with one set of settings. `done` is called after each."""

    def __init__(self, overrides: dict[str, str], *, silero: bool, done: Callable[[], None]) -> None:
        self._overrides = {**overrides, "turns.second_stage": "auto" if silero else "off"}
        self._done = done
        self.results = Results(silero)

    async def turns(self, folder: Path, voice: Voice, condition: str, hesitation_ms: int, seed: int) -> None:
        """One call with one turn."""
        line = sounds.Line(condition, voice.half, seed)
        recogniser = Recogniser(line)
        script = Script(
            stt=recogniser, llm=("All right. I see.",), stt_ms=STT_MS, first_token_ms=FIRST_TOKEN_MS,
            token_ms=TOKEN_MS, first_audio_ms=SPEECH_MS,
        )  # fmt: skip
        async with (
            self._gateway(folder, script, recogniser) as gateway,
            Listener(gateway, line=line) as caller,
        ):
            await caller.event("ready")
            sound = sounds.narrow(voice.samples) if condition == "G.711" else voice.samples
            from_s, _ = caller.speak(pcm(sound), 1.2 + seed % 10 * 0.02)
            recogniser.will_say(voice, from_s)
            begin_s, end_s = from_s + voice.begin_s, from_s + voice.end_s
            await caller.until(end_s)
            # Whatever the agent says: a "pardon?" in the middle of a sentence is no better than an answer.
            started = [told.at_s for told in caller.told("speech_started")]
            cut_off = any(begin_s < at < end_s for at in started)
            delay_ms = None
            if not cut_off and (answered := await self._answer(caller, end_s)) is not None:
                delay_ms = round((answered - end_s) * 1000, 1)
            assert recogniser.provider is not None
            asked = len(recogniser.provider.received("stt"))
            drafts = len(recogniser.provider.received("llm"))
            self.results.turns.append(
                Turn(voice.half, condition, voice.name, hesitation_ms, cut_off, delay_ms, asked, drafts)
            )
            caller.send("hangup")
        self._done()

    @staticmethod
    async def _answer(caller: ScriptedCaller, end_s: float) -> float | None:
        """Return when a reply begins behind the end of the turn; None when none does within 5 s.

        What the agent said before, to a noise, is no answer.
        """
        try:
            while True:
                left_s = end_s + MISSED_S - caller.now_s
                told = await caller.event("speech_started", within_s=max(0.0, left_s), kind="reply")
                if told.at_s >= end_s:
                    return told.at_s
        except AssertionError:
            return None

    async def length(self, folder: Path, half: Half, seconds: int) -> None:
        """One call with one turn of about this length."""
        voice = long_voice(half, seconds)
        line = sounds.Line("clean", half, seconds)
        recogniser = Recogniser(line, SLOW_STT_MS)
        script = Script(
            stt=recogniser, llm=("All right. I see.",), stt_ms=STT_MS, first_token_ms=FIRST_TOKEN_MS,
            token_ms=TOKEN_MS, first_audio_ms=SPEECH_MS,
        )  # fmt: skip
        async with (
            self._gateway(folder, script, recogniser) as gateway,
            Listener(gateway, line=line) as caller,
        ):
            await caller.event("ready")
            from_s, _ = caller.speak(pcm(voice.samples), 1.2)
            recogniser.will_say(voice, from_s)
            end_s = from_s + voice.end_s
            await caller.until(end_s)
            delay_ms = None
            if not caller.told("speech_started"):
                answered = await caller.event("speech_started", kind="reply", within_s=30.0)
                delay_ms = round((answered.at_s - end_s) * 1000, 1)
            assert recogniser.provider is not None
            asked = len(recogniser.provider.received("stt"))
            self.results.lengths.append(Length(half, seconds, round(voice.end_s, 1), asked, delay_ms))
            caller.send("hangup")
        self._done()

    async def barge_in(
        self, folder: Path, kind: Kind, sound: Voice, agent: Voice, half: Half, seed: int
    ) -> None:
        """One call in which something sounds while the agent speaks."""
        rng = np.random.default_rng(seed)
        echo = sounds.Echo(-15.0, int(rng.choice([60, 120, 200, 300, 400]))) if kind == "echo" else None
        line = sounds.Line("clean", half, seed, echo)
        recogniser = Recogniser(line)
        language = "vi" if kind == "murmur vi" else "en"
        text = " ".join(word.text for word in agent.words).capitalize() + "."
        script = Script(
            stt=recogniser, llm=(text, "Yes."), stt_ms=STT_MS, first_token_ms=FIRST_TOKEN_MS,
            first_audio_ms=SPEECH_MS, pcm_hz=SAMPLE_RATE_HZ, voice=lambda _: pcm(agent.samples),
        )  # fmt: skip
        async with (
            self._gateway(folder, script, recogniser, language) as gateway,
            Listener(gateway, line=line) as caller,
        ):
            caller.echo = echo
            await caller.event("ready")
            await caller.until(1.0)
            caller.send("text", text="Tell me.")
            started = await caller.event("reply_text")
            onset_s = started.at_s
            if kind == "echo":
                recogniser.will_say(agent, started.at_s + 0.2)
            else:
                from_s, _ = caller.speak(pcm(sound.samples), started.at_s + rng.uniform(1.0, 2.0))
                recogniser.will_say(sound, from_s)
                onset_s = from_s + sound.begin_s
            until_s = onset_s + max(3.0, agent.end_s if kind == "echo" else 0.0)
            await caller.until(until_s)
            self.results.barge_ins.append(self._outcome(caller, half, kind, onset_s))
            caller.send("hangup")
        self._done()

    @staticmethod
    def _outcome(caller: ScriptedCaller, half: Half, kind: Kind, onset_s: float) -> BargeIn:
        def first(name: str, **match: object) -> float | None:
            times = [told.at_s for told in caller.told(name, **match) if told.at_s >= onset_s]
            return round((times[0] - onset_s) * 1000, 1) if times else None

        # Whoever draws breath aloud may have paused the agent before the first word.
        before = [t for t in caller.events if t.at_s < onset_s and t.type in ("pause", "resume")]
        paused = 0.0 if before and before[-1].type == "pause" else first("pause")
        return BargeIn(half, kind, paused, first("speech_stopped", cut=True), first("resume") is not None)

    def _gateway(
        self, folder: Path, script: Script, recogniser: Recogniser, language: str = "en"
    ) -> "_Running":
        recogniser.provider = ScriptedProvider(script, keep=50)
        return _Running(_settings(folder, self._overrides, language), recogniser.provider)


class _Running:
    """A gateway for as long as a trial lasts."""

    def __init__(self, settings: Settings, provider: ScriptedProvider) -> None:
        self._gateway = Gateway(settings, load_personas(settings), build_providers(settings, provider))

    async def __aenter__(self) -> Gateway:
        return self._gateway

    async def __aexit__(self, *_: object) -> None:
        await self._gateway.close()


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """A turn to be tried."""

    voice: Voice
    condition: str
    hesitation_ms: int
    seed: int

    async def run(self, bench: Bench, folder: Path, half: Half) -> None:
        """Try it."""
        await bench.turns(folder, self.voice, self.condition, self.hesitation_ms, self.seed)


@dataclass(frozen=True, slots=True)
class BargeInPlan:
    """A sound over the agent's speech to be tried."""

    kind: Kind
    number: int

    async def run(self, bench: Bench, folder: Path, half: Half) -> None:
        """Try it."""
        agents = [voice for voice in voices() if voice.half != half and 4 < voice.end_s < 12]
        sound = _sound(self.kind, half, self.number)
        await bench.barge_in(
            folder, self.kind, sound, agents[self.number % len(agents)], half, self.number + 1
        )


@dataclass(frozen=True, slots=True)
class LengthPlan:
    """A turn of some length to be tried."""

    seconds: int

    async def run(self, bench: Bench, folder: Path, half: Half) -> None:
        """Try it."""
        await bench.length(folder, half, self.seconds)


Plan = TurnPlan | BargeInPlan | LengthPlan


def turn_plans(half: Half, conditions: Sequence[str] = sounds.CONDITIONS) -> Iterator[TurnPlan]:
    """Every voice of a half as it was spoken, and with a hesitation of 300 to 900 ms, in each condition.

    Long voices hesitate at four places, one after the other, short ones at two.
    """
    rng = np.random.default_rng(3 if half == "tuning" else 4)
    seed = 0
    for voice in voices():
        if voice.half != half:
            continue
        hesitant = []
        for _ in range(4 if len(voice.words) > 5 else 2):
            if len(voice.words) >= 3:
                low, high = (3, len(voice.words) - 1) if len(voice.words) > 5 else (1, len(voice.words))
                word = int(rng.integers(low, high))
                pause_ms = int(rng.integers(15, 46)) * 20
                hesitant.append((with_hesitation(voice, word, pause_ms / 1000), pause_ms))
        for condition in conditions:
            for tried, pause_ms in [(voice, 0), *hesitant]:
                seed += 1
                yield TurnPlan(tried, condition, pause_ms, seed)


def _sound(kind: Kind, half: Half, number: int) -> Voice:
    if kind in ("speech", "echo"):
        own = interruptions(half)
        return own[number % len(own)]
    if kind in ("murmur", "murmur vi"):
        some = [m for m in murmurs() if m.name.startswith("murmur-vi") == (kind == "murmur vi")]
        return some[number % len(some)]
    make = {"cough": sounds.cough, "keyboard": sounds.keyboard, "noise": sounds.burst}[kind]
    samples = make(number + (0 if half == "tuning" else 1000))
    return Voice(kind, kind, samples, (), len(samples) / SAMPLE_RATE_HZ)


BARGE_INS: dict[Kind, int] = {
    "speech": 200, "cough": 60, "murmur": 60, "murmur vi": 20, "keyboard": 40, "noise": 60, "echo": 110,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be tried: a half, with these settings; with `every` = n each n-th trial of each sort."""

    half: Half
    silero: bool
    overrides: dict[str, str] = field(default_factory=dict)
    conditions: Sequence[str] = sounds.CONDITIONS
    barge_ins: dict[Kind, int] = field(default_factory=lambda: dict(BARGE_INS))
    lengths: Sequence[int] = LENGTHS_S
    every: int = 1

    def plans(self) -> list[Plan]:
        """Return all trials."""
        turns = list(turn_plans(self.half, self.conditions))[:: self.every]
        sounds = [
            BargeInPlan(kind, number)
            for kind, count in self.barge_ins.items()
            for number in range(-(-count // self.every))
        ]
        return [*turns, *sounds, *(LengthPlan(seconds) for seconds in self.lengths)]


def run_part(run: Run, part: int, parts: int, done: Callable[[], None] = lambda: None) -> Results:
    """Run each `parts`-th trial from `part` on, on virtual time; `done` is called after each."""
    bench = Bench(run.overrides, silero=run.silero, done=done)

    async def all_trials(folder: Path) -> None:
        for plan in run.plans()[part::parts]:
            await plan.run(bench, folder, run.half)

    # Every trial is a gateway of its own: what it logs of its scripted failures is not for the screen.
    with tempfile.TemporaryDirectory(prefix="voicegw-turns-") as folder, no_logs():
        run_virtual(all_trials(Path(folder)))
    return bench.results


def run_trials(run: Run, *, jobs: int = 1, done: Callable[[], None] = lambda: None) -> Results:
    """Run all trials, in `jobs` processes; `done` is called after each."""
    if jobs == 1:
        return run_part(run, 0, 1, done)
    found = Results(run.silero)
    parts = min(len(run.plans()), jobs * PARTS_A_JOB)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        for future in as_completed([pool.submit(run_part, run, part, parts) for part in range(parts)]):
            results = future.result()
            found.add(results)
            for _ in range(len(results.turns) + len(results.barge_ins) + len(results.lengths)):
                done()
    return found

"""A sample call: a recorded caller, what was really said in it, and what must come of it.

`NAME.yaml` beside its audio; `sample.schema.json` is made from the classes here, for editors. All times of
the recording are seconds from its beginning.
"""

import re
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from voicegw.errors import ConfigError
from voicegw.store.bundle import ABOUT

# What soundfile reads, and what ffmpeg must.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".ulaw")


class Part(BaseModel):
    """Base of all: an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Anchor(Part):
    """When a turn is said in the replay; exactly one of them."""

    after: float | None = Field(None, ge=0, description="seconds after the agent's turn that it answers")
    over: float | None = Field(None, ge=0, description="seconds after the beginning of the agent's turn")
    follows: float | None = Field(None, ge=0, description="seconds after the caller's turn before it")
    at: float | None = Field(None, ge=0, description="seconds after the beginning of the call")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(v is not None for v in (self.after, self.over, self.follows, self.at)) != 1:
            raise ValueError("give exactly one of after, over, follows and at")
        return self


class Tool(Part):
    """A tool the model calls."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Answer(Part):
    """What the scripted model says to a turn; used where there is no cassette, and to make one."""

    says: str = ""
    tool: Tool | None = Field(None, description="it calls this first")
    fails: int | None = Field(None, description="the first request is answered with this HTTP status")
    first_token_ms: float | None = Field(None, ge=0)


class TurnExpectation(Part):
    """What must come of one turn. Left out means: not looked at."""

    understood: list[str] = Field(default_factory=list, description="words that must be understood")
    not_understood: list[str] = Field(default_factory=list, description="words that must not be")
    answer_contains: list[str] = Field(default_factory=list, description="words the answer must contain")
    answer_matches: str = Field("", description="a regular expression for the whole heard answer")
    judge: str = Field("", description="what a model must find true of the heard answer; skipped without one")
    tools: list[Tool] | None = Field(None, description="the tools that run for it, in order")
    gap_ms: int | None = Field(None, ge=0, description="the answer is heard within this")
    one_turn: bool | None = Field(None, description="it is taken as exactly one turn (the default for voice)")
    not_cut_off: bool | None = Field(None, description="the agent does not begin within it (default)")
    stops_ms: int | None = Field(
        None, ge=0, description="the agent is silent within this after its beginning"
    )
    agent_goes_on: bool = Field(False, description="the agent is not stopped by it, and it is no turn")
    keys: str = Field("", description="the keys that are understood")


class Turn(Part):
    """One turn of the caller: said (`say`), pressed (`keys`) or typed (`text`)."""

    say: str | None = Field(None, description="the words, as they were really said; empty for a noise")
    keys: str | None = Field(None, pattern=r"^[0-9A-D*#]+$")
    text: str | None = None
    start: float | None = Field(None, ge=0, description="where it begins in the recording")
    end: float | None = Field(None, ge=0, description="where it ends")
    parts: list[tuple[float, float, str]] = Field(
        default_factory=list, description="[start, end, words] of each, where there are pauses within it"
    )
    anchor: Anchor | None = None
    hangs_up_after: float | None = Field(None, ge=0, description="the caller is gone this long into the turn")
    sound: Literal["", "cough", "knock"] = Field("", description="what a synthetic noise is made as")
    noise: bool = Field(False, description="no turn: a cough, a backchannel, somebody else, an echo")
    answer: Answer | None = None
    expect: TurnExpectation = TurnExpectation()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(v is not None for v in (self.say, self.keys, self.text)) != 1:
            raise ValueError("give exactly one of say, keys and text")
        if self.say is not None and (self.start is None or self.end is None):
            raise ValueError("a turn that is said needs start and end")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("end must be later than start")
        return self

    @property
    def spoken(self) -> list[tuple[float, float, str]]:
        """Its parts, or all of it as one."""
        if self.parts or self.say is None:
            return list(self.parts)
        assert self.start is not None
        assert self.end is not None
        return [(self.start, self.end, self.say)]


class CallExpectation(Part):
    """What must be true of the whole call. Left out means: not looked at."""

    turns: int | None = Field(None, ge=0, description="how many turns are taken")
    ends: str = Field("", description="the reason with which it ends")
    gap_p95_ms: int | None = None
    longest_wait_ms: int | None = Field(None, description="the caller never waits longer without any sound")
    word_error_rate: float | None = Field(None, description="at most this")
    false_interruptions: int | None = Field(None, description="at most so many")
    rungs: list[str] | None = Field(None, description="the prepared phrases heard, in order, without fillers")
    remembers_only_heard: bool = Field(True, description="the model is told no more than was heard")
    likely_echo: bool | None = None


class Echo(Part):
    """The caller's line gives back what the agent says."""

    delay_ms: int = Field(180, ge=20, le=500)
    level_db: float = Field(-30.0, le=0, description="against what the agent sent")


class Made(Part):
    """How the recording of a synthetic sample was made (samples/make_samples.py)."""

    by: Literal["flite", "espeak-ng", "silence"]
    voice: str = ""
    speed: int = Field(0, ge=0, description="words a minute (espeak-ng)")
    gain_db: float = 0.0
    hiss_db: float | None = Field(None, le=0, description="white noise of this level (dBFS) on the line")


class Exchange(Part):
    """An exchange before this call: history that the model is given."""

    caller: str
    agent: str = ""


class SampleFile(Part):
    """The YAML of a sample call."""

    title: str
    origin: str = Field(description="where the recording comes from; says so if it is synthetic")
    licence: str
    language: str = "en"
    audio: str = Field("", description="file beside this one; by default of the same name")
    persona: str = Field(
        "", description="the agent's name, or its file beside this one; by default by language"
    )
    settings: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="settings of the gateway for this call, as group.name"
    )
    history: list[Exchange] = Field(default_factory=list)
    made: Made | None = None
    reference: bool = Field(True, description="the words are known, so that an error rate means something")
    echo: Echo | None = None
    room: bool = Field(False, description="between turns the recording's own background is heard")
    latency: Literal["instant", "usual", "slow"] = Field("usual", description="of the scripted providers")
    stays: float = Field(0.0, ge=0, description="seconds the caller stays on the line after the last turn")
    turns: list[Turn] = Field(default_factory=list)
    expect: CallExpectation = CallExpectation()
    notes: str = ""
    live: bool = Field(False, description="also played over real sockets against the embedded provider")


class Sample(Part):
    """A sample call that was read: its name, its files, its description; `bundle`: the call it was."""

    name: str
    path: Path
    audio: Path | None
    cassette: Path | None
    file: SampleFile
    bundle: Path | None = None

    @property
    def persona(self) -> str:
        """The agent that answers."""
        return self.file.persona or {"vi": "giao-hang"}.get(self.file.language, "support")

    @property
    def said(self) -> list[str]:
        """The words of its turns that were said to their end, without those of noises."""
        turns = self.file.turns
        return [t.say for t in turns if t.say and not t.noise and t.hangs_up_after is None]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a sample's YAML."""
    found = SampleFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def read_sample(path: Path) -> Sample:
    """Read a sample's YAML. Raises ConfigError naming file, line and what was expected."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(
            text, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader
        )
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise ConfigError(f"{path}:{line} no YAML: {getattr(error, 'problem', error)}") from None
    try:
        file = SampleFile.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = re.sub(r"^Value error, ", "", first["msg"])
        raise ConfigError(f"{path}: line {_line(node, first['loc'])}: {place or 'file'}: {message}") from None
    return _found(path, file)


def _found(path: Path, file: SampleFile) -> Sample:
    name = path.stem
    audio: Path | None = path.parent / file.audio if file.audio else None
    if audio is None:
        audio = next((p for s in AUDIO_SUFFIXES if (p := path.with_suffix(s)).exists()), None)
    if audio is not None and not audio.exists():
        raise ConfigError(f"{path}: there is no audio file {audio.name} beside it")
    if audio is None and any(turn.say is not None for turn in file.turns):
        raise ConfigError(f"{path}: there is no audio for it ({name} with {', '.join(AUDIO_SUFFIXES)})")
    cassette = path.with_suffix(".cassette.jsonl")
    return Sample(
        name=name, path=path, audio=audio, cassette=cassette if cassette.exists() else None, file=file
    )


def _line(node: Any, place: Any) -> int:
    """The line (from 1) where a place in a file begins, or what is nearest around it."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in place:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def find_samples(paths: list[Path]) -> list[Path]:
    """Return the YAML files of all samples at `paths`, and the `bundle.json` of bundles, sorted, each once.

    Raises ConfigError where there are none.
    """
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            inside = {p for p in path.rglob("*.yaml") if _is_sample(p)} | set(path.rglob(ABOUT))
            if not inside:
                raise ConfigError(f"{path}: there is no sample call (*.yaml with `turns`) or bundle in it")
            found |= inside
        elif path.suffix in (".yaml", ".yml") and path.exists():
            found.add(path)
        elif path.exists() and path.with_suffix(".yaml").exists():
            found.add(path.with_suffix(".yaml"))
        else:
            raise ConfigError(f"{path}: no sample call: expected its YAML, its audio beside one, or a folder")
    return sorted(found)


def _is_sample(path: Path) -> bool:
    return re.search(r"^turns:", path.read_text(encoding="utf-8"), re.MULTILINE) is not None

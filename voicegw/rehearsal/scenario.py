"""Fault scenarios: what goes wrong in a call, and what the caller is to hear all the same. YAML files.

    - name: llm-429-wait            # unique
      title: The model answers 429 and says for how long
      turns: 2                      # what the caller asks, one after the other
      faults:
        - {route: llm, status: 429, headers: {retry-after: "1"}, times: 1}
      recovers: true                # the last turn gets its answer
      hears: [filler]               # rungs of the ladder that must be heard
      never: [apology]              # and those that must not

`faults` take the fields of `script.Fault`, and `route`, `times` (null: until healed), `after`, `turn` (from
which turn on; 0: before the start, so that not even clips can be made), `host` (main or fallback).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voicegw.errors import ConfigError
from voicegw.rehearsal.script import Fault

BUILT_IN = Path(__file__).parent / "scenarios"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FaultAt(_Strict):
    """A fault, where and when."""

    route: Literal["stt", "llm", "tts"]
    host: Literal["main", "fallback"] = "main"
    times: int | None = 1
    after: int = Field(0, ge=0)
    turn: int = Field(1, ge=0)
    status: int | None = None
    refuse: bool = False
    reason: str = "connection refused"
    code: str = "refused"
    hang: bool = False
    stall_after: int | None = None
    reset_after: int | None = None
    end_after: int | None = None
    error_event: int | None = None
    wrong: bool = False
    body: str = ""
    body_hex: str = ""
    content_type: str = "text/html"
    headers: dict[str, str] = Field(default_factory=dict)
    delay_ms: float = 0.0

    def fault(self) -> Fault:
        """Return it as the scripted provider takes it."""
        own = {"route", "host", "times", "after", "turn", "body", "body_hex"}
        fields = self.model_dump(exclude=own)
        return Fault(**fields, body=bytes.fromhex(self.body_hex) or self.body.encode())


class Line(_Strict):
    """How the caller's connection misbehaves. Of every `every` messages one is hit."""

    bundle: int = Field(1, ge=1, le=25)
    every: int = Field(50, ge=2)
    late_ms: float = 0.0
    lost: bool = False
    twice: bool = False
    drops_after_s: float | None = None  # after the caller's first question
    back_after_s: float | None = None  # after the drop; None: never
    half_open: bool = False  # after the first question no audio comes, and the connection stays


class Spoken(_Strict):
    """What the scripted provider says; see `script.Script`."""

    stt: tuple[str, ...] = ("where is my order",)
    llm: tuple[str, ...] = (
        "Your order left the warehouse this morning. It will be with you tomorrow before noon.",
    )
    stt_ms: float = 300.0
    first_token_ms: float = 400.0
    token_ms: float = 20.0
    first_audio_ms: float = 150.0
    audio_chunk_ms: float = 100.0
    audio_chunk_delay_ms: float = 20.0
    done_marker: bool = True
    pcm_hz: int = 24000


class Scenario(_Strict):
    """One call and what goes wrong in it."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    turns: int = Field(2, ge=1, le=10)
    faults: tuple[FaultAt, ...] = ()
    heal_after_s: float | None = None  # after the first question's last word
    line: Line = Line()
    script: Spoken = Spoken()
    settings: dict[str, str] = Field(default_factory=dict)
    fallback: tuple[Literal["stt", "llm", "tts"], ...] = ()
    sockets: bool = False  # also run over real sockets on request
    # Where the main model is on real sockets: at a name that does not exist, or behind a certificate that
    # nobody has signed. On virtual time faults stand for it.
    address: Literal["", "no-such-name", "self-signed"] = ""
    # A person whom the persona can hand the caller over to, and whether they answer.
    person: str = ""
    person_answers: bool = True
    recovers: bool = True
    ends: str | None = None  # the reason of the hang-up, where the gateway ends the call
    hears: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # sentences, or their beginnings, that must be heard


def load_scenarios(paths: Sequence[Path] = ()) -> list[Scenario]:
    """Read scenarios from files and folders; without any, those of the package.

    Raises ConfigError naming the file and the scenario that is wrong.
    """
    found: list[Scenario] = []
    for path in _files(paths or [BUILT_IN]):
        try:
            listed = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
        if not isinstance(listed, list):
            raise ConfigError(f"{path}: expected a list of scenarios, each beginning with `- name: …`")
        for number, raw in enumerate(listed, start=1):
            found.append(_scenario(path, number, raw))
    names = [scenario.name for scenario in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"scenarios of the same name: {', '.join(sorted(twice))}")
    return found


def _scenario(path: Path, number: int, raw: Any) -> Scenario:
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = raw.get("name", f"number {number}") if isinstance(raw, dict) else f"number {number}"
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: scenario {name}: {place}: {first['msg']}") from None


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
        elif path.is_file():
            yield path
        else:
            raise ConfigError(f"{path}: there is no such file or folder")

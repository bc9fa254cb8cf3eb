"""The part of a persona that the heart of a call needs. `agents/` makes it from a persona's file."""

from dataclasses import dataclass, field
from typing import Literal

from voicegw.call.commands import Role
from voicegw.config import LimitSettings, PatienceSettings, TurnSettings

_ROLES: tuple[Role, ...] = (
    "greeting",
    "not_understood",
    "offer",
    "check_in",
    "callback",
    "goodbye",
    "transferring",
)


@dataclass(frozen=True, slots=True)
class Phrases:
    """Fixed sentences of the agent, in its language. An empty one is not said."""

    greeting: str
    apology: str
    not_understood: str
    check_in: str
    goodbye: str
    fillers: tuple[str, ...] = ()  # said in turn while an answer takes its time
    offer: str = ""  # after a second failed answer: try again, or press 1 to be called back
    callback: str = ""  # the goodbye to a caller who is to be called back
    consent: str = ""  # said before the greeting, and never interrupted
    closed: str = ""  # said in place of the greeting outside business hours
    transferring: str = ""  # said before the caller is handed over
    over_limit: str = ""  # the goodbye of a call that has become too long or too dear

    def role(self, text: str) -> Role:
        """Return what a phrase is for; an unknown one is an apology."""
        if text in self.fillers:
            return "filler"
        if text == self.over_limit:
            return "goodbye"
        return next((role for role in _ROLES if getattr(self, role) == text), "apology")


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """How the agent's sentences are said: see `spoken_form`."""

    spoken_form: bool = True  # False: figures and signs are left to the provider
    pronunciations: dict[str, str] = field(default_factory=dict)  # word: what is said for it


@dataclass(frozen=True, slots=True)
class Slot:
    """An answer that the agent expects, and what follows from it.

    It is expected when `when` (a regular expression) is found in the agent's last words. `kind` sets what is
    listened for, and how long a pause may be; `pattern` is that of an id. `hint` goes to STT. `keys` is how
    many keys complete it (0: `#` or a pause does). A `sensitive` answer is masked everywhere: the model gets
    a reference in place of it.
    """

    name: str
    kind: Literal["yes_no", "number", "id", "date", "email", "free"]
    when: str
    pattern: str = ""
    hint: str = ""
    keys: int = 0
    read_back: str = ""
    sensitive: bool = False


# What carries out a tool: the driver (`run`), or the call itself.
ToolAction = Literal["run", "end_call", "transfer", "callback"]


@dataclass(frozen=True, slots=True)
class ToolRules:
    """What the call must know of a tool. What it does, and its parameters, stay with the driver.

    `confirm` is a read-back with the arguments in braces: the tool runs only when that was heard to its end
    and answered yes. A `background` tool is not waited for: the agent talks on, and its result is told at
    the next pause. `timeout_ms`: its result or its failure comes within this.
    """

    name: str
    action: ToolAction = "run"
    read_only: bool = False
    idempotent: bool = False
    confirm: str = ""
    background: bool = False
    timeout_ms: int = 10_000
    slots: tuple[Slot, ...] = ()  # answers that its parameters need


@dataclass(frozen=True, slots=True)
class KeypadRules:
    """Keys belong together until `end` or a pause of `pause_s`; `menu` gives single keys a meaning.

    The meaning is taken as if the caller had said it. It holds while no slot is expected.
    """

    end: str = "#"
    pause_s: float = 3.0
    menu: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WindowRules:
    """What of a long call the model is shown. 0: no limit.

    With `summarise`, what falls out of the window is kept as a short text, made in the background.
    """

    tokens: int = 0
    photos: int = 2
    summarise: bool = False


@dataclass(frozen=True, slots=True)
class InterruptionSettings:
    """Who may interrupt the agent, and with what.

    `mode`: "normal"; "protected": not the greeting; "never". `min_words`: so many words take the floor, fewer
    do not. `backchannels`: murmurs that never do, besides the language's own. `protected`: sentences with one
    of these texts in them (a legal notice) are heard to their end.
    """

    mode: Literal["normal", "protected", "never"] = "normal"
    min_words: int = 1
    backchannels: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What the rules of one call depend on; the same for its whole life."""

    persona: str
    language: str
    system_prompt: str
    phrases: Phrases
    turns: TurnSettings = field(default_factory=TurnSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    speech: SpeechSettings = field(default_factory=SpeechSettings)
    # What caller and agent said before this call, oldest first: the model is given it as its history.
    history: tuple[tuple[str, str], ...] = ()
    patience: PatienceSettings = field(default_factory=PatienceSettings)
    # The 95th percentile of the wait for an answer, as the process knew it when the call began.
    usual_wait_ms: int = 0
    interruptions: InterruptionSettings = field(default_factory=InterruptionSettings)
    vocabulary: tuple[str, ...] = ()  # names and terms that callers use: a hint for STT
    tools: tuple[ToolRules, ...] = ()
    tool_rounds: int = 4  # rounds of tools in one exchange; then the model must answer in words
    slots: tuple[Slot, ...] = ()
    keypad: KeypadRules = field(default_factory=KeypadRules)
    window: WindowRules = field(default_factory=WindowRules)
    # Who may take the call over, by name: a number or address.
    transfers: dict[str, str] = field(default_factory=dict)
    today: str = ""  # the day of the call where its caller is: "2026-12-04"
    in_hours: bool = True  # within business hours
    closed_hangs_up: bool = False  # outside them the call ends behind `phrases.closed`

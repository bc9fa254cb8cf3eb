"""One stretch of agent speech, from the question to the model to the last word heard."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from voicegw.call import notices
from voicegw.call.dialogue import ToolUnit, ToolUse
from voicegw.call.playback import Kind, Playback
from voicegw.call.resume import Resume
from voicegw.call.sentences import SentenceChunker
from voicegw.call.tool_rounds import Fragments


@dataclass(slots=True)
class Stages:
    """When each stage of an exchange was reached (us since the call began), in their order."""

    last_word: int
    turn_over: int
    transcribed: int
    first_token: int | None = None
    first_sentence: int | None = None

    def latency(self, exchange: int, now: int) -> notices.Latency:
        """Split the gap that ends `now` into consecutive stages; the roundings add up."""
        marks = [self.last_word, self.turn_over, self.transcribed, self.first_token, self.first_sentence, now]
        # A stage that was skipped or done ahead took no time of the caller's.
        reached = self.last_word
        ms: list[int] = []
        for mark in marks:
            reached = max(reached, mark if mark is not None else reached)
            ms.append((reached - self.last_word) // 1000)
        turn, words, token, sentence, speech = (after - before for before, after in pairwise(ms))
        return notices.Latency(exchange, turn, words, token, sentence, speech, ms[-1])


@dataclass(slots=True)
class Reply:
    """`asked`: the model is still writing it. `pending` are sentences that TTS has not been given yet."""

    reply_id: int
    kind: Kind
    chunker: SentenceChunker
    asked: bool = False
    hang_up: str = ""  # the call ends after it, for this reason
    stages: Stages | None = None
    started: bool = False
    failed: bool = False  # a prepared phrase stands in for what is missing of it
    pending: deque[str] = field(default_factory=deque)
    prepared: str = ""  # a fixed sentence, while a clip may still take the place of its voice
    resumes: int = 0  # how often the model was asked to go on, its stream having broken
    resume: Resume | None = None
    closing: str = ""  # that phrase, until it is its turn: it is said behind what there is of the reply
    playback: Playback = field(default_factory=Playback)
    calls: Fragments = field(default_factory=Fragments)  # tools that the model calls, while it is writing
    rounds: list[tuple[ToolUnit, int]] = field(default_factory=list)  # each with the sentences before it
    acting: bool = False  # tools run whose results the model waits for
    mistakes: int = 0  # tool calls that could not run
    said_again: bool = False  # a sentence of it stopped in its middle, and was begun anew
    filled: bool = False  # a filler was said for the tools that run
    sentences: list[str] = field(default_factory=list)  # all that the model wrote
    transfer: tuple[str, str] | None = None  # after it the caller is handed over: to whom, and why
    confirm: ToolUse | None = None  # it ends with a read-back of this

    def add(self, sentences: Iterable[str]) -> None:
        """The model wrote these; what a second answer repeats of one that broke is left out."""
        for sentence in sentences:
            new = self.resume.new(sentence) if self.resume is not None else sentence
            if new:
                self.pending.append(new)
                self.sentences.append(new)

    @property
    def newest(self) -> list[str]:
        """The sentences since the last round of tools."""
        return self.sentences[self.rounds[-1][1] if self.rounds else 0 :]

    def heard_since_tools(self) -> str:
        """Write what was heard before each round of tools into it; return what was heard after the last."""
        heard = self.playback.remembered_texts
        start = 0
        for unit, end in self.rounds:
            unit.said = " ".join(filter(None, heard[start:end]))
            start = end
        return " ".join(filter(None, heard[start:]))

    def go_on(self, language: str) -> str:
        """The stream broke: the model will be asked to go on. Returns what it is told it has said."""
        self.resumes += 1
        self.resume = Resume(self.newest)
        # The torn sentence at the end was not spoken: the second answer brings it whole. So are tool calls.
        self.chunker = SentenceChunker(language)
        self.calls = Fragments()
        return " ".join(self.newest)

    @property
    def finished(self) -> bool:
        """True when all of it was heard."""
        return not (self.asked or self.acting or self.pending or self.closing or self.playback.unfinished)

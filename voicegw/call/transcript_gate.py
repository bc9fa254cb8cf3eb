"""Is a transcript what the caller said, or what Whisper made of noise, of silence, or of our own voice?

Pure: numbers and texts in, a verdict out. Numbers that a provider does not send decide nothing.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from voicegw.call.events import Transcript
from voicegw.call.phantoms import DOUBTFUL, PHANTOM_PARTS, PHANTOMS

# Whisper's own limits for giving a segment up: no-speech over 0.6 with a log-probability under -1.0,
# repetition over 2.4 (https://github.com/openai/whisper, transcribe.py).
NO_SPEECH = 0.6
LEAST_LOGPROB = -1.0
MOST_COMPRESSION = 2.4
# Below this log-probability not even a clear voice makes the words believable.
HOPELESS_LOGPROB = -1.6
# Fast talkers reach 5 words a second, Vietnamese (a word is a syllable) 7: more was not said in that time.
MOST_WORDS_PER_S = 8.0
# So short a voice holds a word or two whatever the pace.
FREE_WORDS = 3
# Less voice than this in a range is a click or a breath.
LEAST_VOICE_MS = 120
# Our own words of the last 10 s; at the same time so many are kept at most.
OWN_WORDS_US = 10_000_000
MOST_OWN = 40
# This share of the caller's words in the same order in ours, at least so many of them, is our echo.
ECHO_SHARE = 0.7
ECHO_WORDS = 3

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_FOREIGN = re.compile(
    r"[\u0400-\u04ff\u0590-\u05ff\u0600-\u06ff\u0900-\u097f\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
_LATIN_LANGUAGES = ("vi", "en", "fr", "de", "es", "pt", "id", "it", "nl")


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a transcript is not taken, with the numbers that decided."""

    reason: str
    numbers: dict[str, float]


def words_of(text: str) -> list[str]:
    """Return the words of a text, lower case and NFC, without punctuation."""
    return [word.replace("’", "'") for word in _WORD.findall(unicodedata.normalize("NFC", text).lower())]


class TranscriptGate:
    """Judges the transcripts of one call; remembers what the agent said lately."""

    def __init__(self, language: str) -> None:
        self._language = language.partition("-")[0].lower()
        self._own: deque[tuple[int, list[str], list[str]]] = deque(maxlen=MOST_OWN)

    def agent_said(self, text: str, spoken: str, now: int) -> None:
        """A sentence of the agent sounds at `now`; `spoken` is how it is said, figures in words."""
        while self._own and self._own[0][0] < now - OWN_WORDS_US:
            self._own.popleft()
        written = words_of(text)
        self._own.append((now, written, written if spoken == text else words_of(spoken)))

    def judge(
        self, event: Transcript, *, voice_ms: int, previous: Sequence[str], over_agent: bool, now: int
    ) -> Rejection | None:
        """Return why the transcript is not believable, None when it is.

        `voice_ms` is how much voice was found in its range, `previous` the texts of the pieces before it,
        `over_agent` whether the agent was to be heard meanwhile.
        """
        numbers: dict[str, float] = {"voice_ms": voice_ms}
        for name in ("no_speech_prob", "avg_logprob", "compression_ratio"):
            value = getattr(event, name)
            if value is not None:
                numbers[name] = round(value, 3)
        words = words_of(event.text)
        if not words:
            return Rejection("empty", numbers)
        rate = (len(words) - FREE_WORDS) / max(0.2, voice_ms / 1000)
        numbers["words_per_s"] = round(len(words) / max(0.2, voice_ms / 1000), 2)
        if reason := self._reason(event, words, voice_ms, rate, previous):
            return Rejection(reason, numbers)
        if over_agent and (share := self._own_share(words, now)) >= ECHO_SHARE:
            return Rejection("echo", {**numbers, "own_words": round(share, 2)})
        return None

    def _reason(
        self, event: Transcript, words: list[str], voice_ms: int, rate: float, previous: Sequence[str]
    ) -> str:
        phrase = " ".join(words)
        silent = event.no_speech_prob is not None and event.no_speech_prob > NO_SPEECH
        unsure = event.avg_logprob is not None and event.avg_logprob < LEAST_LOGPROB
        if voice_ms < LEAST_VOICE_MS:
            return "no_voice"
        if silent and unsure:
            return "no_speech"
        if event.avg_logprob is not None and event.avg_logprob < HOPELESS_LOGPROB:
            return "uncertain"
        if event.compression_ratio is not None and event.compression_ratio > MOST_COMPRESSION:
            return "repetition"
        if phrase in PHANTOMS or any(part in phrase for part in PHANTOM_PARTS):
            return "phantom"
        if phrase in DOUBTFUL and (silent or unsure):
            return "phantom"
        if rate > MOST_WORDS_PER_S:
            return "too_many_words"
        if self._flips(event):
            return "language"
        if previous and len(words) >= FREE_WORDS and words == words_of(previous[-1]):
            # Whisper says its prompt again when it hears nothing.
            return "said_before"
        return ""

    def _flips(self, event: Transcript) -> bool:
        """True when the words are of a writing that the call's language does not have."""
        return self._language in _LATIN_LANGUAGES and len(_FOREIGN.findall(event.text)) * 2 > len(
            event.text.replace(" ", "")
        )

    def _own_share(self, words: list[str], now: int) -> float:
        """Return which share of `words` the agent has said lately, in that order."""
        if len(words) < ECHO_WORDS:
            return 0.0
        lately = [(written, spoken) for at, written, spoken in self._own if now - at <= OWN_WORDS_US]
        # Whisper writes an echoed "DH123456" as one word, as six figures, or as the words that it heard.
        forms = ([word for pair in lately for word in pair[form]] for form in (0, 1))
        return max(_common(words, own) for own in forms) / len(words)


def _common(left: list[str], right: list[str]) -> int:
    """Length of the longest run of words of `left`, gaps of one word allowed, that stands so in `right`."""
    best = 0
    runs: dict[tuple[int, int], int] = {}
    for i, word in enumerate(left):
        for j, other in enumerate(right):
            if word == other:
                before = max(runs.get((i - di, j - dj), 0) for di in (1, 2) for dj in (1, 2))
                runs[i, j] = before + 1
                best = max(best, before + 1)
    return best

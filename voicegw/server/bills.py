"""What the provider requests of a call cost, as events: priced when each is over, or given up.

A request that failed before it answered costs nothing. One that was given up costs what had been asked and
written by then; nobody counts the tokens of such a one, so they are estimated, and marked so.
"""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Literal, Self

from voicegw.audio.pcm import SAMPLE_BYTES, SAMPLES_PER_MS
from voicegw.call import events as e
from voicegw.call.commands import Message
from voicegw.errors import ProviderError
from voicegw.providers.attempts import Asked, Attempts
from voicegw.providers.llm import Usage
from voicegw.providers.prices import Prices, estimated_tokens

Work = Literal["stt", "llm", "tts", "summary"]


class Bill:
    """One piece of work, for `with`: its attempts, and what of it is charged for."""

    def __init__(
        self,
        bills: "Bills",
        work: Work,
        number: int,
        *,
        audio_ms: int = 0,
        characters: int = 0,
        messages: Iterable[Message] = (),
    ) -> None:
        self._bills = bills
        self._work: Work = work
        self._number = number
        self._audio_ms = audio_ms
        self._characters = characters
        self._messages = messages
        self.attempts = Attempts(self._failed)
        self.usage: Usage | None = None
        self.written = 0  # characters of the model's answer

    def __enter__(self) -> Self:
        self._bills.open.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for charged in self.close():
            self._bills.feed(charged)

    def close(self) -> list[e.Charged]:
        """Return what is to be paid by now, once."""
        if self not in self._bills.open:
            return []
        self._bills.open.discard(self)
        asked = self.attempts.asked
        # Where several were asked, the last one gave the answer that was counted.
        return [self._charge(each, last=each is asked[-1]) for each in asked]

    def _charge(self, asked: Asked, *, last: bool) -> e.Charged:
        prices, usd, into, out, counted = self._bills.prices, None, 0, 0, True
        if self._work == "stt":
            usd = prices.audio_cost(asked.model, self._audio_ms / 1000)
        elif self._work == "tts":
            usd = prices.speech_cost(asked.model, self._characters)
        else:
            usage = self.usage if last else None
            counted = usage is not None and usage.prompt_tokens > 0
            if usage is not None and counted:
                into, out = usage.prompt_tokens, usage.completion_tokens
            else:
                into = estimated_tokens(sum(len(str(m.get("content") or "")) for m in self._messages))
                out = estimated_tokens(self.written)
            usd = prices.chat_cost(asked.model, into, out)
        return e.Charged(
            self._work,
            self._number,
            asked.provider,
            asked.model,
            None if usd is None else round(usd, 9),
            into,
            out,
            self._audio_ms,
            self._characters,
            not counted,
        )

    def _failed(self, error: ProviderError) -> None:
        self._bills.feed(
            e.ProviderFailed(
                self._work,
                self._number,
                error.provider,
                error.code,
                error.status,
                error.request_id or "",
                error.retry_after,
            )
        )


class Bills:
    """The bills of one call. `feed` takes the events."""

    def __init__(self, prices: Prices, feed: Callable[[e.Event], None]) -> None:
        self.prices = prices
        self.feed = feed
        self.open: set[Bill] = set()

    def transcription(self, utterance_id: int, pcm: bytes) -> Bill:
        """`pcm` is sent to STT."""
        return Bill(self, "stt", utterance_id, audio_ms=len(pcm) // SAMPLE_BYTES // SAMPLES_PER_MS)

    def reply(self, reply_id: int, messages: Iterable[Message]) -> Bill:
        """The model is asked."""
        return Bill(self, "llm", reply_id, messages=messages)

    def summary(self, summary_id: int, messages: Iterable[Message]) -> Bill:
        """The model is asked for a summary, in the background."""
        return Bill(self, "summary", summary_id, messages=messages)

    def speech(self, speech_id: int, text: str) -> Bill:
        """A sentence is sent to TTS."""
        return Bill(self, "tts", speech_id, characters=len(text))

    def settle(self) -> list[e.Event]:
        """The call is over: what runs is given up, and charged for as far as it came."""
        return [charged for bill in list(self.open) for charged in bill.close()]

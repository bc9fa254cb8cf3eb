"""STT, LLM and TTS as a call uses them: a row of providers each, asked within the caller's patience.

The methods are those of the single services with `patience` in front; what else a service takes is handed
on as it is. Without a patience one provider is asked once. `attempts` notes whom it was asked of.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from voicegw.errors import ProviderError
from voicegw.providers.attempts import Attempts
from voicegw.providers.llm import ChatModel, ReplyDelta
from voicegw.providers.policy import Patience, Row, once
from voicegw.providers.rejoin import Rejoin
from voicegw.providers.stt import SpeechToText, Transcription
from voicegw.providers.tts import TextToSpeech

# A sentence whose speech breaks off is asked for so many times more.
REJOINS = 2
# Whisper counts no tokens; a chat request's are estimated ahead: a token is about four characters of a
# request, and its answer is rarely longer than this.
CHARS_A_TOKEN, ANSWER_TOKENS = 4, 150


class SteadyStt:
    """Speech to text by the first provider that answers."""

    def __init__(self, row: Row[SpeechToText]) -> None:
        self.row = row

    async def transcribe(
        self, pcm: bytes, *, patience: Patience = once, attempts: Attempts | None = None, **given: Any
    ) -> Transcription:
        """See `SpeechToText.transcribe`."""
        _, grant, heard = await self.row.first(
            lambda stt: stt.transcribe(pcm, **given), patience, attempts=attempts
        )
        grant.done()
        return heard


class SteadyChat:
    """The language model: the first provider that begins to answer."""

    def __init__(self, row: Row[ChatModel]) -> None:
        self.row = row

    @property
    def headroom(self) -> float:
        """The share of the first provider's quota that is free: what decides about asking ahead."""
        return self.row.backends[0].quota.headroom()

    def reply(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        patience: Patience = once,
        attempts: Attempts | None = None,
        model: str = "",
        **given: Any,
    ) -> AsyncGenerator[ReplyDelta, None]:
        """See `ChatModel.reply`. A stream that breaks raises: only the call knows what was spoken of it.

        `model` is a name that the first provider knows; the ones that stand in for it keep their own.
        """
        tokens = sum(len(str(m.get("content") or "")) for m in messages) // CHARS_A_TOKEN + ANSWER_TOKENS
        attempts = attempts or Attempts()
        attempts.first_model = model
        first = self.row.backends[0].service
        return self.row.stream(
            lambda llm: llm.reply(messages, model=model if llm is first else "", **given),
            patience,
            tokens,
            attempts,
        )


class SteadyTts:
    """Text to speech; a sentence that breaks off goes on where it broke."""

    def __init__(self, row: Row[TextToSpeech]) -> None:
        self.row = row

    async def speak(
        self, text: str, *, patience: Patience = once, attempts: Attempts | None = None, **given: Any
    ) -> AsyncGenerator[bytes, None]:
        """See `TextToSpeech.speak`."""
        # What was said before is said again at once, also while nobody can be asked.
        if (kept := self.row.backends[0].service.kept(text, **given)) is not None:
            for pcm in kept:
                yield pcm
            return
        rejoin = Rejoin()
        for again in range(REJOINS + 1):
            try:
                stream = self.row.stream(lambda tts: tts.speak(text, **given), patience, attempts=attempts)
                async with contextlib.aclosing(stream) as pieces:
                    async for pcm in pieces:
                        if new := rejoin.push(pcm):
                            yield new
                rejoin.finish()
                return
            except ProviderError as error:
                broke = rejoin.delivered and error.retryable and patience() > 0
                if again == REJOINS or not broke:
                    raise
                rejoin.again()

"""Making the three providers of a process from its settings."""

from dataclasses import dataclass

from ..config import Settings
from .http import ByteStreams
from .llm import ChatModel
from .stt import SpeechToText
from .tts import TextToSpeech


@dataclass(frozen=True, slots=True)
class Providers:
    """What a call needs from outside; shared by all calls of the process."""

    stt: SpeechToText
    llm: ChatModel
    tts: TextToSpeech
    streams: ByteStreams

    async def aclose(self) -> None:
        """Close the connections. Requests still running fail with ProviderError."""
        await self.streams.aclose()


def build_providers(settings: Settings, streams: ByteStreams) -> Providers:
    """Make the providers that `settings` name, all over `streams`."""
    return Providers(
        SpeechToText(settings.resolved("stt"), streams),
        ChatModel(settings.resolved("llm"), streams),
        TextToSpeech(settings.resolved("tts"), streams, int(settings.speech_cache.most_mb * 2**20)),
        streams,
    )

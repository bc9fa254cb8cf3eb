"""Upstream services: speech to text, language model, text to speech, and what they share."""

from voicegw.providers.build import Providers, build_providers
from voicegw.providers.http import AiohttpStreams, ByteStreams, ConnectionFailed, HttpRequest, HttpResponse
from voicegw.providers.llm import ChatModel, ReplyDelta, ToolCallDelta, Usage
from voicegw.providers.stt import Segment, SpeechToText, Transcription
from voicegw.providers.tts import TextToSpeech

__all__ = [
    "AiohttpStreams",
    "ByteStreams",
    "ChatModel",
    "ConnectionFailed",
    "HttpRequest",
    "HttpResponse",
    "Providers",
    "ReplyDelta",
    "Segment",
    "SpeechToText",
    "TextToSpeech",
    "ToolCallDelta",
    "Transcription",
    "Usage",
    "build_providers",
]

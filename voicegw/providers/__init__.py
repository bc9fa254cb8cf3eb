"""Upstream services: speech to text, language model, text to speech, and what they share."""

from .build import Providers, build_providers
from .http import AiohttpStreams, ByteStreams, ConnectionFailed, HttpRequest, HttpResponse
from .llm import ChatModel, ReplyDelta, ToolCallDelta, Usage
from .stt import Segment, SpeechToText, Transcription
from .tts import TextToSpeech

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

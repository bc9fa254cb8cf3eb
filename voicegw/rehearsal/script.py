"""What the scripted provider says, when, and how it misbehaves; and the tone it speaks with.

Plain data for tests, benchmark and rehearsal. Holds no task and reads no clock.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_AMPLITUDE = 8000
# Telephone band, and far from any multiple of 50 Hz.
_TONE_HZ = 440.0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call the model makes: `arguments` is its JSON text."""

    name: str
    arguments: str
    id: str = "call_1"


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """One answer of the model. `tokens` overrides the split of `text` into one token per word.

    Delays override those of the script, for this reply.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tokens: tuple[str, ...] = ()
    finish_reason: str | None = None
    first_token_ms: float | None = None
    token_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ScriptedTranscript:
    """One transcript, with what Whisper says about its certainty."""

    text: str
    no_speech_prob: float = 0.01
    avg_logprob: float = -0.2
    compression_ratio: float = 1.2
    language: str | None = None
    delay_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave; exactly one of the fields says which.

    `status` answers with that HTTP status, `headers` and `body` (a JSON error object when empty). `refuse`
    breaks the connection before any answer, for `reason` and with the `code` of a ConnectionFailed; `hang`
    never answers. `stall_after` and
    `reset_after` send that many bytes of the right answer, then nothing, or a broken connection. `wrong`
    sends `body` as `content_type` with status 200. `error_event` sends that many tokens, then an error
    object inside the stream. `end_after` ends the answer cleanly, too early, after that many bytes.
    """

    status: int | None = None
    refuse: bool = False
    reason: str = "connection reset by peer"
    code: str = "reset"
    hang: bool = False
    stall_after: int | None = None
    reset_after: int | None = None
    end_after: int | None = None
    error_event: int | None = None
    wrong: bool = False
    body: bytes = b""
    content_type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_ms: float = 0.0


Transcripts = Sequence[str | ScriptedTranscript] | Callable[[int], str | ScriptedTranscript]
Replies = Sequence[str | ScriptedReply] | Callable[[list[dict[str, Any]]], str | ScriptedReply]


@dataclass(slots=True)
class Script:
    """What the provider says. All delays in milliseconds; may be changed while it runs.

    `stt`: transcripts in order, or a function of the number of the request (from 0). `llm`: replies in
    order, or a function of the messages. A list that has run out repeats its last item. `speech_ms`: length
    of the speech for a text, or `ms_per_char` times its characters when None. `voice`: the speech itself
    (16-bit mono at `pcm_hz`) in place of the tone.
    """

    stt: Transcripts = ("hello",)
    llm: Replies = ("All right.",)
    models: Sequence[str] = ("whisper-1", "tts-1", "gemini-2.5-flash")
    api_key: str | None = None
    stt_ms: float = 0.0
    verbose_json: bool = True
    first_token_ms: float = 0.0
    token_ms: float = 0.0
    crlf: bool = False
    done_marker: bool = True
    ms_per_char: float = 60.0
    speech_ms: Callable[[str], float] | None = None
    voice: Callable[[str], bytes] | None = None
    pcm_hz: int = 24000
    speaks_pcm: bool = True
    first_audio_ms: float = 0.0
    audio_chunk_ms: float = 0.0
    audio_chunk_delay_ms: float = 0.0
    cut_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class WordTime:
    """Where one word lies: milliseconds from the start of the speech, and characters in the text."""

    word: str
    start_ms: float
    end_ms: float
    start_char: int
    end_char: int


def word_times(text: str, speech_ms: float) -> list[WordTime]:
    """Return when each word of `text` sounds, if the whole lasts `speech_ms`; all characters last as long."""
    per_char = speech_ms / max(1, len(text))
    return [
        WordTime(match.group(), match.start() * per_char, match.end() * per_char, match.start(), match.end())
        for match in re.finditer(r"\S+", text)
    ]


@functools.lru_cache(maxsize=256)
def spoken(text: str, speech_ms: float, rate_hz: int) -> bytes:
    """Return the speech of `text`, 16-bit mono: a tone while a word sounds, silence between words."""
    samples = np.zeros(round(speech_ms * rate_hz / 1000), np.int16)
    tone = np.rint(_AMPLITUDE * np.sin(np.arange(len(samples)) * (2 * np.pi * _TONE_HZ / rate_hz)))
    for word in word_times(text, speech_ms):
        start, end = round(word.start_ms * rate_hz / 1000), round(word.end_ms * rate_hz / 1000)
        samples[start:end] = tone[start:end]
    return samples.astype("<i2").tobytes()


@functools.lru_cache(maxsize=256)
def chat_events(
    reply: ScriptedReply, model: str, *, usage: bool, crlf: bool, done: bool
) -> tuple[bytes, ...]:
    """Return the event stream of `reply`, event by event: role, tokens, tool calls, finish, usage, end.

    https://platform.openai.com/docs/api-reference/chat-streaming
    """
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "" if reply.text else None}]
    tokens = reply.tokens or tuple(re.findall(r"\s*\S+|\s+$", reply.text))
    deltas += [{"content": token} for token in tokens]
    for index, call in enumerate(reply.tool_calls):
        deltas.append(
            {
                "tool_calls": [
                    {
                        "index": index,
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.name, "arguments": ""},
                    }
                ]
            }
        )
        # Real servers split the arguments anywhere.
        for at in range(0, len(call.arguments), 7):
            part = call.arguments[at : at + 7]
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    finish = reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")
    choices: list[list[dict[str, Any]]] = [[{"index": 0, "delta": d, "finish_reason": None}] for d in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": finish}])
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": model}
    events: list[str] = [json.dumps({**head, "choices": c}, ensure_ascii=False) for c in choices]
    if usage:
        counted = {"prompt_tokens": 100, "completion_tokens": len(deltas), "total_tokens": 100 + len(deltas)}
        events.append(json.dumps({**head, "choices": [], "usage": counted}))
    if done:
        events.append("[DONE]")
    end = "\r\n\r\n" if crlf else "\n\n"
    return tuple(f"data: {event}{end}".encode() for event in events)


def chat_whole(reply: ScriptedReply, model: str) -> bytes:
    """Return the answer to a request without `stream`."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.tool_calls:
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in reply.tool_calls
        ]
    finish = reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1700000000,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        },
        ensure_ascii=False,
    ).encode()


BENCH_REPLY = (
    "Your order left the central warehouse early this morning by a truck. "
    "The driver will call you about twenty minutes before he arrives there. "
    "Please keep your phone near you and have the right payment ready."
)


# The benchmark's answer is spoken faster than people speak, and so asked for.
BENCH_SPEED = 2.0


def bench_script() -> Script:
    """Return the benchmark's script: 36 words in 3 sentences of 1.2 s of speech each, without any delay.

    That is their length at BENCH_SPEED; anything else is spoken at an ordinary pace.
    """
    script = Script(stt=("Where is my order?",), llm=(BENCH_REPLY,))
    script.speech_ms = lambda text: (
        1200.0 * BENCH_SPEED if text in BENCH_REPLY else len(text) * script.ms_per_char
    )
    return script

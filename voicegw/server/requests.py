"""The provider requests of one call: a task each, whose answers are events.

Knows what is asked of STT, LLM and TTS and what comes back; nothing of connections or pacing.
"""

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

from voicegw.agents.personas import Persona
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call.commands import Message
from voicegw.errors import ProviderError
from voicegw.providers.build import Providers
from voicegw.providers.policy import Patience
from voicegw.server.bills import Bills
from voicegw.server.photos import Photos

log = logging.getLogger(__name__)

Kind = Literal["stt", "llm", "tts", "summary"]
# What fell out of the model's window is kept in this many tokens.
SUMMARY_TOKENS = 200
SUMMARY_PROMPT = (
    "Summarise this part of a telephone call for the agent who goes on with it: who calls, what for, names, "
    "numbers, what was agreed. At most five short sentences, in the language of the call."
)


class SpeechSink(Protocol):
    """Where the audio of a sentence goes."""

    async def speech_came(self, speech_id: int, pcm: bytes) -> bool:
        """Take audio, and wait while there is no room. False: the sentence is not wanted any more."""
        ...

    def speech_done(self, speech_id: int) -> None:
        """All audio of the sentence has come."""
        ...

    def speech_failed(self, speech_id: int, code: str) -> None:
        """No more audio of the sentence comes, though it is not all."""
        ...


class Requests:
    """Owns the tasks. They run in the group that `start` is given, and end with it."""

    def __init__(
        self,
        call_id: str,
        persona: Persona,
        language: str,
        providers: Providers,
        patience: Patience,
        feed: Callable[[e.Event], None],
        sink: SpeechSink,
        photos: Photos,
    ) -> None:
        self._call_id = call_id
        self._persona = persona
        # Whisper takes the bare language: "vi", not "vi-VN".
        self._language = language.partition("-")[0].lower()
        self._providers = providers
        self._patience = patience
        self._feed = feed
        self._photos = photos
        self._definitions = tuple(tool.definition for tool in persona.tools.values())
        self._sink = sink
        self._bills = Bills(providers.prices, feed)
        self._group: asyncio.TaskGroup | None = None
        self._context = contextvars.Context()
        self._running: dict[tuple[Kind, int], asyncio.Task[None]] = {}

    def start(self, group: asyncio.TaskGroup) -> None:
        """Requests may be made from now on."""
        self._group = group
        # What is known here of the call is known in all of its requests, whatever asks for them.
        self._context = contextvars.copy_context()

    def stop(self) -> None:
        """Cancel what runs, and begin nothing any more; the group awaits it."""
        self._group = None
        for task in list(self._running.values()):
            task.cancel()

    def settle(self) -> list[e.Event]:
        """The call is over: return what the requests that still run have cost."""
        return self._bills.settle()

    def cancel(self, kind: Kind, number: int) -> None:
        """Cancel one request, if it runs; the group awaits it."""
        task = self._running.get((kind, number))
        if task is not None:
            task.cancel()

    def cancel_all(self, kind: Kind) -> None:
        """Cancel all requests of a kind."""
        for key in list(self._running):
            if key[0] == kind:
                self.cancel(*key)

    def _spawn(self, kind: Kind, number: int, work: Coroutine[Any, Any, None]) -> None:
        if self._group is None:
            work.close()
            return
        key = (kind, number)
        task = self._group.create_task(work, context=self._context.copy())
        self._running[key] = task
        task.add_done_callback(lambda task: self._forget(key, task))

    def _forget(self, key: tuple[Kind, int], task: asyncio.Task[None]) -> None:
        # A reply that goes on behind its tools is asked for again from within the end of its first request.
        if self._running.get(key) is task:
            del self._running[key]

    def transcribe(self, utterance_id: int, pcm: bytes, prompt: str = "") -> None:
        """Answer with Transcript or TranscriptFailed."""
        self._spawn("stt", utterance_id, self._transcribe(utterance_id, pcm, prompt))

    async def _transcribe(self, utterance_id: int, pcm: bytes, prompt: str) -> None:
        try:
            with self._bills.transcription(utterance_id, pcm) as bill:
                heard = await self._providers.stt.transcribe(
                    pcm,
                    patience=self._patience,
                    attempts=bill.attempts,
                    language=self._language,
                    prompt=prompt or None,
                )
        except ProviderError as error:
            self._log(error)
            self._feed(e.TranscriptFailed(utterance_id, error.code))
        else:
            doubts = heard.doubts
            self._feed(
                e.Transcript(
                    utterance_id,
                    _sendable(heard.text).strip(),
                    heard.language or "",
                    doubts.no_speech_prob,
                    doubts.avg_logprob,
                    doubts.compression_ratio,
                    round(self._providers.llm.headroom, 3),
                )
            )

    def ask(self, command: c.Ask) -> None:
        """Answer with ReplyText… and ReplyToolCall…, then ReplyDone or ReplyFailed."""
        self._spawn("llm", command.reply_id, self._ask(command))

    async def _ask(self, command: c.Ask) -> None:
        reply_id = command.reply_id
        reason, began = "", False
        bill = self._bills.reply(reply_id, command.messages)
        stream = self._providers.llm.reply(
            await self._photos.shown(command.messages),
            patience=self._patience,
            attempts=bill.attempts,
            max_tokens=self._persona.max_tokens,
            temperature=self._persona.temperature,
            tools=self._definitions,
            tool_choice="" if command.tools else "none",
            model=self._persona.model,
        )
        try:
            with bill:
                async with contextlib.aclosing(stream) as deltas:
                    async for delta in deltas:
                        began = True
                        reason = delta.finish_reason or reason
                        bill.usage = delta.usage or bill.usage
                        bill.written += len(delta.text)
                        if delta.text:
                            self._feed(e.ReplyText(reply_id, _sendable(delta.text)))
                        for part in delta.tool_calls:
                            bill.written += len(part.arguments)
                            arguments = _sendable(part.arguments)
                            self._feed(e.ReplyToolCall(reply_id, part.index, part.name, arguments))
        except ProviderError as error:
            self._log(error)
            # What failed before it began was asked for as often as the caller's patience allowed.
            self._feed(e.ReplyFailed(reply_id, error.code, began and error.retryable))
        else:
            usage = bill.usage
            prompt, completion = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
            self._feed(e.ReplyDone(reply_id, reason, prompt, completion))

    def summarise(self, command: c.Summarise) -> None:
        """Answer with Summarised."""
        self._spawn("summary", command.summary_id, self._summarise(command))

    async def _summarise(self, command: c.Summarise) -> None:
        told: list[Message] = [{"role": "system", "content": SUMMARY_PROMPT}]
        told.append({"role": "user", "content": transcript_of(command.messages)})
        text = ""
        bill = self._bills.summary(command.summary_id, told)
        try:
            stream = self._providers.llm.reply(
                told,
                attempts=bill.attempts,
                max_tokens=SUMMARY_TOKENS,
                temperature=0.0,
                model=self._persona.model,
            )
            with bill:
                async with contextlib.aclosing(stream) as deltas:
                    async for delta in deltas:
                        text += delta.text
                        bill.usage = delta.usage or bill.usage
                        bill.written += len(delta.text)
        except ProviderError as error:
            self._log(error)
            text = ""
        self._feed(e.Summarised(command.summary_id, _sendable(text).strip()))

    def speak(self, speech_id: int, text: str) -> None:
        """Bring the audio of a sentence in its spoken form to the sink."""
        self._spawn("tts", speech_id, self._speak(speech_id, text))

    async def _speak(self, speech_id: int, text: str) -> None:
        bill = self._bills.speech(speech_id, text)
        stream = self._providers.tts.speak(
            text,
            patience=self._patience,
            attempts=bill.attempts,
            voice=self._persona.voice,
            speed=self._persona.speed,
        )
        try:
            with bill:
                async with contextlib.aclosing(stream) as chunks:
                    async for pcm in chunks:
                        if not await self._sink.speech_came(speech_id, pcm):
                            return
        except ProviderError as error:
            self._log(error)
            self._sink.speech_failed(speech_id, error.code)
        else:
            self._sink.speech_done(speech_id)

    def _log(self, error: ProviderError) -> None:
        # The provider's own message may quote the caller: it stays out of the log.
        log.warning("call %s: %s failed: %s (HTTP %s)", self._call_id, error.stage, error.code, error.status)


def transcript_of(messages: tuple[Message, ...]) -> str:
    """Return messages as lines that a model can summarise."""
    lines = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            content = " ".join(str(part.get("text", "")) for part in content)
        calls = [call["function"]["name"] for call in message.get("tool_calls", ())]
        said = " ".join(filter(None, [content or "", *(f"[uses {name}]" for name in calls)]))
        lines.append(f"{message['role']}: {said}")
    return "\n".join(lines)


def _sendable(text: str) -> str:
    """Leave out halves of surrogate pairs: servers that cut an emoji in two send them, and no text with one
    in it can be sent on to anybody."""
    return text if text.isascii() else text.encode(errors="ignore").decode()

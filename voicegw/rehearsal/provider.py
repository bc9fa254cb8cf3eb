"""The scripted provider: an OpenAI-compatible upstream in memory, which misbehaves on demand.

`ScriptedProvider` is a `ByteStreams`: put below the real providers it answers in the true wire format, with
no socket and with `asyncio.sleep` as its only clock, so it runs in virtual time. `provider_server.py`
serves the same object over HTTP. What is said stands in `script.py`.
"""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2

from voicegw.audio.wav import wav_bytes
from voicegw.providers.http import ConnectionFailed, HttpRequest, HttpResponse
from voicegw.rehearsal.script import (
    Fault,
    Script,
    ScriptedReply,
    ScriptedTranscript,
    chat_events,
    chat_whole,
    spoken,
)

Route = Literal["stt", "llm", "tts", "models"]
Outcome = Literal["open", "complete", "closed", "broken"]

_ROUTES: dict[str, Route] = {
    "/audio/transcriptions": "stt",
    "/chat/completions": "llm",
    "/audio/speech": "tts",
    "/models": "models",
}


@dataclass(slots=True)
class Received:
    """One request as it was received.

    `fields` are the JSON or form fields (a file is its bytes); `at_s` is the loop's time. `outcome`: "open"
    while it is answered, then "complete", "closed" when the client left early, or "broken" by a fault.
    """

    route: Route
    at_s: float
    fields: dict[str, Any]
    headers: dict[str, str]
    number: int
    outcome: Outcome = "open"
    _ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def end(self, outcome: Outcome) -> None:
        """Note how the request ended; only the first time counts."""
        if self.outcome == "open":
            self.outcome = outcome
            self._ended.set()

    async def ended(self) -> Outcome:
        """Wait until the request is no longer open, and tell how it ended."""
        await self._ended.wait()
        return self.outcome


@dataclass(slots=True)
class Plan:
    """An answer with its times: each piece is (seconds to wait before it, bytes).

    `ends`: "complete", or how it misbehaves after the last piece ("hang", "reset"). Without `answers` there
    is not even a head: the connection hangs or breaks at once.
    """

    received: Received
    pieces: list[tuple[float, bytes]]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ends: Literal["complete", "hang", "reset"] = "complete"
    answers: bool = True
    reason: str = "connection reset by peer"
    code: str = "reset"


class ScriptedProvider:
    """Answers from `script`, records every request in `requests` (the last `keep` of them).

    `fail` arranges faults; they are used up in order, one a request of their route.
    """

    def __init__(self, script: Script | None = None, *, keep: int = 10_000) -> None:
        self.script = script or Script()
        self.requests: deque[Received] = deque(maxlen=keep)
        self._counts: dict[Route, int] = dict.fromkeys(_ROUTES.values(), 0)
        self._faults: dict[Route, deque[Fault | None]] = {route: deque() for route in _ROUTES.values()}
        self._always: dict[Route, Fault] = {}

    def fail(self, route: Route, fault: Fault, *, times: int | None = 1, after: int = 0) -> None:
        """Let the next `times` requests of `route` fail after `after` good ones (None: all, until `heal`)."""
        if times is None:
            self._always[route] = fault
        else:
            self._faults[route].extend([None] * after)
            self._faults[route].extend([fault] * times)

    def heal(self, route: Route | None = None) -> None:
        """Forget the faults that were arranged for `route` (None: for all)."""
        for healed in [route] if route else list(_ROUTES.values()):
            self._faults[healed].clear()
            self._always.pop(healed, None)

    def received(self, route: Route) -> list[Received]:
        """Return the recorded requests of one route, oldest first."""
        return [request for request in self.requests if request.route == route]

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Answer a request in memory; see `ByteStreams.send`."""
        plan = self.plan(request, asyncio.get_running_loop().time())
        try:
            if not plan.answers:
                if plan.ends == "reset":
                    raise ConnectionFailed(plan.reason, plan.code)
                await asyncio.get_running_loop().create_future()
            first_delay = plan.pieces[0][0] if plan.pieces else 0.0
            if first_delay:
                await asyncio.sleep(first_delay)
        except BaseException as error:
            plan.received.end("closed" if isinstance(error, asyncio.CancelledError) else "broken")
            raise
        return _MemoryResponse(plan)

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    def plan(self, request: HttpRequest, at_s: float) -> Plan:
        """Record `request` and decide the whole answer to it. `at_s` is the loop's time."""
        path = urlsplit(request.url).path.rstrip("/")
        route = next((route for end, route in _ROUTES.items() if path.endswith(end)), None)
        headers = {name.lower(): value for name, value in request.headers}
        if route is None:
            received = Received("models", at_s, {}, headers, -1)
            return _error_plan(received, 404, "not_found", f"no route {path}")
        number = self._counts[route]
        self._counts[route] += 1
        received = Received(
            route, at_s, _fields(request.body, headers.get("content-type", "")), headers, number
        )
        self.requests.append(received)
        queue = self._faults[route]
        fault = queue.popleft() if queue else self._always.get(route)
        if fault is None or not _replaces_answer(fault):
            if self.script.api_key and headers.get("authorization") != f"Bearer {self.script.api_key}":
                return _error_plan(received, 401, "invalid_api_key", "Incorrect API key provided")
            plan = self._answer(received)
            return _spoil(plan, fault) if fault else self._cut(plan)
        return _fault_plan(received, fault)

    def _answer(self, received: Received) -> Plan:
        if received.route == "stt":
            return self._transcribe(received)
        if received.route == "llm":
            return self._reply(received)
        if received.route == "tts":
            return self._speak(received)
        models = [
            {"id": m, "object": "model", "created": 0, "owned_by": "script"} for m in self.script.models
        ]
        return _json_plan(received, {"object": "list", "data": models})

    def _transcribe(self, received: Received) -> Plan:
        script = self.script
        kind = received.fields.get("response_format", "json")
        if kind == "verbose_json" and not script.verbose_json:
            return _error_plan(
                received, 400, "unsupported_value", "response_format 'verbose_json' is not supported"
            )
        item = script.stt(received.number) if callable(script.stt) else _nth(script.stt, received.number)
        said = ScriptedTranscript(item) if isinstance(item, str) else item
        body: dict[str, Any] = {"text": said.text}
        if kind == "verbose_json":
            seconds = max(0, len(received.fields.get("file", b"")) - 44) / 32000
            body |= {"task": "transcribe", "duration": seconds, "segments": []}
            body["language"] = said.language or received.fields.get("language", "english")
            if said.text:
                body["segments"] = [
                    {
                        "id": 0, "start": 0.0, "end": seconds, "text": said.text,
                        "avg_logprob": said.avg_logprob, "no_speech_prob": said.no_speech_prob,
                        "compression_ratio": said.compression_ratio,
                    }
                ]  # fmt: skip
        return _json_plan(received, body, script.stt_ms if said.delay_ms is None else said.delay_ms)

    def _reply(self, received: Received) -> Plan:
        script = self.script
        fields = received.fields
        item = script.llm(fields["messages"]) if callable(script.llm) else _nth(script.llm, received.number)
        reply = ScriptedReply(item) if isinstance(item, str) else item
        model = str(fields.get("model", ""))
        first_s = (script.first_token_ms if reply.first_token_ms is None else reply.first_token_ms) / 1000
        if not fields.get("stream"):
            return _bytes_plan(received, chat_whole(reply, model), "application/json", first_s)
        usage = bool((fields.get("stream_options") or {}).get("include_usage"))
        events = chat_events(reply, model, usage=usage, crlf=script.crlf, done=script.done_marker)
        token_s = (script.token_ms if reply.token_ms is None else reply.token_ms) / 1000
        # The role comes with the first token; finish, usage and end come with the last one.
        tokens = len(events) - 2 - usage - script.done_marker
        pieces = [(first_s, events[0] + events[1] if tokens else events[0])]
        pieces += [(token_s, event) for event in events[2 : 1 + tokens]]
        pieces += [(0.0, event) for event in events[max(1, 1 + tokens) :]]
        return Plan(received, pieces, headers={"content-type": "text/event-stream; charset=utf-8"})

    def _speak(self, received: Received) -> Plan:
        script = self.script
        fields = received.fields
        text = str(fields.get("input", ""))
        kind = fields.get("response_format", "mp3")
        if kind == "pcm" and not script.speaks_pcm:
            return _error_plan(
                received, 400, "unsupported_value", "response_format 'pcm' is not supported, use 'wav'"
            )
        speech_ms = script.speech_ms(text) if script.speech_ms else script.ms_per_char * len(text)
        audio = (
            script.voice(text)
            if script.voice
            else spoken(text, speech_ms / float(fields.get("speed", 1.0)), script.pcm_hz)
        )
        if kind == "wav":
            audio = wav_bytes(audio, script.pcm_hz)
        pieces = [(script.first_audio_ms / 1000, audio)]
        if script.audio_chunk_ms:
            size = 2 * int(script.pcm_hz * script.audio_chunk_ms / 1000)
            chunks = [audio[at : at + size] for at in range(0, len(audio), size)] or [b""]
            delays = itertools.chain([script.first_audio_ms], itertools.repeat(script.audio_chunk_delay_ms))
            pieces = [(delay / 1000, chunk) for delay, chunk in zip(delays, chunks, strict=False)]
        return Plan(received, pieces, headers={"content-type": "audio/wav" if kind == "wav" else "audio/pcm"})

    def _cut(self, plan: Plan) -> Plan:
        size = self.script.cut_bytes
        if size:
            plan.pieces = [
                (delay if at == 0 else 0.0, data[at : at + size])
                for delay, data in plan.pieces
                for at in range(0, max(1, len(data)), size)
            ]
        return plan


class _MemoryResponse:
    """A plan as the seam's response."""

    def __init__(self, plan: Plan) -> None:
        self.status = plan.status
        self.headers: Mapping[str, str] = httpx2.Headers(plan.headers)
        self._plan = plan
        self._generator = self._play()

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self._generator

    async def aclose(self) -> None:
        await self._generator.aclose()
        self._plan.received.end("closed")

    async def _play(self) -> AsyncGenerator[bytes, None]:
        received = self._plan.received
        # `send` has waited for the first piece.
        delay = 0.0
        for index, (later, data) in enumerate(self._plan.pieces):
            delay = later if index else 0.0
            if delay:
                await asyncio.sleep(delay)
            if data:
                yield data
        if self._plan.ends == "hang":
            await asyncio.get_running_loop().create_future()
        if self._plan.ends == "reset":
            received.end("broken")
            raise ConnectionFailed("connection reset by peer", "reset")
        received.end("complete")


def _nth(items: Sequence[Any], number: int) -> Any:
    return items[min(number, len(items) - 1)]


def _fields(body: bytes, content_type: str) -> dict[str, Any]:
    """Parse a JSON or multipart body; a form's file is kept as bytes."""
    if content_type.startswith("multipart/form-data"):
        boundary = content_type.partition("boundary=")[2].strip('"').encode()
        return dict(_part(part) for part in body.split(b"--" + boundary)[1:-1])
    if not body:
        return {}
    found = json.loads(body)
    return found if isinstance(found, dict) else {}


def _part(part: bytes) -> tuple[str, Any]:
    head, _, value = part.partition(b"\r\n\r\n")
    value = value.removesuffix(b"\r\n")
    name = head.partition(b'name="')[2].partition(b'"')[0].decode()
    return name, value if b"filename=" in head else value.decode()


def _replaces_answer(fault: Fault) -> bool:
    return fault.status is not None or fault.refuse or fault.hang or fault.wrong


def _fault_plan(received: Received, fault: Fault) -> Plan:
    if fault.refuse or fault.hang:
        ends: Literal["hang", "reset"] = "reset" if fault.refuse else "hang"
        return Plan(received, [], ends=ends, answers=False, reason=fault.reason, code=fault.code)
    delay_s = fault.delay_ms / 1000
    if fault.wrong:
        plan = _bytes_plan(received, fault.body, fault.content_type, delay_s)
    else:
        status = fault.status or 500
        plan = _error_plan(received, status, "", f"scripted failure {status}")
        plan.pieces = [(delay_s, fault.body or plan.pieces[0][1])]
    plan.headers |= fault.headers
    return plan


def _spoil(plan: Plan, fault: Fault) -> Plan:
    """Cut the right answer short."""
    if fault.error_event is not None:
        error = json.dumps({"error": {"message": "scripted error", "code": "server_overloaded"}})
        plan.pieces = [*plan.pieces[: fault.error_event], (0.0, f"data: {error}\n\n".encode())]
        return plan
    left = next(n for n in (fault.stall_after, fault.reset_after, fault.end_after) if n is not None)
    pieces: list[tuple[float, bytes]] = []
    for delay, data in plan.pieces:
        if left <= 0:
            break
        pieces.append((delay, data[:left]))
        left -= len(data)
    plan.pieces = pieces
    plan.ends = (
        "complete" if fault.end_after is not None else "hang" if fault.stall_after is not None else "reset"
    )
    return plan


def _bytes_plan(received: Received, body: bytes, content_type: str, delay_s: float) -> Plan:
    return Plan(received, [(delay_s, body)], headers={"content-type": content_type})


def _json_plan(received: Received, body: Mapping[str, Any], delay_ms: float = 0.0) -> Plan:
    return _bytes_plan(
        received, json.dumps(body, ensure_ascii=False).encode(), "application/json", delay_ms / 1000
    )


def _error_plan(received: Received, status: int, code: str, message: str) -> Plan:
    """An error as OpenAI writes it: https://platform.openai.com/docs/guides/error-codes"""
    plan = _json_plan(received, {"error": {"message": message, "type": "scripted", "code": code or None}})
    plan.status = status
    plan.headers["x-request-id"] = f"req_{received.route}_{received.number}"
    return plan

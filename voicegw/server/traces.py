"""OpenTelemetry traces (extra `otel`): a trace per call, in it a span per turn, and in that one per stage.

Made of the call's timeline when it is over. Names follow the GenAI conventions where they have one; no span
carries a word of the caller or the agent.
"""

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

from voicegw.errors import ConfigError
from voicegw.verdict.exchanges import Exchange
from voicegw.verdict.timeline import Timeline


class Traces:
    """Sends traces to an OTLP endpoint. Raises ConfigError when the extra is not installed.

    `model` and `provider` (a host) name the language model that is asked first.
    """

    def __init__(self, endpoint: str, *, model: str, provider: str, exporter: Any = None) -> None:
        self._asked = {"gen_ai.request.model": model, "gen_ai.provider.name": provider}
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ModuleNotFoundError:
            raise ConfigError("log.traces: pip install 'voicegw[otel]' brings what sends traces") from None
        self._provider = TracerProvider(resource=Resource.create({"service.name": "voicegw"}))
        # It sends from a thread of its own, with a bounded queue: traces are dropped, calls never wait.
        processor = BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint=endpoint))
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("voicegw")

    def ended(self, call_id: str, told: Mapping[str, str], timeline: Timeline, ended_by: str) -> None:
        """Make the trace of a call that is over. Blocks for some milliseconds: call it in a thread."""
        from opentelemetry.trace import set_span_in_context

        began_ns = int(datetime.fromisoformat(told["started_at"]).timestamp() * 1e9)
        ended_us = timeline.ended_us if timeline.ended_us is not None else timeline.last_us

        def at(us: int) -> int:
            return began_ns + us * 1000

        call = self._tracer.start_span(
            "call",
            start_time=at(0),
            attributes={
                "voicegw.call_id": call_id,
                "voicegw.carrier": told.get("carrier", ""),
                "gen_ai.agent.name": told.get("persona", ""),
                "gen_ai.agent.version": told.get("persona_version", ""),
                "gen_ai.conversation.id": call_id,
                "voicegw.ended_by": ended_by,
            },
        )
        within_call = set_span_in_context(call)
        for exchange in timeline.exchanges:
            begin, end = _span(exchange)
            if begin is None:
                continue
            turn = self._tracer.start_span(
                "turn",
                context=within_call,
                start_time=at(begin),
                attributes={
                    "voicegw.turn": exchange.number,
                    "voicegw.source": exchange.source,
                    "voicegw.rungs": len(exchange.rungs),
                    "voicegw.reopened": exchange.reopened,
                },
            )
            within = set_span_in_context(turn)
            for name, (start, stop), attributes in _parts(exchange, self._asked):
                span = self._tracer.start_span(
                    name, context=within, start_time=at(start), attributes=attributes
                )
                span.end(at(stop))
            turn.end(at(end))
        call.end(at(ended_us))

    def close(self) -> None:
        """Send what waits. Blocks."""
        self._provider.shutdown()


def _span(exchange: Exchange) -> tuple[int | None, int]:
    times = [exchange.voice_us, exchange.last_word_us, exchange.began_us]
    times += [t for s in exchange.sentences for t in (s.asked_us, s.ended_us)]
    known = [t for t in times if t is not None]
    return (min(known), max(known)) if known else (None, 0)


def _parts(
    exchange: Exchange, asked_of: Mapping[str, str]
) -> list[tuple[str, tuple[int, int], dict[str, Any]]]:
    """Stages of the gap, and requests, as (name, (from, to), attributes)."""
    found: list[tuple[str, tuple[int, int], dict[str, Any]]] = []
    if exchange.last_word_us is not None:
        marks = [exchange.last_word_us]
        for length in exchange.stages.values():
            marks.append(marks[-1] + length)
        for name, span in zip(exchange.stages, pairwise(marks), strict=True):
            found.append((f"stage {name}", span, {}))
    for utterance in exchange.utterances:
        if utterance.done_us is not None:
            attributes: dict[str, Any] = {"voicegw.audio_ms": utterance.audio_ms}
            if utterance.code:
                attributes["error.type"] = utterance.code
            found.append(("transcribe", (utterance.sent_us, utterance.done_us), attributes))
    for asked in exchange.asked:
        if asked.done_us is not None:
            attributes = {
                "gen_ai.operation.name": "chat",
                **asked_of,
                "gen_ai.usage.input_tokens": asked.prompt_tokens,
                "gen_ai.usage.output_tokens": asked.completion_tokens,
                "gen_ai.response.finish_reasons": [asked.finish_reason],
            }
            if asked.code:
                attributes["error.type"] = asked.code
            found.append(("chat", (asked.asked_us, asked.done_us), attributes))
    for tool in exchange.tools:
        if tool.done_us is not None:
            found.append(
                (
                    f"execute_tool {tool.name}",
                    (tool.asked_us, tool.done_us),
                    {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool.name},
                )
            )
    return found

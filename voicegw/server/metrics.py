"""What `/metrics` tells, in Prometheus' words. Nothing here happens per frame.

While a call runs only its notices are counted; the rest is read from its timeline when it is over, or from
the process when it is scraped.
"""

import re
from collections import Counter as Counting
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from voicegw.call import notices as n
from voicegw.observe.lateness import BOUNDS_MS, Lateness
from voicegw.providers.policy import Row
from voicegw.server.peers import Refused
from voicegw.verdict.timeline import Timeline

if TYPE_CHECKING:
    from voicegw.server.gateway import Gateway

# Seconds; 0.8 is where a pause begins to be felt, 1.2 where the ladder begins.
WAITS = (0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 5.0, 8.0, 15.0)
STAGES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 4.0, 8.0)
_CODE = re.compile(r"[a-z0-9_.-]{1,40}")


def code(text: str) -> str:
    """A label's value: codes only, so that no caller's word and no endless list gets in."""
    return text if _CODE.fullmatch(text) else "other"


class Metrics:
    """The figures of one gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"voicegw_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: Iterable[float], *labels: str) -> Histogram:
            return Histogram(f"voicegw_{name}", text, labels, buckets=tuple(buckets), registry=self.registry)

        self._begun = counter("calls_begun", "Calls that were begun", "carrier")
        self._ended = counter("calls_ended", "Calls that are over, by how they ended", "outcome")
        self._answer = histogram("answer_seconds", "From the caller's last word to the answer", WAITS)
        self._stage = histogram("stage_seconds", "Where the time before an answer went", STAGES, "stage")
        self._dead_air = histogram(
            "dead_air_seconds", "The caller waited for the agent and heard nothing", WAITS
        )
        self._rungs = counter("rungs", "Prepared phrases that stood in for an answer", "rung", "reason")
        self._interruptions = counter("interruptions", "The agent was interrupted")
        self._rejected = counter("rejected_utterances", "Voice that was not taken as a turn", "reason")
        self._requests = counter("provider_requests", "Requests to providers", "stage", "outcome")
        self._turned_away = counter(
            "turned_away", "Calls that there was no room for, by what was short", "limit"
        )
        self._cost = counter("cost_usd", "What calls have cost")

    def begun(self, carrier: str) -> None:
        """A call begins."""
        self._begun.labels(carrier).inc()

    def turned_away(self, limit: str) -> None:
        """There is no room for a call."""
        self._turned_away.labels(limit).inc()

    def notice(self, notice: n.Notice) -> None:
        """A call tells something about itself."""
        if isinstance(notice, n.Latency):
            self._answer.observe(notice.total_ms / 1000)
            for name in notice.__slots__:
                if name.endswith("_ms") and name != "total_ms":
                    self._stage.labels(name.removesuffix("_ms")).observe(getattr(notice, name) / 1000)
        elif isinstance(notice, n.Rung):
            self._rungs.labels(notice.rung, code(notice.reason)).inc()
        elif isinstance(notice, n.SpeechStopped):
            if notice.cut:
                self._interruptions.inc()
        elif isinstance(notice, n.Transcript) and notice.status == "rejected":
            self._rejected.labels(code(notice.reason)).inc()

    def ended(self, outcome: str, timeline: Timeline) -> None:
        """A call is over."""
        self._ended.labels(code(outcome)).inc()
        for exchange in timeline.exchanges:
            if exchange.sounded_us is not None and exchange.last_word_us is not None:
                self._dead_air.observe(max(0, exchange.sounded_us - exchange.last_word_us) / 1e6)
            for utterance in exchange.utterances:
                self._request("stt", utterance.code, utterance.cancelled)
            for asked in exchange.asked:
                self._request("llm", asked.code, asked.cancelled)
            for sentence in exchange.sentences:
                if not sentence.clip:
                    self._request("tts", sentence.code, sentence.cut)
            self._cost.inc(sum(float(cost.get("usd", 0.0)) for cost in exchange.costs))

    def _request(self, stage: str, failure: str, cancelled: bool) -> None:
        outcome = code(failure) if failure else "cancelled" if cancelled else "ok"
        self._requests.labels(stage, outcome).inc()


class ProcessFigures(Collector):
    """What is read from the gateway at the moment of a scrape."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        gateway = self._gateway
        states = GaugeMetricFamily(
            "voicegw_calls",
            "Calls by state; in_progress: all of them",
            labels=["state"],
        )
        states.add_metric(["in_progress"], gateway.calls)
        for state, number in Counting(session.state for session in gateway.sessions).items():
            states.add_metric([state], number)
        states.add_metric(["arriving"], gateway.arrivals)
        yield states
        most = gateway.settings.server.max_calls
        yield GaugeMetricFamily("voicegw_calls_most", "Calls that are allowed at once", value=most)
        yield GaugeMetricFamily("voicegw_draining", "1 while the process shuts down", value=gateway.draining)
        yield _histogram(
            "voicegw_frame_late_seconds", "How late the pacing of agent audio was", gateway.ticker.lateness
        )
        watch = gateway.watch
        if watch is not None:
            yield _histogram("voicegw_loop_lag_seconds", "How late the event loop was", watch.lateness)
            yield CounterMetricFamily(
                "voicegw_stalls", "Times that one piece of code held the loop", value=watch.stalls
            )
        refused = CounterMetricFamily(
            "voicegw_refused", "Connections that were not let in", labels=["reason"]
        )
        for reason, count in gateway.door.refused.items():
            refused.add_metric([reason], count)
        yield refused
        yield from self._providers()
        if gateway.keeping is not None:
            yield from self._kept()

    def _providers(self) -> Iterator[Metric]:
        labels = ["stage", "place", "provider"]
        up = GaugeMetricFamily("voicegw_provider_up", "0 while its breaker keeps calls away", labels=labels)
        headroom = GaugeMetricFamily(
            "voicegw_quota_headroom", "Share of its key's allowance that is free", labels=labels
        )
        providers = self._gateway.providers
        rows: tuple[Row[Any], ...] = (providers.stt.row, providers.llm.row, providers.tts.row)
        for row in rows:
            for place, backend in enumerate(row.backends, start=1):
                values = [row.stage, str(place), backend.name]
                up.add_metric(values, backend.breaker.state == "closed")
                headroom.add_metric(values, backend.quota.headroom())
        yield up
        yield headroom

    def _kept(self) -> Iterator[Metric]:
        keeping = self._gateway.keeping
        assert keeping is not None
        yield GaugeMetricFamily(
            "voicegw_database_up", "1 when records reach the database", value=keeping.database_up
        )
        yield GaugeMetricFamily(
            "voicegw_records_waiting", "Records that wait in the spool", value=keeping.spool.count()
        )
        yield CounterMetricFamily("voicegw_records", "Records that were delivered", value=keeping.delivered)
        yield CounterMetricFamily(
            "voicegw_recording_dropped",
            "Seconds that are missing in recordings",
            value=keeping.recorder.dropped,
        )


def _histogram(name: str, text: str, lateness: Lateness) -> Metric:
    buckets, total = [], 0
    for bound, count in zip((*BOUNDS_MS, float("inf")), lateness.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else repr(bound / 1000), float(total)))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=lateness.sum_s)


def metrics_routes() -> list[Route]:
    """The routes of this file."""
    return [Route("/metrics", metrics)]


async def metrics(request: Request) -> Response:
    """All figures; with a secret only for the scope `operate`."""
    gateway: Gateway = request.app.state.gateway
    try:
        peer = request.client.host if request.client else ""
        gateway.door.check_request("operate", request.headers.get("authorization", ""), peer)
    except Refused as refused:
        headers = {"WWW-Authenticate": "Bearer"} if refused.status is HTTPStatus.UNAUTHORIZED else {}
        return PlainTextResponse(f"{refused}\n", refused.status, headers)
    return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)

"""`/metrics`: what was counted (`metrics.py`), and what the process tells at the moment of a scrape."""

from collections import Counter as Counting
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from voicegw.observe.lateness import BOUNDS_MS, Lateness
from voicegw.providers.policy import Row
from voicegw.server.gateway import Gateway
from voicegw.server.peers import Refused


class ProcessFigures(Collector):
    """What is read from the gateway at the moment of a scrape."""

    def __init__(self, gateway: Gateway) -> None:
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


def metrics_route(gateway: Gateway) -> Route:
    """The route, from which the figures of the process are told too."""
    gateway.metrics.registry.register(ProcessFigures(gateway))
    return Route("/metrics", metrics)


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

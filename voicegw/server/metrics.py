"""What is counted of calls, in Prometheus' words. Nothing here happens per frame.

While a call runs only its notices are counted; the rest is read from its timeline when it is over. What is
read from the process when it is scraped stands in `scraping.py`.
"""

import re
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from voicegw.call import notices as n
from voicegw.verdict.timeline import Timeline

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

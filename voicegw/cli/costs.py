"""`voicegw costs`: what calls cost by day, persona and model, and what they would have cost on other models.

Read from the call records, and from the journals of calls that have none. A request costs what it was priced
at when it was made; tokens are the provider's count, else estimated and marked.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from voicegw.config import Settings
from voicegw.errors import ConfigError, StoreError
from voicegw.providers.prices import Prices, estimated_tokens
from voicegw.store.database import Database, database_url
from voicegw.store.journal import about, read_journal
from voicegw.store.queries import Filter, every_call
from voicegw.verdict.timeline import Timeline, play_journal

log = logging.getLogger(__name__)

# One request, as `Exchange.costs` keeps it.
Cost = Mapping[str, Any]
_CHAT = ("llm", "summary")


@dataclass(frozen=True, slots=True)
class CostsOptions:
    """What was asked for on the command line."""

    prices: str = ""
    since: str = ""
    until: str = ""
    persona: str = ""
    as_json: bool = False


@dataclass(slots=True)
class Spent:
    """The use of one day, persona and chat model. Speech in and out counts with the call's chat model."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    chat_usd: float = 0.0
    speech_usd: float = 0.0
    wasted_usd: float = 0.0  # of all: asked for ahead, and not used
    estimated: bool = False
    unpriced: set[str] = field(default_factory=set)  # models whose price is not known

    @property
    def usd(self) -> float:
        """All of it, as far as prices are known."""
        return self.chat_usd + self.speech_usd


@dataclass(frozen=True, slots=True)
class CallCosts:
    """What the costs need of one call."""

    day: str
    persona: str
    costs: tuple[Cost, ...]


def run_costs(settings: Settings, wanted: CostsOptions, console: Console | None = None) -> int:
    """Print what calls cost. Raises ConfigError for a wrong file of prices, or a wrong date."""
    console = console or Console(highlight=False)
    # A file named here prices the past anew; one in the settings was used when the calls were made.
    prices = Prices.load(wanted.prices or settings.costs.prices)
    found = _by_model(_calls(settings, wanted), prices, anew=bool(wanted.prices))
    if wanted.as_json:
        console.file.write(json.dumps(_rows(found, prices), ensure_ascii=False) + "\n")
    elif not found:
        console.print("No calls.")
    else:
        _print(found, prices, console)
    return 0


def _by_model(calls: Iterable[CallCosts], prices: Prices, *, anew: bool) -> dict[tuple[str, str, str], Spent]:
    """Sum up by day, persona and model."""
    found: dict[tuple[str, str, str], Spent] = {}
    for call in calls:
        tokens: Counter[str] = Counter()
        for cost in call.costs:
            if cost["work"] in _CHAT:
                tokens[cost["model"]] += cost.get("prompt_tokens", 0) + cost.get("completion_tokens", 0)
        main = max(tokens, key=lambda model: tokens[model], default="")
        for model in tokens or {"": 0}:
            found.setdefault((call.day, call.persona, model), Spent()).calls += 1
        for cost in call.costs:
            model = cost["model"] if cost["work"] in _CHAT else main
            _add(found[call.day, call.persona, model], cost, prices, anew=anew)
    return dict(sorted(found.items()))


def _add(spent: Spent, cost: Cost, prices: Prices, *, anew: bool) -> None:
    usd = None if anew else cost.get("usd")
    if usd is None:
        usd = price_of(cost, prices)
    if usd is None:
        spent.unpriced.add(str(cost["model"]))
        usd = 0.0
    if cost["work"] in _CHAT:
        spent.prompt_tokens += cost.get("prompt_tokens", 0)
        spent.completion_tokens += cost.get("completion_tokens", 0)
        spent.chat_usd += usd
    else:
        spent.speech_usd += usd
    if cost.get("wasted"):
        spent.wasted_usd += usd
    spent.estimated = spent.estimated or bool(cost.get("estimated"))


def price_of(cost: Cost, prices: Prices) -> float | None:
    """Price a request by a table; None where its model is not in it."""
    model = str(cost["model"])
    if cost["work"] == "stt":
        return prices.audio_cost(model, cost.get("audio_ms", 0) / 1000)
    if cost["work"] == "tts":
        return prices.speech_cost(model, cost.get("characters", 0))
    return prices.chat_cost(model, cost.get("prompt_tokens", 0), cost.get("completion_tokens", 0))


# Where the calls are found


def _calls(settings: Settings, wanted: CostsOptions) -> Iterator[CallCosts]:
    filter_ = Filter.of(wanted.since, wanted.until, persona=wanted.persona)
    recorded = asyncio.run(_recorded(settings, filter_))
    yield from recorded.values()
    journals = sorted((Path(settings.store.data_dir) / "journals").glob("*.jsonl"))
    missing = [path for path in journals if path.stem not in recorded]
    shown = track(
        missing, "reading journals", console=Console(stderr=True), transient=True, disable=len(missing) < 100
    )
    for path in shown:
        if (call := _of_journal(path, settings, filter_)) is not None:
            yield call


async def _recorded(settings: Settings, wanted: Filter) -> dict[str, CallCosts]:
    """Calls by id from the database, where there is one."""
    database = Database(database_url(settings.store))
    found: dict[str, CallCosts] = {}
    try:
        if await database.revision() is None:
            return {}
        async for row in every_call(database, wanted):
            costs = tuple(cost for turn in row["turns"] for cost in turn["costs"])
            if costs:
                day = row["started_at"].date().isoformat()
                found[row["call_id"]] = CallCosts(day, row["persona"], costs)
    except StoreError as error:
        log.warning("%s; counting the journals of this machine", error)
        return {}
    finally:
        await database.close()
    return found


def _of_journal(path: Path, settings: Settings, wanted: Filter) -> CallCosts | None:
    try:
        told = about(path)
        call, events = read_journal(path)
        timeline = play_journal(call, events)
    except (ConfigError, OSError, RuntimeError):
        return None  # of another version, torn, or gone: its call is not counted
    began = told.get("started_at")
    started = datetime.fromisoformat(began) if began else datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if wanted.persona and call.persona != wanted.persona:
        return None
    if (wanted.since and started < wanted.since) or (wanted.until and started >= wanted.until):
        return None
    costs = [cost for exchange in timeline.exchanges for cost in exchange.costs]
    if not costs:
        costs = list(_estimated(timeline, settings, len(call.system_prompt)))
    return CallCosts(started.date().isoformat(), call.persona, tuple(costs))


def _estimated(timeline: Timeline, settings: Settings, prompt_chars: int) -> Iterator[dict[str, Any]]:
    """What a call used whose journal names no costs: of an older version. Its models are today's."""
    for exchange in timeline.exchanges:
        for asked in exchange.asked:
            counted = asked.prompt_tokens > 0
            yield {
                "work": "llm",
                "model": settings.resolved("llm").model,
                "prompt_tokens": asked.prompt_tokens or estimated_tokens(prompt_chars + len(exchange.text)),
                "completion_tokens": asked.completion_tokens or estimated_tokens(len(asked.text)),
                "estimated": not counted,
            }
        for utterance in exchange.utterances:
            yield {"work": "stt", "model": settings.resolved("stt").model, "audio_ms": utterance.audio_ms}
        for said in exchange.sentences:
            if not said.clip:
                yield {"work": "tts", "model": settings.resolved("tts").model, "characters": len(said.text)}


# How they are told


def _elsewhere(spent: Spent, model: str, prices: Prices) -> float | None:
    """What the same calls would have cost with another chat model."""
    chat = prices.chat_cost(model, spent.prompt_tokens, spent.completion_tokens)
    return None if chat is None else chat + spent.speech_usd


def _rows(found: Mapping[tuple[str, str, str], Spent], prices: Prices) -> list[dict[str, Any]]:
    rows = []
    for (day, persona, model), spent in found.items():
        others = {name: _elsewhere(spent, name, prices) for name in prices.chat_models}
        rows.append(
            {
                "day": day, "persona": persona, "model": model, "calls": spent.calls,
                "prompt_tokens": spent.prompt_tokens, "completion_tokens": spent.completion_tokens,
                "chat_usd": round(spent.chat_usd, 6), "speech_usd": round(spent.speech_usd, 6),
                "usd": round(spent.usd, 6), "wasted_usd": round(spent.wasted_usd, 6),
                "estimated": spent.estimated, "unpriced": sorted(spent.unpriced),
                "on_other_models": {n: round(usd, 6) for n, usd in others.items() if usd is not None},
            }
        )  # fmt: skip
    return rows


def _print(found: Mapping[tuple[str, str, str], Spent], prices: Prices, console: Console) -> None:
    if not console.is_terminal:
        # Into a file or a pipe nothing is shortened.
        console = Console(file=console.file, width=300, highlight=False)
    table = Table(box=None, pad_edge=False, show_footer=True)
    total = Spent(calls=sum(spent.calls for spent in found.values()))
    for spent in found.values():
        total.prompt_tokens += spent.prompt_tokens
        total.completion_tokens += spent.completion_tokens
        total.chat_usd += spent.chat_usd
        total.speech_usd += spent.speech_usd
        total.wasted_usd += spent.wasted_usd
    names = prices.chat_models
    columns = ["day", "persona", "model", "calls", "tokens in", "out", "USD", "speech", "wasted"]
    sums = ["all", "", "", str(total.calls), f"{total.prompt_tokens}", f"{total.completion_tokens}"]
    sums += [f"{usd:.4f}" for usd in (total.usd, total.speech_usd, total.wasted_usd)]
    for heading, footer in zip(columns, sums, strict=True):
        table.add_column(heading, footer, justify="left" if heading in columns[:3] else "right", no_wrap=True)
    for name in names:
        table.add_column(f"on {name}", _shown(_elsewhere(total, name, prices)), justify="right", style="dim")
    for (day, persona, model), spent in found.items():
        mark = "~" if spent.estimated else ""
        table.add_row(
            day, persona, model or "none", str(spent.calls), f"{mark}{spent.prompt_tokens}",
            f"{mark}{spent.completion_tokens}", f"{spent.usd:.4f}{'+' if spent.unpriced else ''}",
            f"{spent.speech_usd:.4f}", f"{spent.wasted_usd:.4f}",
            *(_shown(_elsewhere(spent, name, prices)) for name in names),
        )  # fmt: skip
    console.print(table)
    console.print(
        "US dollars. speech: transcription and voice, within USD. wasted: asked for ahead and not used. "
        "~: estimated, the provider counted no tokens."
    )
    if unpriced := sorted(set().union(*(spent.unpriced for spent in found.values()))):
        console.print(
            f"+: without {', '.join(unpriced)}, whose prices are not known (costs.prices, --prices)."
        )


def _shown(usd: float | None) -> str:
    return "unknown" if usd is None else f"{usd:.4f}"

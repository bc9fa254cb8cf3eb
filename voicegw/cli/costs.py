"""`voicegw costs`: what calls cost by day, persona and model, and what they would have cost on other models.

Read from the journals: a call's tokens as its provider counted them, else estimated from the text and marked.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from voicegw.config import Settings
from voicegw.errors import ConfigError
from voicegw.providers.prices import Prices, estimated_tokens
from voicegw.store.journal import read_journal
from voicegw.verdict.timeline import play_journal


@dataclass(slots=True)
class Spent:
    """The use of one day, persona and model. `wasted_*`: asked ahead, or cut before anything was heard."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    wasted_tokens: int = 0
    estimated: bool = False
    audio_s: float = 0.0
    characters: int = 0


def run_costs(settings: Settings, prices_file: str, *, as_json: bool, console: Console | None = None) -> int:
    """Print the costs of all calls that are kept. Raises ConfigError for a wrong file of prices."""
    console = console or Console(highlight=False)
    prices = Prices.load(prices_file)
    model = settings.resolved("llm").model
    found = _collected(Path(settings.store.data_dir) / "journals")
    rows = [
        {
            "day": day, "persona": persona, "model": model, "calls": spent.calls,
            "prompt_tokens": spent.prompt_tokens, "completion_tokens": spent.completion_tokens,
            "wasted_tokens": spent.wasted_tokens, "estimated": spent.estimated,
            "usd": _usd(prices, settings, model, spent),
            "on_other_models": {name: _usd(prices, settings, name, spent) for name in prices.chat},
        }
        for (day, persona), spent in sorted(found.items())
    ]  # fmt: skip
    if as_json:
        console.file.write(json.dumps(rows, ensure_ascii=False) + "\n")
        return 0
    if not rows:
        console.print("No calls are kept yet.")
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("day", "persona", "calls", "tokens in", "out", "wasted", model, *prices.chat):
        table.add_column(heading, justify="left" if heading in ("day", "persona") else "right")
    for row, spent in zip(rows, (found[key] for key in sorted(found)), strict=True):
        mark = "~" if spent.estimated else ""
        others = [_shown(_usd(prices, settings, name, spent)) for name in prices.chat]
        table.add_row(
            str(row["day"]), str(row["persona"]), str(spent.calls), f"{mark}{spent.prompt_tokens}",
            f"{mark}{spent.completion_tokens}", str(spent.wasted_tokens),
            _shown(_usd(prices, settings, model, spent)), *others,
        )  # fmt: skip
    console.print(table)
    console.print("US dollars, speech in and out included; ~: estimated, the provider counted no tokens.")
    return 0


def _shown(usd: float | None) -> str:
    return "unknown" if usd is None else f"{usd:.4f}"


def _usd(prices: Prices, settings: Settings, model: str, spent: Spent) -> float | None:
    chat = prices.chat_cost(model, spent.prompt_tokens, spent.completion_tokens)
    if chat is None:
        return None
    audio = prices.audio_cost(settings.resolved("stt").model, spent.audio_s) or 0.0
    speech = prices.speech_cost(settings.resolved("tts").model, spent.characters) or 0.0
    return round(chat + audio + speech, 6)


def _collected(folder: Path) -> dict[tuple[str, str], Spent]:
    found: dict[tuple[str, str], Spent] = defaultdict(Spent)
    for path in sorted(folder.glob("*.jsonl")):
        try:
            settings, events = read_journal(path)
            timeline = play_journal(settings, events)
        except (ConfigError, RuntimeError):
            continue  # of another version, or torn: its call is not counted
        day = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
        spent = found[day, settings.persona]
        spent.calls += 1
        for exchange in timeline.exchanges:
            for asked in exchange.asked:
                out = asked.completion_tokens or estimated_tokens(len(asked.text))
                into = asked.prompt_tokens or estimated_tokens(
                    len(settings.system_prompt) + len(exchange.text)
                )
                spent.estimated = spent.estimated or not asked.prompt_tokens
                spent.prompt_tokens += into
                spent.completion_tokens += out
                if asked.cancelled and not exchange.heard:
                    spent.wasted_tokens += into + out
            spent.audio_s += sum(utterance.audio_ms for utterance in exchange.utterances) / 1000
            spent.characters += sum(len(each.text) for each in exchange.sentences if not each.clip)
    return dict(found)

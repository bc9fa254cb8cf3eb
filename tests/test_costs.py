"""What calls cost."""

import io
import json
from pathlib import Path

import pytest
from rehearsed import on_virtual_time, rehearsed
from rich.console import Console

from voicegw.cli.costs import run_costs
from voicegw.errors import ConfigError
from voicegw.providers.prices import Prices
from voicegw.rehearsal.caller import dialling


def test_a_model_is_found_with_vendor_and_date_and_never_by_half_its_name() -> None:
    """A mini model at the price of the large one would be a wrong bill."""
    prices = Prices.load()
    assert prices.chat_cost("openai/gpt-4.1-2025-04-14", 1_000_000, 0) == 8.0
    assert prices.chat_cost("gemini-2.5-flash", 500_000, 500_000) == 2.5
    assert prices.chat_cost("gpt-4.1-mini", 1, 1) is None


def test_own_prices_win(tmp_path: Path) -> None:
    """Input and output may differ; a mistake names the file."""
    own = tmp_path / "prices.toml"
    own.write_text('[chat]\n"gpt-4.1" = { input = 2.0, output = 8.0 }\n', encoding="utf-8")
    assert Prices.load(str(own)).chat_cost("gpt-4.1", 1_000_000, 1_000_000) == 10.0
    own.write_text('[chat]\n"gpt-4.1" = "much"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"prices.toml"):
        Prices.load(str(own))


@on_virtual_time
async def test_the_costs_of_a_call_come_from_its_journal(tmp_path: Path) -> None:
    """Tokens as the provider counted them, and the same call on other models."""
    async with rehearsed(tmp_path) as rehearsal:
        async with dialling(rehearsal.gateway) as caller:
            await caller.event("speech_stopped")
            caller.send("text", text="Where is my order?")
            await caller.event("speech_stopped", heard="All right.")
            caller.send("hangup", reason="caller")
            await caller.ended()
        settings = rehearsal.gateway.settings
    out = io.StringIO()
    assert run_costs(settings, "", as_json=True, console=Console(file=out)) == 0
    (row,) = json.loads(out.getvalue())
    assert (row["persona"], row["calls"], row["prompt_tokens"]) == ("support", 1, 100)
    assert not row["estimated"]
    assert row["on_other_models"]["claude-sonnet-4.5"] > row["usd"] > row["on_other_models"]["deepseek-v3.2"]

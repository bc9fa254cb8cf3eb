"""What calls cost: priced request by request while they last, told, limited, summed up."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
from call_alone import Talk, call_settings
from rehearsed import ONE_TWO_THREE, WHEN, on_virtual_time, rehearsed
from rich.console import Console

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.spending import Spending
from voicegw.cli.costs import CostsOptions, run_costs
from voicegw.config import LimitSettings, Settings
from voicegw.errors import ConfigError
from voicegw.providers.prices import Prices
from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.script import Fault, Script
from voicegw.store.database import Database, database_url
from voicegw.store.journal import about, read_journal
from voicegw.store.records import record_of
from voicegw.verdict.timeline import play_journal


def costs_of(settings: Settings, **given: str) -> list[dict[str, Any]]:
    """What the command tells a script."""
    out = io.StringIO()
    assert run_costs(settings, CostsOptions(**given, as_json=True), Console(file=out)) == 0
    found: list[dict[str, Any]] = json.loads(out.getvalue())
    return found


def test_a_model_is_found_with_vendor_and_date_and_never_by_half_its_name() -> None:
    """A mini model at the price of the large one would be a wrong bill."""
    prices = Prices.load()
    assert prices.chat_cost("openai/gpt-4.1-2025-04-14", 1_000_000, 0) == 8.0
    assert prices.chat_cost("gemini-2.5-flash", 500_000, 500_000) == 2.5
    assert prices.chat_cost("gpt-4.1-huge", 1, 1) is None


def test_the_table_is_the_one_that_was_asked_for() -> None:
    """US dollars a million tokens."""
    prices = Prices.load()
    asked = {"gpt-4.1": 8.0, "claude-sonnet-4.5": 15.0, "gemini-2.5-flash": 2.5, "deepseek-v3.2": 0.42}
    assert {name: prices.chat_cost(name, 1_000_000, 0) for name in asked} == asked


def test_own_prices_win(tmp_path: Path) -> None:
    """Input and output may differ; a mistake names the file."""
    own = tmp_path / "prices.toml"
    own.write_text('[chat]\n"gpt-4.1" = { input = 2.0, output = 8.0 }\n', encoding="utf-8")
    assert Prices.load(str(own)).chat_cost("gpt-4.1", 1_000_000, 1_000_000) == 10.0
    own.write_text('[chat]\n"gpt-4.1" = "much"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"prices.toml"):
        Prices.load(str(own))


# While the call lasts


@on_virtual_time
async def test_each_exchange_is_told_with_what_it_cost(tmp_path: Path) -> None:
    """STT by the minute, the model by tokens, TTS by characters: to the cent of the table."""
    async with rehearsed(tmp_path) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        await caller.say(WHEN, caller.now_s + 0.3)
        first = (await caller.event("cost")).fields
        caller.send("text", text="And the bill?")
        second = (await caller.event("cost", exchange=2)).fields
        (path,) = (tmp_path / "journals").glob("*.jsonl")
        await asyncio.sleep(2)
        _, events = read_journal(path)
        charged = [event for event, _ in events if isinstance(event, e.Charged)]
    works = [event.work for event in charged]
    assert works.count("llm") == 2
    assert "stt" in works
    assert {event.model for event in charged} <= {"whisper-1", "gemini-2.5-flash", "tts-1"}
    llm = next(event for event in charged if event.work == "llm")
    assert llm.usd == pytest.approx((llm.prompt_tokens + llm.completion_tokens) * 2.5 / 1e6)
    stt = next(event for event in charged if event.work == "stt")
    assert stt.usd == pytest.approx(stt.audio_ms / 60_000 * 0.006)
    assert second["usd"] == pytest.approx(sum(event.usd or 0 for event in charged), abs=1e-6)
    assert second["usd"] == pytest.approx(first["usd"] + second["exchange_usd"], abs=2e-6)
    # "All right." was said before: it is not paid for twice.
    assert works.count("tts") == 1


@on_virtual_time
async def test_transcripts_that_the_caller_went_on_after_are_waste(tmp_path: Path) -> None:
    """A pause that was no end is transcribed for nothing; what the turn was made of is not waste."""
    script = Script(stt=("one", "one two", "one two three"))
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        await caller.say(ONE_TWO_THREE, caller.now_s + 0.3)
        await caller.event("speech_stopped", heard="All right.")
        (session,) = rehearsal.gateway.sessions
        (exchange,) = session.timeline.exchanges[1:]
    heard = [cost for cost in exchange.costs if cost["work"] == "stt"]
    wasted = [cost for cost in heard if cost.get("wasted")]
    assert 0 < len(wasted) < len(heard)
    assert exchange.wasted_usd == pytest.approx(
        sum(cost["usd"] for cost in exchange.costs if "wasted" in cost)
    )
    assert 0 < exchange.wasted_usd < exchange.usd


@on_virtual_time
async def test_who_answered_is_who_is_paid(tmp_path: Path) -> None:
    """The fallback has another model and another price; what failed before it answered costs nothing."""
    fallback = json.dumps([{"base_url": "http://second.test/v1", "api_key": "k", "model": "deepseek-v3.2"}])
    async with rehearsed(tmp_path, llm__fallbacks=fallback) as rehearsal:
        rehearsal.provider.fail("llm", Fault(status=503))
        async with dialling(rehearsal.gateway) as caller:
            await caller.event("speech_stopped")
            caller.send("text", text="Where is my order?")
            await caller.event("speech_stopped", heard="All right.")
            (session,) = rehearsal.gateway.sessions
            (exchange,) = session.timeline.exchanges[1:]
            models = [cost["model"] for cost in exchange.costs if cost["work"] == "llm"]
    assert models == ["deepseek-v3.2"]
    (failure,) = exchange.failures
    assert (failure.work, failure.provider, failure.status) == ("llm", "scripted.test", 503)
    assert failure.heard == ["the answer"]


@on_virtual_time
async def test_a_call_that_becomes_too_dear_ends_with_a_goodbye(tmp_path: Path) -> None:
    """The answer that reaches the limit is heard to its end; then the persona's own words."""
    async with rehearsed(tmp_path, limits__cost_usd="0.000001") as rehearsal:
        for persona, goodbye in (
            ("support", "I am sorry, we have to end this call here. Thank you for calling. Goodbye."),
            (
                "giao-hang",
                "Dạ em xin lỗi, em xin phép dừng cuộc gọi tại đây ạ. "
                "Em cảm ơn anh chị đã gọi. Em chào anh chị ạ.",
            ),
        ):
            async with dialling(rehearsal.gateway, query={"persona": persona}) as caller:
                await caller.event("speech_stopped")
                caller.send("text", text="Where is my order?")
                await caller.event("speech_stopped", heard="All right.")
                await caller.event("speech_stopped", heard=goodbye)
                assert (await caller.event("hangup")).fields["reason"] == "cost_limit"


def test_a_caller_who_interrupts_at_the_limit_gets_the_goodbye_in_place_of_an_answer() -> None:
    """Otherwise one who always interrupts would have no limit."""
    talk = Talk(call_settings(limits=LimitSettings(cost_usd=0.01)))
    talk.greet()
    reply = talk.answered(2000)
    talk.now(e.Charged("llm", reply, "provider.test", "gpt-4.1", 0.02))
    talk.now(e.CallerText("Wait!"))
    assert talk.last(c.PlayClip).role == "goodbye"
    assert len(talk.all(c.Ask)) == 1


def test_what_was_asked_ahead_in_vain_is_told_apart() -> None:
    """Whether the charge comes before the answer is dropped or behind it."""
    for order in ("charged, dropped", "dropped, charged"):
        spending = Spending(0.0)
        charge = e.Charged("llm", 3, "provider.test", "gpt-4.1", 0.002)
        for step in order.split(", "):
            spending.charged(charge) if step == "charged" else spending.wasted(3)
        spending.charged(e.Charged("llm", 4, "provider.test", "gpt-4.1", 0.005, estimated=True))
        assert spending.told(1) == n.Cost(0.007, 1, 0.007, 0.002, True)
        assert spending.told(1) is None


def test_a_model_without_a_price_says_nothing_of_cost() -> None:
    """Zero would be a lie."""
    spending = Spending(0.0)
    spending.charged(e.Charged("llm", 1, "provider.test", "mine", None))
    assert spending.told(1) is None


@on_virtual_time
async def test_what_the_caller_cuts_off_by_hanging_up_is_charged(tmp_path: Path) -> None:
    """Tokens that nobody counted are estimated, and marked so."""
    script = Script(llm=("One two three four five six seven eight nine ten.",), token_ms=300)
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        caller.send("text", text="Count.")
        await caller.until(caller.now_s + 1.0)
        (session,) = rehearsal.gateway.sessions
        caller.send("hangup", reason="caller")
        await caller.ended()
    costs = [cost for exchange in session.timeline.exchanges for cost in exchange.costs]
    (llm,) = (cost for cost in costs if cost["work"] == "llm")
    assert llm["estimated"]
    assert llm["completion_tokens"] > 0


# voicegw costs


def one_call(folder: Path) -> Settings:
    """Hold a call of one exchange; return the settings with which it was held."""
    return run_virtual(_one_call(folder))


async def _one_call(folder: Path) -> Settings:
    async with rehearsed(folder) as rehearsal:
        async with dialling(rehearsal.gateway) as caller:
            await caller.event("speech_stopped")
            caller.send("text", text="Where is my order?")
            await caller.event("speech_stopped", heard="All right.")
            caller.send("hangup", reason="caller")
            await caller.ended()
        return rehearsal.gateway.settings


def test_the_costs_of_a_call_come_from_its_journal(tmp_path: Path) -> None:
    """Tokens as the provider counted them, the model that was really asked, and the same call on others."""
    settings = one_call(tmp_path)
    since_then = settings.llm.model_copy(update={"model": "claude-sonnet-4.5"})
    for now in (settings, settings.model_copy(update={"llm": since_then})):
        (row,) = costs_of(now)
        assert (row["persona"], row["calls"], row["prompt_tokens"]) == ("support", 1, 100)
        assert row["model"] == "gemini-2.5-flash"
        assert not row["estimated"]
        others = row["on_other_models"]
        assert others["claude-sonnet-4.5"] > row["usd"] > others["deepseek-v3.2"]
        assert others["gemini-2.5-flash"] == pytest.approx(row["usd"])
    own = tmp_path / "prices.toml"
    own.write_text('[chat]\n"gemini-2.5-flash" = 1000.0\n', encoding="utf-8")
    (dear,) = costs_of(settings, prices=str(own))
    assert dear["chat_usd"] == pytest.approx((100 + dear["completion_tokens"]) / 1000)


def test_calls_in_the_database_count_once(tmp_path: Path) -> None:
    """A call with a record is not read from its journal again; one without is."""
    settings = one_call(tmp_path)
    one_call(tmp_path)
    first, _ = sorted((tmp_path / "journals").glob("*.jsonl"))
    timeline = play_journal(*read_journal(first))
    record = record_of(first.stem, about(first), timeline, ended_by="caller", recording="")
    assert record.cost_usd > 0

    async def keep() -> None:
        database = Database(database_url(settings.store))
        await database.upgrade()
        await database.add([record])
        await database.close()

    asyncio.run(keep())
    assert [row["calls"] for row in costs_of(settings)] == [2]
    first.unlink()
    assert [row["calls"] for row in costs_of(settings)] == [2]
    assert costs_of(settings, persona="giao-hang") == []
    assert costs_of(settings, since="2999-01-01") == []


def test_a_journal_of_an_older_version_is_estimated(tmp_path: Path) -> None:
    """It names no model and no costs: today's model, and a mark."""
    settings = one_call(tmp_path)
    (path,) = (tmp_path / "journals").glob("*.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    old = [
        line.replace('"prompt_tokens":100', '"prompt_tokens":0') for line in lines if '"Charged"' not in line
    ]
    assert len(old) < len(lines)
    path.write_text("".join(old), encoding="utf-8")
    (row,) = costs_of(settings)
    assert (row["calls"], row["model"], row["estimated"]) == (1, "gemini-2.5-flash", True)
    assert row["usd"] > 0
    out = io.StringIO()
    assert run_costs(settings, CostsOptions(), Console(file=out)) == 0
    assert "~" in out.getvalue()
    assert "on claude-sonnet-4.5" in out.getvalue()

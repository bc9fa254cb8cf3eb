"""`voicegw check`: every way in which a first start goes wrong is told apart, with what to do."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from voicegw.cli.check import run_check
from voicegw.config import HOLYSHEEP_URL, Settings, load_settings
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Fault, Script

KEY = "hss_0123456789abcdef"


def settings_with(**env: str) -> Settings:
    return load_settings({"HOLYSHEEP_API_KEY": KEY} | env, None)


def checked(settings: Settings, provider: ScriptedProvider) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Run the check twice: return exit code, findings by name, and the printed text."""
    printed, written = io.StringIO(), io.StringIO()
    run_check(settings, streams=provider, console=Console(file=printed, width=80))
    provider.requests.clear()
    code = run_check(settings, as_json=True, streams=provider, console=Console(file=written))
    report = json.loads(written.getvalue())
    assert report["ok"] == (code == 0)
    assert KEY not in printed.getvalue() + written.getvalue()
    assert "\x1b" not in printed.getvalue()
    return code, {finding["what"]: finding for finding in report["findings"]}, printed.getvalue()


def test_when_all_is_well_it_says_so_with_models_and_times() -> None:
    """The one line everybody wants to see, and exit code 0."""
    script = Script(api_key=KEY, models=("whisper-1", "tts-1", "gemini-2.5-flash", "gpt-4.1"))
    code, findings, text = checked(settings_with(), ScriptedProvider(script))
    assert code == 0
    assert {finding["state"] for finding in findings.values()} == {"ok"}
    assert findings["models"]["message"] == "the key reaches 4 models"
    assert all(findings[stage]["ms"] is not None for stage in ("stt", "llm", "tts"))
    assert "All is well." in text


@pytest.mark.parametrize(
    ("env", "message", "advice"),
    [
        ({"HOLYSHEEP_API_KEY": ""}, "no key is set", "HOLYSHEEP_API_KEY=hss_…"),
        ({"HOLYSHEEP_API_KEY": "YOUR_HOLYSHEEP_API_KEY"}, "placeholder", "begins with hss_"),
        ({"HOLYSHEEP_API_KEY": "hss_xxxxxxxx"}, "placeholder", "HOLYSHEEP_API_KEY"),
        ({"HOLYSHEEP_API_KEY": "sk-..."}, "placeholder", "HOLYSHEEP_API_KEY"),
        (
            {"HOLYSHEEP_API_KEY": "sk-proj-0123456789"},
            "begin with hss_, this one does not",
            "another provider",
        ),
        ({"HOLYSHEEP_API_KEY": "", "OPENAI_API_KEY": KEY}, "begin with sk-", "OPENAI_API_KEY"),
        (
            {"HOLYSHEEP_API_KEY": "", "VOICEGW_PROVIDER__BASE_URL": "https://api.example.org/v1"},
            "no key is set",
            "VOICEGW_PROVIDER__API_KEY=",
        ),
    ],
)
def test_a_key_that_cannot_work_is_told_without_a_request(
    env: dict[str, str], message: str, advice: str
) -> None:
    """Missing, placeholder and wrong prefix would all be the same 401."""
    provider = ScriptedProvider()
    code, findings, _ = checked(settings_with(**env), provider)
    assert code == 1
    assert message in findings["key"]["message"]
    assert advice in findings["key"]["advice"]
    assert findings["stt"]["state"] == "skipped"
    assert not provider.requests


def test_a_revoked_key_is_told_by_the_list_of_models() -> None:
    """The fourth kind of 401, which only the provider knows."""
    code, findings, text = checked(settings_with(), ScriptedProvider(Script(api_key="hss_another")))
    assert code == 1
    assert findings["models"]["state"] == "failed"
    assert "mistyped or revoked" in findings["models"]["advice"]
    assert findings["llm"]["state"] == "skipped"
    assert "checks failed" in text


def test_a_model_that_does_not_exist_is_told_with_near_names() -> None:
    """A model name with a typo is the second most common mistake."""
    provider = ScriptedProvider()
    provider.fail("llm", Fault(status=404), times=None)
    code, findings, _ = checked(settings_with(MODEL="gemini-2.5-flsh"), provider)
    assert code == 1
    assert findings["llm model"]["state"] == "note"
    assert "gemini-2.5-flash" in findings["llm model"]["advice"]
    assert "set MODEL" in findings["llm"]["advice"]


def test_a_model_that_works_without_being_listed_is_well() -> None:
    """Several servers do not list all that they understand."""
    code, findings, _ = checked(settings_with(), ScriptedProvider(Script(models=("other",))))
    assert code == 0
    assert findings["stt model"]["state"] == "note"


def test_a_server_without_a_list_of_models_is_well_if_it_works() -> None:
    """Small local servers have the three routes and nothing else."""
    provider = ScriptedProvider()
    provider.fail("models", Fault(status=404), times=None)
    code, findings, _ = checked(settings_with(), provider)
    assert code == 0
    assert findings["models"]["state"] == "note"


@pytest.mark.parametrize(
    ("route", "fault", "advice"),
    [
        ("tts", Fault(status=404), "VOICEGW_TTS__BASE_URL=http://127.0.0.1:8091/v1"),
        ("stt", Fault(status=404), "VOICEGW_STT__BASE_URL"),
        ("stt", Fault(status=400), "set VOICEGW_STT__MODEL"),
        ("llm", Fault(status=429), "try again in a minute"),
        ("llm", Fault(status=402), "top it up"),
        ("llm", Fault(status=403), "may not use this"),
        ("llm", Fault(status=503), "try again later"),
        ("models", Fault(refuse=True), f"Is the address {HOLYSHEEP_URL} right"),
        ("models", Fault(hang=True), "raise VOICEGW_STT__TIMEOUT_S"),
        ("models", Fault(wrong=True, body=b"<html>"), "usually ends in /v1"),
        ("models", Fault(wrong=True, body=b"{", content_type="application/json"), "usually ends in /v1"),
        ("models", Fault(wrong=True, body=b"[]", content_type="application/json"), "usually ends in /v1"),
        ("models", Fault(wrong=True, body=b"{}", content_type="application/json"), "usually ends in /v1"),
        ("tts", Fault(wrong=True, body=b"<html>"), "usually ends in /v1"),
    ],
)
def test_each_failure_says_what_to_do(route: Any, fault: Fault, advice: str) -> None:
    """A status code alone sends people to a search engine."""
    provider = ScriptedProvider()
    provider.fail(route, fault, times=None)
    code, findings, text = checked(settings_with(VOICEGW_PROVIDER__TIMEOUT_S="0.05"), provider)
    assert code == 1
    assert findings[route]["state"] == "failed"
    assert advice in findings[route]["advice"]
    assert advice in text


def test_a_local_server_needs_no_key_and_is_checked_on_its_own() -> None:
    """The pairing with the embedded speech: two providers, each with its own list of models."""
    provider = ScriptedProvider()
    printed = io.StringIO()
    settings = settings_with(VOICEGW_TTS__BASE_URL="http://127.0.0.1:8091/v1")
    assert run_check(settings, streams=provider, console=Console(file=printed)) == 0
    lines = printed.getvalue().splitlines()
    assert [line.split()[2] for line in lines if line.split()[1:2] == ["key"]] == [
        "api.holysheep.ai:",
        "127.0.0.1:8091:",
    ]
    assert "none needed" in printed.getvalue()
    assert len(provider.received("models")) == 2


@pytest.mark.parametrize(
    ("plan", "held"),
    [("free", "60 requests a minute hold 2 call(s)"), ("pro", "500 requests a minute hold 16 call(s)")],
)
def test_the_sum_of_the_quota_is_told(plan: str, held: str) -> None:
    """A turn is about five requests: who finds out at the second caller finds out too late."""
    provider = ScriptedProvider(Script(api_key=KEY))
    _, findings, text = checked(settings_with(VOICEGW_PROVIDER__PLAN=plan), provider)
    told = f"{held} at once: 5 requests a turn, 6 turns a minute, 30 a call"
    assert findings["quota"]["message"] == told
    assert "hold" in text
    _, findings, _ = checked(settings_with(), ScriptedProvider(Script(api_key=KEY)))
    assert "quota" not in findings

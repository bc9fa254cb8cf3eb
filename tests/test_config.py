"""Settings: which value counts, what is refused, and that no key is ever shown."""

import inspect
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from voicegw import embedded
from voicegw.config import (
    HOLYSHEEP_URL,
    OPENAI_URL,
    Settings,
    TurnSettings,
    load_settings,
    setting_fields,
    settings_tables,
    variable_name,
)
from voicegw.errors import ConfigError

ROOT = Path(__file__).parent.parent
KEY = "hss_secret_key_12345"


def loaded(env: Mapping[str, str] | None = None, **overrides: str) -> Settings:
    """Load from `env` only; no file."""
    return load_settings(env or {}, None, {name.replace("__", "."): text for name, text in overrides.items()})


def refusal(
    env: Mapping[str, str], dotenv: Path | None = None, overrides: Mapping[str, str] | None = None
) -> str:
    """Return the message of the ConfigError that loading raises."""
    with pytest.raises(ConfigError) as caught:
        load_settings(env, dotenv, overrides or {})
    # What a user sees of it, with all that it was chained to.
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def dotenv_file(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_variable_the_defaults_hold() -> None:
    """The gateway starts with nothing set; HolySheep is the provider it was made for."""
    settings = loaded()
    assert settings == Settings()
    assert settings.resolved("stt").model == "whisper-1"
    assert settings.resolved("tts").model == "tts-1"
    assert settings.resolved("llm").model == "gemini-2.5-flash"
    assert {settings.resolved(stage).base_url for stage in ("stt", "llm", "tts")} == {HOLYSHEEP_URL}


def test_a_setting_is_its_group_and_name_in_the_environment() -> None:
    """Every kind of value: whole number, number, text, JSON, list."""
    settings = loaded(
        {
            "VOICEGW_TURNS__PAUSE_MS": "250",
            "VOICEGW_LIMITS__PATIENCE_S": "6.5",
            "VOICEGW_SERVER__HOST": "0.0.0.0",
            "VOICEGW_PROVIDER__HEADERS": '{"X-Title": "Cửa hàng"}',
            "VOICEGW_PERSONA__FOLDERS": "personas, /etc/voicegw/personas",
            "VOICEGW_LOG__LEVEL": "debug",
            "PATH": "/bin",
        }
    )
    assert settings.turns.pause_ms == 250
    assert settings.limits.patience_s == 6.5
    assert settings.server.host == "0.0.0.0"
    assert settings.provider.headers == {"X-Title": "Cửa hàng"}
    assert settings.persona.folders == ("personas", "/etc/voicegw/personas")
    assert settings.log.level == "DEBUG"


def test_every_setting_can_be_set_by_its_variable() -> None:
    """A setting that no variable reaches would be a setting in name only."""
    texts = {"int": "700", "float": "20", "str": "INFO", "bool": "true", "tuple": "10.0.0.0/8"}
    odd = {
        "headers": "{}",
        "base_url": "http://x.test/v1",
        "folders": "a",
        "pcm_hz": "16000",
        "check_ins": "1",
        "max_end_ms": "2000",
        "second_stage": "off",
        "enabled": "twilio",
        "public_url": "https://voice.test",
        "rate_hz": "16000",
        "codec": "PCMA",
        "byte_order": "big",
        "first_max_ms": "3000",
        "secret": "s" * 32,
        "format": "json",
        "url": "https://crm.test/calls",
        "plan": "pro",
        "fallbacks": '[{"base_url": "http://y.test/v1", "model": "m"}]',
    }
    for dotted, field in setting_fields().items():
        name = dotted.partition(".")[2]
        text = odd.get(name) or texts[getattr(field.annotation, "__name__", "")]
        if dotted.startswith("verdict."):
            text = "1,2"
        assert loaded({variable_name(dotted): text})


def test_names_are_ranked_before_sources() -> None:
    """--set, VOICEGW_*, HOLYSHEEP_*, OPENAI_*, default: each hides all that follow."""
    env = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://openai.test/v1"}
    assert loaded(env).provider.base_url == "http://openai.test/v1"
    assert loaded(env).provider.api_key == "sk-1"
    env |= {"HOLYSHEEP_API_KEY": KEY, "HOLYSHEEP_BASE_URL": "http://sheep.test/v1", "MODEL": "m1"}
    assert loaded(env).provider.base_url == "http://sheep.test/v1"
    assert loaded(env).provider.api_key == KEY
    assert loaded(env).resolved("llm").model == "m1"
    env |= {"VOICEGW_PROVIDER__BASE_URL": "http://own.test/v1/", "VOICEGW_LLM__MODEL": "m2"}
    assert loaded(env).provider.base_url == "http://own.test/v1"
    assert loaded(env).resolved("llm").model == "m2"
    assert loaded(env, llm__model="m3").resolved("llm").model == "m3"


def test_the_environment_wins_over_the_file_for_the_same_name(tmp_path: Path) -> None:
    """`NAME=value voicegw serve` must do what it says; an empty value says nothing."""
    path = dotenv_file(
        tmp_path, 'MODEL="from file"\nVOICEGW_SERVER__PORT=9000\nexport VOICEGW_LOG__LEVEL=ERROR\n'
    )
    settings = load_settings({"MODEL": "from environment", "VOICEGW_SERVER__PORT": ""}, path)
    assert settings.provider.model == "from environment"
    assert settings.server.port == 9000
    assert settings.log.level == "ERROR"


def test_a_higher_name_in_the_file_wins_over_a_lower_name_in_the_environment(tmp_path: Path) -> None:
    """A key left in the shell for other programs must not replace the one written for this one."""
    path = dotenv_file(tmp_path, f"HOLYSHEEP_API_KEY={KEY}\n")
    settings = load_settings({"OPENAI_API_KEY": "sk-shell", "OPENAI_BASE_URL": OPENAI_URL}, path)
    assert (settings.provider.api_key, settings.provider.base_url) == (KEY, HOLYSHEEP_URL)


@pytest.mark.parametrize(
    ("env", "base_url", "model"),
    [
        ({"OPENAI_API_KEY": "sk-1"}, OPENAI_URL, "gpt-4.1-mini"),
        ({"OPENAI_API_KEY": "sk-1", "HOLYSHEEP_BASE_URL": HOLYSHEEP_URL}, OPENAI_URL, "gpt-4.1-mini"),
        ({"HOLYSHEEP_API_KEY": KEY, "OPENAI_BASE_URL": OPENAI_URL}, HOLYSHEEP_URL, "gemini-2.5-flash"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:8100/v1"}, "http://127.0.0.1:8100/v1", "gemini-2.5-flash"),
    ],
)
def test_a_key_goes_only_to_the_address_of_its_own_family(
    env: dict[str, str], base_url: str, model: str
) -> None:
    """One provider's key sent to another one is a leaked key."""
    found = loaded(env).resolved("llm")
    assert (found.base_url, found.model) == (base_url, model)


def test_a_stage_with_another_host_does_not_get_the_shared_key() -> None:
    """Speech from a local server beside a hosted model is one setting, and hands no key over."""
    settings = loaded(
        {
            "HOLYSHEEP_API_KEY": KEY,
            "VOICEGW_PROVIDER__HEADERS": '{"X-Title": "Shop"}',
            "VOICEGW_PROVIDER__TIMEOUT_S": "4",
            "VOICEGW_TTS__BASE_URL": "http://127.0.0.1:8100/v1",
            "VOICEGW_STT__MODEL": "whisper-large",
        }
    )
    tts = settings.resolved("tts")
    assert (tts.base_url, tts.api_key, tts.headers) == ("http://127.0.0.1:8100/v1", "", {})
    assert (tts.timeout_s, tts.model) == (4.0, "tts-1")
    stt = settings.resolved("stt")
    assert (stt.base_url, stt.api_key, stt.model) == (HOLYSHEEP_URL, KEY, "whisper-large")
    assert stt.headers == {"X-Title": "Shop"}
    other_path = loaded({"HOLYSHEEP_API_KEY": KEY, "VOICEGW_TTS__BASE_URL": "https://api.holysheep.ai/v2"})
    assert other_path.resolved("tts").api_key == KEY


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("VOICEGW_TURNS__PAUSE", "VOICEGW_TURNS__PAUSE_MS"),
        ("VOICEGW_TURN__PAUSE_MS", "VOICEGW_TURNS__PAUSE_MS"),
        ("VOICEGW_TURNS_PAUSE_MS", "VOICEGW_TURNS__PAUSE_MS"),
        ("voicegw_turns__pause_ms", "VOICEGW_TURNS__PAUSE_MS"),
        ("VOICEGW_TSS__BASE_URL", "VOICEGW_TTS__BASE_URL"),
        ("VOICEGW_SERVER__PORT__X", "VOICEGW_SERVER__PORT"),
    ],
)
@pytest.mark.parametrize("source", ["environment", "file", "override"])
def test_a_misspelt_name_is_an_error_with_a_suggestion(
    wrong: str, meant: str, source: str, tmp_path: Path
) -> None:
    """A wrong field, a wrong group and a single underscore: by itself the library lets two of them pass."""
    if source == "environment":
        assert refusal({wrong: "1"}) == f"{wrong} (environment): no such setting; did you mean {meant}?"
    elif source == "file":
        path = dotenv_file(tmp_path, f"# settings\n\nMODEL=m\n{wrong}=1\n")
        assert f"{wrong} ({path} line 4): no such setting; did you mean {meant}?" == refusal({}, path)
    else:
        dotted = wrong.lower().removeprefix("voicegw_").replace("__", ".")
        wanted = meant.lower().removeprefix("voicegw_").replace("__", ".")
        if dotted != wanted:
            assert f"did you mean {wanted}?" in refusal({}, None, {dotted: "1"})


def test_foreign_names_are_left_alone(tmp_path: Path) -> None:
    """A `.env` is shared with other programs."""
    path = dotenv_file(tmp_path, "DATABASE_URL=x\nHOLYSHEEP_REGION=vn\nNO_VALUE\nMODEL=m # note\n")
    assert load_settings({"TERM": "xterm"}, path).provider.model == "m"


def test_an_error_names_variable_source_and_what_was_expected(tmp_path: Path) -> None:
    """All of them at once: one start per typo is a waste of a morning."""
    path = dotenv_file(tmp_path, "\n\nVOICEGW_SERVER__PORT=99999\nVOICEGW_LOG__LEVEL=LOUD\n")
    message = refusal(
        {"VOICEGW_TURNS__PAUSE_MS": "short", "VOICEGW_NOPE": "1"}, path, {"limits.failures": "0"}
    )
    assert sorted(message.splitlines()) == sorted(
        [
            "VOICEGW_NOPE (environment): no such setting; docs/configuration.md lists all settings",
            f"VOICEGW_SERVER__PORT ({path} line 3): expected less than or equal to 65535, got '99999'",
            f"VOICEGW_LOG__LEVEL ({path} line 4): expected DEBUG, INFO, WARNING or ERROR, got 'LOUD'",
            "VOICEGW_TURNS__PAUSE_MS (environment): expected a whole number, got 'short'",
            "limits.failures (--set): expected greater than or equal to 1, got '0'",
        ]
    )


@pytest.mark.parametrize(
    ("env", "told"),
    [
        (
            {"VOICEGW_TURNS__END_MS": "300"},
            "VOICEGW_TURNS__END_MS (environment): turns.min_end_ms <= turns.end_ms",
        ),
        ({"VOICEGW_TURNS__MAX_END_MS": "600"}, "VOICEGW_TURNS__MAX_END_MS (environment): turns.min_end_ms"),
        (
            {"VOICEGW_TURNS__PAUSE_MS": "990"},
            "VOICEGW_TURNS__PAUSE_MS (environment): turns.pause_ms (990) must not",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(env: dict[str, str], told: str) -> None:
    """A pause longer than the end of turn would never transcribe anything."""
    assert told in refusal(env)


@pytest.mark.parametrize(
    "env",
    [
        {"HOLYSHEEP_API_KEY": f"{KEY} {KEY}"},
        {"HOLYSHEEP_API_KEY": f"{KEY}é"},
        {"HOLYSHEEP_API_KEY": KEY, "HOLYSHEEP_BASE_URL": f"api.holysheep.ai/{KEY}"},
        {"HOLYSHEEP_BASE_URL": f"https://user:{KEY}@api.holysheep.ai/v1"},
        {"HOLYSHEEP_BASE_URL": f"https://api.holysheep.ai/v1?key={KEY}"},
        {"VOICEGW_PROVIDER__HEADERS": f"Authorization: {KEY}"},
        {"VOICEGW_PROVIDER__HEADERS": f'{{"X": ["{KEY}"]}}'},
        {"VOICEGW_PROVIDER__HEADERS": f'{{"X\\n": "{KEY}"}}'},
        {"VOICEGW_PROVIDER__HEADERS": f'"{KEY}"'},
    ],
)
def test_no_message_and_no_repr_shows_a_key(env: dict[str, str]) -> None:
    """Logs and screenshots of a failed start are passed around."""
    assert "(environment)" in refusal(env)


def test_a_repr_shows_no_key() -> None:
    """Settings end up in log lines by accident."""
    settings = loaded({"HOLYSHEEP_API_KEY": KEY, "VOICEGW_PROVIDER__HEADERS": f'{{"X-Token": "{KEY}"}}'})
    assert KEY not in repr(settings) + str(settings) + repr(settings.resolved("llm"))


def test_a_file_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    """A half-written statement would lose the setting in silence; its text may be a key."""
    path = dotenv_file(tmp_path, f"MODEL=m\n\n'HOLYSHEEP_API_KEY {KEY}\n")
    assert refusal({}, path) == f"{path} line 3: expected NAME=value"
    path.write_bytes(b"MODEL=\xff\xfe\n")
    assert "cannot be read" in refusal({}, path)
    assert load_settings({}, tmp_path / "missing") == Settings()


def test_settings_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read once; a Settings made by hand reads nothing of its own."""
    settings = Settings()
    with pytest.raises(ValidationError):
        setattr(settings.server, "port", 1)  # noqa: B010 (written plainly, the type checker refuses it too)
    with pytest.raises(ValidationError):
        setattr(settings, "turns", TurnSettings())  # noqa: B010 (written plainly, the type checker refuses it too)
    monkeypatch.setenv("TURNS", '{"pause_ms": 100}')
    assert Settings().turns.pause_ms == 260
    made: dict[str, Any] = {"turns": {"nope": 1}}
    with pytest.raises(ValidationError):
        Settings(**made)


def test_the_document_lists_every_setting_as_it_is() -> None:
    """A table written by hand is wrong after a month."""
    document = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert settings_tables() in document


@pytest.mark.parametrize("name", [".env.example", "docs/configuration.md", "voicegw/cli/check.py"])
def test_what_is_advised_names_the_embedded_providers_own_port(name: str) -> None:
    """Advice that leads to a port where nobody listens is worse than none."""
    port = inspect.signature(embedded.serve).parameters["port"].default
    assert f"http://127.0.0.1:{port}/v1" in (ROOT / name).read_text(encoding="utf-8")


def test_the_example_file_is_valid_and_names_what_a_start_needs() -> None:
    """People copy it and change two lines."""
    settings = load_settings({}, ROOT / ".env.example")
    assert settings.provider.api_key == "YOUR_HOLYSHEEP_API_KEY"
    assert settings.provider.base_url == HOLYSHEEP_URL
    assert settings.resolved("llm").model == "gemini-2.5-flash"
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    uncommented = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# VOICEGW_")]
    assert uncommented
    known = {variable_name(dotted) for dotted in setting_fields()}
    assert {line.partition("=")[0] for line in uncommented} <= known

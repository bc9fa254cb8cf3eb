"""`voicegw check`: do the providers that are set really work? What is wrong, and what to do about it.

First what can be told without a request (key missing, placeholder, wrong prefix), then the list of models,
then one short request of each kind with its time. Shows no key and no word that a provider sends.
"""

import asyncio
import contextlib
import difflib
import ipaddress
import json
import re
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
from rich.console import Console
from rich.text import Text

from voicegw.audio.pcm import SAMPLE_RATE_HZ, pcm_ms
from voicegw.config import ProviderSettings, Settings
from voicegw.errors import ProviderError, Stage
from voicegw.providers import AiohttpStreams, ByteStreams, Providers, build_providers
from voicegw.providers.models import list_models
from voicegw.providers.quota import REQUESTS_A_TURN, TURNS_A_MINUTE

State = Literal["ok", "note", "failed", "skipped"]

STAGES: tuple[Stage, ...] = ("stt", "llm", "tts")
_ROUTES = {"stt": "/audio/transcriptions", "llm": "/chat/completions", "tts": "/audio/speech"}
# How the keys of a provider begin, by host.
_PREFIXES = {"api.holysheep.ai": "hss_", "api.openai.com": "sk-"}
_KEY_NAMES = {"api.holysheep.ai": "HOLYSHEEP_API_KEY", "api.openai.com": "OPENAI_API_KEY"}
# What stands in example files where a key belongs.
_PLACEHOLDER = re.compile(
    r"(?i)(^|[_-])your([_-]|$)|change.?me|replace|placeholder|example|<.*>|\.\.\.|…|x{6,}|\*{3,}"
    r"|^(sk-|hss_)?(key|api.?key|test|todo)?$"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    `advice` says what to do when it is not well, `ms` how long a request took.
    """

    what: str
    state: State
    provider: str
    message: str
    advice: str = ""
    ms: float | None = None


def run_check(
    settings: Settings,
    *,
    as_json: bool = False,
    voice: str = "alloy",
    streams: ByteStreams | None = None,
    console: Console | None = None,
) -> int:
    """Check the providers, print what was found, and return the exit code: 0 only if all is well.

    `voice` is the voice to try speech with. `streams` and `console` are for tests; by default real
    connections are made and the standard output is written, without colours when it is no terminal.
    """
    console = console or Console(highlight=False)
    findings = asyncio.run(_collected(settings, streams, voice))
    well = all(finding.state != "failed" for finding in findings)
    if as_json:
        report = {"ok": well, "findings": [asdict(finding) for finding in findings]}
        console.file.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    else:
        for finding in findings:
            console.print(_line(finding), soft_wrap=True)
        bad = sum(finding.state == "failed" for finding in findings)
        end = "All is well." if well else f"{bad} of {len(findings)} checks failed."
        console.print(Text(end, style="bold green" if well else "bold red"), soft_wrap=True)
    return 0 if well else 1


async def check_providers(
    settings: Settings, streams: ByteStreams, voice: str = "alloy"
) -> AsyncIterator[Finding]:
    """Yield what is found, in the order in which it is looked at."""
    providers = build_providers(settings, streams)
    groups: dict[tuple[str, str], list[Stage]] = {}
    for stage in STAGES:
        found = settings.resolved(stage)
        groups.setdefault((found.base_url, found.api_key), []).append(stage)
    usable: set[Stage] = set()
    for stages in groups.values():
        first = settings.resolved(stages[0])
        key = _check_key(first, _key_name(settings, stages[0]))
        yield key
        if key.state == "failed":
            continue
        reached = True
        async for finding in _check_models(settings, stages, streams):
            reached = reached and not (finding.what == "models" and finding.state == "failed")
            yield finding
        usable |= set(stages) if reached else set()
    for quota in providers.quotas:
        if (held := quota.calls_held) is not None:
            each = REQUESTS_A_TURN * TURNS_A_MINUTE
            yield Finding(
                "quota", "ok", "",
                f"{quota.requests_a_minute} requests a minute hold {held} call(s) at once: "
                f"{REQUESTS_A_TURN} requests a turn, {TURNS_A_MINUTE} turns a minute, {each} a call",
            )  # fmt: skip
    for stage in STAGES:
        if stage in usable:
            yield await _try_out(stage, providers, settings, voice)
        else:
            host = _host(settings.resolved(stage))
            yield Finding(stage, "skipped", host, "not tried, because its provider is not usable (see above)")


async def _collected(settings: Settings, streams: ByteStreams | None, voice: str) -> list[Finding]:
    opened = streams or AiohttpStreams()
    try:
        return [finding async for finding in check_providers(settings, opened, voice)]
    finally:
        if streams is None:
            await opened.aclose()


def _check_key(settings: ProviderSettings, name: str) -> Finding:
    host = _host(settings)
    key = settings.api_key
    prefix = _PREFIXES.get(host, "")
    if not key:
        if _is_local(settings.base_url):
            return Finding("key", "ok", host, "none set, none needed on this machine")
        return Finding("key", "failed", host, "no key is set", f"Put it into .env: {name}={prefix}…")
    if _PLACEHOLDER.search(key):
        advice = f"Replace the value of {name} with your own key" + (
            f"; it begins with {prefix}" if prefix else ""
        )
        return Finding("key", "failed", host, f"{name} still has the example's placeholder", advice)
    if not key.startswith(prefix):
        advice = (
            f"Was the key of another provider put into {name}? Or set the base URL that belongs to the key"
        )
        return Finding(
            "key", "failed", host, f"keys of this provider begin with {prefix}, this one does not", advice
        )
    return Finding("key", "ok", host, "set" + (f", begins with {prefix}" if prefix else ""))


async def _check_models(
    settings: Settings, stages: list[Stage], streams: ByteStreams
) -> AsyncIterator[Finding]:
    first = settings.resolved(stages[0])
    host = _host(first)
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        models = await list_models(stages[0], first, streams)
    except ProviderError as error:
        if error.status in (404, 405):
            yield Finding("models", "note", host, "the provider does not list its models")
        else:
            advice = _advice(error, settings, stages[0], "/models")
            yield Finding("models", "failed", host, _told(error), advice, _ms_since(started))
        return
    count = f"the key reaches {len(models)} model{'' if len(models) == 1 else 's'}"
    yield Finding("models", "ok", host, count, ms=_ms_since(started))
    for stage in stages:
        model = settings.resolved(stage).model
        if model in models:
            yield Finding(f"{stage} model", "ok", host, f"{model} is among them")
            continue
        near = difflib.get_close_matches(model, models, n=3, cutoff=0.4)
        listed = f"It has, for instance: {', '.join(near)}. " if near else ""
        advice = f"{listed}Set {_model_name(stage)} if the request below fails too"
        # Several servers understand models that they do not list: the request itself decides.
        yield Finding(f"{stage} model", "note", host, f"{model} is not among them", advice)


async def _try_out(stage: Stage, providers: Providers, settings: Settings, voice: str) -> Finding:
    host = _host(settings.resolved(stage))
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        if stage == "stt":
            await providers.stt.transcribe(_clip())
            message = f"1.0 s of sound transcribed by {settings.resolved(stage).model}"
        elif stage == "llm":
            message = await _ask(providers, started)
        else:
            pcm = b""
            async with contextlib.aclosing(providers.tts.speak("One, two, three.", voice=voice)) as speech:
                async for piece in speech:
                    pcm += piece
            message = f"{pcm_ms(pcm) / 1000:.1f} s of speech made by {settings.resolved(stage).model}"
    except ProviderError as error:
        advice = _advice(error, settings, stage, _ROUTES[stage])
        return Finding(stage, "failed", host, _told(error), advice, _ms_since(started))
    return Finding(stage, "ok", host, message, ms=_ms_since(started))


async def _ask(providers: Providers, started: float) -> str:
    first_ms = 0.0
    # Enough for a model that thinks before it answers.
    question = [{"role": "user", "content": "Answer with the word OK."}]
    async with contextlib.aclosing(providers.llm.reply(question, max_tokens=256, temperature=0.0)) as reply:
        async for delta in reply:
            if delta.text and not first_ms:
                first_ms = _ms_since(started)
    return f"answered, first words after {first_ms:.0f} ms"


def _clip() -> bytes:
    """One second of pcm: a hum in syllables. What comes back for it does not matter."""
    at = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    hum = sum(np.sin(2 * np.pi * 140 * n * at) / n for n in range(1, 12))
    return bytes(np.rint(3000 * hum * np.sin(2 * np.pi * 2 * at) ** 2).astype("<i2"))


def _told(error: ProviderError) -> str:
    return error.message + (f" (HTTP {error.status}, {error.code})" if error.status else f" ({error.code})")


def _advice(error: ProviderError, settings: Settings, stage: Stage, route: str) -> str:
    """Say what to do about `error` at `route`."""
    key = _key_name(settings, stage)
    group = f"VOICEGW_{stage.upper()}"
    if error.status == 401:
        return f"The key in {key} is mistyped or revoked: copy it again, or make a new one at the provider"
    if error.status == 402 or error.code in ("insufficient_quota", "billing_hard_limit_reached"):
        return "The account has no credit left: top it up at the provider"
    if error.status == 403:
        return "The key may not use this: allow it at the provider, or use another key"
    if error.status == 429:
        return "Too many requests with this key just now: try again in a minute"
    if error.status in (404, 405, 501) and stage == "tts":
        return (
            f"The provider has no {route}, or not this model. Let another one speak: run `voicegw embedded` "
            f"and set {group}__BASE_URL=http://127.0.0.1:8091/v1, or set {group}__MODEL"
        )
    if error.status in (404, 405, 501):
        return (
            f"The provider has no {route}, or not this model: is the base URL right (most end in /v1)? "
            f"Otherwise set {_model_name(stage)}, or {group}__BASE_URL for another provider"
        )
    if error.status in (400, 422):
        return f"The provider refuses the request; often the model or the voice: set {_model_name(stage)}"
    base_url = settings.resolved(stage).base_url
    if error.code == "dns":
        return f"The name in {base_url} is not found: is it right, and does this machine reach a name server?"
    if error.code == "tls":
        return (
            f"The server at {base_url} has no certificate that this machine trusts, or speaks no TLS (is "
            "http:// meant?). A certificate of your own is trusted by SSL_CERT_FILE=FILE"
        )
    if error.code in ("connection", "refused", "unreachable", "reset"):
        return f"Is the address {base_url} right, and does the server run?"
    if error.code == "timeout":
        return f"The provider is slow or unreachable: try again, or raise {group}__TIMEOUT_S"
    if error.code in ("bad_answer", "redirect"):
        return f"Is the base URL {base_url} right? It usually ends in /v1"
    return "The trouble is at the provider: try again later, or look at its status page"


def _key_name(settings: Settings, stage: Stage) -> str:
    """Return the variable in which the key of `stage` stands, or belongs."""
    own: ProviderSettings = getattr(settings, stage)
    found = settings.resolved(stage)
    if own.api_key or (own.base_url and _host(own) != _host(settings.resolved("llm"))):
        return f"VOICEGW_{stage.upper()}__API_KEY"
    return _KEY_NAMES.get(_host(found), "VOICEGW_PROVIDER__API_KEY")


def _model_name(stage: Stage) -> str:
    return "MODEL" if stage == "llm" else f"VOICEGW_{stage.upper()}__MODEL"


def _host(settings: ProviderSettings) -> str:
    return urlsplit(settings.base_url).netloc


def _is_local(base_url: str) -> bool:
    """Whether the address is on this machine or in a private network, where servers often want no key."""
    name = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_private
    except ValueError:
        return "." not in name or name.endswith((".local", ".internal", ".lan"))


def _ms_since(started: float) -> float:
    return round((asyncio.get_running_loop().time() - started) * 1000, 1)


def _line(finding: Finding) -> Text:
    style = {"ok": "green", "note": "yellow", "failed": "bold red", "skipped": "dim"}[finding.state]
    line = Text(f"{finding.state:<8}", style=style)
    time = f"  {finding.ms:.0f} ms" if finding.ms is not None else ""
    line.append(f"{finding.what:<10} {finding.provider}: {finding.message}{time}", style="default")
    if finding.advice:
        line.append(f"\n{'':<8}{finding.advice}", style="default")
    return line

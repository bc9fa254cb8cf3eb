"""Runs a fault scenario: the real gateway, session and provider code against a provider that misbehaves.

On virtual time through the byte-stream seam; or, for scenarios that are marked so, in real time with the
provider behind real sockets.
"""

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from voicegw.agents.personas import Persona, load_personas
from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.config import Group, Settings
from voicegw.providers.build import build_providers
from voicegw.providers.http import AiohttpStreams, ByteStreams, HttpRequest, HttpResponse
from voicegw.rehearsal.caller import ScriptedCaller, Uplink
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.heard import Consequence, Heard, Silence, Sound, gaps, owner_of
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer
from voicegw.rehearsal.scenario import FaultAt, Scenario
from voicegw.rehearsal.script import Script
from voicegw.rehearsal.self_signed import self_signed
from voicegw.rehearsal.socket_channel import SocketChannel
from voicegw.server.front import make_server
from voicegw.server.gateway import Gateway
from voicegw.server.session import Session
from voicegw.server.stand_ins import stand_in

MAIN, FALLBACK = "main.test", "fallback.test"
# RFC 6761 section 6.4: no resolver knows it, ever.
NO_SUCH_NAME = "http://provider.invalid/v1"
# Clips are made in this time where they can be made at all.
SETTLE_S = 40.0
# Sounds are counted in frames and ticks: so much later a sign is not late.
SLACK_S = 0.15
# The longest that a call may take over one question; the ladder ends long before.
LONGEST_TURN_S = 60.0
# Nobody is bound to answer faster than a person would say "hm": shorter gaps are breath.
BREATH_S = 0.3


class _Hosts:
    """The seam: one scripted provider by host."""

    def __init__(self, providers: dict[str, ScriptedProvider]) -> None:
        self._providers = providers

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send to whom the address names."""
        return await self._providers[urlsplit(request.url).hostname or ""].send(request)

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class _Stage:
    """Everything on it."""

    gateway: Gateway
    providers: dict[str, ScriptedProvider]
    url: str = ""  # of the gateway's port, on sockets


def rehearse(scenario: Scenario, settings: Settings, persona: str = "") -> Heard:
    """Run one scenario on virtual time, with the personas and rules of `settings`."""
    with tempfile.TemporaryDirectory(prefix="voicegw-rehearsal-") as folder:
        return run_virtual(_rehearse(scenario, settings, persona, Path(folder), sockets=False))


async def rehearse_on_sockets(scenario: Scenario, settings: Settings, persona: str = "") -> Heard:
    """Run one scenario in real time, the providers behind real sockets on loopback."""
    with tempfile.TemporaryDirectory(prefix="voicegw-rehearsal-") as folder:
        return await _rehearse(scenario, settings, persona, Path(folder), sockets=True)


def _settings(
    scenario: Scenario, base: Settings, folder: Path, main_url: str, fallback_url: str, model_url: str = ""
) -> Settings:
    """Return the user's settings with the scripted providers in place of the real ones."""
    provider = base.provider.model_copy(
        update={"base_url": main_url, "api_key": "rehearsal", "headers": {}, "fallbacks": ()}
    )
    changed: dict[str, object] = {
        "provider": provider,
        "store": base.store.model_copy(update={"data_dir": str(folder)}),
        "server": base.server.model_copy(
            update={"host": "127.0.0.1", "port": 0, "tls_cert": "", "tls_key": ""}
        ),
    }
    for stage in ("stt", "llm", "tts"):
        fallbacks = (
            ({"base_url": fallback_url, "api_key": "rehearsal"},) if stage in scenario.fallback else ()
        )
        own: dict[str, Any] = {"fallbacks": fallbacks} if fallbacks else {}
        if stage == "llm" and model_url:
            own["base_url"] = model_url
        changed[stage] = type(provider)(**own)
    for dotted, text in scenario.settings.items():
        group, _, name = dotted.partition(".")
        old = changed.get(group, getattr(base, group))
        assert isinstance(old, Group)
        changed[group] = type(old).model_validate({**old.model_dump(), name: text})
    return base.model_copy(update=changed)


@contextlib.asynccontextmanager
async def _staged(
    scenario: Scenario, base: Settings, folder: Path, *, sockets: bool, script: Script | None = None
) -> AsyncIterator[_Stage]:
    script = script or Script(
        **{
            f.name: getattr(scenario.script, f.name)
            for f in fields(Script)
            if hasattr(scenario.script, f.name)
        }
    )
    providers = {MAIN: ScriptedProvider(script), FALLBACK: ScriptedProvider(script)}
    for fault in scenario.faults:
        if fault.turn == 0:
            _arrange(providers, fault)
    async with contextlib.AsyncExitStack() as stack:
        streams: ByteStreams
        if sockets:
            servers = [await stack.enter_async_context(ProviderServer(each)) for each in providers.values()]
            urls = [server.base_url for server in servers]
            if scenario.address == "no-such-name":
                urls.append(NO_SUCH_NAME)
            elif scenario.address == "self-signed":
                hidden = ProviderServer(providers[MAIN], tls=self_signed())
                urls.append((await stack.enter_async_context(hidden)).base_url)
            streams = AiohttpStreams()
        else:
            urls = [f"http://{MAIN}/v1", f"http://{FALLBACK}/v1"]
            streams = _Hosts(providers)
        settings = _settings(scenario, base, folder, *urls)
        built = build_providers(settings, streams, random.Random(1).random)
        gateway = Gateway(settings, _personas(scenario, settings), built)
        url = await stack.enter_async_context(_listening(gateway)) if sockets else ""
        gateway.start()
        await asyncio.sleep(1.0 if sockets else SETTLE_S)
        try:
            yield _Stage(gateway, providers, url)
        finally:
            await gateway.close()


@contextlib.asynccontextmanager
async def staged_for(
    scenario: Scenario, base: Settings, folder: Path, script: Script
) -> AsyncIterator[Gateway]:
    """A gateway on virtual time whose providers say what `script` says."""
    async with _staged(scenario, base, folder, sockets=False, script=script) as stage:
        yield stage.gateway


def _personas(scenario: Scenario, settings: Settings) -> dict[str, Persona]:
    personas = load_personas(settings)
    if not scenario.person:
        return personas
    return {
        name: replace(persona, call=replace(persona.call, transfers={"person": scenario.person}))
        for name, persona in personas.items()
    }


@contextlib.asynccontextmanager
async def _listening(gateway: Gateway) -> AsyncIterator[str]:
    """Let callers in by a real port. Gives the address that they call."""
    server = make_server(gateway.settings, gateway)
    serving = asyncio.create_task(server.serve_among_others(), name="port")
    try:
        await server.listening.wait()
        yield f"ws://127.0.0.1:{server.port}/v1/call"
    finally:
        server.stop()
        await serving


def _arrange(providers: dict[str, ScriptedProvider], fault: FaultAt) -> None:
    host = MAIN if fault.host == "main" else FALLBACK
    providers[host].fail(fault.route, fault.fault(), times=fault.times, after=fault.after)


def _uplink(scenario: Scenario) -> Uplink:
    line = scenario.line

    def hit(n: int) -> bool:
        return n % line.every == line.every - 1

    return Uplink(
        bundle=line.bundle,
        late_s=lambda n: line.late_ms / 1000 if line.late_ms and hit(n) else 0.0,
        lost=lambda n: line.lost and hit(n),
        twice=lambda n: line.twice and hit(n),
    )


async def _rehearse(
    scenario: Scenario, base: Settings, persona: str, folder: Path, *, sockets: bool
) -> Heard:
    async with _staged(scenario, base, folder, sockets=sockets) as stage:
        began = asyncio.get_running_loop().time()
        query = {"persona": persona} if persona else None
        connect = (lambda far_end, given: SocketChannel(stage.url, far_end, query=given)) if sockets else None
        async with ScriptedCaller(
            stage.gateway,
            query=query,
            uplink=_uplink(scenario),
            connect=connect,
            transferred=scenario.person_answers,
        ) as caller:
            call = _Call(scenario, stage, caller)
            await call.play()
            requests = sorted(
                (received.at_s - began, received.route)
                for provider in stage.providers.values()
                for received in provider.requests
            )
            return call.heard(requests)


class _Call:
    """One rehearsed call: plays the caller, then tells what was heard."""

    def __init__(self, scenario: Scenario, stage: _Stage, caller: ScriptedCaller) -> None:
        self._scenario = scenario
        self._stage = stage
        self._caller = caller
        settings = stage.gateway.settings
        self._budget_s = max(settings.patience.first_max_ms, settings.patience.again_ms) / 1000 + SLACK_S
        self._asked: list[tuple[float, float]] = []  # the caller's questions
        self._waits: list[tuple[float, float]] = []  # when the caller waited for the agent
        self._lost: list[tuple[float, float]] = []
        self._session: Session | None = None

    async def play(self) -> None:
        """Be greeted, ask, listen, hang up."""
        caller, scenario = self._caller, self._scenario
        ready = await caller.event("ready")
        self._session = self._stage.gateway.find(ready.fields["call_id"])
        ready_s = caller.now_s
        await self._listen(0)
        self._waits.append((ready_s, caller.first_sound_after(ready_s) or caller.now_s))
        # A voice of the package asks the questions: any speech does, what it says is the script's.
        _, question = stand_in("callback", "en")
        for turn in range(1, scenario.turns + 1):
            if caller.close is not None:
                break
            for fault in scenario.faults:
                if fault.turn == turn:
                    _arrange(self._stage.providers, fault)
            await caller.until(caller.now_s + 0.5)
            begins_s, ends_s = caller.speak(question)
            await caller.until(ends_s)
            self._asked.append((begins_s, ends_s))
            if turn == 1:
                await self._misbehave()
            answered_s = await self._listen(turn)
            self._waits.append((ends_s, answered_s))
        if scenario.ends is not None and caller.close is None:
            with contextlib.suppress(AssertionError):
                await caller.ended(within_s=LONGEST_TURN_S)
        caller.send("hangup", reason="caller")
        await caller.until(caller.now_s + 0.2)

    async def _misbehave(self) -> None:
        line, caller = self._scenario.line, self._caller
        if self._scenario.heal_after_s is not None:
            asyncio.get_running_loop().call_later(self._scenario.heal_after_s, self._heal)
        if line.half_open:
            caller.stop_sending()
        if line.drops_after_s is not None:
            await caller.until(caller.now_s + line.drops_after_s)
            gone_s = caller.now_s
            caller.drop()
            await caller.until(gone_s + (line.back_after_s or 0.0))
            if line.back_after_s is not None:
                caller.reconnect()
            self._lost.append((gone_s, caller.now_s))

    def _heal(self) -> None:
        for provider in self._stage.providers.values():
            provider.heal()

    async def _listen(self, turn: int) -> float:
        """Wait until the agent has answered. Returns when its answer was heard to the end."""
        caller = self._caller
        try:
            async with asyncio.timeout(LONGEST_TURN_S):
                while caller.close is None:
                    stopped = await caller.event("speech_stopped", within_s=LONGEST_TURN_S)
                    # Fillers are no answer.
                    if stopped.fields["reply_id"]:
                        break
        except (AssertionError, TimeoutError):
            pass
        return caller.now_s

    def heard(self, requests: Sequence[tuple[float, str]]) -> Heard:
        """Tell what was heard, and judge it by what the scenario demands."""
        caller, scenario = self._caller, self._scenario
        found = Heard(scenario.name, scenario.title, budget_s=self._budget_s, seconds=caller.now_s)
        found.sounds = sorted(
            [Sound(begin, end, "caller") for begin, end in self._asked] + self._agent_sounds(),
            key=lambda sound: sound.from_s,
        )
        found.rungs = [str(told.fields["rung"]) for told in caller.told("rung")]
        hangup = caller.told("hangup")
        found.ended = str(hangup[-1].fields["reason"]) if hangup else ""
        found.ended = "" if found.ended == "caller" else found.ended
        over = [told.at_s for told in caller.told("transcript", status="final")]
        rejected = [told.at_s for told in caller.told("transcript", status="rejected")]
        for begin, end in self._waits:
            over_s = next((at for at in over if at >= begin), begin)
            for gap in gaps(begin, end, caller.earpiece.sounds):
                if gap[1] - gap[0] > BREATH_S:
                    owner = owner_of(gap, requests, self._lost, over_s)
                    if any(begin <= at <= gap[1] for at in rejected) and not found.rungs:
                        # What was said was taken for noise: as far as the gateway knows nobody waits.
                        owner = "caller"
                    found.silences.append(Silence(*gap, owner))
        if self._session is not None:
            found.failures = [
                Consequence(round(failure.at_us / 1e6, 3), failure.told, tuple(failure.heard))
                for exchange in self._session.timeline.exchanges
                for failure in exchange.failures
            ]
        found.recovered = self._recovered()
        found.broken = self._judged(found)
        return found

    def _agent_sounds(self) -> list[Sound]:
        """The agent's sentences where they sounded: each from its announcement, as long as it played."""
        sounds = []
        for told in self._caller.told("reply_text"):
            sentence = self._caller.earpiece.sentences.get(told.fields["speech_id"])
            if sentence is not None and sentence.samples:
                kind, length_s = str(told.fields["kind"]), sentence.samples / SAMPLE_RATE_HZ
                sounds.append(Sound(told.at_s, told.at_s + length_s, kind, sentence.text))
        return sounds

    def _recovered(self) -> bool:
        """True when the last question got its answer."""
        if not self._asked:
            return False
        answers = self._caller.told("reply_text", kind="reply")
        apologies = self._caller.told("reply_text", kind="apology")
        last_s = self._asked[-1][1]
        answered = any(told.at_s >= last_s for told in answers)
        return (
            len(self._asked) == self._scenario.turns
            and answered
            and not any(told.at_s >= last_s for told in apologies)
        )

    def _judged(self, found: Heard) -> list[str]:
        scenario = self._scenario
        wrong = []
        at_fault = [
            s for s in found.silences if s.owner not in ("carrier", "caller") and s.seconds > self._budget_s
        ]
        for silence in at_fault:
            wrong.append(
                f"{silence.seconds:.1f} s of silence from {silence.from_s:.1f} s on ({silence.owner}), "
                f"allowed {self._budget_s:.1f} s"
            )
        if found.recovered != scenario.recovers:
            wrong.append("the last question got no answer" if scenario.recovers else "it got an answer")
        if found.ended != (scenario.ends or ""):
            wrong.append(f"ended with {found.ended or 'nothing'}, expected {scenario.ends or 'nothing'}")
        wrong += [f"no {rung} was heard" for rung in scenario.hears if rung not in found.rungs]
        wrong += [f"{rung} was heard" for rung in scenario.never if rung in found.rungs]
        said = " ".join(sound.text for sound in found.sounds)
        wrong += [f"not heard: {words!r}" for words in scenario.words if words not in said]
        if not any(sound.kind == "greeting" for sound in found.sounds):
            wrong.append("no greeting was heard")
        return wrong

"""One sample call through the gateway's real code, on virtual time, with providers that are not there."""

import asyncio
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from voicegw.audio.pcm import FRAME_US
from voicegw.call import commands as c
from voicegw.call.call import Call
from voicegw.call.events import Event
from voicegw.call.settings import CallSettings
from voicegw.carriers.base import Carrier, Message
from voicegw.carriers.native import Native
from voicegw.config import Settings, load_settings
from voicegw.errors import ConfigError, GatewayFull
from voicegw.providers.cassette import Take, read_cassette
from voicegw.providers.cassette_player import CassettePlayer, Matches
from voicegw.providers.cassette_recorder import CassetteRecorder
from voicegw.providers.http import AiohttpStreams, ByteStreams
from voicegw.rehearsal.channel import Channel
from voicegw.rehearsal.clock import run_virtual
from voicegw.replay.answers import scripted_provider
from voicegw.replay.callers import Prepared, prepare
from voicegw.replay.kept_agent import kept_agent
from voicegw.replay.phone import LineEcho, Phone, Told
from voicegw.replay.sample import Sample
from voicegw.replay.waiting import AwaitedStreams, ModelElsewhere, run_waiting
from voicegw.replay.wires import NativeWire, Wire
from voicegw.server.clips import Clips
from voicegw.server.front import make_gateway
from voicegw.server.gateway import Gateway
from voicegw.store.journal import read_journal
from voicegw.verdict.timeline import Timeline
from voicegw.verdict.verdict import Thresholds

FRAME_S = FRAME_US / 1e6
# The clips of a persona are made before the first call, as in a gateway that has been up for a while.
CLIPS_S = 60.0


@dataclass(frozen=True, slots=True)
class Options:
    """How calls are replayed. `overrides` are settings; `recording` keeps the providers' answers.

    `providers`: "cassette" where a sample has one, else as "script"; "live" those of the environment. `llm`
    names a live model; the other providers stay what they are. `live` is the address of a gateway that is
    called in real time, through a `carrier`'s format and a network of that `jitter_ms` and `loss`. `judge`
    names the model that judges answers.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)
    persona: Path | None = None
    absolute: bool = False
    providers: Literal["cassette", "script", "live"] = "cassette"
    llm: str = ""
    recording: bool = False
    live: str = ""
    carrier: str = "native"
    jitter_ms: float = 0.0
    loss: float = 0.0
    judge: str = ""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A call that was replayed: what happened, how it sounded at the caller's end, and who said what when.

    `placed_us` and `ended_us`: when each turn's first word and its last one were said. `played`: samples
    heard of each sentence. `remembered`: the agent's words that the model was given as history.
    `untold`: only what was heard is known, not what the gateway understood.
    """

    timeline: Timeline
    caller: bytes
    agent: bytes
    placed_us: tuple[int, ...]
    ended_us: tuple[int, ...]
    told: tuple[Told, ...]
    played: Mapping[int, int]
    remembered: tuple[str, ...]
    settings: CallSettings
    matches: Matches | None = None
    takes: tuple[Take, ...] = ()
    journal: tuple[tuple[Event, int], ...] = ()
    missing_frames: int = 0
    untold: bool = False
    thresholds: Thresholds | None = None

    @property
    def call_s(self) -> float:
        """Length of the call."""
        return self.timeline.last_us / 1e6


def replay_virtual(
    sample: Sample, options: Options, *, wrap: Callable[[ByteStreams], ByteStreams] | None = None
) -> Replayed:
    """Replay one sample; `wrap` may put something over its providers.

    Raises ConfigError for a sample, cassette or setting that is wrong.
    """
    wire = NativeWire()
    prepared = prepare(sample, wire, absolute=options.absolute)
    streams, player = _streams(sample, prepared, options)
    streams = streams if wrap is None else wrap(streams)
    recorder = CassetteRecorder(streams) if options.recording else None
    with tempfile.TemporaryDirectory(prefix="voicegw-replay-") as folder:
        settings = settings_of(sample, options, Path(folder))
        run = _Run(
            sample,
            settings,
            recorder or streams,
            wire,
            prepared,
            player,
            recorder,
            options.persona is not None,
        )
        drive = run_waiting if options.providers == "live" or options.llm else run_virtual
        return drive(run.run(Native))


def _streams(
    sample: Sample, prepared: Prepared, options: Options
) -> tuple[ByteStreams, CassettePlayer | None]:
    if options.providers == "live":
        return AwaitedStreams(AiohttpStreams()), None
    player: CassettePlayer | None = None
    canned: ByteStreams
    if options.providers == "cassette" and sample.cassette is not None:
        canned = player = CassettePlayer(read_cassette(sample.cassette))
    else:
        canned = scripted_provider(sample, prepared.spoken)
    if options.llm:
        return ModelElsewhere(canned, AwaitedStreams(AiohttpStreams())), player
    return canned, player


def settings_of(sample: Sample, options: Options, folder: Path) -> Settings:
    """The settings of a replay. Nothing of the environment has a say in them unless providers are live."""
    own = {name: _text(value) for name, value in sample.file.settings.items()}
    fixed = {"store.data_dir": str(folder)}
    if sample.bundle is None:
        fixed["persona.default"] = sample.persona
    if sample.file.persona.endswith(".toml"):
        own_persona = sample.path.parent / sample.file.persona
        fixed |= {"persona.folders": str(own_persona.parent), "persona.default": _named(own_persona)}
    if options.persona is not None:
        fixed |= {"persona.folders": str(options.persona.parent), "persona.default": _named(options.persona)}
    if options.llm:
        fixed["llm.model"] = options.llm
    if options.providers == "live" or options.llm:
        return load_settings(overrides={**fixed, **own, **options.overrides})
    nowhere = {"provider.base_url": "http://replay.invalid/v1", "provider.api_key": "replay"}
    return load_settings({}, None, {**nowhere, **fixed, **own, **options.overrides})


def _named(persona: Path) -> str:
    """The name in a persona's file."""
    try:
        return str(tomllib.loads(persona.read_text(encoding="utf-8"))["name"])
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"{persona}: no persona's file: {error}") from error


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(slots=True)
class _Run:
    sample: Sample
    settings: Settings
    streams: ByteStreams
    wire: Wire
    prepared: Prepared
    player: CassettePlayer | None
    recorder: CassetteRecorder | None
    other_persona: bool = False

    async def run(self, carrier: Callable[[], Carrier]) -> Replayed:
        gateway = await make_gateway(self.settings, self.streams)
        try:
            self._seed(gateway)
            gateway.start()
            await asyncio.sleep(CLIPS_S)
            caller = self.prepared.caller()
            phone = Phone(self.wire, caller, echo=_echo(self.sample))
            await _converse(gateway, phone, carrier(), self.sample)
        finally:
            await gateway.close()
        (path,) = (Path(self.settings.store.data_dir) / "journals").glob("*.jsonl")
        call, events = read_journal(path)
        journal = tuple(events)
        return self._replayed(call, journal, phone, caller.placed, caller.ended)

    def _seed(self, gateway: Gateway) -> None:
        """Give the agent the history that the sample brings."""
        persona = gateway.personas[self.settings.persona.default]
        if (bundle := self.sample.bundle) is not None:
            was = kept_agent(bundle, self.settings)
            if self.other_persona:
                was = replace(persona, tools={**persona.tools, **was.tools})
            elif was.call.usual_wait_ms:
                for _ in range(20):
                    gateway.waits.add(was.call.usual_wait_ms)
            gateway.personas = {persona.name: was}
            return
        history = tuple((x.caller, x.agent) for x in self.sample.file.history)
        gateway.personas = {persona.name: replace(persona, call=replace(persona.call, history=history))}
        # Nothing is kept for another start, and to write it would cost a twentieth of the time.
        gateway.clips = Clips()

    def _replayed(
        self,
        call: CallSettings,
        journal: tuple[tuple[Event, int], ...],
        phone: Phone,
        placed: list[int],
        ended: list[int],
    ) -> Replayed:
        leads, tails = self.prepared.leads, self.prepared.tails
        timeline, remembered = _play(call, journal)
        return Replayed(
            timeline,
            bytes(phone.caller_track),
            bytes(phone.agent_track),
            tuple((at + lead) * FRAME_US for at, lead in zip(placed, leads, strict=False)),
            tuple((at - tail) * FRAME_US for at, tail in zip(ended, tails, strict=False)),
            tuple(phone.told),
            dict(phone.played),
            remembered,
            call,
            None if self.player is None else self.player.matches,
            () if self.recorder is None else tuple(self.recorder.takes),
            journal,
            thresholds=Thresholds(**self.settings.verdict.model_dump()),
        )


def _echo(sample: Sample) -> LineEcho | None:
    echo = sample.file.echo
    return None if echo is None else LineEcho(echo.delay_ms * 1000 // FRAME_US, echo.level_db)


def _play(settings: CallSettings, journal: Sequence[tuple[Event, int]]) -> tuple[Timeline, tuple[str, ...]]:
    """Give the events to a fresh call; return its timeline, and all that the model was told of the agent."""
    timeline, call = Timeline(), Call(settings)
    told: dict[str, None] = {}
    for event, now in journal:
        commands = call.receive(event, now)
        timeline.take(event, now, commands)
        for command in commands:
            if isinstance(command, c.Ask):
                told |= dict.fromkeys(_agent_words(command.messages))
    return timeline, tuple(told)


def _agent_words(messages: Sequence[Any]) -> list[str]:
    return [m["content"] for m in messages if m["role"] == "assistant" and m["content"]]


class _FarEnd:
    """Hands the gateway's messages to the phone, and its immediate answers back."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self.channel: Channel | None = None

    def message(self, message: Message) -> None:
        for answer in self.phone.take(message):
            assert self.channel is not None
            # A network answers later than within the send.
            asyncio.get_running_loop().call_soon(self.channel.to_gateway, answer)

    def closed(self, code: int, reason: str) -> None:
        self.phone.closed = True


async def _converse(gateway: Gateway, phone: Phone, carrier: Carrier, sample: Sample) -> None:
    loop = asyncio.get_running_loop()
    far_end = _FarEnd(phone)
    try:
        far_end.channel = channel = Channel(gateway, far_end, carrier=carrier)
    except GatewayFull as error:
        raise AssertionError("a gateway of its own is never full") from error
    for message in phone.begin({"caller": f"sample:{sample.name}"}):
        channel.to_gateway(message)
    began = loop.time()
    over: asyncio.Future[None] = loop.create_future()

    def frame(number: int) -> None:
        try:
            for message in phone.frame():
                channel.to_gateway(message)
        except Exception as error:
            over.set_exception(error)
            return
        if phone.done:
            over.set_result(None)
        else:
            loop.call_at(began + (number + 1) * FRAME_S, frame, number + 1)

    # A frame is there when its 20 ms have passed. Plain timers: a task's sleep costs half as much again as
    # all that the call does with a frame.
    loop.call_at(began + FRAME_S, frame, 1)
    await over
    for message in phone.hang_up():
        channel.to_gateway(message)
    await asyncio.sleep(0)

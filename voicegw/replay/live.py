"""A sample call over a real socket in real time, to a gateway that runs somewhere.

What is known of such a call is what its caller hears, and, over the native protocol, what the gateway tells:
from both the same timeline is made as from a journal, a few milliseconds of network later.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from voicegw.audio.pcm import FRAME_SAMPLES, FRAME_US, SAMPLE_BYTES, SAMPLES_PER_MS
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.settings import CallSettings, Phrases
from voicegw.carriers.base import Message
from voicegw.errors import ConfigError
from voicegw.rehearsal.bridges import BRIDGES
from voicegw.replay.caller import GatewayUnreachable, call_address
from voicegw.replay.callers import Prepared, prepare
from voicegw.replay.phone import LineEcho, Phone, Told
from voicegw.replay.sample import Sample
from voicegw.replay.virtual import Replayed
from voicegw.replay.wires import BridgeWire, NativeWire, Wire
from voicegw.verdict.exchanges import Exchange, Sentence, Span
from voicegw.verdict.sound import TALK_RMS, frame_rms
from voicegw.verdict.timeline import Timeline

FRAME_S = FRAME_US / 1e6
CONNECT_S = 10.0
# After the caller hung up the gateway has this long to close.
CLOSE_S = 3.0


@dataclass(frozen=True, slots=True)
class Network:
    """How the caller's frames reach the gateway: up to `jitter_ms` late, in order as on TCP.

    A part `loss` of them is never sent. The same `seed` gives the same network.
    """

    jitter_ms: float = 0.0
    loss: float = 0.0
    seed: int = 1


async def replay_live(
    sample: Sample,
    url: str,
    *,
    carrier: str = "native",
    network: Network | None = None,
    absolute: bool = False,
) -> Replayed:
    """Call the gateway at `url` and say the sample. Raises ConfigError, GatewayUnreachable."""
    wire, url = _wire(carrier, url)
    prepared = prepare(sample, wire, absolute=absolute)
    caller = prepared.caller()
    echo = sample.file.echo
    line = None if echo is None else LineEcho(echo.delay_ms * 1000 // FRAME_US, echo.level_db)
    phone = Phone(wire, caller, echo=line)
    try:
        connection = await connect(url, compression=None, proxy=None, open_timeout=CONNECT_S)
    except (InvalidHandshake, OSError, TimeoutError) as error:
        raise GatewayUnreachable(f"{url}: no call there: {error}") from error
    lost = 0
    async with connection:
        listening = asyncio.create_task(_listen(connection, phone))
        try:
            start = {"persona": sample.persona, "caller": f"sample:{sample.name}"[:200]}
            for message in phone.begin(start):
                await connection.send(message)
            lost = await _talk(connection, phone, network or Network())
            for message in phone.hang_up():
                await connection.send(message)
            await asyncio.wait([listening], timeout=CLOSE_S)
        except ConnectionClosed:
            await asyncio.wait([listening])
        finally:
            listening.cancel()
            await asyncio.wait([listening])
    return _replayed(sample, prepared, phone, caller.placed, caller.ended, lost, told=wire.tells_speech)


def _wire(carrier: str, url: str) -> tuple[Wire, str]:
    """Return the caller's end of a carrier's format, and the address of its path where `url` names none."""
    if carrier == "native":
        return NativeWire(), call_address(url)
    bridge = BRIDGES.get(carrier)
    if bridge is None or not bridge.path:
        known = ", ".join(sorted(["native", *(name for name, b in BRIDGES.items() if b.path)]))
        raise ConfigError(f"--carrier {carrier}: expected one of {known}")
    made = bridge()
    parts = urlsplit(url)
    if parts.path in ("", "/"):
        parts = parts._replace(path=bridge.path, query=parts.query or urlencode(made.query))
    return BridgeWire(made), parts.geturl()


async def _listen(connection: ClientConnection, phone: Phone) -> None:
    try:
        async for message in connection:
            for answer in phone.take(message):
                await connection.send(answer)
    except ConnectionClosed:
        pass
    finally:
        phone.closed = True


async def _talk(connection: ClientConnection, phone: Phone, network: Network) -> int:
    """Send a frame every 20 ms. Returns how many were lost on the way."""
    loop = asyncio.get_running_loop()
    chance = random.Random(network.seed)
    began, number, lost = loop.time(), 0, 0
    waiting: list[tuple[float, Message]] = []
    while not phone.done:
        number += 1
        await asyncio.sleep(max(0.0, began + number * FRAME_S - loop.time()))
        messages = phone.frame()
        if messages and chance.random() < network.loss:
            # The first is the frame; keys and reports are not audio and come through.
            del messages[0]
            lost += 1
        late_s = chance.uniform(0.0, network.jitter_ms) / 1000
        before = waiting[-1][0] if waiting else 0.0
        waiting += [(max(before, loop.time() + late_s), message) for message in messages]
        while waiting and waiting[0][0] <= loop.time() + 1e-3:
            await connection.send(waiting.pop(0)[1])
    return lost


def _replayed(
    sample: Sample,
    prepared: Prepared,
    phone: Phone,
    placed: Sequence[int],
    ended: Sequence[int],
    lost: int,
    *,
    told: bool,
) -> Replayed:
    leads, tails = prepared.leads, prepared.tails
    if told:
        timeline = timeline_of(phone.told, phone.frames)
    else:
        spans = [(a * FRAME_US, (b - t) * FRAME_US) for a, b, t in zip(placed, ended, tails, strict=False)]
        timeline = timeline_heard(sample, spans, bytes(phone.agent_track))
    return Replayed(
        timeline,
        bytes(phone.caller_track),
        bytes(phone.agent_track),
        tuple((at + lead) * FRAME_US for at, lead in zip(placed, leads, strict=False)),
        tuple((at - tail) * FRAME_US for at, tail in zip(ended, tails, strict=False)),
        tuple(phone.told),
        dict(phone.played),
        (),
        CallSettings(sample.persona, sample.file.language, "", Phrases("", "-", "-", "", "")),
        missing_frames=lost,
        untold=not told,
    )


# Sounds of the agent that are nearer to each other are one: pauses between words are shorter.
JOINED_FRAMES = 500_000 // FRAME_US


def timeline_heard(sample: Sample, turns: Sequence[tuple[int, int]], agent: bytes) -> Timeline:
    """Return the timeline of a call of which only the sound is known: gaps and talking, and no words."""
    timeline = Timeline()
    timeline.ended_us = timeline.last_us = len(agent) // SAMPLE_BYTES * 1000 // SAMPLES_PER_MS
    timeline.end_reason = "caller"
    frames = [int(n) for n in np.flatnonzero(frame_rms(agent) > TALK_RMS)]
    sounds: list[tuple[int, int]] = []
    for frame in frames:
        if sounds and frame - sounds[-1][1] <= JOINED_FRAMES:
            sounds[-1] = (sounds[-1][0], frame + 1)
        else:
            sounds.append((frame, frame + 1))
    for number, ((start, end), turn) in enumerate(zip(turns, sample.file.turns, strict=False)):
        if turn.noise:
            continue
        if turn.say is not None:
            timeline.voice.append(Span(start, end))
        source = "voice" if turn.say is not None else "keypad" if turn.keys else "text"
        exchange = Exchange(len(timeline.exchanges), source, voice_us=start, last_word_us=end)
        exchange.turn_over_us = exchange.transcribed_us = end
        until = turns[number + 1][0] if number + 1 < len(turns) else timeline.ended_us
        first = next((a * FRAME_US for a, _ in sounds if end <= a * FRAME_US < until), None)
        exchange.began_us = exchange.sounded_us = first
        timeline.exchanges.append(exchange)
    for speech_id, (a, b) in enumerate(sounds):
        began, over = a * FRAME_US, b * FRAME_US
        of = [x for x in timeline.exchanges if x.number == 0 or (x.last_word_us or 0) <= began][-1]
        said = Sentence(speech_id, "", False, began, kind="reply", began_us=began, ended_us=over)
        of.sentences.append(said)
    return timeline


_NOTICES: dict[str, type] = {
    "voice_started": n.VoiceStarted, "voice_stopped": n.VoiceStopped, "transcript": n.Transcript,
    "speech_started": n.SpeechStarted, "reply_text": n.ReplyText, "speech_stopped": n.SpeechStopped,
    "latency": n.Latency, "rung": n.Rung,
}  # fmt: skip


def timeline_of(told: Sequence[Told], frames: int) -> Timeline:
    """Return the timeline of a call of which only the native protocol's events are known."""
    timeline = Timeline()
    timeline.take(e.CallStarted(), 0, [])
    reason, sounding = "caller", set[int]()
    for item in told:
        now = item.frame * FRAME_US
        event = dict(item.event)
        kind = event.pop("type")
        if kind == "hangup":
            reason = str(event.get("reason", ""))
        notice = _notice(kind, event)
        if notice is not None:
            for happened, commands in _happened(notice, now, sounding):
                timeline.take(happened, now, commands)
        elif kind == "clear":
            timeline.take(e.Tick(), now, [c.ClearSpeech()])
            sounding.clear()
        elif kind in ("pause", "resume"):
            timeline.take(e.Tick(), now, [c.PauseSpeech() if kind == "pause" else c.ResumeSpeech()])
    timeline.take(e.HungUp(reason), frames * FRAME_US, [])
    return timeline


def _notice(kind: str, fields: Mapping[str, Any]) -> n.Notice | None:
    made = _NOTICES.get(kind)
    if made is None:
        return None
    names = {field.name for field in fields_of(made)}
    known = {name: value for name, value in fields.items() if name in names}
    notice: n.Notice = made(**known)
    return notice


def _happened(notice: n.Notice, now: int, sounding: set[int]) -> list[tuple[e.Event, list[c.Command]]]:
    """What must have happened in the call for it to tell this."""
    match notice:
        case n.VoiceStarted() | n.VoiceStopped():
            at = notice.at_ms * SAMPLES_PER_MS
            # The gateway counts the caller's audio; this end's frames are at most a network away from it.
            position = max(at, now // FRAME_US * FRAME_SAMPLES)
            return [
                (e.VoiceActivity(at, isinstance(notice, n.VoiceStarted), 0, position), [c.Notify(notice)])
            ]
        case n.ReplyText():
            ended: list[tuple[e.Event, list[c.Command]]] = [(e.Played(s, 0, True), []) for s in sounding]
            sounding.clear()
            sounding.add(notice.speech_id)
            speak = c.Speak(notice.speech_id, notice.text, notice.text)
            return [*ended, (e.Tick(), [speak]), (e.SpeechBegan(notice.speech_id), [c.Notify(notice)])]
        case n.SpeechStopped():
            stopped: list[tuple[e.Event, list[c.Command]]] = []
            if not notice.cut:
                stopped = [(e.Played(s, 0, True), []) for s in sounding]
                sounding.clear()
            return [*stopped, (e.Tick(), [c.Notify(notice)])]
        case _:
            return [(e.Tick(), [c.Notify(notice)])]

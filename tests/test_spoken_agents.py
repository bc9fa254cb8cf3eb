"""The English agent by voice: a caller's real sound over a real socket, tools and shop behind it.

The embedded provider recognises the caller, decides and speaks; nothing in between is scripted. What counts
are the shop's rows and the agent's sound.
"""

import asyncio
import contextlib
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from gateways import settings_for

from voicegw.agents.personas import BUILT_IN
from voicegw.agents.shop import Shop
from voicegw.replay.caller import Conversation, LiveCaller
from voicegw.replay.recording import read_recording
from voicegw.server.front import make_gateway, make_server

pytest_plugins = ["embedded_server"]

# Silences that the caller's recording has between turns: each waits for the agent.
GAP = bytes(2 * 16 * 1050)


@asynccontextmanager
async def listening(folder: Path, base_url: str) -> AsyncIterator[str]:
    """A gateway on a free port with the embedded provider; gives the address that callers dial."""
    # The shipped agent, who talks faster here: the test takes half the time.
    shipped = (BUILT_IN / "support.toml").read_text(encoding="utf-8")
    personas = folder / "personas"
    personas.mkdir()
    (personas / "support.toml").write_text(f"speed = 1.8\n{shipped}", encoding="utf-8")
    settings = settings_for(
        folder,
        persona__folders=str(personas),
        provider__base_url=base_url,
        provider__model="embedded-chat",
        turns__end_ms="600",
    )
    gateway = await make_gateway(settings)
    server = make_server(settings, gateway)
    serving = asyncio.create_task(server._serve())  # without uvicorn's signal handlers
    try:
        await server.listening.wait()
        yield f"ws://127.0.0.1:{server.port}/v1/call"
    finally:
        server.stop()
        await serving
        await gateway.close()


def said(folder: Path, program: str, turns: Sequence[str]) -> bytes:
    """A caller's recording: each turn in flite's voice, silence behind it."""
    pcm = GAP
    for number, turn in enumerate(turns):
        path = folder / f"turn{number}.wav"
        subprocess.run([program, "-voice", "awb", "-t", turn, str(path)], check=True)
        pcm += read_recording(path) + GAP
    return pcm


def sound_between(call: Conversation, begin_ms: int, end_ms: int) -> float:
    """How loud the agent was in a stretch of the call, in units of one sample step."""
    pcm = np.frombuffer(call.agent[begin_ms * 32 : end_ms * 32], "<i2").astype(float)
    return float(np.sqrt((pcm**2).mean())) if len(pcm) else 0.0


def heard_text(call: Conversation) -> str:
    """What was played of the agent's words, as the gateway reckons it from the caller's reports."""
    return " ".join(event["heard"] for event in call.events("speech_stopped"))


def tools(call: Conversation) -> list[tuple[str, str]]:
    return [(event["name"], event["status"]) for event in call.events("tool")]


async def test_spoken_wishes_reach_the_shop_and_its_answer_is_heard(
    tmp_path: Path, embedded_base_url: str, system_program: Callable[[str], str]
) -> None:
    """An order is looked up, and a delivery is moved, by callers who only talk.

    What the shop says of the order was written for this test: no script could know it.
    """
    flite = system_program("flite")
    shop = Shop(tmp_path / "shop.sqlite")
    assert shop.order("DH246810") is not None, "this makes the file"
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.sqlite")) as db, db:
        db.execute(
            "update orders set status = 'out_for_delivery',"
            " arrives_en = 'next Sunday after the football game' where order_id = 'DH246810'"
        )
    asks = ["My order number is D H two four six eight one zero.", "Yes, that is right."]
    moves = [
        "My order number is D H one two three four five six.",
        "Yes, that is right.",
        "Can you deliver it on Saturday?",
        "Yes, please.",
    ]
    callers = [LiveCaller(said(tmp_path, flite, turns)) for turns in (asks, moves)]
    async with listening(tmp_path, embedded_base_url) as url:
        asked, moved = await asyncio.gather(*(caller.call(url) for caller in callers))

    assert ("get_order_status", "done") in tools(asked)
    assert "next Sunday after the football game" in heard_text(asked)
    (answer,) = [
        told
        for told in asked.happenings
        if told.event["type"] == "reply_text" and "football" in told.event["text"]
    ]
    # The sentence sounds for seconds; the silences between its words are in the measure.
    assert sound_between(asked, answer.at_ms + 200, answer.at_ms + 2200) > 500
    assert shop.changes() == [("DH123456", "saturday")]
    assert ("reschedule_delivery", "done") in tools(moved)
    assert "I move the delivery of DH123456 to saturday. Is that right?" in heard_text(moved)

"""The gateway as a child of the benchmark, with settings that let only the measured work happen."""

import asyncio
import cProfile
import logging
from pathlib import Path
from typing import Any

from voicegw.bench.processes import orders
from voicegw.bench.serving import serve_child
from voicegw.config import Settings, load_settings
from voicegw.rehearsal.script import BENCH_SPEED
from voicegw.server.front import make_gateway, make_server, settled_memory

# No greeting, so that a call is quiet until its caller speaks.
PERSONA = """
name = "bench"
language = "{language}"
speed = {speed}
system_prompt = "You are the telephone agent of a small shop. Short, warm sentences; one thing at a time."

[phrases]
greeting = ""
apology = "I am sorry, I have a technical problem. Could you say that again?"
not_understood = "Sorry, I did not catch that. Could you say it again?"
"""


def bench_settings(
    folder: Path,
    base_url: str,
    calls: int,
    language: str = "en",
    secret: str = "",
    voice_model: bool = False,
) -> Settings:
    """Settings for `calls` calls over the provider at `base_url`; everything is kept in `folder`.

    With a `secret` callers need tokens; with `voice_model` the second voice detector hears them too.
    """
    personas = folder / "personas"
    personas.mkdir(exist_ok=True)
    (personas / "bench.toml").write_text(
        PERSONA.format(language=language, speed=BENCH_SPEED), encoding="utf-8"
    )
    return load_settings(
        {},
        None,
        {
            "server.port": "0",
            "carriers.enabled": "twilio",
            "server.max_calls": str(calls + 10),
            # Quiet callers are the point here, not a reason to ask whether they are still there.
            "limits.idle_s": "86400",
            "limits.max_call_s": "86400",
            "provider.base_url": base_url,
            "provider.api_key": "bench-key",
            "persona.default": "bench",
            "persona.folders": str(personas),
            "store.data_dir": str(folder),
            "door.secret": secret,
            # Not by what happens to be installed.
            "turns.second_stage": "on" if voice_model else "off",
        },
    )


async def _serve(order: dict[str, Any]) -> None:
    secret = order.get("secret", "")
    settings = bench_settings(
        Path(order["folder"]),
        order["base_url"],
        order["calls"],
        secret=secret,
        voice_model=order.get("voice_model", False),
    )
    # Behind a locked door everything is on: records, recordings, the watch over the loop.
    gateway = await make_gateway(settings, keep=bool(secret))
    gateway.start()
    try:
        server = make_server(settings, gateway)
        with settled_memory():
            await serve_child(server)
    finally:
        await gateway.close()


def _run(order: dict[str, Any]) -> None:
    import uvloop

    logging.basicConfig(level=logging.WARNING)
    if not order.get("profile"):
        uvloop.run(_serve(order))
        return
    # asyncio's own loop: what its callbacks cost is seen by the profiler, uvloop's is not.
    with cProfile.Profile() as profile:
        asyncio.run(_serve(order))
    profile.dump_stats(order["profile"])


if __name__ == "__main__":
    _run(orders())

"""`voicegw chat PERSONA`: talk to an agent in the terminal, by text, with its tools.

It is a call like any other, in this process, through the same session, rules and tools; only the agent's
speech is replaced by a moment of silence for each sentence.
"""

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from voicegw.agents.personas import load_personas
from voicegw.audio.pcm import FRAME_BYTES
from voicegw.carriers.base import Message
from voicegw.cli.embedded_process import embedded_provider
from voicegw.cli.running import run_on_uvloop
from voicegw.config import Settings
from voicegw.errors import ConfigError
from voicegw.providers.build import build_providers
from voicegw.providers.http import AiohttpStreams
from voicegw.providers.policy import Patience, once
from voicegw.providers.steady import SteadyTts
from voicegw.rehearsal.channel import Channel
from voicegw.server.gateway import Gateway

HELP = "/photo FILE [question] shows a photo, /key 12# presses keys, an empty line or Ctrl-D hangs up"
# A part of a photo in one message: the protocol's advice.
PART_BYTES = 24_000
# An agent that has not answered by then will not: the caller may type again.
ANSWER_S = 60.0


class SilentSpeech(SteadyTts):
    """Says every sentence in 20 ms."""

    async def speak(
        self, text: str, *, patience: Patience = once, **given: Any
    ) -> AsyncGenerator[bytes, None]:
        """Yield one frame of silence."""
        yield bytes(FRAME_BYTES)


class Chat:
    """The far end of the call: shows what it is told, and knows when it is the caller's turn."""

    def __init__(self, show: Callable[[dict[str, Any]], None]) -> None:
        self._show = show
        self._waiting = True
        self._changed = asyncio.Event()
        self.ended = False
        self.unanswered = False  # the agent had to apologise: no provider answered in time

    def message(self, message: Message) -> None:
        """The gateway tells something."""
        if isinstance(message, bytes):
            return
        event = json.loads(message)
        self._show(event)
        match event:
            case {"type": "transcript", "status": "final"}:
                self._waiting = True
            case {"type": "tool", "status": "running"}:
                self._waiting = True
            case {"type": "speech_stopped", "reply_id": 0}:
                pass  # a filler: the answer is still to come
            case {"type": "speech_stopped"} | {"type": "error"}:
                self._waiting = False
            case {"type": "rung", "rung": rung} if rung != "filler":
                self.unanswered = True
            case {"type": "hangup"}:
                self.ended = True
        self._changed.set()

    def closed(self, code: int, reason: str) -> None:
        """The gateway has closed the connection."""
        self.ended = True
        self._changed.set()

    def wait_again(self) -> None:
        """The caller has said something: the agent's turn."""
        self._waiting = True

    async def caller_s_turn(self) -> bool:
        """Wait until the agent has said what it has to say. Returns False when the call is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                while self._waiting and not self.ended:
                    self._changed.clear()
                    await self._changed.wait()
        return not self.ended


def _shower(console: Console, as_json: bool) -> Callable[[dict[str, Any]], None]:
    def show(event: dict[str, Any]) -> None:
        if as_json:
            print(json.dumps(event, ensure_ascii=False), flush=True)
            return
        match event:
            case {"type": "reply_text", "text": text}:
                console.print(Text("agent  ", style="bold cyan").append(text, style="default"))
            case {"type": "tool", "name": name, "status": status}:
                console.print(Text(f"       {name}: {status}", style="dim"))
            case {"type": "error", "message": message, "hint": hint}:
                console.print(Text(f"       {message} {hint}", style="red"))
            case {"type": "rung", "rung": rung, "reason": reason}:
                console.print(Text(f"       {rung}: {reason}", style="yellow"))
            case {"type": "photo_wanted", "url": url}:
                console.print(Text(f"       photo wanted: /photo FILE ({url})", style="dim"))
            case {"type": "outcome", "code": code, "summary": summary}:
                console.print(Text(f"       outcome {code}: {summary}", style="dim"))
            case {"type": "transfer", "target": target, "status": status}:
                console.print(Text(f"       transfer to {target}: {status}", style="dim"))
            case {"type": "hangup", "reason": reason}:
                console.print(Text(f"       the call is over: {reason}", style="dim"))

    return show


async def _read_line(stdin: TextIO, prompt: str) -> str:
    def read() -> str:
        if stdin.isatty():
            print(prompt, end="", flush=True)
        return stdin.readline()

    return await asyncio.to_thread(read)


def _send(channel: Channel, kind: str, **fields: Any) -> None:
    channel.to_gateway(json.dumps({"type": kind, **fields}))


def _say(channel: Channel, line: str) -> str:
    """Do what a line says; returns what is wrong with it, "" if nothing."""
    command, _, rest = line.partition(" ")
    if command == "/key":
        for digit in rest.replace(" ", ""):
            _send(channel, "dtmf", digit=digit)
    elif command == "/photo":
        name, _, question = rest.partition(" ")
        try:
            data = Path(name).expanduser().read_bytes()
        except OSError as error:
            return f"{name}: {error.strerror}"
        parts = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)] or [b""]
        for number, part in enumerate(parts, start=1):
            last = number == len(parts)
            encoded = base64.b64encode(part).decode()
            text = question if last else ""
            _send(channel, "image", image_id=name[-100:], data=encoded, last=last, text=text)
    elif command.startswith("/"):
        return HELP
    else:
        _send(channel, "text", text=line[:4000])
    return ""


async def chat(settings: Settings, persona: str, *, as_json: bool, stdin: TextIO) -> int:
    """Talk until either side ends it. Returns the exit code: 1 when the agent once had no answer.

    Raises ConfigError.
    """
    personas = load_personas(settings)
    if persona not in personas:
        raise ConfigError(f"there is no persona {persona!r}; known: {', '.join(sorted(personas))}")
    real = build_providers(settings, AiohttpStreams())
    gateway = Gateway(settings, personas, replace(real, tts=SilentSpeech(real.tts.row)))
    # Whole lines, whatever reads them.
    console = Console(highlight=False, soft_wrap=True)
    far_end = Chat(_shower(console, as_json))
    channel = Channel(gateway, far_end, query={"persona": persona})
    _send(channel, "start", persona=persona)
    try:
        if not as_json:
            console.print(Text(HELP, style="dim"))
        while await far_end.caller_s_turn():
            line = (await _read_line(stdin, "you    ")).strip()
            if not line:
                _send(channel, "hangup")
                break
            if not stdin.isatty() and not as_json:
                console.print(Text("you    ", style="bold green").append(line, style="default"))
            far_end.wait_again()
            if wrong := _say(channel, line):
                console.print(Text(f"       {wrong}", style="yellow"))
                far_end.message(json.dumps({"type": "speech_stopped"}))
    finally:
        await gateway.close()
    return int(far_end.unanswered)


def run_chat(settings: Settings, persona: str, *, embedded: bool, as_json: bool) -> int:
    """Run the command, with a provider of this machine if `embedded`. Returns the exit code."""

    async def main() -> int:
        if not embedded:
            return await chat(settings, persona, as_json=as_json, stdin=sys.stdin)
        log = Path(settings.store.data_dir) / "embedded.log"
        async with embedded_provider(log, 1) as provider:
            own = settings.provider.model_copy(
                update={"base_url": provider.base_url, "api_key": "embedded", "model": "embedded-chat"}
            )
            local = settings.model_copy(update={"provider": own})
            return await chat(local, persona, as_json=as_json, stdin=sys.stdin)

    return run_on_uvloop(main())

"""`voicegw demo`: a whole call on this machine, with nothing set up: caller, gateway and provider.

The provider is a child process; the gateway and the caller share this process and talk over a real socket.
"""

import asyncio
import contextlib
import difflib
import json
import re
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from voicegw import web
from voicegw.cli.call import tell_missing
from voicegw.cli.embedded_process import EmbeddedProvider, embedded_provider
from voicegw.cli.running import address, listen, page_address, run_on_uvloop, running_gateway
from voicegw.cli.view import ConversationView, fact, summary
from voicegw.config import Settings, load_settings
from voicegw.errors import ConfigError
from voicegw.observe.log import logging_to
from voicegw.replay.caller import Conversation, GatewayUnreachable, LiveCaller
from voicegw.replay.recording import read_recording, write_stereo

# The wheel brings the call of samples/order-status.wav as the softphone's sample caller.
SAMPLE = Path(web.__file__).parent / "samples" / "order-status.flac"
DEFAULT_PORT = 8080
# The recogniser gets the synthetic caller nearly right; below this share of the words the agent could
# have answered something else than what was said.
EXPECTED_SHARE = 0.7
# What a shell says of a program that Ctrl-C ended.
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `voicegw demo` was told. `port` None: the usual one, or a free one when it is taken."""

    once: bool = False
    port: int | None = None
    data: Path = Path("data/demo")
    set: dict[str, str] = field(default_factory=dict)
    export_svg: Path | None = None
    sample: Path = SAMPLE


def run_demo(options: DemoOptions) -> int:
    """Run the demo; returns 0 only if the sample call was a conversation.

    Raises ConfigError; children have ended then too.
    """
    recording = read_recording(options.sample)
    turns = expected_turns(options.sample)
    options.data.mkdir(parents=True, exist_ok=True)
    # In a file: log lines would break into the conversation.
    with (options.data / "gateway.log").open("w", encoding="utf-8") as log, logging_to(log, "INFO"):
        try:
            return run_on_uvloop(_demo(options, recording, turns, Console(highlight=False)))
        except (KeyboardInterrupt, asyncio.CancelledError):
            # By a signal before the gateway listened; the children have been ended.
            return INTERRUPTED


async def _demo(options: DemoOptions, recording: bytes, turns: list[str], console: Console) -> int:
    with (
        _ended_by_signals(),
        demo_listener(options.port, console) as listener,
        console.status("starting the embedded provider") as status,
    ):
        url = address(listener)
        async with (
            embedded_provider(options.data / "embedded.log") as provider,
            running_gateway(demo_settings(provider.base_url, options.data, options.set), listener) as serving,
        ):

            def tell(ready: int) -> None:
                status.update(f"warming up: {ready} of {provider.workers} recognisers")

            if not await _unless_ended(provider.warm_up(tell), serving):
                return INTERRUPTED
            status.stop()
            console.print(Text(_WHAT_THIS_IS, style="dim"), soft_wrap=True)
            try:
                code = await _sample_call(options, recording, turns, url, console)
            except GatewayUnreachable:
                if serving.done():
                    return INTERRUPTED
                raise
            if not options.once and not serving.done():
                _invite(console, url, provider)
                await asyncio.wait([serving])
            return code


async def _unless_ended(work: Coroutine[Any, Any, None], serving: asyncio.Task[None]) -> bool:
    """Do the work; return False when a signal ended the gateway, and with it the work."""
    task = asyncio.create_task(work)
    await asyncio.wait([task, serving], return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
        return False
    await task
    return True


_WHAT_THIS_IS = """\
A synthetic caller (samples/order-status.wav) calls the gateway over a WebSocket. Recognition, the scripted
agent and its voice come from the embedded provider on this machine: demonstration quality, English only."""


async def _sample_call(
    options: DemoOptions, recording: bytes, turns: list[str], url: str, console: Console
) -> int:
    with ConversationView(console) as view:
        caller = LiveCaller(
            recording, start={"caller": "demo"}, on_happening=view.happened, on_frames=view.frames
        )
        conversation = await caller.call(url)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    recorded = options.data / "recordings" / f"{options.sample.stem}-{stamp}.wav"
    write_stereo(recorded, conversation.caller, conversation.agent)
    console.print()
    for line in summary(conversation, colours=console.color_system is not None):
        console.print(line, soft_wrap=True)
    share, order = share_understood(turns, conversation.final_transcripts), named_order(turns, conversation)
    console.print(fact("understood", f"{share:.0%} of the caller's words"))
    console.print(fact("recorded", f"{recorded} (caller left, agent right)"), soft_wrap=True)
    if options.export_svg is not None:
        view.save_svg(options.export_svg, f"voicegw call {options.sample.name}")
    code = tell_missing(conversation)
    if share < EXPECTED_SHARE:
        print(
            f"voicegw: only {share:.0%} of the words were understood, of {EXPECTED_SHARE:.0%}",
            file=sys.stderr,
        )
        code = 1
    if not order:
        print("voicegw: the agent did not name the caller's order", file=sys.stderr)
        code = 1
    return code


def _invite(console: Console, url: str, provider: EmbeddedProvider) -> None:
    console.print()
    page = page_address(url)
    console.print(Text("Talk to it yourself, in a browser:  ").append(page, style="bold"), soft_wrap=True)
    console.print(Text(f"  or: voicegw call FILE.wav --url {url}", style="dim"), soft_wrap=True)
    console.print(Text(f"  provider {provider.base_url} · Ctrl-C ends both", style="dim"), soft_wrap=True)


def demo_settings(base_url: str, data: Path, overrides: dict[str, str]) -> Settings:
    """Return the demo's settings: they do not depend on the environment or a `.env`. Raises ConfigError."""
    chosen = {"persona.default": "support", "store.data_dir": str(data)}
    for stage, model in (("stt", "embedded-stt"), ("llm", "embedded-chat"), ("tts", "embedded-tts")):
        chosen |= {f"{stage}.base_url": base_url, f"{stage}.api_key": "embedded", f"{stage}.model": model}
    return load_settings({}, None, {**chosen, **overrides})


def expected_turns(sample: Path) -> list[str]:
    """Return what a sample's caller says, turn by turn: samples.json beside it tells. Raises ConfigError."""
    listing = sample.with_name("samples.json")
    try:
        told = json.loads(listing.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{listing}: the sample's words cannot be read: {error.strerror}") from error
    return [str(said) for entry in told if entry["file"] == sample.name for said in entry["said"]]


def share_understood(turns: list[str], transcripts: list[str]) -> float:
    """Return the share of the caller's words that stand in the transcripts, in order (0 to 1)."""
    said, heard = _words(" ".join(turns)), _words(" ".join(transcripts))
    matching = difflib.SequenceMatcher(None, said, heard, autojunk=False).get_matching_blocks()
    return sum(block.size for block in matching) / max(1, len(said))


_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = {word: str(digit) for digit, word in enumerate(_DIGIT_WORDS)}


def named_order(turns: list[str], conversation: Conversation) -> bool:
    """Whether the caller heard the agent say the order number that the caller gave."""
    numbers = re.findall(r"\d{4,}", _digits(" ".join(turns)))
    return bool(numbers) and all(number in _digits(conversation.agent_text) for number in numbers)


def _digits(text: str) -> str:
    """Turn spelled-out digits that follow each other into one number."""
    words = " ".join(_DIGITS.get(word, word) for word in _words(text))
    return re.sub(r"(?<=\d) (?=\d)", "", words)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


@contextlib.contextmanager
def demo_listener(port: int | None, console: Console, usual: int = DEFAULT_PORT) -> Iterator[socket.socket]:
    """Listen on `port`, or without one on the `usual` port; if that is taken, on a free one, and say so.

    Raises ConfigError when `port` is taken.
    """
    try:
        listener = listen("127.0.0.1", usual if port is None else port)
    except ConfigError:
        if port is not None:
            raise
        listener = listen("127.0.0.1", 0)
        free = listener.getsockname()[1]
        console.print(Text(f"Port {usual} is taken; the gateway listens on {free}.", style="dim"))
    with listener:
        yield listener


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does, with its children.

    While the gateway listens, SIGTERM and Ctrl-C are uvicorn's; this covers the time before and after.
    """
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None

    def end(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(main.cancel)

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else [])]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""`voicegw call`: any recording as a caller against any gateway, shown as it happens."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from voicegw.cli.running import run_on_uvloop
from voicegw.cli.view import ConversationView, JsonView, fact, summary, summary_facts
from voicegw.replay.caller import Conversation, Happening, LiveCaller
from voicegw.replay.recording import read_recording, write_stereo


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What `voicegw call` was told."""

    file: Path
    url: str
    persona: str = ""
    language: str = ""
    absolute: bool = False
    mix: bool = False
    record: Path | None = None
    json: bool = False

    @property
    def start(self) -> dict[str, str]:
        """The fields of the `start` event."""
        given = {"persona": self.persona, "language": self.language, "caller": f"file:{self.file.name}"}
        return {name: value[:200] for name, value in given.items() if value}


def run_call(options: CallOptions) -> int:
    """Make the call, and return the exit code: 0 only if a conversation took place.

    Raises ConfigError (file, address), GatewayUnreachable, GatewayFull.
    """
    recording = read_recording(options.file, mix=options.mix)
    if options.json:
        json_view = JsonView(sys.stdout)
        conversation = _run(options, recording, json_view.happened)
        json_view.write({"type": "summary", **summary_facts(conversation)})
    else:
        console = Console(highlight=False)
        with ConversationView(console) as view:
            conversation = _run(options, recording, view.happened, view.frames)
        console.print()
        for line in summary(conversation, colours=console.color_system is not None):
            console.print(line, soft_wrap=True)
        if options.record is not None:
            console.print(fact("recorded", str(options.record)), soft_wrap=True)
    return tell_missing(conversation)


def tell_missing(conversation: Conversation) -> int:
    """Say on stderr what a conversation lacks, if anything, and return the exit code."""
    missing = conversation.missing()
    if missing:
        print(f"voicegw: no conversation took place: {'; '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def _run(
    options: CallOptions,
    recording: bytes,
    on_happening: Callable[[Happening], None],
    on_frames: Callable[[bytes, bytes], None] | None = None,
) -> Conversation:
    async def call() -> Conversation:
        caller = LiveCaller(
            recording,
            absolute=options.absolute,
            start=options.start,
            on_happening=on_happening,
            on_frames=on_frames,
        )
        loop = asyncio.get_running_loop()

        def hang_up() -> None:
            # What was said so far is kept; a second Ctrl-C ends at once.
            loop.remove_signal_handler(signal.SIGINT)
            caller.hang_up()

        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(signal.SIGINT, hang_up)
        return await caller.call(options.url)

    conversation = run_on_uvloop(call())
    if options.record is not None:
        write_stereo(options.record, conversation.caller, conversation.agent)
    return conversation

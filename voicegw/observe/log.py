"""Log lines: where they go, in which form, and whose. Never a secret or a caller's word in them.

Ours are written by the standard library's loggers; structlog makes lines for people or JSON of them. A line
about a call begins with "call <id>": in JSON the id is a field of its own.
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Our own loggers. Libraries log what they send and receive at DEBUG and INFO, callers' words included:
# of them only warnings and errors are let through, whatever the level.
OURS = "voicegw"
_CALL = re.compile(r"call ([0-9a-f]{16})\b")


def _call_id(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    if found := _CALL.match(str(line.get("event", ""))):
        line["call_id"] = found[1]
    return line


def formatter(style: str, *, colours: bool = False) -> logging.Formatter:
    """A formatter for "text" or "json"."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=style == "json")
    before: list[Processor] = [structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, stamp]
    if style == "json":
        last: list[Processor] = [
            _call_id,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        # Not its own way to show exceptions: that prints variables, callers' words and keys among them.
        last = [
            structlog.dev.ConsoleRenderer(
                colors=colours, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


@contextlib.contextmanager
def logging_to(out: TextIO, level: str, style: str = "text") -> Iterator[None]:
    """Write log lines to `out` within the block; `level` and `style` are settings' values, checked before."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter(style, colours=out.isatty()))
    root, ours = logging.getLogger(), logging.getLogger(OURS)
    before = root.level, ours.level
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    ours.setLevel(level)
    try:
        yield
    finally:
        root.setLevel(before[0])
        ours.setLevel(before[1])
        root.removeHandler(handler)


@contextlib.contextmanager
def no_logs() -> Iterator[None]:
    """Write no log lines within the block: what goes wrong there is wanted, and told in another way."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)

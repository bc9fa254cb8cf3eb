"""Log lines: where they go, and whose. Never a secret or a caller's word in them."""

import contextlib
import logging
from collections.abc import Iterator
from typing import TextIO

# Our own loggers. Libraries log what they send and receive at DEBUG and INFO, callers' words included:
# of them only warnings and errors are let through, whatever the level.
OURS = "voicegw"


@contextlib.contextmanager
def logging_to(out: TextIO, level: str) -> Iterator[None]:
    """Write log lines to `out` within the block; `level` is a setting's value, checked before."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
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

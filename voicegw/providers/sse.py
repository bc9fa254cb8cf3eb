"""Reading an event stream as chat servers send it.

https://html.spec.whatwg.org/multipage/server-sent-events.html

Bytes in, JSON objects out; any split of the bytes gives the same objects. Knows nothing of what they mean.
"""

import json
from typing import Any

# One event longer than this is not a chat delta.
_MAX_EVENT_BYTES = 4 * 1024 * 1024


class BadStream(ValueError):
    """The bytes are no event stream of JSON objects."""


class EventReader:
    """Collects bytes, gives out the JSON object of each complete event.

    An object is given out as soon as its line is complete, without waiting for the blank line: some servers
    send that with the next event. `done` is set by `[DONE]`; what comes after it is left out.
    """

    def __init__(self) -> None:
        self.done = False
        self._buffer = b""
        self._started = False
        # Lines of an event whose JSON is spread over several `data:` lines.
        self._open: list[bytes] = []

    def push(self, data: bytes) -> list[Any]:
        """Take the next bytes and return the JSON values of the events they complete. Raises BadStream."""
        data = self._buffer + data if self._buffer else data
        if not self._started:
            if len(data) < 3 and b"\xef\xbb\xbf".startswith(data):
                self._buffer = data
                return []
            self._started = True
            data = data.removeprefix(b"\xef\xbb\xbf")
        held = b""
        if b"\r" in data:
            if data.endswith(b"\r"):
                # Its "\n" may come with the next bytes.
                data, held = data[:-1], b"\r"
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = data.split(b"\n")
        self._buffer = rest + held
        if len(self._buffer) > _MAX_EVENT_BYTES:
            raise BadStream("an event of more than 4 MB")
        values: list[Any] = []
        for line in lines:
            if self.done:
                break
            self._line(line, values)
        return values

    def finish(self) -> list[Any]:
        """Say that the stream has ended; return what a last line without its line end completes.

        Raises BadStream when it ends inside an event.
        """
        return self.push(b"\n\n") if self._started and not self.done else []

    def _line(self, line: bytes, values: list[Any]) -> None:
        if not line:
            if self._open:
                lines, self._open = self._open, []
                raise BadStream(f"an event that is no JSON: {lines[0][:60].decode(errors='replace')!r}")
            return
        if not line.startswith(b"data:"):
            return  # a comment, or `event:`, `id:`, `retry:`, which add nothing here
        payload = line[5:].strip()
        if payload == b"[DONE]":
            self.done = True
            return
        if not payload:
            return
        self._open.append(payload)
        try:
            value = json.loads(b"\n".join(self._open).decode(errors="replace"))
        except ValueError:
            return  # perhaps its next `data:` line completes it; the blank line tells
        except RecursionError:
            raise BadStream("an event nested too deeply") from None
        self._open.clear()
        values.append(value)

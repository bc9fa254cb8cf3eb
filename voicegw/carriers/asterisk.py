"""Asterisk's chan_websocket: binary media, control messages as plain text or as JSON.

https://docs.asterisk.org/Configuration/Channel-Drivers/WebSocket/ . Asterisk reads 128 bytes of a command,
drops what does not fill a frame (outside bulk mode), and old releases hang up at a WebSocket ping.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from voicegw.audio.format import AudioFormat
from voicegw.call.mouth import LEAD_US, Player
from voicegw.carriers.base import NOTHING, Flow, Inbound, Message, Ready, Telephone
from voicegw.carriers.fields import compact, identity, json_object, key, text, texts, whole
from voicegw.carriers.held import HeldAudio
from voicegw.carriers.marks import Marks
from voicegw.errors import CarrierError

FORMATS: Mapping[str, AudioFormat] = {
    "ulaw": AudioFormat("ulaw", 8000),
    "alaw": AudioFormat("alaw", 8000),
    "slin": AudioFormat("l16", 8000),
    **{
        f"slin{khz}": AudioFormat("l16", hz)
        for khz, hz in ((12, 12000), (16, 16000), (24, 24000), (32, 32000), (44, 44100), (48, 48000))
    },
}
# In bulk mode Asterisk paces by itself: this much is sent ahead, far below its 20 s.
BULK_LEAD_US = 3_000_000


class Asterisk(Telephone):
    """One channel. `query` is what the dialplan put into `v(…)`."""

    name: ClassVar[str] = "asterisk"
    subprotocols: ClassVar[tuple[str, ...]] = ("media",)

    def __init__(
        self, query: Mapping[str, str] | None = None, *, bulk: bool = False, pings: bool = False
    ) -> None:
        self.ping_s = 20.0 if pings else 0.0
        self._query = dict(query or {})
        self._bulk = bulk
        self._passthrough = False
        self._json: bool | None = None
        self._format = AudioFormat("l16", 16000)
        self._audio = HeldAudio()
        self._marks = Marks()
        self._paused = False

    @property
    def player(self) -> Player:
        """Known from MEDIA_START on. In passthrough mode there is neither pause nor mark."""
        lead_us = BULK_LEAD_US if self._bulk else LEAD_US
        able = not self._passthrough
        return Player(self._format, lead_us=lead_us, can_pause=able, marks=able)

    def parse(self, message: Message) -> Sequence[Inbound]:
        """Media is binary; the first text tells the dialect."""
        if isinstance(message, bytes):
            return self._audio.push(message)
        is_json = message.lstrip()[:1] == "{"
        if self._json is None:
            self._json = is_json
        found = json_object(message) if is_json else _plain(message)
        event = found.get("event")
        if event == "MEDIA_START":
            return self._started(found)
        if event in ("MEDIA_MARK_PROCESSED", "MEDIA_BUFFERING_COMPLETED"):
            return self._marks.played(found.get("correlation_id"))
        if event == "DTMF_END":
            return key(found.get("digit"))
        if event in ("MEDIA_XOFF", "MEDIA_XON"):
            return (Flow(event == "MEDIA_XON"),)
        return ()

    def _started(self, found: dict[str, Any]) -> Sequence[Inbound]:
        form = FORMATS.get(text(found.get("format")))
        if form is None:
            raise CarrierError(
                "codec_not_supported",
                "The channel's format is not understood.",
                f"Dial with c(slin16), or one of {', '.join(FORMATS)}.",
                fatal=True,
            )
        self._format = form
        frame = whole(found.get("optimal_frame_size"), form.frame_bytes)
        self._passthrough = text(found.get("passthrough")) == "true"
        if frame > 0 and form.frame_bytes % frame and not self._passthrough:
            # Its frames are no part of 20 ms: only in bulk mode does it cut them itself.
            self._bulk = True
        start = identity(
            {**texts(found.get("channel_variables")), **self._query},
            external_id=self._query.get("callid", "")
            or text(found.get("channel_id"))
            or text(found.get("channel")),
        )
        return (start, *self._audio.begin(form))

    def _command(self, name: str, mark: str = "") -> str:
        if self._json:
            return compact({"command": name, "correlation_id": mark} if mark else {"command": name})
        return f"{name} {mark}" if mark else name

    def render(self, frame: bytes) -> Message:
        """A frame is a binary message."""
        return frame

    def ready(self, ready: Ready) -> Sequence[Message]:
        """`ANSWER` where the dialplan leaves that to us (option n, told as answer=yes)."""
        out: list[Message] = []
        if self._query.get("answer") == "yes":
            out.append(self._command("ANSWER"))
        if self._bulk:
            out.append(self._command("START_MEDIA_BUFFERING"))
        return out

    def mark(self, speech_id: int) -> Sequence[Message]:
        """`MARK_MEDIA`, or in bulk mode the end of the bulk, behind which the next one begins."""
        if self._passthrough:
            return NOTHING
        name = self._marks.name(speech_id)
        if self._bulk:
            return (self._command("STOP_MEDIA_BUFFERING", name), self._command("START_MEDIA_BUFFERING"))
        return (self._command("MARK_MEDIA", name),)

    def pause(self) -> Sequence[Message]:
        """`PAUSE_MEDIA`."""
        if self._passthrough:
            return NOTHING
        self._paused = True
        return (self._command("PAUSE_MEDIA"),)

    def resume(self) -> Sequence[Message]:
        """`CONTINUE_MEDIA`."""
        if not self._paused:
            return NOTHING
        self._paused = False
        return (self._command("CONTINUE_MEDIA"),)

    def clear(self) -> Sequence[Message]:
        """`FLUSH_MEDIA`: drops marks too, ends bulk mode, and leaves a pause as it is."""
        if self._passthrough:
            return NOTHING
        self._marks.clear()
        out: list[Message] = [self._command("FLUSH_MEDIA"), *self.resume()]
        if self._bulk:
            out.append(self._command("START_MEDIA_BUFFERING"))
        return out

    def hang_up(self, reason: str) -> Sequence[Message]:
        """`HANGUP`."""
        return (self._command("HANGUP"),)


def _plain(line: str) -> dict[str, Any]:
    """A plain-text event: its name, then key:value pairs or one id."""
    name, _, rest = line.strip().partition(" ")
    found: dict[str, Any] = {"event": name}
    if name == "ERROR":
        # Its text has blanks and nobody needs it.
        return found
    for word in rest.split(" ")[:50]:
        key_, colon, value = word.partition(":")
        if name in ("MEDIA_MARK_PROCESSED", "MEDIA_BUFFERING_COMPLETED") and key_ != "channel_id":
            found.setdefault("correlation_id", word.removeprefix("correlation_id:"))
        elif colon:
            found[key_] = value
    return found

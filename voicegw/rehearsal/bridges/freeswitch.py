"""FreeSWITCH's end of mod_audio_stream, with the application that plays for it."""

import base64
import json
from collections.abc import Sequence

from voicegw.carriers.base import Message
from voicegw.rehearsal.bridges.base import (
    Bridge,
    ClearSent,
    HangUpSent,
    Taken,
    json_of,
)


class FreeswitchBridge(Bridge):
    """mod_audio_stream with an application that plays, stops and hangs up as docs/carriers/ has it."""

    name = "freeswitch"
    path = "/freeswitch"

    @property
    def query(self) -> dict[str, str]:
        """The module tells its rate to nobody."""
        return {"rate": str(self.format.rate_hz)}

    def open(self) -> Sequence[Message]:
        return (json.dumps(self.identity),) if self.identity else ()

    def dtmf(self, digit: str) -> Sequence[Message]:
        return (json.dumps({"event": "dtmf", "digit": digit}),)

    def take(self, message: Message) -> Sequence[Taken]:
        if isinstance(message, bytes):
            raise ValueError("the open edition ignores binary messages")
        found = json_of(message)
        match found["type"]:
            case "streamAudio":
                data = found["data"]
                if data["audioDataType"] != "raw" or data["sampleRate"] != self.format.rate_hz:
                    raise ValueError("raw sound at the stream's rate is expected")
                return (self._reader.push(base64.b64decode(data["audioData"])),)
            case "killAudio":
                return (ClearSent(),)
            case "hangup":
                return (HangUpSent(),)
        raise ValueError(f"the application knows no {found['type']}")

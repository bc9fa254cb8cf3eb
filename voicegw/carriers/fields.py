"""Reading what others wrote: JSON that may hold anything, numbers as strings, names in many spellings."""

import binascii
import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from voicegw.call.events import Dtmf
from voicegw.carriers.base import Start
from voicegw.errors import CarrierError

MOST_CHARS = 500
MOST_FIELDS = 50
KEYS = frozenset("0123456789*#ABCD")
# The names under which bridges and dialplans tell who calls whom, in lower case without - and _.
_CALLER = ("caller", "from", "callerid", "callernumber", "ani")
_CALLED = ("called", "to", "callednumber", "dnis", "exten")
_EXTERNAL = ("externalid", "callid", "calluuid", "uuid")


def json_object(text: str) -> dict[str, Any]:
    """The JSON object that a text message holds. Raises CarrierError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise CarrierError("bad_json", "A text message is not JSON.", "Send one JSON object.") from None
    if not isinstance(found, dict):
        raise CarrierError("bad_json", "A text message is not a JSON object.", "Send one JSON object.")
    return found


def inner(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object within an object; an empty one where there is none."""
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """A string, number or truth value as a string of bounded length; "" for all else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 64:
        return ""
    return str(value)[:MOST_CHARS] if isinstance(value, str | int | float) else ""


def whole(value: object, otherwise: int) -> int:
    """A whole number, also when it comes as a string; `otherwise` for all else."""
    try:
        return int(text(value))
    except ValueError:
        return otherwise


def texts(value: object) -> dict[str, str]:
    """An object's entries as strings, or a list of {"name": …, "value": …}; what is neither is left out."""
    if isinstance(value, list):
        pairs = [(text(pair.get("name")), pair.get("value")) for pair in value if isinstance(pair, dict)]
    elif isinstance(value, dict):
        pairs = [(text(name), entry) for name, entry in value.items()]
    else:
        pairs = []
    found = {name: text(entry) for name, entry in pairs[:MOST_FIELDS] if name}
    return {name: entry for name, entry in found.items() if entry}


def identity(
    parameters: Mapping[str, str], *, external_id: str = "", caller: str = "", called: str = ""
) -> Start:
    """Who is calling: what the protocol itself says wins over its free parameters; the rest is metadata."""
    left = dict(parameters)

    def take(names: tuple[str, ...], known: str = "") -> str:
        for name in [name for name in left if name.lower().replace("-", "").replace("_", "") in names]:
            value = left.pop(name)
            known = known or value
        return known

    return Start(
        take(_EXTERNAL, external_id),
        take(_CALLER, caller),
        take(_CALLED, called),
        take(("persona",)),
        take(("language",)),
        metadata=left,
    )


def key(value: object) -> tuple[Dtmf, ...]:
    """A pressed key as an event; nothing for what is no key."""
    digit = text(value).strip().upper()
    return (Dtmf(digit),) if digit in KEYS else ()


def parameter_elements(parameters: Mapping[str, str]) -> str:
    """The `<Parameter>` elements by which TwiML, and TeXML after it, tell a stream of its call."""
    return "".join(
        f"<Parameter name={quoteattr(name)} value={quoteattr(value)}/>" for name, value in parameters.items()
    )


def base64_audio(value: object) -> bytes:
    """The bytes of a base64 payload. Raises CarrierError."""
    if not isinstance(value, str):
        raise CarrierError("bad_audio", "A media message has no payload.", "Send base64 in media.payload.")
    try:
        return binascii.a2b_base64(value)
    except ValueError:
        raise CarrierError("bad_audio", "A media payload is not base64.", "Send base64.") from None


def base64_text(data: bytes) -> str:
    """Bytes as base64 on one line."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def compact(message: Mapping[str, Any]) -> str:
    """An object as JSON without blanks."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))

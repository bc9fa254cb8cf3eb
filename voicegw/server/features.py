"""What each carrier can do, read off the code: the table in docs/carriers/README.md is made of this."""

from collections.abc import Callable
from functools import partial

from voicegw.carriers.audiosocket import AudioSocket
from voicegw.carriers.base import Carrier, Handshake, Telephone
from voicegw.config import (
    JambonzSettings,
    PlivoSettings,
    Settings,
    TelnyxSettings,
    TwilioSettings,
)
from voicegw.server.rest import RestRequest, hang_up_request, press_request, transfer_request
from voicegw.server.routes import NATIVE, ROUTES

# Vonage's requests are signed with a file that is not there when documents are made.
_SIGNED_BY_FILE = "vonage"
_FULL = Settings.model_validate(
    {
        "carriers": {"public_url": "https://voice.example.com"},
        "twilio": TwilioSettings(account_sid="a", auth_token="t"),
        "telnyx": TelnyxSettings(api_key="k"),
        "plivo": PlivoSettings(auth_id="a", auth_token="t"),
        "jambonz": JambonzSettings(api_key="k", api_url="https://j", account_sid="a"),
    }
)


def _says(carrier: Carrier, word: str) -> bool:
    """True when the protocol has this word."""
    return getattr(type(carrier), word) is not getattr(Telephone, word)


def _way(carrier: Carrier, word: str, request: Callable[[str, str, Settings], RestRequest | None]) -> str:
    by_rest = carrier.name == _SIGNED_BY_FILE and request is not _press_request
    if not by_rest and carrier.name != _SIGNED_BY_FILE:
        by_rest = request(carrier.name, "1", _FULL) is not None
    ways = [way for way, there in (("stream", _says(carrier, word)), ("REST", by_rest)) if there]
    return ", ".join(ways) or "-"


def _press_request(carrier: str, call: str, settings: Settings) -> RestRequest | None:
    """Keys, with the signature of the others."""
    return press_request(carrier, call, "1", settings)


def _transfer_request(carrier: str, call: str, settings: Settings) -> RestRequest | None:
    return transfer_request(carrier, call, "1", settings)


def _pace(carrier: Carrier) -> str:
    player = carrier.player
    if player.whole:
        return "whole sentences"
    lead = f"{player.lead_us // 10_000 * 10} ms ahead"
    return f"{lead}, never silent" if player.fills else lead


def _yes(there: bool) -> str:
    return "yes" if there else "-"


def features_table() -> str:
    """The carriers as a Markdown table."""
    rows = [
        "| carrier | at | begins | pace | drops when interrupted | pauses | marks "
        "| hang-up | transfer | keys out |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    made: list[tuple[str, Carrier]] = [
        (f"`{route.path}`", route.make(Handshake(), Settings()))
        for route in ROUTES.values()
        if route is not NATIVE
    ]
    made.append(("TCP 9092", AudioSocket()))
    hang_up = partial(_way, word="hang_up", request=hang_up_request)
    for at, carrier in sorted(made, key=lambda pair: pair[1].name):
        closing = hang_up(carrier)
        cells = (
            f"[{carrier.name}]({carrier.name}.md)",
            at,
            "at its start message" if carrier.awaits_start else "at start, audio or 0.5 s",
            _pace(carrier),
            _yes(_says(carrier, "clear")) if not carrier.player.fills else "not needed",
            _yes(carrier.player.can_pause),
            _yes(carrier.player.marks),
            "closing the stream" if closing == "-" else closing,
            _way(carrier, "transfer", _transfer_request),
            _way(carrier, "dtmf", _press_request),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"

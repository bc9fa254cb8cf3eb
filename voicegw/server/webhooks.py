"""What carriers ask by HTTP before a call: the answer tells them to open a stream to this gateway.

Each is there only while its carrier is switched on, and is checked as the carrier's connections are.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from voicegw.carriers.base import Handshake
from voicegw.carriers.jambonz import listen_verbs
from voicegw.carriers.plivo import stream_xml
from voicegw.carriers.telnyx import connect_texml
from voicegw.carriers.twilio import connect_twiml
from voicegw.carriers.vonage import connect_ncco
from voicegw.config import PeerSettings, Settings
from voicegw.server.gateway import Gateway
from voicegw.server.peers import Refused, forwarded_peer
from voicegw.server.routes import is_on, no_route

# A webhook's fields are some hundred bytes.
MOST_BODY_BYTES = 64_000
Answer = Callable[[str, Mapping[str, str], Settings], Response]
Fields = Mapping[str, str]


def stream_url(request: Request, path: str, settings: Settings) -> str:
    """The address at which a carrier reaches `path` of this gateway over a WebSocket."""
    public = urlsplit(settings.carriers.public_url)
    if public.netloc:
        scheme = "ws" if public.scheme in ("http", "ws") else "wss"
        return f"{scheme}://{public.netloc}{public.path}{path}"
    # Without a public address only a test on this machine comes here unencrypted.
    scheme = "ws" if request.url.scheme == "http" else "wss"
    return f"{scheme}://{request.headers.get('host', 'localhost')}{path}"


def handshake_of(request: Request, settings: Settings) -> Handshake:
    """What the checks of a carrier need to know of a request."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    query = request.url.query
    return Handshake(
        request.scope["raw_path"].decode("ascii", "replace") + (f"?{query}" if query else ""),
        dict(request.query_params),
        headers,
        forwarded_peer(request.client.host if request.client else "", headers, settings),
    )


async def body_of(request: Request) -> bytes | None:
    """The body; None when it is too long."""
    found = b""
    async for chunk in request.stream():
        found += chunk
        if len(found) > MOST_BODY_BYTES:
            return None
    return found


def form_of(request: Request, body: bytes) -> dict[str, str]:
    """The fields that were posted, as a form or as JSON."""
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            found = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {name: value for name, value in found.items() if isinstance(value, str)}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def webhook(carrier: str, path: str, answer: Answer, stream_path: str) -> Route:
    """A route of a carrier's webhook. `answer` gets the stream's address and the request's fields."""

    async def endpoint(request: Request) -> Response:
        gateway: Gateway = request.app.state.gateway
        settings = gateway.settings
        if not is_on(carrier, settings):
            return PlainTextResponse(no_route(stream_path, settings), 404)
        body = await body_of(request)
        if body is None:
            return PlainTextResponse("The request is too long.\n", 413)
        form = form_of(request, body)
        signed = {} if request.headers.get("content-type", "").startswith("application/json") else form
        try:
            gateway.peers.check(carrier, handshake_of(request, settings), signed)
        except Refused as refused:
            return PlainTextResponse(f"{refused}\n", int(refused.status))
        return answer(stream_url(request, stream_path, settings), {**request.query_params, **form}, settings)

    handler: Callable[[Request], Awaitable[Response]] = endpoint
    return Route(path, handler, methods=["GET", "POST"])


def parameters(found: Fields, caller: str, called: str, peer: PeerSettings) -> dict[str, str]:
    """What the stream is to carry: who calls whom, the agent, and the token that opens the door."""
    wanted: dict[str, Any] = {
        "caller": found.get(caller, ""),
        "called": found.get(called, ""),
        "persona": found.get("persona", ""),
        "language": found.get("language", ""),
        "token": peer.token,
    }
    return {name: value for name, value in wanted.items() if value}


def twilio_voice(url: str, found: Fields, settings: Settings) -> Response:
    """TwiML that connects the call."""
    twiml = connect_twiml(url, parameters(found, "From", "To", settings.twilio))
    return Response(twiml, media_type="text/xml")


def telnyx_voice(url: str, found: Fields, settings: Settings) -> Response:
    """TeXML that connects the call, with the codec that the settings name."""
    told = parameters(found, "From", "To", settings.telnyx)
    texml = connect_texml(url, told, settings.telnyx.codec, settings.telnyx.rate_hz)
    return Response(texml, media_type="text/xml")


def plivo_answer(url: str, found: Fields, settings: Settings) -> Response:
    """Plivo's XML that connects the call."""
    told = urlencode(parameters(found, "From", "To", settings.plivo))
    xml = stream_xml(f"{url}?{told}" if told else url)
    return Response(xml, media_type="text/xml")


def plivo_transfer(url: str, found: Fields, settings: Settings) -> Response:
    """Plivo's XML that dials the number to which a call is handed over."""
    number = escape(found.get("to", ""))
    return Response(f"<Response><Dial><Number>{number}</Number></Dial></Response>", media_type="text/xml")


def vonage_answer(url: str, found: Fields, settings: Settings) -> Response:
    """An NCCO that connects the call."""
    told = parameters(found, "from", "to", settings.vonage)
    if uuid := found.get("uuid"):
        told["call-uuid"] = uuid
    signed = bool(settings.vonage.signature_secret)
    return JSONResponse(connect_ncco(url, settings.vonage.rate_hz, told, signed=signed))


def jambonz_hook(url: str, found: Fields, settings: Settings) -> Response:
    """The verbs that start the stream and end the call behind it."""
    told = parameters(found, "", "", settings.jambonz)
    told["bidir"] = "stream" if settings.jambonz.streaming else "play"
    return JSONResponse(listen_verbs(url, settings.jambonz.rate_hz, told, settings.jambonz.basic))


def webhook_routes() -> list[Route]:
    """The webhooks of all carriers."""
    return [
        webhook("twilio", "/twilio/voice", twilio_voice, "/twilio"),
        webhook("telnyx", "/telnyx/voice", telnyx_voice, "/telnyx"),
        webhook("plivo", "/plivo/answer", plivo_answer, "/plivo"),
        webhook("plivo", "/plivo/transfer", plivo_transfer, "/plivo"),
        webhook("vonage", "/vonage/answer", vonage_answer, "/vonage"),
        webhook("jambonz", "/jambonz/hook", jambonz_hook, "/jambonz"),
    ]

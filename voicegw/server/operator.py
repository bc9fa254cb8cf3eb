"""REST for those who run the gateway: dial a call, and command one that is in progress.

    POST /v1/dial                        {"connection_id": …, "persona": …, "caller": …, "called": …}
    POST /v1/calls/CALL_ID/transfer      {"target": "+15550111"}
    POST /v1/calls/CALL_ID/hold          {"on": true}
    POST /v1/calls/CALL_ID/keys          {"digits": "1234#"}
    POST /v1/calls/CALL_ID/hangup

Each with `Authorization: Bearer` and a token of scope `operate` (`voicegw token`) where `door.secret` is set,
else the one of `carriers.operator_token`.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voicegw.carriers.fields import identity, texts
from voicegw.errors import ConfigError, GatewayFull
from voicegw.server.dial import DialFailed, dial_asterisk
from voicegw.server.gateway import Gateway
from voicegw.server.peers import Refused
from voicegw.server.session import Session
from voicegw.server.webhooks import body_of, handshake_of

_DIGITS = re.compile(r"[0-9A-D*#w]{1,64}")
_TARGET = re.compile(r"[A-Za-z0-9+@.:_-]{1,120}")
Found = dict[str, Any]


def _failed(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)


async def _asked(request: Request) -> Found | Response:
    """Check the token and read the body."""
    gateway: Gateway = request.app.state.gateway
    authorization = request.headers.get("authorization", "")
    try:
        if gateway.door.locked:
            peer = handshake_of(request, gateway.settings).peer
            gateway.door.check_request("operate", authorization, peer)
        else:
            gateway.peers.check_operator(authorization)
    except Refused as refused:
        return _failed(int(refused.status), "unauthorised", str(refused))
    body = await body_of(request)
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return _failed(400, "bad_request", "Send one JSON object.")
    return found


async def dial(request: Request) -> Response:
    """Dial out."""
    gateway: Gateway = request.app.state.gateway
    found = await _asked(request)
    if isinstance(found, Response):
        return found
    told = texts(found)
    connection_id = told.pop("connection_id", "")
    persona = told.get("persona", "")
    if persona and persona not in gateway.personas:
        return _failed(400, "unknown_persona", f"Known: {', '.join(sorted(gateway.personas))}.")
    try:
        await dial_asterisk(gateway, connection_id, identity(told))
    except (ConfigError, ValueError) as error:
        return _failed(400, "bad_request", str(error))
    except GatewayFull as full:
        return _failed(503, "full", str(full))
    except DialFailed as error:
        return _failed(502, "dial_failed", str(error))
    return JSONResponse({"dialled": connection_id}, status_code=201)


def command(name: str, work: Callable[[Gateway, Session, Found], Awaitable[str]]) -> Route:
    """A command to a call in progress. `work` returns what was wrong, or nothing."""

    async def endpoint(request: Request) -> Response:
        gateway: Gateway = request.app.state.gateway
        found = await _asked(request)
        if isinstance(found, Response):
            return found
        session = gateway.find(request.path_params["call_id"])
        if session is None:
            return _failed(404, "unknown_call", "There is no such call in progress.")
        wrong = await work(gateway, session, found)
        return _failed(409, "not_done", wrong) if wrong else JSONResponse({"done": name})

    return Route(f"/v1/calls/{{call_id}}/{name}", endpoint, methods=["POST"])


async def transfer(gateway: Gateway, session: Session, found: Found) -> str:
    """Hand the caller over: with the carrier's own words, else by its REST."""
    target = str(found.get("target", ""))
    if not _TARGET.fullmatch(target):
        return "Send target: a number or an address."
    done = await gateway.transfer(session, target)
    return "" if done else "This carrier cannot transfer, or has no credentials for it (docs/carriers/)."


async def hold(gateway: Gateway, session: Session, found: Found) -> str:
    """Put the caller on hold, at most for `limits.hold_s`, or take them back."""
    session.hold(found.get("on", True) is not False)
    return ""


async def keys(gateway: Gateway, session: Session, found: Found) -> str:
    """Press keys towards the caller's side."""
    digits = str(found.get("digits", ""))
    if not _DIGITS.fullmatch(digits):
        return "Send digits: 0-9, *, #, A-D."
    done = session.press(digits) or await gateway.control.press(
        session.carrier_name, session.start.external_id, digits
    )
    return "" if done else "This carrier cannot press keys, or has no credentials for it (docs/carriers/)."


async def hang_up(gateway: Gateway, session: Session, found: Found) -> str:
    """End the call."""
    session.finish("operator")
    return ""


def operator_routes() -> list[Route]:
    """All of them."""
    return [
        Route("/v1/dial", dial, methods=["POST"]),
        command("transfer", transfer),
        command("hold", hold),
        command("keys", keys),
        command("hangup", hang_up),
    ]

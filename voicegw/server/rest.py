"""What can only be asked of a carrier by its REST interface: hang up, transfer, press keys.

A request is made of settings alone, so that it can be read and tested as data; without credentials there is
none, and the carrier's own words over the stream must do. An outcome that says "already over" is success.
"""

import asyncio
import base64
import json
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

import aiohttp
import jwt

from voicegw.config import Settings

log = logging.getLogger(__name__)

# A caller who is on hold meanwhile should not wait longer for a refusal.
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class RestRequest:
    """One request. `over` are the statuses that say that the call has ended already."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: str = ""
    over: tuple[int, ...] = (404,)


class CallControl(Protocol):
    """Who commands the carriers' calls. `external_id` is the carrier's own id of one."""

    async def hang_up(self, carrier: str, external_id: str) -> bool:
        """End a call. Returns whether the carrier did, or had done so."""
        ...

    async def transfer(self, carrier: str, external_id: str, target: str) -> bool:
        """Hand a caller over to a number. Returns whether the carrier does."""
        ...

    async def press(self, carrier: str, external_id: str, digits: str) -> bool:
        """Press keys towards the caller's side. Returns whether the carrier did."""
        ...

    async def aclose(self) -> None:
        """Release what it holds."""
        ...


def _form(authorization: str) -> dict[str, str]:
    return {"Authorization": authorization, "Content-Type": "application/x-www-form-urlencoded"}


def _json(authorization: str) -> dict[str, str]:
    return {"Authorization": authorization, "Content-Type": "application/json"}


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _twilio(settings: Settings, call: str, **fields: str) -> RestRequest | None:
    own = settings.twilio
    if not (own.account_sid and own.auth_token):
        return None
    url = f"{own.api_url}/2010-04-01/Accounts/{quote(own.account_sid)}/Calls/{call}.json"
    return RestRequest("POST", url, _form(_basic(own.account_sid, own.auth_token)), urlencode(fields))


def _telnyx(settings: Settings, call: str, action: str, **fields: str) -> RestRequest | None:
    own = settings.telnyx
    if not own.api_key:
        return None
    url = f"{own.api_url}/v2/calls/{call}/actions/{action}"
    return RestRequest("POST", url, _json(f"Bearer {own.api_key}"), json.dumps(fields), over=(404, 422))


def _plivo(settings: Settings, call: str, method: str, **fields: str) -> RestRequest | None:
    own = settings.plivo
    if not (own.auth_id and own.auth_token):
        return None
    url = f"{own.api_url}/v1/Account/{quote(own.auth_id)}/Call/{call}/"
    body = json.dumps(fields) if fields else ""
    return RestRequest(method, url, _json(_basic(own.auth_id, own.auth_token)), body)


def _vonage(settings: Settings, call: str, **body: object) -> RestRequest | None:
    own = settings.vonage
    if not (own.application_id and own.private_key):
        return None
    token = vonage_token(own.application_id, Path(own.private_key).read_text(encoding="ascii"))
    url = f"{own.api_url}/v1/calls/{call}"
    return RestRequest("PUT", url, _json(f"Bearer {token}"), json.dumps(body), over=(400, 404))


def vonage_token(application_id: str, private_key: str) -> str:
    """A JWT (RS256) for one request. Needs the extra `vonage`."""
    now = int(time.time())
    claims = {"application_id": application_id, "iat": now, "exp": now + 60, "jti": str(uuid.uuid4())}
    return jwt.encode(claims, private_key, algorithm="RS256")


def _jambonz(settings: Settings, call: str, **fields: str) -> RestRequest | None:
    own = settings.jambonz
    if not (own.api_key and own.api_url and own.account_sid):
        return None
    url = f"{own.api_url.rstrip('/')}/v1/Accounts/{quote(own.account_sid)}/Calls/{call}"
    return RestRequest("PUT", url, _json(f"Bearer {own.api_key}"), json.dumps(fields))


def hang_up_request(carrier: str, external_id: str, settings: Settings) -> RestRequest | None:
    """The request that ends a call; None where there is none, or no credentials for it."""
    call = quote(external_id, safe="")
    match carrier:
        case "twilio":
            return _twilio(settings, call, Status="completed")
        case "telnyx":
            return _telnyx(settings, call, "hangup")
        case "plivo":
            return _plivo(settings, call, "DELETE")
        case "vonage":
            return _vonage(settings, call, action="hangup")
        case "jambonz":
            return _jambonz(settings, call, call_status="completed")
    return None


def transfer_request(carrier: str, external_id: str, target: str, settings: Settings) -> RestRequest | None:
    """The request that hands a caller over to a number; None where there is none."""
    call = quote(external_id, safe="")
    match carrier:
        case "twilio":
            return _twilio(settings, call, Twiml=f"<Response><Dial>{escape(target)}</Dial></Response>")
        case "telnyx":
            return _telnyx(settings, call, "transfer", to=target)
        case "plivo" if settings.carriers.public_url:
            query = urlencode({"to": target, **({"token": t} if (t := settings.plivo.token) else {})})
            url = f"{settings.carriers.public_url}/plivo/transfer?{query}"
            return _plivo(settings, call, "POST", legs="aleg", aleg_url=url, aleg_method="POST")
        case "vonage":
            ncco = [{"action": "connect", "endpoint": [{"type": "phone", "number": target.lstrip("+")}]}]
            return _vonage(settings, call, action="transfer", destination={"type": "ncco", "ncco": ncco})
    return None


def press_request(carrier: str, external_id: str, digits: str, settings: Settings) -> RestRequest | None:
    """The request that presses keys towards the caller's side; None where there is none."""
    if carrier == "telnyx":
        return _telnyx(settings, quote(external_id, safe=""), "send_dtmf", digits=digits)
    return None


class HttpControl:
    """Commands calls over HTTP, as the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def hang_up(self, carrier: str, external_id: str) -> bool:
        """End a call."""
        return await self._ask("hang up", carrier, external_id, hang_up_request)

    async def transfer(self, carrier: str, external_id: str, target: str) -> bool:
        """Hand a caller over."""
        return await self._ask(
            "transfer", carrier, external_id, lambda c, call, s: transfer_request(c, call, target, s)
        )

    async def press(self, carrier: str, external_id: str, digits: str) -> bool:
        """Press keys."""
        return await self._ask(
            "press keys", carrier, external_id, lambda c, call, s: press_request(c, call, digits, s)
        )

    async def _ask(
        self,
        what: str,
        carrier: str,
        external_id: str,
        make: Callable[[str, str, Settings], RestRequest | None],
    ) -> bool:
        if not external_id:
            return False
        try:
            request = await asyncio.to_thread(make, carrier, external_id, self._settings)
            if request is None:
                return False
            if self._session is None:
                self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
            async with self._session.request(
                request.method, request.url, headers=request.headers, data=request.body or None
            ) as answer:
                done = answer.status < 300 or answer.status in request.over
                if not done:
                    log.warning("%s: to %s by REST failed: HTTP %d", carrier, what, answer.status)
                return done
        except (aiohttp.ClientError, TimeoutError, OSError, NotImplementedError, ValueError) as error:
            # A key that cannot be read, an address that is none, a network that is down: told, and no more.
            log.warning("%s: to %s by REST failed: %s", carrier, what, type(error).__name__)
            return False

    async def aclose(self) -> None:
        """Release the connections."""
        if self._session is not None:
            await self._session.close()

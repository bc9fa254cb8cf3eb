"""Bearer tokens: who someone is, what they may do, for whom it was made and how long it holds.

A token is a JWT (RFC 7519) signed with HMAC-SHA256 and the setting `door.secret`: another program that has it
may issue them too. Claims: `sub` (a name, for limits), `scope` (words, RFC 8693), `aud`, `exp`, `jti`, and
`once` for a token that opens one connection.
"""

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, get_args

import jwt

from voicegw.config import DoorSettings
from voicegw.server.peers import Refused

Scope = Literal["call", "supervise", "operate"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
# Clocks of two machines may differ by this.
LEEWAY_S = 5
# One-time tokens that were used are remembered until they expire, at most so many.
MOST_USED = 100_000


@dataclass(frozen=True, slots=True)
class Pass:
    """A token that was checked."""

    name: str
    scopes: frozenset[str]
    token_id: str
    expires: int
    once: bool


def issue(
    settings: DoorSettings, name: str, scopes: Iterable[Scope], lifetime_s: float, *, once: bool = False
) -> str:
    """Make a token; `door.secret` must be set."""
    now = time.time()
    claims = {
        "sub": name,
        "scope": " ".join(scopes),
        "aud": settings.audience,
        "iat": int(now),
        "exp": int(now + lifetime_s),
        "jti": secrets.token_urlsafe(12),
    }
    if once:
        claims["once"] = True
    return jwt.encode(claims, settings.secret, algorithm="HS256")


class Tokens:
    """Checks the tokens of one process."""

    def __init__(self, settings: DoorSettings) -> None:
        self._settings = settings
        self._used: dict[str, int] = {}  # token id: when it expires

    def check(self, token: str, scope: Scope) -> Pass:
        """Return whose token this is. Raises Refused: 401 if it does not hold, 403 if it may not do this."""
        if not token:
            raise Refused(HTTPStatus.UNAUTHORIZED, "A token is needed: Authorization: Bearer … or ?token=…")
        try:
            claims = jwt.decode(
                token,
                self._settings.secret,
                algorithms=["HS256"],
                audience=self._settings.audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "aud", "jti"]},
            )
        except jwt.ExpiredSignatureError:
            raise Refused(HTTPStatus.UNAUTHORIZED, "The token has expired.") from None
        except jwt.InvalidAudienceError:
            raise Refused(HTTPStatus.UNAUTHORIZED, "The token was made for somebody else.") from None
        except (jwt.PyJWTError, ValueError):
            raise Refused(HTTPStatus.UNAUTHORIZED, "The token does not hold.") from None
        scopes = frozenset(str(claims.get("scope", "")).split())
        if scope not in scopes:
            raise Refused(HTTPStatus.FORBIDDEN, f"The token does not allow: {scope}.")
        found = Pass(
            str(claims.get("sub", "")),
            scopes,
            str(claims["jti"]),
            int(claims["exp"]),
            claims.get("once") is True,
        )
        if found.once and found.token_id in self._used:
            raise Refused(HTTPStatus.UNAUTHORIZED, "The token was used already; it opens one connection.")
        return found

    def use(self, found: Pass) -> None:
        """The token has opened its connection."""
        if not found.once:
            return
        if len(self._used) >= MOST_USED:
            now = time.time()
            self._used = {token_id: until for token_id, until in self._used.items() if until + LEEWAY_S > now}
            if len(self._used) >= MOST_USED:
                # So many within their short life: refuse the newest rather than forget one that was used.
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Too many one-time tokens are in use.")
        self._used[found.token_id] = found.expires


def bearer(authorization: str) -> str:
    """The token of an Authorization header; empty when it has none."""
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""

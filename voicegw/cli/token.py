"""`voicegw token`: tokens for callers, supervisors and operators."""

import json
import re
import secrets

from voicegw.config import Settings
from voicegw.errors import ConfigError
from voicegw.server.tokens import SCOPES, Scope, issue

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
# A browser opens its connection at once: a one-time token need not hold longer.
ONCE_S = 120


def print_secret() -> None:
    """Print a secret that nobody guesses."""
    print(secrets.token_urlsafe(32))


def print_token(
    settings: Settings, name: str, scopes: list[str], lifetime: str, *, once: bool, as_json: bool
) -> None:
    """Issue a token and print it. Raises ConfigError."""
    if not settings.door.secret:
        raise ConfigError(
            "door.secret is not set: tokens are signed with it. voicegw token --new-secret makes one for "
            "VOICEGW_DOOR__SECRET."
        )
    wanted = [_scope(scope) for scope in scopes]
    match = re.fullmatch(r"([1-9]\d*)([smhd])", lifetime)
    if match is None:
        raise ConfigError(f"--lifetime {lifetime}: expected for instance 90s, 15m, 12h or 30d")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if once:
        seconds = min(seconds, ONCE_S)
    token = issue(settings.door, name, wanted, seconds, once=once)
    print(json.dumps({"token": token, "expires_in": seconds, "scope": wanted}) if as_json else token)


def _scope(text: str) -> Scope:
    for scope in SCOPES:
        if scope == text:
            return scope
    raise ConfigError(f"--scope {text}: expected {', '.join(SCOPES)}")

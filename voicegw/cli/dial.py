"""`voicegw dial`: have a running gateway connect to a channel that waits in Asterisk."""

import json
import urllib.error
import urllib.request

import typer

from voicegw.config import Settings
from voicegw.errors import ConfigError, VoicegwError
from voicegw.server.tokens import issue

# A token for one request.
TOKEN_S = 60.0


def own_token(settings: Settings) -> str:
    """Return a token for a gateway with the same settings; "" where they have none."""
    if settings.door.secret:
        return issue(settings.door, "voicegw dial", ["operate"], TOKEN_S)
    return settings.carriers.operator_token


def run_dial(
    connection_id: str, gateway: str, token: str, persona: str, caller: str, called: str, as_json: bool
) -> int:
    """Ask the gateway at `gateway` (an HTTP address) to dial. Raises ConfigError, VoicegwError."""
    if not token:
        raise ConfigError(
            "no operator token: give --token, or the gateway's VOICEGW_DOOR__SECRET or "
            "VOICEGW_CARRIERS__OPERATOR_TOKEN"
        )
    told = {"connection_id": connection_id, "persona": persona, "caller": caller, "called": called}
    request = urllib.request.Request(
        f"{gateway.rstrip('/')}/v1/dial",
        json.dumps(told).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        raise VoicegwError(f"{gateway}: {_said(error)}") from error
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise VoicegwError(f"{gateway} cannot be reached: {reason}") from error
    typer.echo(json.dumps({"dialled": connection_id}) if as_json else f"dialled {connection_id}")
    return 0


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"

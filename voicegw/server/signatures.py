"""What carriers sign, and how that is verified. Each function returns "" or the name of what failed.

Sources: https://www.twilio.com/docs/usage/webhooks/webhooks-security,
https://www.plivo.com/docs/voice/concepts/signature-validation (V3),
https://developer.vonage.com/en/getting-started/concepts/webhooks (signed webhooks).
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

import jwt

from voicegw.carriers.base import Handshake
from voicegw.config import Settings

Form = Mapping[str, str]
# Clocks of carriers and gateways differ by less.
LEEWAY_S = 60


def public_urls(handshake: Handshake, settings: Settings, schemes: tuple[str, ...]) -> Iterator[str]:
    """Every way in which a carrier may have written the address of this request, the likely ones first."""
    public = urlsplit(settings.carriers.public_url)
    if public.netloc:
        host, prefix = public.netloc, public.path
    else:
        headers = handshake.headers
        forwarded = headers.get("x-forwarded-host", "") if settings.carriers.trusted_proxies else ""
        host, prefix = forwarded.partition(",")[0].strip() or headers.get("host", ""), ""
    path, question, query = handshake.path.partition("?")
    bare = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    hosts = dict.fromkeys((host, bare, f"{bare}:443"))
    paths = dict.fromkeys((path, path.rstrip("/") or "/", path.rstrip("/") + "/"))
    for scheme in schemes:
        for name in hosts:
            for place in paths:
                yield f"{scheme}://{name}{prefix}{place}{question}{query}"


def twilio_signature(token: str, url: str, form: Form) -> str:
    """`X-Twilio-Signature` of a request: HMAC-SHA1 over URL and posted fields."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    digest = hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def twilio_signed(handshake: Handshake, form: Form, settings: Settings) -> str:
    """Verify Twilio's signature, if there is a token to verify it with."""
    token = settings.twilio.auth_token
    if not token:
        return ""
    given = handshake.headers.get("x-twilio-signature", "")
    if not given:
        return "X-Twilio-Signature missing"
    found = False
    for url in public_urls(handshake, settings, ("wss", "https", "http")):
        # No early end: how long it takes must not tell which one was near.
        found |= hmac.compare_digest(given.encode(), twilio_signature(token, url, form).encode())
    return "" if found else "X-Twilio-Signature"


def plivo_signature(token: str, url: str, nonce: str, form: Form) -> str:
    """`X-Plivo-Signature-V3` of a request."""
    address, _, query = url.partition("?")
    pairs = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(query, keep_blank_values=True)))
    signed = address
    if form:
        fields = "".join(name + form[name] for name in sorted(form))
        signed += f"?{pairs}.{fields}" if pairs else f"?{fields}"
    elif pairs:
        signed += f"?{pairs}"
    digest = hmac.new(token.encode(), f"{signed}.{nonce}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def plivo_signed(handshake: Handshake, form: Form, settings: Settings) -> str:
    """Verify Plivo's signature, if there is a token to verify it with; one of several is enough."""
    token, headers = settings.plivo.auth_token, handshake.headers
    if not token:
        return ""
    names = ("x-plivo-signature-v3", "x-plivo-signature-ma-v3")
    given = [part.strip() for name in names for part in headers.get(name, "").split(",") if part.strip()]
    if not given:
        return "X-Plivo-Signature-V3 missing"
    nonce, found = headers.get("x-plivo-signature-v3-nonce", ""), False
    for url in public_urls(handshake, settings, ("wss", "https", "ws", "http")):
        expected = plivo_signature(token, url, nonce, form).encode()
        for signature in given:
            found |= hmac.compare_digest(signature.encode(), expected)
    return "" if found else "X-Plivo-Signature-V3"


def vonage_signed(handshake: Handshake, form: Form, settings: Settings) -> str:
    """Verify Vonage's JWT (HS256), if there is a secret to verify it with."""
    secret = settings.vonage.signature_secret
    if not secret:
        return ""
    kind, _, token = handshake.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return "JWT missing"
    try:
        jwt.decode(
            token.strip(),
            secret,
            algorithms=["HS256"],
            leeway=LEEWAY_S,
            options={"require": ["iat"], "verify_aud": False},
        )
    except jwt.ExpiredSignatureError:
        return "JWT expired"
    except jwt.PyJWTError:
        return "JWT"
    return ""


def telnyx_token(handshake: Handshake, form: Form, settings: Settings) -> str:
    """Compare Telnyx's `stream_auth_token`, if one is expected."""
    expected = settings.telnyx.auth_token
    if not expected:
        return ""
    given = handshake.headers.get("x-telnyx-streaming-auth-token", "")
    return "" if hmac.compare_digest(given.encode(), expected.encode()) else "x-telnyx-streaming-auth-token"

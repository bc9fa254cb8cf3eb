"""Links that whoever holds them may follow for a short time, and nobody may make up.

Signed with the process's secret (HMAC-SHA256), so that a browser needs no token in a header.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote


class Links:
    """Makes and checks links. Without a configured secret they hold as long as the process."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.sha256(b"voicegw links\0" + secret).digest()

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._key, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()

    def sign(self, path: str, lifetime_s: float) -> str:
        """A link to `path` (not quoted) that holds for so long."""
        expires = str(int(time.time() + lifetime_s))
        return f"{quote(path)}?expires={expires}&signature={self._signature(path, expires)}"

    def holds(self, path: str, query: Mapping[str, str]) -> bool:
        """True when the query of a request for `path` was signed here and is not too old."""
        expires, signature = query.get("expires", ""), query.get("signature", "")
        if not hmac.compare_digest(signature.encode(), self._signature(path, expires).encode()):
            return False
        # Signed by us, so it is a number.
        return time.time() < int(expires)

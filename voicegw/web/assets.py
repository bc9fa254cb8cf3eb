"""The static files of a page, kept in memory, under an address that changes with their content.

A browser may keep `/assets/DIGEST/...` for ever, and a new version of the gateway is never mixed with an
old page: modules import each other by relative paths, so all of them come from one digest.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

# Under `default-src 'self'` no inline script or style runs and nothing is asked of another host.
CSP = (
    "default-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
FOR_EVER = "public, max-age=31536000, immutable"
_PACKED = {".html", ".css", ".js", ".svg", ".json"}
# What the page's own suffixes are, whatever the machine's table of types says.
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".flac": "audio/flac"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes, those compressed where that is worth it, and its media type."""

    data: bytes
    packed: bytes | None
    media_type: str


def read_asset(path: Path) -> Asset:
    """Read a file."""
    data = path.read_bytes()
    packed = gzip.compress(data, 9, mtime=0) if path.suffix in _PACKED else None
    guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(data, packed, f"{guessed}; charset=utf-8" if packed else guessed)


class Assets:
    """All files of `folder`, read once. Pages (`.html`) name the others by `/assets/DIGEST/`."""

    def __init__(self, folder: Path) -> None:
        paths = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
        self._files = {name: read_asset(path) for name, path in paths.items()}
        digest = hashlib.sha256()
        for name, asset in self._files.items():
            digest.update(f"{name}\0{len(asset.data)}\0".encode() + asset.data)
        self.digest = digest.hexdigest()[:16]
        self._pages: dict[str, Asset] = {}
        for name in [name for name in self._files if name.endswith(".html")]:
            page = self._files.pop(name).data.replace(b"{{assets}}", f"/assets/{self.digest}".encode())
            self._pages[name] = Asset(page, gzip.compress(page, 9, mtime=0), "text/html; charset=utf-8")

    async def index(self, request: Request) -> Response:
        """Serve `index.html`."""
        return self.page(request, "index.html")

    def page(self, request: Request, name: str) -> Response:
        """Answer with a page: asked for anew each time, sent only when it has changed."""
        tag = f'"{self.digest}"'
        headers = {"Cache-Control": "no-cache", "ETag": tag, "Content-Security-Policy": CSP}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return _answer(request, self._pages[name], headers)

    async def file(self, request: Request) -> Response:
        """Serve another file. One of another version is not there."""
        asset = self._files.get(request.path_params["name"])
        if asset is None or request.path_params["digest"] != self.digest:
            return PlainTextResponse("There is no such file; load the page anew.\n", status_code=404)
        # A worker and a worklet have the policy of their own file.
        return _answer(request, asset, {"Cache-Control": FOR_EVER, "Content-Security-Policy": CSP})


def _answer(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    headers = {**headers, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    if asset.packed is None:
        return Response(asset.data, media_type=asset.media_type, headers=headers)
    headers["Vary"] = "Accept-Encoding"
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, media_type=asset.media_type, headers=headers)
    return Response(asset.data, media_type=asset.media_type, headers=headers)

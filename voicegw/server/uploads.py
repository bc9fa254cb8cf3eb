"""Links by which a caller who has a browser at hand sends a photo, each once.

The link is all the authority: it is unguessable, ends after ten minutes and with the call.
"""

import asyncio
import secrets

from voicegw.server.photos import Photos

LINK_S = 600.0
PATH = "/v1/photos/"
MOST_LINKS = 10_000


class Uploads:
    """The links of a process."""

    def __init__(self) -> None:
        self._links: dict[str, tuple[Photos, float]] = {}

    def link(self, photos: Photos) -> str:
        """Return the path of a new link for the photos of a call."""
        now = asyncio.get_running_loop().time()
        self._links = {token: found for token, found in self._links.items() if found[1] > now}
        if len(self._links) >= MOST_LINKS:
            self._links.pop(next(iter(self._links)))
        token = secrets.token_urlsafe(18)
        self._links[token] = (photos, now + LINK_S)
        return PATH + token

    def forget(self, photos: Photos) -> None:
        """The call is over: its links lead nowhere."""
        self._links = {token: found for token, found in self._links.items() if found[0] is not photos}

    def open(self, token: str) -> bool:
        """True while a photo may be sent under this link."""
        found = self._links.get(token)
        return found is not None and found[1] > asyncio.get_running_loop().time()

    def take(self, token: str) -> Photos | None:
        """Return where the photo goes, and use the link up; None when it is not good any more."""
        if not self.open(token):
            return None
        return self._links.pop(token)[0]

    def give_back(self, token: str, photos: Photos) -> None:
        """The photo was not good: the caller may try again."""
        self._links[token] = (photos, asyncio.get_running_loop().time() + LINK_S)

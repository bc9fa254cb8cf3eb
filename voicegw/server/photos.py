"""The photos of one call: spooled to disk, checked by content, oriented, shrunk, deleted with the call.

Decoding leaves the loop and is bounded: a photo of few bytes can have more pixels than there is memory.
"""

import asyncio
import base64
import logging
import re
import secrets
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageOps, UnidentifiedImageError

from voicegw.call import events as e
from voicegw.call.commands import Message
from voicegw.carriers.base import PhotoPart

log = logging.getLogger(__name__)

MOST_BYTES = 20_000_000
# 50 megapixels: more than a telephone takes, and 150 MB while it is decoded.
MOST_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
# What models look at (OpenAI's guide to vision): low is 512 px; high is scaled to a short side of 768.
SIDES = {"low": 512, "high": 2048}
JPEG_QUALITY = 85
# Photos of a call that are kept, and uploads that are in progress at once.
MOST_PHOTOS = 20
MOST_UPLOADS = 2
# Asked about these, the model must read what is in the picture.
_READING = re.compile(
    r"\b(?:receipt|invoice|bill|read|text|written|error|screen|serial|label|document|number"
    r"|hóa đơn|hoá đơn|biên lai|đọc|chữ|ghi|lỗi|màn hình|nhãn|giấy|mã)\b",
    re.IGNORECASE,
)
Detail = Literal["low", "high", "auto"]


class BadPhoto(Exception):
    """A photo that cannot be taken: `code` for programs, the text for people, `hint` what to do."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Photos:
    """The photos of one call, in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        detail: Detail,
        feed: Callable[[e.Event], None],
        refuse: Callable[[BadPhoto], None],
    ) -> None:
        """`refuse` tells the other side about a photo that came by its connection."""
        self._folder = folder
        self._detail = detail
        self._feed = feed
        self._refuse = refuse
        self._uploads: dict[str, Path | None] = {}  # None: refused, and its rest is dropped
        self._known: set[str] = set()
        self._group: asyncio.TaskGroup | None = None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Photos may be looked at from now on."""
        self._group = group

    def close(self) -> None:
        """Delete all of them."""
        self._group = None
        if self._folder.exists():
            shutil.rmtree(self._folder, ignore_errors=True)

    # In parts, by the call's connection

    def take(self, part: PhotoPart) -> None:
        """Add a part. With the last one the photo is looked at: the call gets it, or the caller an error."""
        try:
            path = self._append(part)
        except BadPhoto as error:
            self._uploads[part.photo_id] = None
            self._refuse(error)
            path = None
        except OSError as error:
            log.error("a photo cannot be kept: %s", error.strerror)
            self._uploads[part.photo_id] = None
            self._refuse(BadPhoto("photo_not_kept", "The photo cannot be kept.", "Try again later."))
            path = None
        if part.last:
            self._uploads.pop(part.photo_id, None)
            if path is not None and self._group is not None:
                self._group.create_task(self._look(path, part.text))

    def forget_parts(self) -> None:
        """The connection is lost: a photo that was not whole is sent again from its beginning, or never."""
        for path in self._uploads.values():
            if path is not None:
                path.unlink(missing_ok=True)
        self._uploads.clear()

    def _append(self, part: PhotoPart) -> Path | None:
        if part.photo_id not in self._uploads:
            if sum(path is not None for path in self._uploads.values()) >= MOST_UPLOADS:
                raise BadPhoto("too_many_photos", "Too many photos at once.", "Send one after the other.")
            if len(self._uploads) > MOST_UPLOADS * 2:
                self._uploads.clear()
            self._uploads[part.photo_id] = self.new_file()
        path = self._uploads[part.photo_id]
        if path is None:
            return None
        # A part is at most 48 kB: into the page cache that is no wait.
        with path.open("ab") as file:
            file.write(part.data)
            size = file.tell()
        if size > MOST_BYTES:
            path.unlink(missing_ok=True)
            raise too_large()
        return path

    async def _look(self, path: Path, text: str) -> None:
        try:
            await self.add(path, text)
        except BadPhoto as error:
            self._refuse(error)

    # Whole

    def new_file(self) -> Path:
        """Return the path of a new, empty file for a photo. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{secrets.token_hex(8)}.part"
        path.touch(mode=0o600)
        return path

    async def add(self, path: Path, text: str = "") -> None:
        """Take the photo in `path`, which goes. Raises BadPhoto."""
        image_id = path.stem
        try:
            if len(self._known) >= MOST_PHOTOS:
                raise BadPhoto("too_many_photos", "There are too many photos in this call.", "Use words.")
            width, height = await asyncio.to_thread(_prepare, path, self._folder / image_id)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        self._known.add(image_id)
        self._feed(e.CallerImage(image_id, width, height, text))

    # To the model

    async def shown(self, messages: tuple[Message, ...]) -> list[Mapping[str, Any]]:
        """Return the messages with the pictures in place of their references."""
        shown: list[Mapping[str, Any]] = list(messages)
        for at, message in enumerate(shown):
            content = message.get("content")
            if isinstance(content, list):
                shown[at] = {**message, "content": await self._parts(content)}
        return shown

    async def _parts(self, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        text = " ".join(str(part.get("text", "")) for part in parts)
        detail = self._detail
        if detail == "low" and _READING.search(text):
            detail = "high"
        size = "low" if detail == "low" else "high"
        found = []
        for part in parts:
            if part["type"] != "image":
                found.append(part)
                continue
            try:
                data = await asyncio.to_thread((self._folder / f"{part['image_id']}.{size}.jpg").read_bytes)
            except OSError:
                found.append({"type": "text", "text": "[a photo that is not there any more]"})
                continue
            url = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
            found.append({"type": "image_url", "image_url": {"url": url, "detail": detail}})
        return found


def too_large() -> BadPhoto:
    """The photo has more bytes than may be."""
    return BadPhoto("photo_too_large", "The photo is larger than 20 MB.", "Send a smaller one.")


def _prepare(path: Path, target: Path) -> tuple[int, int]:
    """Write the photo for both details as JPEG; return its size. Raises BadPhoto. Blocks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise BadPhoto(
                        "photo_too_large", "The photo has more than 50 megapixels.", "Send a smaller one."
                    )
                # JPEG can be decoded small at once.
                image.draft("RGB", (SIDES["high"], SIDES["high"]))
                upright = ImageOps.exif_transpose(image).convert("RGBA")
    except UnidentifiedImageError:
        raise BadPhoto("not_a_photo", "This is no photo.", "Send PNG, JPG, WEBP or GIF.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, MemoryError) as error:
        log.info("a photo could not be read: %s", type(error).__name__)
        raise BadPhoto("damaged_photo", "The photo is damaged.", "Take it again, or send another.") from None
    # What is transparent shows white, as on a page.
    flat = Image.new("RGB", upright.size, "white")
    flat.paste(upright, mask=upright.getchannel("A"))
    for name, side in SIDES.items():
        small = flat.copy()
        small.thumbnail((side, side))
        if name == "high" and min(small.size) > 768:
            small = ImageOps.contain(small, (side, 768) if small.width >= small.height else (768, side))
        small.save(target.with_name(f"{target.name}.{name}.jpg"), "JPEG", quality=JPEG_QUALITY)
    return width, height

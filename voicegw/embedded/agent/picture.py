"""What the scripted agent sees in a picture: its brightness, no more, in place of a model's eyes.

Dark stands for the black gaming laptop, grey for the office one, bright for the white one for design. It
shows that the picture has come and can be decoded, which is what a demonstration is for.
"""

import base64
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageStat, UnidentifiedImageError

from voicegw.embedded.agent.shop import DESIGN, GAMING, OFFICE, Laptop


def laptop_in(message: Mapping[str, Any]) -> Laptop | None:
    """Return the laptop in the last picture of a message; None when it cannot be decoded."""
    urls = [
        str((part.get("image_url") or {}).get("url", ""))
        for part in message.get("content") or ()
        if isinstance(part, dict) and part.get("type") == "image_url"
    ]
    try:
        data = base64.b64decode(urls[-1].partition(",")[2]) if urls else b""
        with Image.open(io.BytesIO(data)) as image:
            image.draft("L", (64, 64))
            brightness = ImageStat.Stat(image.convert("L").resize((16, 16))).mean[0]
    except (ValueError, OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return GAMING if brightness < 85 else OFFICE if brightness < 170 else DESIGN

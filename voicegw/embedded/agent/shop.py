"""The shop of the demonstration: its orders, laptops and coupon, in both languages.

Used where the request offers no tool of the same purpose. All of it is made up.
"""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "vi"]


@dataclass(frozen=True)
class Order:
    """An order: `status` is a code of `results.STATUSES`, `arrives` how it is said in each language."""

    status: str
    arrives: dict[Language, str]


@dataclass(frozen=True)
class Laptop:
    """A laptop; `price` in Vietnamese dong."""

    product_id: str
    name: str
    price: int
    use: dict[Language, str]
    rivals: str
    """Two others of its price."""


_TOMORROW: dict[Language, str] = {
    "en": "tomorrow between 2 and 5 in the afternoon",
    "vi": "ngày mai, từ 2 giờ đến 5 giờ chiều",
}
_FRIDAY: dict[Language, str] = {"en": "on Friday before noon", "vi": "thứ sáu, trước 12 giờ trưa"}

# By the six digits of the order number; callers say them with or without "DH".
ORDERS = {
    "123456": Order("out_for_delivery", _TOMORROW),
    "654321": Order("processing", _FRIDAY),
    "091234": Order("delivered", {}),
    "246810": Order("shipped", _FRIDAY),
    "912912": Order("shipped", _TOMORROW),
}

_PLAY: dict[Language, str] = {"en": "gaming", "vi": "chơi game"}
_WORK: dict[Language, str] = {"en": "office work", "vi": "làm văn phòng"}
_DRAW: dict[Language, str] = {"en": "design", "vi": "thiết kế"}
GAMING = Laptop("falcon-15", "Falcon 15", 19_900_000, _PLAY, "Nitro 5, TUF A15")
OFFICE = Laptop("atlas-14", "Atlas 14", 14_500_000, _WORK, "Swift 3, Vivobook 14")
DESIGN = Laptop("canvas-16", "Canvas 16", 32_000_000, _DRAW, "Yoga Pro 16, Swift X")
LAPTOPS = (GAMING, OFFICE, DESIGN)

COUPON = "SUMMER2025"
COUPON_PERCENT = 10

"""Speak what a tool returned, or what the shop's own data say, in the caller's language."""

import calendar
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voicegw.embedded.agent.sayings import SAID
from voicegw.embedded.agent.shop import COUPON, COUPON_PERCENT, LAPTOPS, ORDERS, Language

STATUSES: dict[str, dict[Language, str]] = {
    "pending": {"en": "waiting to be processed", "vi": "đang chờ xử lý"},
    "processing": {"en": "being packed", "vi": "đang được đóng gói"},
    "packed": {"en": "packed", "vi": "đã được đóng gói"},
    "shipped": {"en": "on its way", "vi": "đang trên đường vận chuyển"},
    "in_transit": {"en": "on its way", "vi": "đang trên đường vận chuyển"},
    "out_for_delivery": {"en": "out for delivery", "vi": "đang được giao"},
    "delivered": {"en": "delivered", "vi": "đã được giao"},
    "cancelled": {"en": "cancelled", "vi": "đã bị hủy"},
    "canceled": {"en": "cancelled", "vi": "đã bị hủy"},
}
"""How the usual status codes of shops are said."""

_ETA_KEYS = (
    "eta", "arrives", "delivery", "delivery_time", "delivery_date", "expected_delivery", "estimated_delivery",
    "expected_at", "arrival",
)  # fmt: skip
_NAME_KEYS = ("name", "product_name", "title", "product", "product_id")
_PRICE_KEYS = ("price", "price_vnd", "current_price", "original_price")
_FINAL_KEYS = ("final_price", "discounted_price", "new_price", "price_after_discount", "total")


@dataclass(frozen=True)
class ToolAnswer:
    """The result of one tool call: its name, arguments, and content as the conversation has it."""

    name: str
    arguments: Mapping[str, Any]
    content: str

    @property
    def facts(self) -> Mapping[str, Any] | None:
        """The content if it is a JSON object."""
        try:
            value = json.loads(self.content)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    @property
    def failed(self) -> bool:
        """Whether the tool says that it found nothing or broke."""
        facts = self.facts
        if facts is None:
            return bool(
                re.match(r"(error|not found|unknown|failed|không tìm thấy|lỗi)", self.content.strip(), re.I)
            )
        failed_flags = ("found", "ok", "success", "valid")
        return bool(facts.get("error")) or any(facts.get(flag) is False for flag in failed_flags)


def say(key: str, language: Language, **slots: str) -> str:
    """Return a saying with its slots filled."""
    return SAID[key][language].format(**slots)


def order_sentences(answer: ToolAnswer, language: Language, *, only_time: bool) -> list[str]:
    """Say how an order stands; with `only_time` only when it arrives."""
    order = str(answer.arguments.get("order_id", "")).upper()
    facts = answer.facts
    if answer.failed:
        return [say("no order", language, order=order)]
    if facts is None:
        return [_as_sentence(answer.content)]
    code = str(facts.get("status") or facts.get("state") or "")
    eta = _first(facts, _ETA_KEYS)
    said: list[str] = []
    if code and not only_time:
        said.append(say("status", language, order=order, status=_status(code, language)))
    if _code(code) == "delivered":
        if only_time:
            said.append(say("arrived", language))
    elif eta is not None:
        said.append(say("arrives", language, eta=_date(str(eta), language)))
    elif only_time:
        said.append(say("no eta", language))
    return said or [_facts(facts, language)]


def product_sentences(answer: ToolAnswer, language: Language) -> list[str]:
    """Say what a laptop costs."""
    facts = answer.facts
    if answer.failed:
        return [say("no product", language)]
    if facts is None:
        return [_as_sentence(answer.content)]
    name, price = _first(facts, _NAME_KEYS), amount(_first(facts, _PRICE_KEYS))
    if name is None or price is None:
        return [_facts(facts, language)]
    said = [say("price", language, name=str(name), price=money(price, language))]
    extra = facts.get("goes_well_with")
    if isinstance(extra, dict) and (cost := amount(extra.get("price"))) is not None:
        said.append(
            say("goes well", language, name=str(extra.get("name")), price=_small_money(cost, language))
        )
    return said


def discount_sentences(answer: ToolAnswer, language: Language) -> list[str]:
    """Say what is left to pay."""
    coupon = str(answer.arguments.get("coupon_code", ""))
    facts = answer.facts
    if answer.failed:
        return [say("bad coupon", language, coupon=coupon)]
    if facts is None:
        return [_as_sentence(answer.content)]
    final = amount(_first(facts, _FINAL_KEYS))
    if final is None:
        return [_facts(facts, language)]
    return [say("discounted", language, coupon=coupon, price=money(final, language))]


def moved_sentences(answer: ToolAnswer, language: Language) -> list[str]:
    """Say whether a delivery was moved."""
    facts = answer.facts or {}
    if answer.failed:
        return [say("no order", language, order=str(answer.arguments.get("order_id", "")))]
    if facts.get("status") == "not run":
        return [say("not moved", language)]
    return [say("moved", language, day=str(answer.arguments.get("day", "")))]


def shop_order(order_id: str, language: Language) -> ToolAnswer:
    """Answer from the shop's own orders, as a tool would."""
    order = ORDERS.get(order_id.removeprefix("DH"))
    facts: dict[str, Any] = {"error": "not found"}
    if order is not None:
        facts = {"status": order.status}
        if order.arrives:
            facts["eta"] = order.arrives[language]
    return ToolAnswer("get_order_status", {"order_id": order_id}, json.dumps(facts))


def shop_product(product_id: str) -> ToolAnswer:
    """Answer from the shop's own laptops, as a tool would."""
    facts: dict[str, Any] = {"error": "not found"}
    for laptop in LAPTOPS:
        if laptop.product_id == product_id:
            facts = {"name": laptop.name, "price": laptop.price}
    return ToolAnswer("get_product_info", {"product_id": product_id}, json.dumps(facts))


def shop_discount(coupon: str, price: float) -> ToolAnswer:
    """Answer from the shop's own coupon, as a tool would."""
    facts: dict[str, Any] = {"error": "not valid"}
    if coupon == COUPON:
        facts = {"final_price": price * (100 - COUPON_PERCENT) / 100}
    return ToolAnswer(
        "calculate_discount", {"coupon_code": coupon, "original_price": price}, json.dumps(facts)
    )


def price_in(answer: ToolAnswer) -> float | None:
    """Return the price in the answer of a product tool."""
    return amount(_first(answer.facts or {}, _PRICE_KEYS))


def amount(value: Any) -> float | None:
    """Return an amount given as a number or as text such as "19.900.000 VND"; None when it is neither."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    digits = re.sub(r"[.,](?=\d{3})|[^\d.]", "", str(value)).strip(".")
    return float(digits) if re.fullmatch(r"\d+(\.\d+)?", digits) else None


def money(value: float, language: Language) -> str:
    """Return an amount as it is said: in millions of dong where it is that large, else as a plain number.

    >>> money(19_900_000, "vi")
    '19,9 triệu đồng'
    """
    if value < 1_000_000:
        return f"{value:g}"
    millions = f"{value / 1_000_000:.2f}".rstrip("0").rstrip(".")
    return f"{millions} million dong" if language == "en" else f"{millions.replace('.', ',')} triệu đồng"


def _small_money(value: float, language: Language) -> str:
    if value >= 1_000_000:
        return money(value, language)
    return f"{value:,.0f} dong" if language == "en" else f"{value:,.0f} đồng".replace(",", ".")


def _first(facts: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((facts[key] for key in keys if facts.get(key) not in (None, "")), None)


def _code(status: str) -> str:
    return re.sub(r"[\s-]+", "_", status.strip().lower())


def _status(status: str, language: Language) -> str:
    known = STATUSES.get(_code(status))
    return known[language] if known else status.strip().rstrip(".")


def _date(text: str, language: Language) -> str:
    """Return an ISO date as it is said; other text as it is."""
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?:[T ].*)?", text.strip())
    if match is None or not 1 <= int(match[2]) <= 12:
        return text.strip().rstrip(".")
    month, day = int(match[2]), int(match[3])
    return f"on {calendar.month_name[month]} {day}" if language == "en" else f"vào ngày {day} tháng {month}"


def _facts(facts: Mapping[str, Any], language: Language) -> str:
    listed = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items())
    return say("found", language, facts=listed)


def _as_sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."

"""Every sentence of the agent, in both languages, and how it recognises its own questions.

The agent keeps no state: what it asked last it reads from its own words in the conversation, which may
have been cut off where the caller interrupted.
"""

import re
from enum import StrEnum

from voicegw.embedded.agent.shop import Language


class Ask(StrEnum):
    """The questions on which the next turn of the caller depends."""

    ORDER_NUMBER = "order number"
    ORDER_NUMBER_AGAIN = "order number again"
    KEYPAD = "keypad"
    MORE_DIGITS = "more digits"
    CONFIRM = "confirm"
    PERSON = "person"
    WHICH_LAPTOP = "which laptop"
    COUPON = "coupon"
    DAY = "day"
    ANYTHING_ELSE = "anything else"


ASKED: dict[Ask, dict[Language, str]] = {
    Ask.ORDER_NUMBER: {
        "en": "What is your order number?",
        "vi": "Anh chị cho em xin mã đơn hàng ạ?",
    },
    Ask.ORDER_NUMBER_AGAIN: {
        "en": "Please say the six digits one by one.",
        "vi": "Anh chị vui lòng đọc từng số một, gồm sáu chữ số ạ.",
    },
    Ask.KEYPAD: {
        "en": "You can type the six digits on your keypad, or send them as text.",
        "vi": "Anh chị có thể bấm sáu chữ số trên bàn phím, hoặc nhắn tin cho em ạ.",
    },
    Ask.MORE_DIGITS: {
        "en": "So far I have {digits}. What are the next digits?",
        "vi": "Em đã nghe được {digits}. Các số tiếp theo là gì ạ?",
    },
    Ask.CONFIRM: {
        "en": "I heard {digits}. Is that right?",
        "vi": "Em nghe được mã đơn hàng là {digits}. Đúng không ạ?",
    },
    Ask.PERSON: {
        "en": "Shall I connect you to a person?",
        "vi": "Anh chị có muốn em nối máy với nhân viên không ạ?",
    },
    Ask.WHICH_LAPTOP: {
        "en": "Is the laptop for gaming, for office work, or for design?",
        "vi": "Anh chị cần laptop để chơi game, làm văn phòng hay thiết kế ạ?",
    },
    Ask.COUPON: {
        "en": "Do you have a discount code?",
        "vi": "Anh chị có mã giảm giá không ạ?",
    },
    Ask.DAY: {
        "en": "Which day suits you?",
        "vi": "Anh chị muốn nhận hàng vào ngày nào ạ?",
    },
    Ask.ANYTHING_ELSE: {
        "en": "Is there anything else I can help you with?",
        "vi": "Anh chị có cần em hỗ trợ gì thêm không ạ?",
    },
}

SAID: dict[str, dict[Language, str]] = {
    "hello": {
        "en": "Hello! How can I help you today?",
        "vi": "Dạ, em chào anh chị. Em có thể giúp gì ạ?",
    },
    "who": {
        "en": (
            "I am a scripted demonstration agent, not a person and not a language model. "
            "I can check orders and delivery times, and tell you about laptops and discounts."
        ),
        "vi": (
            "Dạ, em là trợ lý tự động theo kịch bản để trình diễn, không phải người thật và cũng không phải "
            "mô hình ngôn ngữ. Em có thể kiểm tra đơn hàng, thời gian giao hàng, giá laptop và mã giảm giá ạ."
        ),
    },
    "help": {
        "en": "I can check an order, tell you when it arrives, or tell you about laptops and discounts.",
        "vi": "Dạ, em có thể kiểm tra đơn hàng, thời gian giao hàng, giá laptop và mã giảm giá ạ.",
    },
    "thanks": {"en": "You are welcome.", "vi": "Dạ, không có gì ạ."},
    "goodbye": {
        "en": "Thank you for calling. Goodbye!",
        "vi": "Dạ, em cảm ơn anh chị đã gọi. Em chào anh chị ạ!",
    },
    "wait": {"en": "Sure, take your time.", "vi": "Dạ vâng, anh chị cứ thong thả ạ."},
    "sure": {"en": "Sure, I can help with that.", "vi": "Dạ vâng ạ."},
    "sorry": {"en": "Sorry, I did not understand.", "vi": "Dạ, em xin lỗi, em chưa hiểu ý anh chị ạ."},
    "missed": {
        "en": "Sorry, I did not get the number.",
        "vi": "Dạ, em xin lỗi, em chưa nghe rõ mã đơn hàng ạ.",
    },
    "missed twice": {
        "en": "I am sorry, I still did not get it.",
        "vi": "Dạ, em xin lỗi, em vẫn chưa nghe rõ ạ.",
    },
    "picture": {
        "en": "I cannot look at pictures: I am a scripted demonstration agent.",
        "vi": "Dạ, em không xem được ảnh, vì em là trợ lý theo kịch bản để trình diễn ạ.",
    },
    "in picture": {
        "en": "That looks like the {name}, a laptop for {use}. At this price there are also the {rivals}.",
        "vi": "Dạ, trong ảnh là {name}, hợp để {use} ạ. Cùng tầm giá có {rivals} ạ.",
    },
    "photo link": {
        "en": "You see a link on your screen: send the photo there, please.",
        "vi": "Dạ, anh chị bấm vào đường dẫn trên màn hình để gửi ảnh giúp em ạ.",
    },
    "goes well": {
        "en": "The {name} for {price} goes well with it.",
        "vi": "Anh chị lấy thêm {name} giá {price} thì rất hợp ạ.",
    },
    "moved": {"en": "Done: it comes {day}.", "vi": "Dạ, em đã chuyển lịch giao sang {day} rồi ạ."},
    "not moved": {"en": "All right, I leave it as it is.", "vi": "Dạ vâng, em giữ nguyên lịch giao ạ."},
    "call back": {"en": "We will call you back.", "vi": "Dạ, bên em sẽ gọi lại cho anh chị ạ."},
    "transfer": {
        "en": "I will connect you to a person now. One moment, please.",
        "vi": "Dạ, em nối máy cho anh chị với nhân viên ngay ạ. Anh chị vui lòng chờ một chút ạ.",
    },
    "no person": {
        "en": "I am sorry, no person can be reached from here.",
        "vi": "Dạ, em xin lỗi, hiện em không nối máy với nhân viên được ạ.",
    },
    "status": {"en": "Your order {order} is {status}.", "vi": "Dạ, đơn hàng {order} của anh chị {status} ạ."},
    "arrives": {"en": "It should arrive {eta}.", "vi": "Dự kiến hàng sẽ tới {eta} ạ."},
    "arrived": {"en": "It has already been delivered.", "vi": "Hàng đã được giao rồi ạ."},
    "no eta": {
        "en": "I do not have a delivery time for it yet.",
        "vi": "Em chưa có thời gian giao hàng cụ thể ạ.",
    },
    "no order": {
        "en": "I am sorry, I cannot find the order {order}.",
        "vi": "Dạ, em xin lỗi, em không tìm thấy đơn hàng {order} ạ.",
    },
    "price": {"en": "The {name} costs {price}.", "vi": "Dạ, {name} có giá {price} ạ."},
    "no product": {
        "en": "I am sorry, I have no information about that.",
        "vi": "Dạ, em xin lỗi, em chưa có thông tin về sản phẩm này ạ.",
    },
    "coupon": {
        "en": "Yes, the code SUMMER2025 takes {percent} percent off any laptop.",
        "vi": "Dạ có, mã SUMMER2025 giảm {percent} phần trăm cho mọi laptop ạ.",
    },
    "discounted": {
        "en": "With the code {coupon} you pay {price}.",
        "vi": "Dạ, với mã {coupon}, anh chị chỉ trả {price} ạ.",
    },
    "bad coupon": {
        "en": "I am sorry, the code {coupon} is not valid.",
        "vi": "Dạ, em xin lỗi, mã {coupon} không hợp lệ ạ.",
    },
    "failed": {
        "en": "I am sorry, that did not work just now.",
        "vi": "Dạ, em xin lỗi, hiện em chưa tra cứu được ạ.",
    },
    "found": {"en": "Here is what I found: {facts}.", "vi": "Dạ, thông tin em tìm được: {facts} ạ."},
}

_SPELLED = r"(?:D ?H ?)?((?:\d ?)+)"
_STATED_ORDER = re.compile(r"\bDH ?(\d{6})\b")


def spelled(digits: str, *, prefix: bool = True) -> str:
    """Return digits as they are read out, one by one: "D H 1 2 3 4 5 6" for a whole order number."""
    return " ".join(["D", "H", *digits] if prefix else digits)


def asked(text: str) -> tuple[Ask | None, str]:
    """Return the last question in a text of the agent's, and the digits it reads back ("" when none).

    A question that was cut off counts if the caller heard two words or more of it.
    """
    last: tuple[int, Ask | None, str] = (-1, None, "")
    for ask, wordings in ASKED.items():
        for wording in wordings.values():
            pattern = re.escape(wording).replace(r"\{digits\}", _SPELLED)
            for match in re.finditer(pattern, text):
                digits = "".join(match[1].split()) if match.groups() else ""
                last = max(last, (match.start(), ask, digits))
    if last[1] is not None:
        return last[1], last[2]
    tail = re.split(r"(?<=[.!?…])\s+", text.strip())[-1].rstrip(" ,.…")
    for ask, wordings in ASKED.items():
        for wording in wordings.values():
            head = wording.split("{digits}")[0].strip()
            if (len(tail.split()) >= 2 and head.startswith(tail)) or (
                "{" in wording and tail.startswith(head)
            ):
                return ask, ""
    return None, ""


def stated_order(text: str) -> str | None:
    """Return the digits of an order that the agent spoke about in a statement, which it had confirmed."""
    match = _STATED_ORDER.search(text)
    return match[1] if match else None

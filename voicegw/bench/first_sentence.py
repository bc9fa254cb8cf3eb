"""How long the first sentence takes to be complete once the model has begun to write, on virtual time.

The model writes one word a token at the speed of a hosted model; replies are such as agents give. What is
measured is the text's and the sentence rules' doing: the gateway's own time is in the figures under load.
"""

import asyncio
import json
import tempfile
from pathlib import Path

from voicegw.bench.figures import FirstSentence, spread
from voicegw.bench.gateway import bench_settings
from voicegw.call.events import CallerText
from voicegw.carriers.base import Message, Start
from voicegw.carriers.native import Native
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Script
from voicegw.server.front import make_gateway

# What fast hosted models are said to write; 40 to 60 is usual.
TOKENS_A_SECOND = 47

REPLIES = {
    "vi": (
        "Dạ vâng ạ. Em kiểm tra ngay đây ạ.",
        "Dạ em kiểm tra rồi, đơn hàng của anh đang ở kho Long Biên và sẽ được giao trong chiều nay ạ.",
        "Đơn DH123456 của anh dự kiến giao lúc 10:30 ngày 24/11 ạ. Anh có ở nhà lúc đó không?",
        "Với ngân sách 20 triệu thì mẫu Acer Nitro 5 rất hợp, máy giá 18.990.000đ và được tặng chuột ạ.",
        "Mã SUMMER2025 giảm cho mình 10% trên giá niêm yết nhưng không áp dụng cùng khuyến mãi khác ạ.",
        "Em xin lỗi anh vì sự bất tiện này ạ. Em sẽ báo bộ phận kho kiểm tra lại ngay.",
        "Dạ cửa hàng bên em mở cửa từ 8h đến 21h30 tất cả các ngày trong tuần kể cả chủ nhật và ngày lễ ạ.",
        "**Thông tin đơn hàng:**\n- Người nhận: anh Nam\n- Địa chỉ: 12 Lê Lợi, Q. 1, TP.HCM",
    ),
    "en": (
        "Sure. Let me look that up for you.",
        "I found your order, and it left our warehouse this morning, so it should be with you by tomorrow.",
        "Your order DH123456 arrives on Nov. 24 at 10:30 a.m. Will you be home then?",
        "The laptop that would suit you best for about a thousand dollars is the Nitro 5 with its fast card.",
        "I am sorry about that. I will ask the warehouse to check it again.",
        "You can return anything within thirty days as long as it is in its box and you have the receipt.",
        "The code SUMMER2025 takes 10% off, but it cannot be used together with other offers.",
        "Here is what I found:\n1. The order was paid.\n2. It is on its way.",
    ),
}


class _Listener:
    """The other end of the line: keeps how long each first sentence took."""

    def __init__(self) -> None:
        self.first_sentence_ms: list[float] = []
        self.ended = asyncio.Event()

    def send(self, message: Message) -> None:
        if not isinstance(message, str):
            return
        event = json.loads(message)
        if event["type"] == "latency":
            self.first_sentence_ms.append(float(event["first_sentence_ms"]))
        elif event["type"] == "speech_stopped":
            self.ended.set()

    def close(self, code: int, reason: str) -> None:
        """Nothing is held open."""


def first_sentences() -> list[FirstSentence]:
    """Let the model write each of the replies, in a call by text for each language."""
    return [_measured(language, replies) for language, replies in REPLIES.items()]


def _measured(language: str, replies: tuple[str, ...]) -> FirstSentence:
    with tempfile.TemporaryDirectory(prefix="voicegw-bench-") as folder:
        times = run_virtual(_call(Path(folder), language, replies))
    found = spread(times)
    assert found is not None
    return FirstSentence(language, TOKENS_A_SECOND, len(replies), found)


async def _call(folder: Path, language: str, replies: tuple[str, ...]) -> list[float]:
    settings = bench_settings(folder, "http://scripted.invalid/v1", 1, language)
    script = Script(llm=replies, token_ms=1000 / TOKENS_A_SECOND)
    gateway = await make_gateway(settings, ScriptedProvider(script, keep=1))
    listener = _Listener()
    try:
        session = gateway.begin(Start(), listener, Native())
        for _ in replies:
            listener.ended.clear()
            session.take([CallerText("?")])
            await listener.ended.wait()
        return listener.first_sentence_ms
    finally:
        await gateway.close()

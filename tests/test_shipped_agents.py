"""The shipped agents' conversations, with the embedded provider and the shop, by text and keypad.

What counts is what happened: rows of the shop, tools that ran, what was heard. The callers' words include
ways of saying it that the scripted agent was not written for.
"""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateways import settings_for
from test_photos import picture

from voicegw.agents.personas import load_personas
from voicegw.agents.shop import Shop
from voicegw.cli.chat import Chat, SilentSpeech
from voicegw.providers.build import build_providers
from voicegw.providers.http import AiohttpStreams
from voicegw.rehearsal.channel import Channel
from voicegw.server.gateway import Gateway

pytest_plugins = ["embedded_server"]


class Talk:
    """A caller who types: says something, and gets what the agent said and did about it."""

    def __init__(self, gateway: Gateway, persona: str) -> None:
        self.events: list[dict[str, Any]] = []
        self._chat = Chat(self.events.append)
        self._channel = Channel(gateway, self._chat, query={"persona": persona})
        self._send("start", persona=persona)

    def _send(self, kind: str, **fields: Any) -> None:
        self._channel.to_gateway(json.dumps({"type": kind, **fields}))

    async def greeted(self) -> None:
        await self._chat.caller_s_turn()

    async def _heard(self, *sent: tuple[str, dict[str, Any]]) -> str:
        before = len(self.events)
        self._chat.wait_again()
        for kind, fields in sent:
            self._send(kind, **fields)
        await self._chat.caller_s_turn()
        return " ".join(e["text"] for e in self.events[before:] if e["type"] == "reply_text")

    async def say(self, text: str) -> str:
        return await self._heard(("text", {"text": text}))

    async def keys(self, keys: str) -> str:
        return await self._heard(*(("dtmf", {"digit": key}) for key in keys))

    async def photo(self, data: bytes, text: str) -> str:
        encoded = base64.b64encode(data).decode()
        return await self._heard(("image", {"image_id": "1", "data": encoded, "text": text}))

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def tools(self) -> list[str]:
        return [event["name"] for event in self.told("tool") if event["status"] == "done"]


@asynccontextmanager
async def talking(persona: str, folder: Path, base_url: str) -> AsyncIterator[Talk]:
    settings = settings_for(
        folder,
        provider__base_url=base_url,
        provider__model="embedded-chat",
        limits__idle_s="600",
    )
    real = build_providers(settings, AiohttpStreams())
    providers = replace(real, tts=SilentSpeech(real.tts.row))
    gateway = Gateway(settings, load_personas(settings), providers)
    try:
        talk = Talk(gateway, persona)
        await talk.greeted()
        yield talk
    finally:
        await gateway.close()


@pytest.mark.parametrize(
    "wish",
    ["Em ơi, anh muốn kiểm tra đơn hàng", "kien hang cua chi sao chua thay dau", "tra cứu đơn giúp em"],
)
async def test_delivery_an_order_and_when_it_comes(tmp_path: Path, embedded_base_url: str, wish: str) -> None:
    async with talking("giao-hang", tmp_path, embedded_base_url) as talk:
        assert "mã đơn hàng" in await talk.say(wish)
        assert "D H 1 2 3 4 5 6" in await talk.say("mã là đê hát một hai ba bốn năm sáu")
        assert talk.tools == [], "nothing is looked up before the number is confirmed"
        assert "đang được giao" in await talk.say("dạ đúng rồi em")
        assert "ngày mai" in await talk.say("chừng nào mới giao tới vậy")
        assert talk.tools[0] == "get_order_status"
        assert "Em chào anh chị" in await talk.say("thôi hết rồi, cảm ơn em nha")
        assert talk.told("hangup")[0]["reason"] == "agent"
        assert "get_order_status: done" in talk.told("outcome")[0]["summary"]


async def test_delivery_by_keypad(tmp_path: Path, embedded_base_url: str) -> None:
    async with talking("giao-hang", tmp_path, embedded_base_url) as talk:
        assert "mã đơn hàng" in await talk.keys("1")
        assert "D H 1 2 3 4 5 6" in await talk.keys("123456")
        assert "đang được giao" in await talk.say("đúng")


async def test_delivery_is_moved_only_after_a_yes(tmp_path: Path, embedded_base_url: str) -> None:
    shop = Shop(tmp_path / "shop.sqlite")
    async with talking("giao-hang", tmp_path, embedded_base_url) as talk:
        await talk.say("DH123456")
        await talk.say("đúng rồi")
        read_back = await talk.say("em dời lịch giao sang thứ bảy cho anh nhé, đổi ngày giao")
        assert read_back == "Em chuyển đơn DH123456 sang thứ bảy, đúng không ạ?"
        assert "giữ nguyên" in await talk.say("à không")
        assert shop.changes() == []
        await talk.say("đổi ngày giao sang chủ nhật")
        assert "chủ nhật" in await talk.say("ừ đúng rồi")
        assert shop.changes() == [("DH123456", "chủ nhật")]
        assert (shop.order("DH123456") or {})["eta"] == "chủ nhật"


@pytest.mark.parametrize(
    ("wish", "coupon"),
    [
        ("Tư vấn giúp mình laptop gaming tầm 20 triệu", "Có mã SUMMER2025 không em?"),
        ("con trai minh muon may choi game, khoang 20 trieu", "minh co code SUMMER2025"),
    ],
)
async def test_a_laptop_its_upsell_and_the_coupon(
    tmp_path: Path, embedded_base_url: str, wish: str, coupon: str
) -> None:
    async with talking("laptop", tmp_path, embedded_base_url) as talk:
        offer = await talk.say(wish)
        assert "Falcon 15" in offer
        assert "Cooling pad" in offer, "always a fitting upsell"
        assert "17,91 triệu" in await talk.say(coupon)
        assert talk.tools == ["get_product_info", "calculate_discount"]


async def test_which_laptop_is_in_this_photo(tmp_path: Path, embedded_base_url: str) -> None:
    async with talking("laptop", tmp_path, embedded_base_url) as talk:
        told = await talk.photo(picture("PNG", (640, 480), "black"), "Máy nào trong ảnh vậy em?")
        assert "Falcon 15" in told
        assert "chơi game" in told
        assert "Nitro 5" in told
        assert "19,9 triệu" in told


async def test_support_an_order_and_the_hand_over(tmp_path: Path, embedded_base_url: str) -> None:
    async with talking("support", tmp_path, embedded_base_url) as talk:
        await talk.say("hi, my parcel has not shown up")
        assert "1 2 3 4 5 6" in await talk.say("it's DH one two three four five six")
        assert "out for delivery" in await talk.say("yep, that's correct")
        answer = await talk.keys("0")
        assert "no person can be reached" in answer, "nobody is set up to take calls over"
        assert "tomorrow" in await talk.say("fine, so when does it arrive?")

"""The scripted agent, as conversations in English and Vietnamese."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from voicegw.embedded.agent import Answer, ToolCall, answer
from voicegw.embedded.agent.numbers import fold, spoken_digits

Message = dict[str, Any]

ASK_EN = "Sure, I can help with that. What is your order number?"
ASK_VI = "Dạ vâng ạ. Anh chị cho em xin mã đơn hàng ạ?"


def tool(name: str, *parameters: str, required: Sequence[str] | None = None) -> Mapping[str, Any]:
    """Return a tool as a request offers it."""
    schema = {
        "type": "object",
        "properties": {parameter: {"type": "string"} for parameter in parameters},
        "required": list(parameters if required is None else required),
    }
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [
    tool("get_order_status", "order_id"),
    tool("get_product_info", "product_id"),
    tool("calculate_discount", "coupon_code", "original_price"),
    tool("transfer_to_person", "reason"),
    tool("end_call"),
]


class Talk:
    """A conversation with the agent that sees only the last `exchanges`, as the gateway shows them."""

    def __init__(
        self,
        system: str = "You are a friendly agent.",
        tools: Sequence[Mapping[str, Any]] = (),
        exchanges: int = 3,
    ):
        self.system: Message = {"role": "system", "content": system}
        self.tools = tools
        self.exchanges = exchanges
        self.messages: list[Message] = []

    def say(self, text: str) -> Answer:
        """Return the agent's answer to an utterance of the caller."""
        self.messages.append({"role": "user", "content": text})
        return self._answered()

    def result(self, call: ToolCall, content: object) -> Answer:
        """Return the agent's answer to the result of the tool call that it just made."""
        self.messages[-1]["tool_calls"] = [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
        ]
        text = content if isinstance(content, str) else json.dumps(content)
        self.messages.append({"role": "tool", "tool_call_id": "call_1", "content": text})
        return self._answered()

    def _answered(self) -> Answer:
        starts = [i for i, m in enumerate(self.messages) if m["role"] == "user"]
        shown = self.messages[starts[max(0, len(starts) - 1 - self.exchanges)] :]
        answered = answer([self.system, *shown], self.tools)
        self.messages.append({"role": "assistant", "content": answered.text})
        return answered

    def heard_only(self, text: str) -> None:
        """Cut the agent's last answer to what the caller heard of it."""
        self.messages[-1]["content"] = text


def test_an_order_is_read_back_and_confirmed_before_anything_is_told() -> None:
    """Recognition errs: acting on a number that was not confirmed would tell a stranger's order."""
    talk = Talk()
    assert talk.say("hello i would like to check my order").text == ASK_EN
    assert talk.say("d h one two three four five six").text == "I heard D H 1 2 3 4 5 6. Is that right?"
    assert talk.say("yes that is right").text == (
        "Your order DH123456 is out for delivery. "
        "It should arrive tomorrow between 2 and 5 in the afternoon. "
        "Is there anything else I can help you with?"
    )
    assert talk.say("when will it arrive").text.startswith("It should arrive tomorrow")
    assert talk.say("thank you very much goodbye").text == "Thank you for calling. Goodbye!"


def test_an_order_in_vietnamese_with_diacritics() -> None:
    """Typed Vietnamese must reach the same dialogue; the agent says "em" and answers politely."""
    talk = Talk("Bạn là nhân viên của cửa hàng laptop.")
    assert talk.say("Em ơi, kiểm tra giúp anh đơn hàng").text == ASK_VI
    assert talk.say("mã là không chín một hai ba bốn").text == (
        "Em nghe được mã đơn hàng là D H 0 9 1 2 3 4. Đúng không ạ?"
    )
    assert talk.say("đúng rồi").text.startswith("Dạ, đơn hàng DH091234 của anh chị đã được giao ạ.")
    assert talk.say("không, tạm biệt").text == "Dạ, em cảm ơn anh chị đã gọi. Em chào anh chị ạ!"


def test_an_order_in_vietnamese_without_diacritics() -> None:
    """Many type Vietnamese without them."""
    talk = Talk()
    assert talk.say("toi muon kiem tra don hang").text == ASK_VI
    assert "D H 1 2 3 4 5 6" in talk.say("DH123456").text
    assert "đang được giao" in talk.say("dung roi em").text
    assert "Dự kiến hàng sẽ tới ngày mai" in talk.say("khi nao giao hang").text


def test_a_persona_in_vietnamese_answers_an_utterance_of_no_language_in_vietnamese() -> None:
    """A bare order number has no language; the persona's prompt decides."""
    assert Talk("Always answer in Vietnamese.").say("DH123456").text.startswith("Em nghe được")
    assert Talk("Trả lời bằng tiếng Việt.").say("123456").text.startswith("Em nghe được")


def test_a_number_misheard_twice_is_asked_for_by_keypad_and_then_a_person_is_offered() -> None:
    """Nobody should have to say a number for ever to something that cannot hear it."""
    talk = Talk(tools=TOOLS)
    talk.say("where is my package")
    assert "one by one" in talk.say("mumble mumble").text
    assert "keypad, or send them as text" in talk.say("mumble").text
    assert "connect you to a person" in talk.say("mumble mumble mumble").text
    transfer = talk.say("yes")
    assert transfer.text.startswith("I will connect you to a person now.")
    assert transfer.calls == (ToolCall("transfer_to_person", {"reason": "the caller asks for a person"}),)


def test_a_wrong_read_back_counts_as_misheard() -> None:
    """Twice "no" to the read-back is the same as twice not understood."""
    talk = Talk()
    talk.say("where is my package")
    talk.say("one two three four five five")
    assert "one by one" in talk.say("no").text
    talk.say("one two three four five nine")
    assert "keypad" in talk.say("no that is wrong").text
    assert "D H 1 2 3 4 5 6" in talk.say("123456").text  # typed or from the keypad


def test_the_vietnamese_caller_gets_the_same_way_out() -> None:
    """The ladder must not exist in one language only."""
    talk = Talk()
    talk.say("kiểm tra đơn hàng giúp anh")
    assert "đọc từng số một" in talk.say("ờ thì").text
    assert "bàn phím" in talk.say("ờ thì").text


def test_a_number_may_come_in_parts() -> None:
    """People pause in the middle of a number, and the gateway may end the turn there."""
    talk = Talk()
    talk.say("check my order")
    assert talk.say("one two three").text == "So far I have 1 2 3. What are the next digits?"
    assert "D H 1 2 3 4 5 6" in talk.say("four five six").text


def test_a_correction_with_the_number_is_taken_at_once() -> None:
    """ "No, it is …" brings the number with it; asking for it again would be deaf."""
    talk = Talk()
    talk.say("check my order")
    talk.say("one two three four five five")
    assert "D H 1 2 3 4 5 6" in talk.say("no it is one two three four five six").text


@pytest.mark.parametrize("words", ["hang on", "hello", "yes", "ok"])
def test_a_word_of_both_languages_does_not_change_the_language(words: str) -> None:
    """Each persona's callers use such words; an answer in the other language would lose them."""
    english, vietnamese = Talk(), Talk("Trả lời bằng tiếng Việt.")
    assert english.say(words).text.isascii()
    assert not vietnamese.say(words).text.isascii()


def test_an_unknown_order_is_said_to_be_unknown() -> None:
    """The agent may not invent an order."""
    talk = Talk()
    talk.say("DH999999")
    assert talk.say("yes").text.startswith("I am sorry, I cannot find the order DH999999.")


def test_a_question_the_caller_cut_off_still_counts() -> None:
    """A caller who answers before the agent has finished asking is the quickest, not the most confused."""
    talk = Talk()
    talk.say("check my order")
    talk.heard_only("Sure, I can help with that. What is your")
    assert "D H 1 2 3 4 5 6" in talk.say("one two three four five six").text
    talk.heard_only("I heard D H 1 2")
    assert talk.say("yes").text.startswith("Your order DH123456")


def test_another_wish_in_the_middle_is_followed() -> None:
    """The dialogue is not a corridor."""
    talk = Talk()
    talk.say("check my order")
    assert "Falcon 15" in talk.say("how much is a gaming laptop").text


def test_a_laptop_and_a_coupon() -> None:
    """Price, then the discount on that price."""
    talk = Talk()
    assert "for gaming, for office work, or for design" in talk.say("i want to buy a laptop").text
    assert (
        talk.say("for gaming").text == "The Falcon 15 costs 19.9 million dong. Do you have a discount code?"
    )
    assert talk.say("summer twenty twenty five").text.startswith(
        "With the code SUMMER2025 you pay 17.91 million dong."
    )


def test_a_laptop_and_a_coupon_in_vietnamese() -> None:
    """The conversation of the original request."""
    talk = Talk("Bạn là tư vấn viên laptop.")
    assert "Falcon 15 có giá 19,9 triệu đồng" in talk.say("Tư vấn laptop gaming 20 triệu").text
    assert "chỉ trả 17,91 triệu đồng" in talk.say("Có mã giảm giá SUMMER2025 không?").text


def test_a_discount_is_asked_for_first() -> None:
    """Which laptop it is for is asked then, and the answer leads back to the discount."""
    talk = Talk()
    assert "SUMMER2025 takes 10 percent" in talk.say("is there a discount").text
    assert "you pay 17.91 million dong" in talk.say("for gaming").text


@pytest.mark.parametrize("words", ["are you a robot", "am i talking to a real person", "who are you"])
def test_it_says_what_it_is(words: str) -> None:
    """Honest when asked, and never by offering a person in place of an answer."""
    assert "scripted demonstration agent, not a person" in Talk(tools=TOOLS).say(words).text


def test_it_says_what_it_is_in_vietnamese() -> None:
    """The same honesty."""
    assert "không phải người thật" in Talk().say("em là robot hay là người vậy?").text


def test_without_a_way_to_transfer_it_says_so() -> None:
    """It may not promise a person that never comes."""
    assert Talk().say("i want to speak to a person").text.startswith("I am sorry, no person can be reached")


@pytest.mark.parametrize("words", ["banana tree", "", "asdf qwer"])
def test_what_it_does_not_understand_it_says(words: str) -> None:
    """It tells what it can do instead of guessing; there is always something to say."""
    assert answer([{"role": "user", "content": words}]).text


def test_a_picture_is_not_looked_at() -> None:
    """A script that pretended to see would be worse than none."""
    content = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]
    assert "cannot look at pictures" in answer([{"role": "user", "content": content}]).text


# Tools.


def test_an_offered_tool_is_called_with_the_confirmed_number_and_its_result_is_spoken() -> None:
    """The tool's data win over the built-in ones."""
    talk = Talk(tools=TOOLS)
    talk.say("check my order")
    assert talk.say("nine one two nine one two").calls == ()
    asked = talk.say("yes")
    assert asked == Answer("", (ToolCall("get_order_status", {"order_id": "DH912912"}),))
    told = talk.result(asked.calls[0], {"status": "processing", "eta": "2026-12-01"})
    assert told.text.startswith("Your order DH912912 is being packed. It should arrive on December 1.")


def test_the_confirmed_order_is_remembered_from_the_tool_call() -> None:
    """The next question is about the same order, though the caller does not say which."""
    talk = Talk(tools=TOOLS)
    for words in ("check my order", "nine one two nine one two"):
        talk.say(words)
    talk.result(talk.say("yes").calls[0], {"status": "shipped"})
    assert talk.say("when will it arrive").calls == (ToolCall("get_order_status", {"order_id": "DH912912"}),)


@pytest.mark.parametrize(
    ("content", "spoken"),
    [
        ({"error": "not found"}, "I am sorry, I cannot find the order DH123456."),
        ("The order is waiting for the courier", "The order is waiting for the courier."),
        ({"status": "Stuck in customs"}, "Your order DH123456 is Stuck in customs."),
        ({"courier": "bicycle"}, "Here is what I found: courier bicycle."),
    ],
)
def test_any_result_of_a_tool_is_spoken(content: object, spoken: str) -> None:
    """Other people's tools answer in shapes of their own; silence would be the worst answer."""
    talk = Talk(tools=TOOLS)
    talk.say("DH123456")
    assert talk.result(talk.say("yes").calls[0], content).text.startswith(spoken)


def test_a_discount_is_calculated_on_the_price_that_the_tool_told() -> None:
    """Two tools in a row: the second needs what the first one said."""
    talk = Talk(tools=TOOLS)
    product = talk.say("how much is the gaming laptop").calls[0]
    assert product == ToolCall("get_product_info", {"product_id": "falcon-15"})
    told = talk.result(product, {"name": "Falcon 15 Pro", "price": "25.000.000 VND"})
    assert told.text.startswith("The Falcon 15 Pro costs 25 million dong.")
    discount = talk.say("i have the coupon summer twenty twenty five").calls[0]
    assert discount == ToolCall(
        "calculate_discount", {"coupon_code": "SUMMER2025", "original_price": 25_000_000.0}
    )
    assert "you pay 20 million dong" in talk.result(discount, {"final_price": 20_000_000}).text


def test_the_call_is_ended_after_the_goodbye_and_not_said_twice() -> None:
    """The farewell comes with the call of the tool; its result has nothing to add."""
    talk = Talk(tools=TOOLS)
    goodbye = talk.say("thank you goodbye")
    assert goodbye == Answer("Thank you for calling. Goodbye!", (ToolCall("end_call", {}),))
    assert talk.result(goodbye.calls[0], {"ok": True}) == Answer()


def test_a_failed_transfer_is_told() -> None:
    """The caller was promised a person and must hear that none comes."""
    talk = Talk(tools=TOOLS)
    transfer = talk.say("i want to talk to a person")
    assert "no person can be reached" in talk.result(transfer.calls[0], {"error": "nobody free"}).text


@pytest.mark.parametrize(
    "offered",
    [
        {},
        {"type": "function", "function": {"name": ["x"]}},
        {"type": "function", "function": {"name": "get_order_status", "parameters": None}},
        {"type": "function", "function": {"name": "end_call", "parameters": {"properties": None}}},
    ],
)
def test_a_tool_of_odd_shape_breaks_nothing(offered: Mapping[str, Any]) -> None:
    """Requests come from anywhere; a crash here is a silent agent there."""
    talk = Talk(tools=[offered])
    talk.say("DH123456")
    assert talk.say("yes") != Answer()
    assert talk.say("goodbye") != Answer()


def test_a_tool_that_asks_for_more_than_is_known_is_left_alone() -> None:
    """A call with invented arguments would be worse than the built-in answer."""
    talk = Talk(tools=[tool("get_order_status", "order_id", "pin_code")])
    talk.say("DH123456")
    assert talk.say("yes").text.startswith("Your order DH123456")


# Numbers.


@pytest.mark.parametrize(
    ("words", "digits"),
    [
        ("my order number is d h one two three four five six", "123456"),
        ("d h oh nine one two three four", "091234"),
        ("double three five oh oh one", "335001"),
        ("twelve thirty four fifty six", "123456"),
        ("twenty thirty forty", "203040"),
        ("one hundred twenty three thousand four hundred fifty six", "123456"),
        ("won to three for five six", "123456"),
        ("the eight one two three four five six", "123456"),
        ("DH-123 456", "123456"),
        ("không chín một hai ba bốn", "091234"),
        ("khong chin mot hai ba bon", "091234"),
        ("một trăm hai mươi ba nghìn bốn trăm năm mươi sáu", "123456"),
        ("mười hai ba mươi tư năm sáu", "123456"),
        ("hai mươi lăm", "25"),
        ("không", ""),
        ("tạm biệt", ""),
        ("no", ""),
        ("the one that i ordered", ""),
    ],
)
def test_digits_as_people_say_them(words: str, digits: str) -> None:
    """Numbers are the hardest thing to hear; every usual way of saying them must count."""
    assert spoken_digits(fold(words), expected=True).digits == digits


@pytest.mark.parametrize(
    "words", ["a laptop for 20 million", "summer twenty twenty five", "one laptop for two people"]
)
def test_other_numbers_are_not_an_order(words: str) -> None:
    """A budget or a coupon read back as an order number would derail the conversation."""
    assert spoken_digits(fold(words), expected=False).digits == ""

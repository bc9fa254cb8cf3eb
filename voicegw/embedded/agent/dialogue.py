"""The rules of the scripted agent: what it says, and which tools it calls, at each point.

An order number is always read back and confirmed before anything is done with it. A number that was not
understood twice is asked for by keypad or text, after that a person is offered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voicegw.embedded.agent.conversation import Conversation, Message, read_conversation
from voicegw.embedded.agent.numbers import ORDER_DIGITS
from voicegw.embedded.agent.results import (
    ToolAnswer,
    discount_sentences,
    moved_sentences,
    order_sentences,
    price_in,
    product_sentences,
    say,
    shop_discount,
    shop_order,
    shop_product,
)
from voicegw.embedded.agent.sayings import ASKED, Ask, spelled
from voicegw.embedded.agent.shop import COUPON, COUPON_PERCENT, Laptop
from voicegw.embedded.agent.understanding import Intent

GET_ORDER, GET_PRODUCT, DISCOUNT = "get_order_status", "get_product_info", "calculate_discount"
TRANSFER, END_CALL = "transfer_to_person", "end_call"
MOVE, PHOTO = "reschedule_delivery", "ask_for_photo"
_REQUIRED = {
    GET_ORDER: ["order_id"],
    GET_PRODUCT: ["product_id"],
    DISCOUNT: ["coupon_code", "original_price"],
    TRANSFER: ["reason"],
    END_CALL: [],
    MOVE: ["order_id", "day"],
    PHOTO: [],
}


_WISHES = (
    Intent.ORDER,
    Intent.DELIVERY,
    Intent.PRODUCT,
    Intent.DISCOUNT,
    Intent.RESCHEDULE,
    Intent.PHOTO,
)


@dataclass(frozen=True)
class ToolCall:
    """A tool the agent wants to be run."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """The agent's answer: text, tool calls, or text and then tool calls.

    Both are empty only after a tool whose farewell was already spoken together with the call.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()


def answer(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> Answer:
    """Return the answer to a conversation; `tools` are the request's, in the shape of the chat API.

    A tool is used when its name is one of those above and it asks for no arguments that are not known
    here. The same messages and tools always give the same answer.
    """
    return _Rules(read_conversation(messages), tools).answer()


class _Rules:
    def __init__(self, state: Conversation, tools: Sequence[Mapping[str, Any]]):
        self.state = state
        self.tools = _fitting(tools)

    def answer(self) -> Answer:
        state, said = self.state, self.state.said
        if state.new_results:
            return self._speak_results()
        if state.seen is not None:
            return self._picture_answer(state.seen)
        if said.empty:
            return self._say("picture" if state.picture else "sorry" if state.last_agent_text else "hello")
        if said.wants(Intent.WHO_ARE_YOU):
            return self._say("who")
        if said.wants(Intent.REPEAT) and not said.digits.digits:
            return Answer(state.last_agent_text) if state.last_agent_text else self._say("hello")
        if said.wants(Intent.PERSON):
            return self._transfer("the caller asks for a person")
        if said.digits.digits and (state.asked is not Ask.CONFIRM or not self._same_number_again()):
            return self._take_digits()
        by_question = self._answer_to_question()
        return by_question or self._answer_to_intent() or self._not_understood()

    # The caller answers our question.

    def _answer_to_question(self) -> Answer | None:
        state, said = self.state, self.state.said
        match state.asked:
            case Ask.CONFIRM:
                if said.yes or said.digits.digits:
                    state.order = state.heard
                    moves = state.topic is Intent.RESCHEDULE
                    return self._move_answer() if moves else self._order_answer()
                if said.no:
                    return self._missed()
                return None
            case Ask.PERSON:
                if said.yes:
                    return self._transfer("the caller asks for a person")
                return self._ask(Ask.ANYTHING_ELSE, "sure") if said.no else None
            case Ask.COUPON:
                if state.coupon is not None and said.coupon is not None:
                    return self._discount_answer()
                if said.wants(Intent.PHOTO, Intent.RESCHEDULE):
                    return None
                if said.no:
                    return self._ask(Ask.ANYTHING_ELSE, "sure")
                return self._discount_answer() if said.yes else None
            case Ask.ANYTHING_ELSE:
                if said.no and not said.wants(*_WISHES):
                    return self._goodbye()
                return self._say("help") if said.yes and not said.intents else None
            case Ask.DAY if said.day:
                return self._move_answer()
            case Ask.WHICH_LAPTOP if said.laptop is not None:
                return self._discount_answer() if state.topic is Intent.DISCOUNT else self._product_answer()
            case Ask.ORDER_NUMBER | Ask.ORDER_NUMBER_AGAIN | Ask.KEYPAD | Ask.MORE_DIGITS:
                return self._answer_to_number_question()
        return None

    def _answer_to_number_question(self) -> Answer | None:
        """An answer without digits: another wish, or a miss."""
        said = self.state.said
        if said.wants(Intent.NO_NUMBER):
            return self._ask(Ask.PERSON)
        if said.wants(Intent.GOODBYE, Intent.PRODUCT, Intent.DISCOUNT, Intent.WAIT, Intent.HELP):
            return None
        if self.state.asked is Ask.ORDER_NUMBER and said.yes and not said.intents:
            return self._ask(Ask.ORDER_NUMBER)
        return self._missed()

    # The caller wants something.

    def _answer_to_intent(self) -> Answer | None:
        state, said = self.state, self.state.said
        if not said.intents:
            return None
        match said.intents[0]:
            case Intent.DISCOUNT:
                return self._discount_answer()
            case Intent.PHOTO if PHOTO in self.tools:
                return self._call(PHOTO)
            case Intent.PHOTO:
                return self._say("picture")
            case Intent.RESCHEDULE:
                return self._move_answer()
            case Intent.DELIVERY | Intent.ORDER if said.wants(Intent.DELIVERY) or not said.laptop:
                if state.order is not None:
                    return self._order_answer()
                if state.asked is Ask.CONFIRM and len(state.heard) == ORDER_DIGITS:
                    return self._read_back()
                return self._ask(Ask.ORDER_NUMBER, "sure")
            case Intent.ORDER | Intent.PRODUCT:
                return self._product_answer()
            case Intent.NO_NUMBER:
                return self._ask(Ask.PERSON)
            case Intent.GOODBYE:
                return self._goodbye()
            case Intent.WAIT:
                return self._say("wait")
            case Intent.HELP:
                return self._say("help")
            case Intent.THANKS:
                return self._ask(Ask.ANYTHING_ELSE, "thanks")
            case Intent.GREETING:
                return self._say("hello")
        return None

    def _not_understood(self) -> Answer:
        if self.state.asked is Ask.CONFIRM and len(self.state.heard) == ORDER_DIGITS:
            return self._read_back("sorry")
        if self.state.asked is not None and self.state.asked is not Ask.ANYTHING_ELSE:
            return (
                self._ask(self.state.asked, "sorry")
                if "{" not in ASKED[self.state.asked]["en"]
                else self._missed()
            )
        return self._say("sorry", "help")

    # Order numbers.

    def _same_number_again(self) -> bool:
        return self.state.heard == self.state.said.digits.digits and self.state.said.yes

    def _take_digits(self) -> Answer:
        heard = self.state.heard
        if len(heard) == ORDER_DIGITS:
            return self._read_back()
        if len(heard) > ORDER_DIGITS:
            return self._missed()
        wording = ASKED[Ask.MORE_DIGITS][self.state.language]
        return Answer(wording.format(digits=spelled(heard, prefix=False)))

    def _read_back(self, *before: str) -> Answer:
        wording = ASKED[Ask.CONFIRM][self.state.language]
        return Answer(" ".join([*self._sayings(before), wording.format(digits=spelled(self.state.heard))]))

    def _missed(self) -> Answer:
        """Ask again, each time in another way."""
        if self.state.misses >= 2:
            return self._ask(Ask.PERSON, "missed twice")
        if self.state.misses == 1:
            return self._ask(Ask.KEYPAD, "missed twice")
        return self._ask(Ask.ORDER_NUMBER_AGAIN, "missed")

    # What tools or the shop's own data answer.

    def _order_answer(self) -> Answer:
        order_id = f"DH{self.state.order}"
        if GET_ORDER in self.tools:
            return self._call(GET_ORDER, order_id=order_id)
        return self._speak_order(shop_order(order_id, self.state.language))

    def _move_answer(self) -> Answer:
        if MOVE not in self.tools:
            return self._ask(Ask.PERSON)
        if self.state.order is None:
            return self._ask(Ask.ORDER_NUMBER, "sure")
        if not self.state.day:
            return self._ask(Ask.DAY)
        return self._call(MOVE, order_id=f"DH{self.state.order}", day=self.state.day)

    def _picture_answer(self, laptop: Laptop) -> Answer:
        language = self.state.language
        slots = {"name": laptop.name, "use": laptop.use[language], "rivals": laptop.rivals}
        text = say("in picture", language, **slots)
        if GET_PRODUCT in self.tools:
            called = self._call(GET_PRODUCT, product_id=self._product_id(laptop))
            return Answer(text, called.calls)
        return Answer(f"{text} {self._speak_product(shop_product(laptop.product_id)).text}")

    def _product_answer(self) -> Answer:
        laptop = self.state.laptop
        if laptop is None or (self.state.said.laptop is None and self.state.asked is not Ask.WHICH_LAPTOP):
            return self._ask(Ask.WHICH_LAPTOP)
        if GET_PRODUCT in self.tools:
            return self._call(GET_PRODUCT, product_id=self._product_id(laptop))
        return self._speak_product(shop_product(laptop.product_id))

    def _discount_answer(self) -> Answer:
        state = self.state
        coupon, laptop = state.coupon or COUPON, state.laptop
        if laptop is None:
            percent = str(COUPON_PERCENT)
            offer = say("coupon", state.language, percent=percent)
            return Answer(f"{offer} {ASKED[Ask.WHICH_LAPTOP][state.language]}")
        price = self._price(laptop)
        if DISCOUNT in self.tools:
            return self._call(DISCOUNT, coupon_code=coupon, original_price=price)
        return self._speak_discount(shop_discount(coupon, price))

    def _price(self, laptop: Laptop) -> float:
        """Return the price that was last told, else the shop's own."""
        for result in reversed(self.state.results):
            if result.name == GET_PRODUCT and (price := price_in(result)) is not None:
                return price
        return laptop.price

    def _product_id(self, laptop: Laptop) -> str:
        """Return the laptop's id, as the tool lists it where it lists the ids it knows."""
        parameters = self.tools[GET_PRODUCT].get("properties") or {}
        known = (parameters.get("product_id") or {}).get("enum") or []
        near = [
            str(name)
            for name in known
            if str(name).lower() == laptop.product_id or laptop.name.split()[0].lower() in str(name).lower()
        ]
        return near[0] if near else laptop.product_id

    def _speak_results(self) -> Answer:
        """Speak from the results that have just come."""
        parts: list[Answer] = []
        for result in self.state.results[-self.state.new_results :]:
            match result.name:
                case "get_order_status":
                    parts.append(self._speak_order(result))
                case "get_product_info":
                    parts.append(self._speak_product(result))
                case "calculate_discount":
                    parts.append(self._speak_discount(result))
                case "reschedule_delivery":
                    moved = moved_sentences(result, self.state.language)
                    parts.append(self._with_question(moved, Ask.ANYTHING_ELSE))
                case "ask_for_photo" if not result.failed:
                    parts.append(self._say("photo link"))
                case "transfer_to_person" if result.failed:
                    parts.append(self._ask(Ask.ANYTHING_ELSE, "no person"))
                case "transfer_to_person" | "end_call":
                    # What there is to say was said together with the call.
                    parts.append(Answer() if self.state.farewell else self._say("goodbye"))
                case _:
                    parts.append(self._ask(Ask.ANYTHING_ELSE, "failed" if result.failed else "sure"))
        return Answer(" ".join(part.text for part in parts if part.text))

    def _speak_order(self, result: ToolAnswer) -> Answer:
        only_time = self.state.topic is Intent.DELIVERY and self.state.asked is not Ask.CONFIRM
        said = order_sentences(result, self.state.language, only_time=only_time)
        return self._with_question(said, Ask.ANYTHING_ELSE)

    def _speak_product(self, result: ToolAnswer) -> Answer:
        question = Ask.ANYTHING_ELSE if result.failed else Ask.COUPON
        return self._with_question(product_sentences(result, self.state.language), question)

    def _speak_discount(self, result: ToolAnswer) -> Answer:
        return self._with_question(discount_sentences(result, self.state.language), Ask.ANYTHING_ELSE)

    # Ends.

    def _transfer(self, reason: str) -> Answer:
        if TRANSFER in self.tools:
            return self._call(TRANSFER, before="transfer", reason=reason)
        return self._ask(Ask.ANYTHING_ELSE, "no person")

    def _goodbye(self) -> Answer:
        if END_CALL in self.tools:
            return self._call(END_CALL, before="goodbye")
        return self._say("goodbye")

    # Small parts.

    def _call(self, name: str, before: str | None = None, **known: Any) -> Answer:
        text = say(before, self.state.language) if before else ""
        properties = self.tools[name].get("properties") or {}
        return Answer(text, (ToolCall(name, {key: v for key, v in known.items() if key in properties}),))

    def _sayings(self, keys: Sequence[str]) -> list[str]:
        return [say(key, self.state.language) for key in keys]

    def _say(self, *keys: str) -> Answer:
        return Answer(" ".join(self._sayings(keys)))

    def _ask(self, question: Ask, *before: str) -> Answer:
        return self._with_question(self._sayings(before), question)

    def _with_question(self, said: Sequence[str], question: Ask) -> Answer:
        return Answer(" ".join([*said, ASKED[question][self.state.language]]))


def _fitting(tools: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the parameter schemas of the offered tools whose name and required arguments fit."""
    fitting: dict[str, Mapping[str, Any]] = {}
    for tool in tools:
        function = tool.get("function") or {}
        name, schema = function.get("name"), function.get("parameters")
        if not isinstance(name, str) or name not in _REQUIRED:
            continue
        schema = schema if isinstance(schema, dict) else {}
        if all(argument in _REQUIRED[name] for argument in schema.get("required") or ()):
            fitting[name] = schema
    return fitting

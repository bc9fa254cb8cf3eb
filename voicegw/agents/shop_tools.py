"""The tools that come with the package: those of the shop, and those that every call has."""

from typing import Annotated

from pydantic import Field

from voicegw.agents.asked_for import AskedFor
from voicegw.agents.shop import Shop
from voicegw.agents.tools import FunctionTool, ToolContext, ToolFailed, tool

OrderId = Annotated[
    str, Field(description="order number, DH and six digits", pattern=r"(?i)^\s*(DH)?[\d\s-]+$")
]

# A day is read into a date for the model, whichever persona uses the tool.
DAY_ASKED = AskedFor(kind="date", when=r"(which|what) day|(ngày|hôm) (nào|mấy)")


def _shop(context: ToolContext) -> Shop:
    return Shop(context.data_dir / "shop.sqlite")


@tool(read_only=True)
def get_product_info(
    product_id: Annotated[
        str, Field(description="falcon-15, atlas-14, canvas-16, or gaming, office, design")
    ],
    context: ToolContext,
) -> dict[str, object]:
    """Look up a laptop: price in VND, what it is for, and what goes well with it."""
    found = _shop(context).product(product_id)
    if found is None:
        raise ToolFailed("there is no such product")
    return found


@tool(read_only=True)
def calculate_discount(
    coupon_code: str,
    original_price: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="price in VND before the discount")
    ],
    context: ToolContext,
) -> dict[str, object]:
    """Calculate what a coupon leaves of a price."""
    percent = _shop(context).discount(coupon_code)
    if percent is None:
        raise ToolFailed("this coupon is not valid")
    return {"percent": percent, "final_price": round(original_price * (100 - percent) / 100)}


@tool(read_only=True)
def get_order_status(order_id: OrderId, context: ToolContext) -> dict[str, str]:
    """Look up how an order stands and when it arrives."""
    found = _shop(context).order(order_id, context.language)
    if found is None:
        raise ToolFailed("there is no such order")
    return found


@tool(idempotent=True, confirm="I move the delivery of {order_id} to {day}. Is that right?")
def reschedule_delivery(
    order_id: OrderId,
    day: Annotated[str, Field(min_length=1, max_length=60), DAY_ASKED],
    context: ToolContext,
) -> dict[str, str]:
    """Move the delivery of an order to another day. The caller is asked to confirm before it is done."""
    if not _shop(context).reschedule(order_id, day, context.key):
        raise ToolFailed("there is no such order")
    return {"order_id": order_id, "eta": day}


@tool(action="transfer")
def transfer_to_person(reason: str, summary: str = "", target: str = "") -> None:
    """Hand the caller over to a person. `summary` is for that person: who calls, and what was done."""


@tool(action="end_call")
def end_call(outcome: str = "", summary: str = "") -> None:
    """End the call, behind your goodbye. `outcome` is one word, `summary` one sentence on what came of it."""


@tool(action="callback")
def request_callback(number: str = "", when: str = "", reason: str = "") -> None:
    """Note that the caller is to be called back."""


@tool(read_only=True)
async def ask_for_photo(context: ToolContext) -> dict[str, str]:
    """Ask for a photo: the caller gets a link on the screen to upload one."""
    if context.photo_link is None:
        raise ToolFailed("this caller cannot send photos")
    return {"link": context.photo_link(), "status": "the caller sees the link on the screen"}


BUILT_IN: dict[str, FunctionTool] = {
    made.rules.name: made
    for made in (
        get_product_info,
        calculate_discount,
        get_order_status,
        reschedule_delivery,
        transfer_to_person,
        end_call,
        request_callback,
        ask_for_photo,
    )
}

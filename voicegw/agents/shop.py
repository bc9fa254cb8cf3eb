"""The small shop that the shipped personas work for: laptops, coupons, orders, in one SQLite file.

All of it is made up. A shop of your own takes its place by tools of your own (docs/tools.md).
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SCHEMA = """
create table if not exists products (
    product_id text primary key, name text not null, price integer not null, use_for text not null,
    facts text not null, upsell text not null
);
create table if not exists coupons (code text primary key, percent integer not null);
create table if not exists orders (
    order_id text primary key, status text not null, arrives_en text not null, arrives_vi text not null
);
create table if not exists changes (
    key text primary key, order_id text not null, arrives text not null
);
create table if not exists callbacks (key text primary key, number text not null, at text not null);
"""
# Prices in VND.
_PRODUCTS = (
    (
        "falcon-15",
        "Falcon 15",
        19_900_000,
        "gaming",
        "15.6 inch 144 Hz, RTX 4050, 16 GB RAM, 512 GB SSD",
        "cooling-pad",
    ),
    ("atlas-14", "Atlas 14", 14_500_000, "office", "14 inch, 1.3 kg, 16 GB RAM, 12 h battery", "mouse"),
    ("canvas-16", "Canvas 16", 32_000_000, "design", "16 inch OLED, 32 GB RAM, RTX 4060", "hub"),
    ("cooling-pad", "Cooling pad", 450_000, "gaming", "two quiet fans", ""),
    ("mouse", "Silent mouse", 350_000, "office", "wireless", ""),
    ("hub", "USB-C hub", 890_000, "design", "HDMI and card reader", ""),
)
_TOMORROW = ("tomorrow between 2 and 5 in the afternoon", "ngày mai, từ 2 giờ đến 5 giờ chiều")
_FRIDAY = ("on Friday before noon", "thứ sáu, trước 12 giờ trưa")
_ORDERS = (
    ("DH123456", "out_for_delivery", *_TOMORROW),
    ("DH654321", "processing", *_FRIDAY),
    ("DH091234", "delivered", "", ""),
    ("DH246810", "shipped", *_FRIDAY),
    ("DH912912", "shipped", *_TOMORROW),
)


class Shop:
    """The shop's data at `path`; made and filled when the file is new. Blocks: call it in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=5.0)
        connection.row_factory = sqlite3.Row
        try:
            with connection:
                connection.executescript(_SCHEMA)
                connection.executemany("insert or ignore into products values (?, ?, ?, ?, ?, ?)", _PRODUCTS)
                connection.execute("insert or ignore into coupons values ('SUMMER2025', 10)")
                connection.executemany("insert or ignore into orders values (?, ?, ?, ?)", _ORDERS)
            with connection:
                yield connection
        finally:
            connection.close()

    def product(self, wanted: str) -> dict[str, Any] | None:
        """Find a laptop by id, name or what it is for; with what goes well with it."""
        with self._open() as db:
            row = db.execute(
                "select * from products where product_id = ?1 or lower(name) = ?1 or use_for = ?1"
                " order by price desc",
                (wanted.strip().lower(),),
            ).fetchone()
            if row is None:
                return None
            extra = db.execute("select * from products where product_id = ?", (row["upsell"],)).fetchone()
        found = {key: row[key] for key in ("product_id", "name", "price", "use_for", "facts")}
        if extra is not None:
            found["goes_well_with"] = {"name": extra["name"], "price": extra["price"]}
        return found

    def discount(self, code: str) -> int | None:
        """Return the percent of a coupon; None for one that is not valid."""
        with self._open() as db:
            row = db.execute("select percent from coupons where code = ?", (code.strip().upper(),)).fetchone()
        return None if row is None else int(row["percent"])

    def order(self, order_id: str, language: str = "en") -> dict[str, str] | None:
        """Return how an order stands; when it comes in the words of `language`."""
        with self._open() as db:
            row = db.execute("select * from orders where order_id = ?", (_order_id(order_id),)).fetchone()
        if row is None:
            return None
        arrives = row["arrives_vi" if language.startswith("vi") else "arrives_en"]
        return {"order_id": row["order_id"], "status": row["status"], "eta": arrives}

    def reschedule(self, order_id: str, day: str, key: str) -> bool:
        """Move a delivery; the same `key` does it once. False when there is no such order."""
        with self._open() as db:
            wanted = _order_id(order_id)
            if db.execute("select 1 from orders where order_id = ?", (wanted,)).fetchone() is None:
                return False
            fresh = db.execute("insert or ignore into changes values (?, ?, ?)", (key, wanted, day))
            if fresh.rowcount:
                db.execute(
                    "update orders set arrives_en = ?1, arrives_vi = ?1 where order_id = ?2", (day, wanted)
                )
        return True

    def changes(self) -> list[tuple[str, str]]:
        """Return all moves of deliveries as (order, day)."""
        with self._open() as db:
            rows = db.execute("select order_id, arrives from changes order by rowid").fetchall()
        return [(row["order_id"], row["arrives"]) for row in rows]


def _order_id(text: str) -> str:
    digits = "".join(c for c in text if c.isdigit())
    return f"DH{digits}"

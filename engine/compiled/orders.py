"""Orders, trades and positions: what a strategy asks of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt

from engine.compiled.info_entries import InfoEntries
from engine.compiled.values import (
    BOOL,
    DATA,
    FLOAT,
    INT,
    STR,
    Arguments,
    Info,
    Method,
    Number,
    Position,
    Static,
    Trade,
    Value,
)

CONSTANT_OF_ORDER = {"size": (FLOAT, "size"), "exectype": (INT, "kind"), "triggered": (BOOL, "triggered")}
CREATED = {
    "price": "price",
    "size": "size",
    "dt": "created",
    "pricelimit": "limit",
    "plimit": "first_limit",
    "pclose": "close",
}
EXECUTED = {
    "price": "average",
    "size": "filled",
    "value": "value",
    "comm": "commission",
    "pnl": "pnl",
    "remsize": "remaining",
    "dt": "executed",
}
TRADE_NUMBERS = {
    "pnl": (FLOAT, "pnl"),
    "pnlcomm": (FLOAT, "pnl_net"),
    "commission": (FLOAT, "commission"),
    "size": (FLOAT, "size"),
    "price": (FLOAT, "price"),
    "value": (FLOAT, "value"),
    "barlen": (INT, "bars"),
    "baropen": (INT, "open_bar"),
    "barclose": (INT, "close_bar"),
    "ref": (INT, "ref"),
    "status": (INT, "status"),
    "dtopen": (FLOAT, "opened"),
    "dtclose": (FLOAT, "closed"),
}


class Orders(InfoEntries):
    """Orders, trades and positions, as a kernel keeps them."""

    broker_exact: Callable[[], bool]

    def data_attribute(self, owner: Number, name: str) -> Value:
        """An attribute of a data known only in the run: its name, to be printed."""
        if name in ("_name", "_dataname"):
            return self.by_data(owner, lambda data: Static(getattr(data, name)))
        raise self.refuse(f"uses {name} of a data that is known only in the run")

    def by_data(self, owner: Number, value: Callable[[Any], Value]) -> Value:
        """A scalar that differs by data."""
        found = value(self.datas[-1])
        for number in range(len(self.datas) - 2, -1, -1):
            test = Number(f"({owner.code} == {number})", BOOL)
            first, second = value(self.datas[number]), found
            found = self.choose(test, (lambda first=first: first, []), (lambda second=second: second, []))  # type: ignore[misc]
        return found

    def position_attribute(self, owner: Position, name: str) -> Value:
        """Size and price of a position."""
        if name in ("size", "price"):
            return Number(f"positions[{owner.data}].{name}", FLOAT)
        raise self.refuse(f"uses {name} of a position")

    def trade_attribute(self, owner: Trade, name: str) -> Value:
        """What `notify_trade` may ask of its trade."""
        record = f"trades[{owner.code}]"
        if name in TRADE_NUMBERS:
            kind, column = TRADE_NUMBERS[name]
            exact = name in ("pnl", "pnlcomm") and self.broker_exact()
            return Number(f"{record}.{column}", kind, exact=exact)
        flags = {
            "isclosed": f"({record}.status == 2)",
            "isopen": f"({record}.size != 0.0)",
            "justopened": f"({record}.just_opened == 1)",
            "long": f"({record}.long == 1)",
        }
        if name in flags:
            return Number(flags[name], BOOL)
        if name == "data":
            return self.data_of(f"{record}.data", owner.code)
        if name == "tradeid":
            return Static(0)
        if name in ("getdataname", "open_datetime", "close_datetime"):
            return Method(owner, name)
        if hasattr(bt.Trade, name) and isinstance(getattr(bt.Trade, name), int):
            return Static(getattr(bt.Trade, name))
        raise self.refuse(f"uses {name} of a trade")

    def data_of(self, code: str, owner: str) -> Value:
        """The data of an order or trade."""
        if len(self.datas) == 1:
            return Static(self.datas[0])
        if owner in self.bound_data:
            return Static(self.datas[self.bound_data[owner]])
        return Number(code, DATA)

    def order_attribute(self, owner: Number, name: str) -> Value:
        """What may be asked of an order or of the clone `notify_order` gets."""
        handle = owner.code if owner.none == "False" else f"known_order({owner.code}, error)"
        record = f"orders[{handle}]"
        if name == "status":
            return Number(self.moving(owner, handle, "status"), INT)
        if name == "ref":
            return Number(f"({handle} + 1)", INT)
        if name in CONSTANT_OF_ORDER:
            kind, column = CONSTANT_OF_ORDER[name]
            return Number(f"({record}.{column} != 0)" if kind == BOOL else f"{record}.{column}", kind)
        if name in ("executed", "created"):
            return Method(owner, f"order.{name}")
        if name == "data":
            return self.data_of(f"{record}.data", owner.code)
        if name == "ordtype":
            return Number(f"(1 - {record}.buy)", INT)
        if name == "info":
            return Info(owner)
        if name == "tradeid":
            return Static(0)
        if name == "p" or name == "params" or name == "comminfo":
            raise self.refuse(f"uses {name} of an order")
        constant = getattr(bt.Order, name, None)
        if isinstance(constant, int) or name in ("Status", "ExecTypes", "OrdTypes"):
            return Static(constant)
        if name in (
            "isbuy",
            "issell",
            "alive",
            "getstatusname",
            "getordername",
            "ordtypename",
            "addinfo",
            "active",
        ):
            return Method(owner, name)
        raise self.refuse(f"uses {name} of an order")

    def moving(self, owner: Number, handle: str, column: str) -> str:
        """A field that changes in an order's life: as the clone knew it, or as it stands."""
        if owner.snap is None:
            return f"orders[{handle}].{column}"
        if owner.snap.startswith("n"):
            return f"notes[{owner.snap}].{column}"
        return f"(notes[{owner.snap}].{column} if {owner.snap} >= 0 else orders[{handle}].{column})"

    def order_part(self, owner: Number, part: str, name: str) -> Value:
        """`order.executed.name` and `order.created.name`."""
        handle = owner.code if owner.none == "False" else f"known_order({owner.code}, error)"
        if part == "executed" and name in EXECUTED:
            code = self.moving(owner, handle, EXECUTED[name])
            return Number(code, FLOAT, none=f"np.isnan({code})" if name == "dt" else None)
        if part == "created" and name in CREATED:
            return Number(f"orders[{handle}].{CREATED[name]}", FLOAT)
        raise self.refuse(f"uses {part}.{name} of an order")

    def order_method(self, owner: Number, name: str, arguments: Arguments) -> Value:
        """isbuy(), alive() and the names of states."""
        handle = owner.code if owner.none == "False" else f"known_order({owner.code}, error)"
        if name in ("isbuy", "issell"):
            return Number(f"(orders[{handle}].buy == {int(name == 'isbuy')})", BOOL)
        if name == "alive":
            return Number(f"({self.moving(owner, handle, 'status')} <= 3)", BOOL)
        if name == "active":
            return Number(f"(orders[{handle}].active != 0)", BOOL)
        if name in ("getstatusname", "getordername", "ordtypename"):
            names = {
                "getstatusname": (bt.Order.Status, self.moving(owner, handle, "status")),
                "getordername": (bt.Order.ExecTypes, f"orders[{handle}].kind"),
                "ordtypename": (bt.Order.OrdTypes, f"(1 - orders[{handle}].buy)"),
            }
            texts, code = names[name]
            found = "-1"
            for number, text in enumerate(texts):
                found = f"({self.out.string(text)} if {code} == {number} else {found})"
            return Number(found, STR)
        raise self.refuse(f"calls {name}() of an order")

"""The broker: its numbers, orders sent and taken away."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np

from engine.compiled.delivery import is_resampled
from engine.compiled.infos import Infos
from engine.compiled.records import HAS_LIMIT, HAS_PRICE, HAS_TRAIL_AMOUNT, HAS_TRAIL_PERCENT
from engine.compiled.values import (
    DATE,
    DATETIME,
    FLOAT,
    INT,
    NONE,
    ORDER,
    TIMEDELTA,
    Arguments,
    Keywords,
    Method,
    Number,
    Position,
    Static,
    Value,
    Window,
    describe,
)

ORDER_ARGUMENTS = ("price", "plimit", "trailamount", "trailpercent")


class Market(Infos):
    """The objects of Backtrader, as a kernel sees them."""

    def broker_attribute(self, broker: Any, name: str) -> Value:
        """Numbers of the broker."""
        if broker is not self.broker:
            raise self.refuse("uses another broker")
        if name == "cash":
            return Number("account.cash", FLOAT)
        if name == "startingcash":
            return self.scalar_argument(float(broker.startingcash), ("startingcash",))
        if name in ("p", "params"):
            return Static(broker.p)
        return Method(Static(broker), name)

    def market_call(self, owner: Any, name: str, arguments: Arguments, keywords: Keywords) -> Value | None:
        """Calls that mean something to the kernel; None for any other."""
        if owner is self.broker:
            return self.broker_call(name, arguments, keywords)
        if owner is self.strategy:
            if name == "__len__":
                return Number("t" if self.opening else "(t + 1)", INT)
            if name in (
                "addindicator",
                "add_timer",
                "setsizer",
                "set_tradehistory",
                "addminperiod",
                "log_unsupported",
            ):
                raise self.refuse(f"calls {name}() while it runs")
            if name in ("getdatabyname", "getdatanames") and all(self.is_plain(value) for value in arguments):
                return self.compute(getattr(owner, name), arguments, keywords)
            if name in ("getpositions", "getpositionsbyname"):
                raise self.refuse(f"calls {name}()")
            return None
        if isinstance(owner, bt.BrokerBase):
            raise self.refuse("uses another broker")
        if isinstance(owner, bt.Cerebro):
            raise self.refuse(f"calls {name}() of Cerebro")
        if self.is_line(owner):
            return self.line_call(owner, name, arguments, keywords)
        if isinstance(owner, bt.CommInfoBase) and name in (
            "getcommission",
            "getoperationcost",
            "get_margin",
            "getsize",
            "getvaluesize",
            "profitandloss",
            "get_leverage",
        ):
            return None
        return None

    def broker_call(self, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """A method of the broker."""
        if name in ("getcash", "get_cash"):
            return Number("account.cash", FLOAT)
        if name in ("getvalue", "get_value"):
            return self.value_of(arguments, keywords)
        if name == "getposition":
            data = self.number_of_data(arguments[0] if arguments else keywords["data"])
            if len(self.datas) > 1:
                self.out.line(f"touch(book, {data})")
            return Position(data)  # type: ignore[arg-type]
        if name == "getcommissioninfo":
            which = arguments[0] if arguments else keywords["data"]
            if isinstance(which, Number):
                infos = {id(self.broker.getcommissioninfo(each)) for each in self.datas}
                if len(infos) > 1:
                    raise self.refuse("asks for the commission of a data known only in the run")
                which = Static(self.datas[0])
            return Static(self.broker.getcommissioninfo(which.value))
        if name == "cancel":
            return self.cancel_order(arguments[0] if arguments else keywords["order"])
        if name in ("buy", "sell"):
            return self.submit_order(name == "buy", arguments, keywords)
        if name == "get_orders_open" and not arguments and not keywords:
            found = self.out.temporary("open_orders(book.queues, book.desk)")
            return Window(found, "0", f"len({found})", ORDER)
        raise self.refuse(f"calls {name}() of the broker while it runs")

    def value_of(self, arguments: Arguments, keywords: Keywords) -> Value:
        """`getvalue()` and `getvalue([data])`."""
        names = dict(zip(("datas", "mkt", "lever"), arguments, strict=False)) | keywords
        datas = names.pop("datas", NONE)
        if names:
            raise self.refuse(f"asks for a value with {', '.join(names)}")
        if isinstance(datas, Static) and datas.value is None:
            return Number("account.value", FLOAT, exact=self.broker_exact())
        parts = self.elements(datas)
        if parts is None or len(parts) != 1:
            raise self.refuse("asks for the value of several datas")
        code = f"data_value(book, {self.number_of_data(parts[0])})"
        return Number(code, FLOAT, exact=self.broker_exact())

    def broker_exact(self) -> bool:
        """Whether what the broker adds up are floats in Python too."""
        given = [self.broker.p, *(self.broker.getcommissioninfo(data).p for data in self.datas)]
        values = [value for parameters in given for value in parameters._getvalues()]
        return not self.out.numpy and not any(isinstance(value, np.generic) for value in values)

    def cancel_order(self, order: Value) -> Value:
        """`broker.cancel(order)`; None in it changes nothing."""
        self.effects += 1
        if isinstance(order, Static) and order.value is None:
            return NONE
        if not isinstance(order, Number) or order.type != ORDER:
            raise self.refuse(f"cancels {describe(order)}")
        call = f"cancel(book, {order.code})"
        self.out.line(call if order.none == "False" else f"if {order.code} >= 0: {call}")
        return NONE

    def submit_order(self, buy: bool, arguments: Arguments, keywords: Keywords) -> Value:
        """`broker.buy(...)` and `broker.sell(...)`."""
        self.effects += 1
        names = (
            dict(
                zip(
                    ("owner", "data", "size", "price", "plimit", "exectype", "valid", "tradeid", "oco"),
                    arguments,
                    strict=False,
                )
            )
            | keywords
        )
        names.pop("owner")
        data = self.number_of_data(names.pop("data"))
        if any(is_resampled(each) for each in (self.datas if isinstance(data, str) else [self.datas[data]])):
            raise self.refuse("orders what may be a resampled data")
        size = self.floating(names.pop("size"))
        given = []
        numbers = []
        for name, bit in zip(
            ORDER_ARGUMENTS, (HAS_PRICE, HAS_LIMIT, HAS_TRAIL_AMOUNT, HAS_TRAIL_PERCENT), strict=True
        ):
            number, flag = self.optional_float(names.pop(name, NONE))
            numbers.append(number)
            given.append(
                f"({bit} if {flag} else 0)"
                if flag not in ("True", "False")
                else str(bit if flag == "True" else 0)
            )
        kind = names.pop("exectype", NONE)
        kind_code = "0" if isinstance(kind, Static) and kind.value is None else self.order_kind(kind)
        if not (isinstance(tradeid := names.pop("tradeid", Static(0)), Static) and tradeid.value == 0):
            raise self.refuse("uses trade ids")
        valid = self.valid_code(names.pop("valid", NONE), data)
        oco, parent = (self.handle_code(names.pop(name, NONE)) for name in ("oco", "parent"))
        transmit = self.truth(names.pop("transmit", Static(True)))
        transmit_code = str(int(transmit.value)) if isinstance(transmit, Static) else f"int({transmit.code})"
        if not self.truth_of_coc(names.get("coc", NONE)):
            given.append("16")
        info = self.info_code(names)
        flags = " + ".join(part for part in given if part != "0") or "0"
        sign = "" if buy else "-"
        handle = self.out.temporary(
            f"submit(book, t, {data}, {sign}{size}, {kind_code}, {', '.join(numbers)}, {flags}, {valid}, {oco}, {parent}, {transmit_code}, {info})"
        )
        self.out.line("if account.overflow: return 2")
        return Number(handle, ORDER, none="False")

    def truth_of_coc(self, value: Value) -> bool:
        """Whether an order takes part in cheat-on-close; `coc=False` keeps it out."""
        return (isinstance(value, Static) and value.value is None) or bool(
            self.known(value, "coc of an order")
        )

    def order_kind(self, value: Value) -> str:
        """An order type; only a known one keeps a kernel small, but any number will do."""
        if isinstance(value, Static):
            if value.value not in range(7):
                raise self.refuse(f"uses the order type {value.value!r}")
            return str(int(value.value))
        return self.whole_number(value)

    def optional_float(self, value: Value) -> tuple[str, str]:
        """A float and the expression of whether it was given."""
        if isinstance(value, Static) and value.value is None:
            return "0.0", "False"
        if isinstance(value, Number) and value.none is not None:
            return self.out.coerced(Number(value.code, value.type), FLOAT)[0], f"not {value.none}"
        return self.floating(value), "True"

    def handle_code(self, value: Value) -> str:
        """An order as a handle."""
        if isinstance(value, Static) and value.value is None:
            return "-1"
        if isinstance(value, Number) and value.type == ORDER:
            return value.code
        raise self.refuse(f"takes {describe(value)} for an order")

    def valid_code(self, value: Value, data: int | str) -> str:
        """`valid` as a day number."""
        if isinstance(value, Static) and value.value is None:
            return "np.nan"
        number = self.as_number(value)
        if number.none not in (None, "False"):
            raise self.refuse("uses a valid that may be None")
        if number.type == TIMEDELTA:
            if isinstance(data, str):
                raise self.refuse("uses a timedelta for a data known only in the run")
            moment = self.moments(self.datas[data].lines.datetime, Static(0))
            return f"valid_until({moment.code}, {number.code})"
        if number.type == DATETIME:
            return f"day_number({number.code})"
        if number.type == DATE:
            return f"float({number.code})"
        code = self.floating(number)
        return f"({code} if {code} != 0.0 else np.nan)"

"""What a strategy reads and does at the market: lines, datas, positions, the broker, orders, trades, its own attributes."""

from __future__ import annotations

import collections
import datetime
import inspect
import types
from collections.abc import Callable, Hashable
from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineBuffer
from backtrader.lineroot import LineRoot

from engine.compiled.calls import Arguments, Calls, Keywords, Super
from engine.compiled.emit import Slot, is_atom
from engine.compiled.expressions import NONE
from engine.compiled.records import HAS_LIMIT, HAS_PRICE, HAS_TRAIL_AMOUNT, HAS_TRAIL_PERCENT
from engine.compiled.traced import Traced
from engine.compiled.values import (
    BOOL,
    DATA,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    NUMERIC,
    ORDER,
    STR,
    TIME,
    TIMEDELTA,
    UNKNOWN,
    Info,
    Items,
    Mapping,
    Method,
    Number,
    Position,
    Record,
    Sequence,
    Static,
    Text,
    Trade,
    Value,
    Window,
)
from engine.compiled.walk import describe

DAY_US = 86_400_000_000
EPOCH_US = 719_163 * DAY_US
"""1970-01-01 in microseconds since ordinal 0."""
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
SINGLE_VALUE_METHODS = frozenset(
    {
        "isoformat",
        "strftime",
        "ctime",
        "format",
        "upper",
        "lower",
        "title",
        "join",
        "replace",
        "strip",
        "ljust",
        "rjust",
        "center",
        "zfill",
    }
)
INTERNALS = frozenset(
    {
        "_orders",
        "_orderspending",
        "_trades",
        "_tradespending",
        "_minperstatus",
        "_dlens",
        "_lineiterators",
        "_clock",
        "_value",
    }
)
ORDER_ARGUMENTS = ("price", "plimit", "trailamount", "trailpercent")
LINE_INTERNALS = frozenset(
    {"array", "idx", "_idx", "lencount", "extension", "bidx", "mode", "useislice", "maxlen"}
)
LISTS = (list, collections.deque)


class Market(Calls):
    """The objects of Backtrader, as a kernel sees them."""

    strategy: Any
    broker: Any
    datas: list[Any]
    clocks: dict[int, str]
    rows: dict[int, int]
    row_lines: list[Any]
    scalars: dict[Hashable, Any]
    infos: list[dict[str, Any]]
    bound_data: dict[str, int]
    positions_of: dict[int, int]
    deepest: int
    time_rows: dict[str, str]
    keep: list[Any]
    order_class = bt.Order

    # -- lines

    def is_line(self, thing: Any) -> bool:
        """Whether an object is a line, or stands for its first one (an indicator, a data)."""
        return isinstance(thing, LineRoot) and thing is not self.strategy

    def is_data(self, thing: Any) -> bool:
        """Whether an object is one of the strategy's datas."""
        return any(thing is data for data in self.datas)

    def number_of_data(self, value: Value) -> int | str:
        """The number of a data, or the expression for it."""
        if isinstance(value, Static):
            for number, data in enumerate(self.datas):
                if value.value is data:
                    return number
            if isinstance(value.value, str):
                return self.number_of_data(Static(self.strategy.getdatabyname(value.value)))
        if isinstance(value, Number) and value.type == DATA:
            return value.code
        raise self.refuse(f"takes {describe(value)} for a data")

    def buffer(self, line: Any) -> tuple[str, str]:
        """The array of a line in the kernel, and the variable that counts its bars."""
        found = line if isinstance(line, LineBuffer) else line.lines[0]
        clock = self.clocks.get(id(found))
        if clock is None:
            raise self.refuse("reads a line that does not advance with the strategy")
        row = self.rows.get(id(found))
        if row is None:
            row = self.rows[id(found)] = len(self.row_lines)
            self.row_lines.append(found)
        return f"a{row}", clock

    def is_data_value(self, value: Value) -> bool:
        """Whether a value is one of the datas."""
        return isinstance(value, Static) and self.is_data(value.value)

    def line_value(self, line: Any, ago: Value) -> Value:
        """`line[ago]`."""
        array, clock = self.buffer(line)
        if isinstance(ago, Static) and isinstance(ago.value, int):
            if ago.value > 0:
                raise self.refuse("reads a bar that has not happened yet")
            self.deepest = max(self.deepest, -ago.value)
            return Number(f"{array}[{clock} - {-ago.value}]" if ago.value else f"{array}[{clock}]", FLOAT)
        return Number(f"at({array}, {clock} + {self.whole_number(ago)}, error)", FLOAT)

    def moments(self, line: Any, ago: Value) -> Number:
        """`line.datetime(ago)` in microseconds."""
        array, clock = self.buffer(line)
        row = self.time_rows.setdefault(array, f"m{array[1:]}")
        return Number(f"(int(at({row}, {clock} + {self.whole_number(ago)}, error)) + {EPOCH_US})", DATETIME)

    def line_call(self, line: Any, name: str, arguments: Arguments, keywords: Keywords) -> Value | None:
        """A method of a line."""
        if name == "__len__":
            return Number(f"({self.buffer(line)[1]} + 1)", INT)
        if name in ("date", "datetime", "time", "dt"):
            if set(keywords) - {"ago"} or len(arguments) > 1:
                raise self.refuse(f"asks for the {name} in a time zone")
            ago = arguments[0] if arguments else keywords.get("ago", Static(0))
            found = line if isinstance(line, LineBuffer) else line.lines[0]
            if found._tz is not None:
                raise self.refuse("uses a data with a time zone")
            moment = self.moments(line, ago)
            return (
                moment
                if name == "datetime"
                else self.attribute_of_moment(moment, f"{name}()")
                if name != "dt"
                else None
            )
        if name == "get":
            names = dict(zip(("ago", "size"), arguments, strict=False)) | keywords
            array, clock = self.buffer(line)
            ago = self.whole_number(names.get("ago", Static(0)))
            size = self.whole_number(names.get("size", Static(1)))
            start = self.out.temporary(f"window_start(len({array}), {clock}, {ago}, {size})")
            stop = self.out.temporary(f"max({start}, min(len({array}), {clock} + {ago} + 1))")
            return Window(array, start, stop)
        if name == "num2date" and len(arguments) == 1 and not keywords:
            return Number(f"moment_of({self.floating(arguments[0])}, error)", DATETIME)
        if name in ("buflen", "__bool__"):
            raise self.refuse(f"calls {name}() of a line")
        return None

    def moment(self, thing: Any) -> Number | None:
        """A date or time known now as whole microseconds or a day's ordinal."""
        if isinstance(thing, datetime.datetime):
            if thing.tzinfo is not None:
                raise self.refuse("uses a time with a time zone")
            rest = thing - datetime.datetime.combine(thing.date(), datetime.time())
            return Number(
                str(thing.toordinal() * DAY_US + rest // datetime.timedelta(microseconds=1)), DATETIME
            )
        if isinstance(thing, datetime.date):
            return Number(str(thing.toordinal()), DATE)
        if isinstance(thing, datetime.time):
            seconds = (thing.hour * 60 + thing.minute) * 60 + thing.second
            return Number(str(seconds * 1_000_000 + thing.microsecond), TIME)
        if isinstance(thing, datetime.timedelta):
            return Number(str(thing // datetime.timedelta(microseconds=1)), TIMEDELTA)
        return None

    def attribute_of_moment(self, value: Number, name: str) -> Value:
        """Attributes and methods of dates and times."""
        code, kind = value.code, value.type
        ordinal = code if kind == DATE else f"({code} // {DAY_US})"
        rest = code if kind == TIME else f"({code} % {DAY_US})"
        if kind in (DATETIME, DATE):
            calendar = {"year": 0, "month": 1, "day": 2}
            if name in calendar:
                return Number(f"civil({ordinal})[{calendar[name]}]", INT)
            days = {
                "weekday()": f"(({ordinal} + 6) % 7)",
                "isoweekday()": f"(({ordinal} + 6) % 7 + 1)",
                "toordinal()": ordinal,
            }
            if name in days:
                return Number(days[name], INT)
            if name == "date()" and kind == DATETIME:
                return Number(ordinal, DATE)
        if kind in (DATETIME, TIME):
            parts = {
                "hour": f"({rest} // 3600000000)",
                "minute": f"({rest} // 60000000 % 60)",
                "second": f"({rest} // 1000000 % 60)",
                "microsecond": f"({rest} % 1000000)",
            }
            if name in parts:
                return Number(parts[name], INT)
            if name == "time()" and kind == DATETIME:
                return Number(rest, TIME)
        if kind == TIMEDELTA:
            spans = {
                "days": (f"({code} // {DAY_US})", INT),
                "seconds": (f"({code} % {DAY_US} // 1000000)", INT),
            }
            if name in spans:
                return Number(*spans[name])
            if name == "total_seconds()":
                return Number(f"({code} / 1000000.0)", FLOAT)
        if name.rstrip("()") in SINGLE_VALUE_METHODS:
            return Text()
        raise self.refuse(f"uses {name} of a {kind}")

    # -- attributes

    def attribute(self, owner: Value, name: str) -> Value:
        """`owner.name`."""
        if isinstance(owner, Static):
            return self.static_attribute(owner, name)
        if isinstance(owner, Number):
            return self.number_attribute(owner, name)
        if isinstance(owner, Position):
            return self.position_attribute(owner, name)
        if isinstance(owner, Trade):
            return self.trade_attribute(owner, name)
        if isinstance(owner, Record):
            if name in owner.values:
                return owner.values[name]
            return self.class_attribute(owner, owner.cls, name)
        if isinstance(owner, Info):
            if name in ("get",):
                return Method(owner, name)
            return self.info_entry(owner, name)
        if isinstance(owner, Method) and owner.name in ("order.executed", "order.created"):
            return self.order_part(owner.owner, owner.name[6:], name)
        if isinstance(owner, Text) and not hasattr(str, name):
            raise self.refuse(f"uses {name} of a string")
        return Method(owner, name)

    def class_attribute(self, owner: Value, cls: type, name: str) -> Value:
        """A method or property of a class, for an instance of it."""
        entry = inspect.getattr_static(cls, name, None)
        if isinstance(entry, property):
            return self.inline(entry.fget, [owner], {})
        if isinstance(entry, types.FunctionType):
            return Method(owner, name, entry)
        raise self.refuse(f"uses {name} of a {cls.__name__}")

    def static_attribute(self, owner: Static, name: str) -> Value:
        """An attribute of an object known now."""
        thing = owner.value
        if thing is None:
            raise self.refuse(f"uses {name} of None")
        if isinstance(thing, Super):
            return self.super_attribute(thing, name)
        slot = self.out.slots.get(("cell", id(thing), name))
        if slot is not None and slot.written:
            return self.read_slot(slot)
        if isinstance(thing, bt.BrokerBase):
            return self.broker_attribute(thing, name)
        if self.is_line(thing) and name in LINE_INTERNALS:
            raise self.refuse(f"uses {name} of a line")
        if thing is self.strategy and name in INTERNALS:
            raise self.refuse(f"uses {name}, which belongs to Backtrader")
        if isinstance(thing, (type, types.ModuleType)):
            if not hasattr(thing, name):
                raise self.refuse(f"AttributeError: {name}")
            return Static(getattr(thing, name))
        entry = inspect.getattr_static(type(thing), name, None)
        if isinstance(entry, property) and entry.fget is not None and not self.is_line(thing):
            return self.inline(entry.fget, [owner], {})
        return self.instance_attribute(owner, name, entry)

    def instance_attribute(self, owner: Static, name: str, entry: Any) -> Value:
        """An attribute of an instance, read from the strategy at hand."""
        thing = owner.value
        hook = inspect.getattr_static(type(thing), "__getattr__", None)
        if hook is not None and not getattr(hook, "__module__", "backtrader").startswith("backtrader"):
            raise self.refuse(f"uses {name} of a {type(thing).__name__}, whose attributes are computed")
        if isinstance(thing, bt.Position):
            return self.position_attribute(self.position_value(thing), name)
        try:
            value = getattr(thing, name)
        except AttributeError as error:
            if isinstance(thing, str):
                return Method(owner, name)
            raise self.refuse(f"AttributeError: {error}") from error
        if isinstance(entry, staticmethod):
            return Static(value)
        if isinstance(value, types.MethodType) and value.__self__ is thing:
            return Method(owner, name, value.__func__)
        if callable(value) and isinstance(entry, (types.MethodDescriptorType, types.WrapperDescriptorType)):
            return Method(owner, name)
        return self.lifted(
            value,
            ("cell", id(thing), name),
            in_instance=name in getattr(thing, "__dict__", {}) or _is_params(thing),
        )

    def lifted(self, value: Any, cell: Hashable, *, in_instance: bool) -> Value:
        """A value of the strategy at hand: numbers become arguments of the kernel."""
        if isinstance(value, bt.Position):
            return self.position_value(value)
        if isinstance(value, Traced) or (
            in_instance and isinstance(value, (int, float)) and not isinstance(value, bool)
        ):
            return self.scalar_argument(value, cell)
        if isinstance(value, (list, tuple, dict, set, collections.deque)):
            return Static(value, cell)
        return Static(value, cell)

    def scalar_argument(self, value: Any, cell: Hashable) -> Number:
        """A number of the strategy that stays what it is for the whole run."""
        kind = INT if isinstance(value, int) else FLOAT
        found = self.scalars.get(cell)
        if found is None:
            prefix = "j" if kind == INT else "f"
            number = sum(1 for other in self.scalars.values() if other[1] == kind)
            found = self.scalars[cell] = (f"{prefix}{number}", kind, value)
        return Number(found[0], kind, known=value)

    def position_value(self, position: Any) -> Position:
        """A position object of the broker."""
        for data, held in self.broker.positions.items():
            if held is position:
                return Position(self.datas.index(data))
        raise self.refuse("uses a position of no data")

    def super_attribute(self, thing: Super, name: str) -> Value:
        """`super().name`."""
        mro = type(thing.instance).__mro__
        for cls in mro[mro.index(thing.owner) + 1 :]:
            if name in vars(cls):
                entry = vars(cls)[name]
                if isinstance(entry, property):
                    return self.inline(entry.fget, [Static(thing.instance)], {})
                if isinstance(entry, types.FunctionType):
                    return Method(Static(thing.instance), f"super.{name}", entry)
                return Static(getattr(super(thing.owner, thing.instance), name))
        if name == "__init__":
            return Static(lambda: None)
        raise self.refuse(f"AttributeError: super().{name}")

    def has_attribute(self, owner: Value, name: str) -> bool:
        """hasattr(), as far as it does not change in the run."""
        if isinstance(owner, Static):
            slot = self.out.slots.get(("cell", id(owner.value), name))
            if slot is not None and slot.written and slot.missing:
                raise self.refuse(f"asks whether {name} is there, which changes in the run")
            return hasattr(owner.value, name) or (slot is not None and slot.written)
        if isinstance(owner, Record):
            return name in owner.values or hasattr(owner.cls, name)
        raise self.refuse(f"asks for attributes of {describe(owner)}")

    def number_attribute(self, owner: Number, name: str) -> Value:
        """Attributes of a number: of orders, dates, datas."""
        if owner.type == ORDER:
            return self.order_attribute(owner, name)
        if owner.type in (DATETIME, DATE, TIME, TIMEDELTA):
            present = self.present(owner)
            if name in ("year", "month", "day", "hour", "minute", "second", "microsecond", "days", "seconds"):
                return self.attribute_of_moment(present, name)
            return Method(present, name)
        if owner.type == STR:
            return Method(owner, name)
        if owner.type == DATA:
            return self.data_attribute(owner, name)
        if owner.type == FLOAT and name in ("is_integer",):
            return Method(owner, name)
        raise self.refuse(f"uses {name} of a {owner.type}")

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
            return Number(f"{record}.{column}", kind)
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

    def info_entry(self, owner: Info, name: str) -> Value:
        """What an order was given besides Backtrader's own arguments."""
        found: Value = NONE
        handle = (
            owner.order.code if owner.order.none == "False" else f"known_order({owner.order.code}, error)"
        )
        for code in range(len(self.infos) - 1, 0, -1):
            value = self.infos[code].get(name)
            test = Number(f"(orders[{handle}].info == {code})", BOOL)
            first, second = Static(value), found
            found = self.choose(test, (lambda first=first: first, []), (lambda second=second: second, []))  # type: ignore[misc]
        return found

    def has_info(self, owner: Info, name: str) -> Value:
        """Whether an order was given something of this name."""
        codes = [str(code) for code, entry in enumerate(self.infos) if name in entry]
        if not codes:
            return Static(False)
        handle = (
            owner.order.code if owner.order.none == "False" else f"known_order({owner.order.code}, error)"
        )
        return Number("(" + " or ".join(f"orders[{handle}].info == {code}" for code in codes) + ")", BOOL)

    def value_method(self, method: Method, arguments: Arguments, keywords: Keywords) -> Value:
        """A method of a value of the run."""
        owner, name = method.owner, method.name
        if isinstance(owner, Number) and owner.type == ORDER:
            return self.order_method(owner, name, arguments)
        if isinstance(owner, Number) and owner.type in (DATETIME, DATE, TIME, TIMEDELTA):
            if name == "replace":
                raise self.refuse(f"calls replace() of a {owner.type}")
            return self.attribute_of_moment(owner, f"{name}()")
        if isinstance(owner, Info):
            entry = self.info_entry(owner, self.known(arguments[0], "a key"))
            return entry
        if isinstance(owner, Text) or (isinstance(owner, Number) and owner.type == STR):
            if name in ("append", "startswith", "endswith"):
                raise self.refuse(f"calls {name}() of a string made in the run")
            return Text()
        if isinstance(owner, Mapping):
            return self.mapping_method(owner, name, arguments, keywords)
        if isinstance(owner, Sequence):
            return self.sequence_method(owner, name, arguments, keywords)
        if isinstance(owner, Items) and name in ("index", "count"):
            raise self.refuse(f"calls {name}() of a list")
        if isinstance(owner, Items) and name == "append":
            raise self.refuse("appends to a list made in the same call")
        if isinstance(owner, Trade):
            return Text() if name == "getdataname" else self.refuse_call(name, "a trade")
        if isinstance(owner, Number) and name == "is_integer":
            return Number(f"({owner.code} == np.floor({owner.code}))", BOOL)
        raise self.refuse(f"calls {name}() of {describe(owner)}")

    def refuse_call(self, name: str, what: str) -> Value:
        """Refuse a method."""
        raise self.refuse(f"calls {name}() of {what}")

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

    # -- attributes and entries the run changes

    def read_slot(self, slot: Slot) -> Value:
        """The value of an attribute or entry that the run changes."""
        if slot.element is not None:
            return Sequence(slot.name, f"{slot.name}_n", slot.element, slot)
        if slot.missing:
            self.out.line(f"if {slot.name}_missing: fault(error)")
        if slot.type is None:
            return NONE
        number = slot.number()
        return self.held(number) if is_atom(number.code) else number

    def store_attribute(self, owner: Value, name: str, value: Value) -> None:
        """`owner.name = value`."""
        if isinstance(owner, Record):
            self.check_place(owner.where)
            owner.values[name] = self.held(value)
            return
        if not isinstance(owner, Static):
            raise self.refuse(f"sets {name} of {describe(owner)}")
        thing = owner.value
        if (
            isinstance(thing, (bt.BrokerBase, type, types.ModuleType, LineRoot))
            and thing is not self.strategy
        ):
            raise self.refuse(f"sets {name} of a {type(thing).__name__} while it runs")
        if not self.belongs(thing):
            raise self.refuse(f"sets {name} of an object that outlives the run")
        entry = inspect.getattr_static(type(thing), name, None)
        if isinstance(entry, property):
            if entry.fset is None or (thing is self.strategy and entry is bt.Strategy.__dict__.get("sizer")):
                raise self.refuse(f"sets {name} while it runs")
            self.inline(entry.fset, [owner, value], {})
            return
        live = getattr(thing, name, None) if self.has_live(thing, name) else _ABSENT
        self.store_cell(("cell", id(thing), name), name, live, value)

    @staticmethod
    def has_live(thing: Any, name: str) -> bool:
        """Whether the strategy at hand has the attribute, itself or through its class."""
        try:
            value = getattr(thing, name)
        except AttributeError:
            return False
        return not (
            isinstance(thing, LineRoot)
            and isinstance(value, types.MethodType)
            and name not in vars(type(thing))
        )

    def belongs(self, thing: Any) -> bool:
        """Whether an object was made with the strategy: reachable from it alone."""
        return id(thing) in self.own_objects

    own_objects: set[int]

    def store_cell(self, key: Hashable, hint: str, live: Any, value: Value) -> None:
        """Store into an attribute or entry."""
        if (isinstance(live, (dict, *LISTS)) and isinstance(value, (Items, Mapping))) or (
            isinstance(value, Items) and (live is _ABSENT or live is None)
        ):
            self.store_container(key, hint, live, value)
            return
        slot = self.cell(key, hint, live)
        if slot.element is not None:
            raise self.refuse(f"puts {describe(value)} where a list was")
        if isinstance(value, Position):
            raise self.refuse("keeps a position")
        if isinstance(value, Sequence):
            raise self.refuse("keeps a list under a second name")
        scalar = self.scalar(value)
        if (
            scalar is None
            and isinstance(value, Static)
            and self.is_line(value.value)
            and not self.is_data(value.value)
        ):
            raise self.refuse("keeps a line")
        if scalar is None and isinstance(value, Static) and self.is_data(value.value):
            scalar = Number(str(self.number_of_data(value)), DATA)
        if isinstance(value, Text):
            if not self.is_read(hint):
                return
            raise self.refuse("keeps a string made in the run")
        if scalar is None:
            raise self.refuse(f"keeps {describe(value)}")
        self.out.assign(slot, scalar)
        if slot.missing:
            self.out.line(f"{slot.name}_missing = False")

    def is_read(self, name: str) -> bool:
        """Whether any method might read an attribute of this name (it may be written only)."""
        return True

    def store_container(self, key: Hashable, hint: str, live: Any, value: Value) -> None:
        """A new list or an emptied dict in an attribute."""
        if isinstance(live, dict) and isinstance(value, Mapping) and not value.values:
            self.check_single(live, lambda held: isinstance(held, Static) and held.value is live)
            for slot in self.entry_slots(live):
                if not slot.missing:
                    slot.missing = self.out.changed = True
                self.out.line(f"{slot.name}_missing = True")
            return
        if not isinstance(value, Items) or not isinstance(live, LISTS):
            raise self.refuse(f"puts {describe(value)} where {describe(Static(live))} was")
        slot = self.cell(key, hint, live)
        self.check_single(live, lambda held: getattr(held, "slot", None) is slot)
        sequence = self.sequence(slot)
        parts = [self.held(part) for part in value.values]
        for part in parts:
            self.element(slot, part)
        self.out.line(f"{slot.name}_n = 0")
        for part in parts:
            self.append(sequence, part)

    def check_single(self, live: Any, is_it: Callable[[Value], bool]) -> None:
        """A list or dict may only be replaced while nothing else holds it: what it held would be gone there too."""
        held = [value for frame in self.frames for value in frame.env.values()]
        if any(map(is_it, held)) or any(slot.extra.get("live") is live for slot in self.active):
            raise self.refuse("replaces a list or dict that is still in use")
        if sum(value is live for value in vars(self.strategy).values()) > 1:
            raise self.refuse("keeps one list or dict under two names")

    def cell(self, key: Hashable, hint: str, live: Any) -> Slot:
        """The slot of an attribute or entry, made at its first assignment."""
        slot = self.out.slot(key, hint)
        if not slot.written:
            slot.written = self.out.changed = True
            slot.extra["live"] = live
            if live is _ABSENT:
                slot.missing = True
            elif isinstance(live, LISTS):
                if any(
                    other is not slot and other.extra.get("live") is live for other in self.out.slots.values()
                ):
                    raise self.refuse("keeps one list under two names")
                slot.element = slot.element or self.element_of(live)
            else:
                initial = self.initial(live, key)
                self.out.widen(slot, initial)
        return slot

    def initial(self, live: Any, key: Hashable) -> Number | Static:
        """What an attribute holds before the first bar."""
        if live is None or isinstance(live, (bool, str)):
            return Static(live)
        if isinstance(live, (Traced, int, float)):
            return self.scalar_argument(live, ("initial", key))
        moment = self.moment(live)
        if moment is not None:
            return moment
        if self.is_data(live):
            return Number(str(self.number_of_data(Static(live))), DATA)
        raise self.refuse(f"replaces a {type(live).__name__} while it runs")

    def element_of(self, live: Any) -> str:
        """The type of what a list holds at the start."""
        kinds = {FLOAT if isinstance(part, float) else INT if isinstance(part, int) else "?" for part in live}
        if "?" in kinds:
            raise self.refuse("changes a list of objects")
        return FLOAT if FLOAT in kinds else INT if kinds else "empty"

    # -- dicts with entries the run changes

    def entry_slots(self, thing: Any, every: bool = False) -> list[Slot]:
        """The slots of a dict's entries."""
        return [
            slot
            for key, slot in self.out.slots.items()
            if isinstance(key, tuple) and key[:2] == ("entry", id(thing)) and slot.written
        ]

    def entry_key(self, thing: Any, key: Any) -> Hashable:
        """The slot key of one entry."""
        return ("entry", id(thing), id(key) if isinstance(key, LineRoot) else key)

    def item(self, owner: Value, index: Any) -> Value:
        """`owner[index]` and `owner[a:b]`."""
        if isinstance(index, list):
            return self.slice(owner, index)
        if isinstance(owner, Static):
            return self.static_item(owner, index)
        if isinstance(owner, Items):
            return owner.values[self.known(index, "an index")]
        if isinstance(owner, Mapping):
            key = self.known(index, "a key")
            if key not in owner.values:
                raise self.refuse(f"KeyError: {key!r}")
            return owner.values[key]
        if isinstance(owner, Sequence):
            return Number(
                f"item({owner.array}, {owner.count}, {self.whole_number(index)}, error)", owner.type
            )
        if isinstance(owner, Window):
            return Number(
                f"item({owner.array}[{owner.start}:{owner.stop}], {owner.stop} - {owner.start}, {self.whole_number(index)}, error)",
                owner.type,
            )
        if isinstance(owner, Info):
            return self.info_entry(owner, self.known(index, "a key"))
        raise self.refuse(f"looks into {describe(owner)}")

    def static_item(self, owner: Static, index: Value) -> Value:
        """An entry of something known now."""
        thing = owner.value
        if self.is_line(thing):
            return self.line_value(thing, index)
        if thing is self.strategy:
            raise self.refuse("reads a line of the strategy itself")
        if (
            isinstance(thing, LISTS)
            and owner.cell is not None
            and (slot := self.out.slots.get(owner.cell)) is not None
            and slot.written
        ):
            return self.item(self.sequence(slot), index)
        if isinstance(thing, dict) and isinstance(index, Number) and index.type == DATA:
            return self.by_data(index, lambda data: self.static_item(owner, Static(data)))
        if (
            isinstance(thing, (list, tuple))
            and isinstance(index, Number)
            and index.type == INT
            and index.known is UNKNOWN
        ):
            return self.chosen_item(owner, index)
        if thing is bt.Order.Status or isinstance(thing, (bt.utils.AutoDict,)):
            return Text()
        key = self.known(index, "a key")
        if isinstance(thing, dict):
            return self.entry(thing, key)
        try:
            value = thing[key]
        except Exception as error:
            raise self.refuse(f"{type(error).__name__}: {error}") from error
        return self.lifted(value, ("item", id(thing), key), in_instance=False)

    def chosen_item(self, owner: Static, index: Number) -> Value:
        """One of a few known numbers or strings, by a number of the run."""
        values = [Static(part) for part in owner.value]
        if not values or any(self.scalar(value) is None for value in values):
            raise self.refuse("picks one of several objects by a number of the run")
        index = self.held(index)
        count = len(values)
        self.out.line(f"if {index.code} >= {count} or {index.code} < {-count}: fault(error)")
        found: Value = values[-1]
        for number in range(count - 2, -1, -1):
            test = Number(f"({index.code} == {number} or {index.code} == {number - count})", BOOL)
            found = self.choose(test, (lambda v=values[number]: v, []), (lambda v=found: v, []))  # type: ignore[misc]
        return found

    def entry(self, thing: dict[Any, Any], key: Any) -> Value:
        """One entry of a dict that was there after `__init__`, or that the run makes."""
        slot = self.out.slots.get(self.entry_key(thing, key))
        if slot is not None and slot.written:
            return self.read_slot(slot)
        if key not in thing:
            if isinstance(thing, collections.defaultdict) and thing.default_factory is not None:
                self.keep.append(thing)
                value = thing.default_factory()
                if isinstance(value, LISTS):
                    return Static(
                        self.defaults.setdefault(self.entry_key(thing, key), value),
                        self.entry_key(thing, key),
                    )
                return Static(value)
            if any(isinstance(k, tuple) and k[:2] == ("entry", id(thing)) for k in self.out.slots):
                slot = self.cell(self.entry_key(thing, key), "entry", _ABSENT)
                return self.read_slot(slot)
            self.out.line("fault(error)")
            return NONE
        return self.lifted(thing[key], self.entry_key(thing, key), in_instance=True)

    defaults: dict[Hashable, Any]

    def store_item(self, owner: Value, index: Value, value: Value) -> None:
        """`owner[index] = value`."""
        if isinstance(owner, Mapping):
            self.check_place(owner.where)
            owner.values[self.known(index, "a key")] = self.held(value)
            return
        if isinstance(owner, Sequence):
            self.store_element(owner, index, value)
            return
        if not isinstance(owner, Static):
            raise self.refuse(f"sets an entry of {describe(owner)}")
        thing = owner.value
        if isinstance(thing, LISTS) and owner.cell is not None:
            self.store_element(self.sequence(self.cell(owner.cell, "list", thing)), index, value)
            return
        if not isinstance(thing, dict) or not self.belongs(thing):
            raise self.refuse(f"sets an entry of a {type(thing).__name__}")
        if isinstance(index, Number) and index.type == DATA:
            for number, data in enumerate(self.datas):
                with self.writing(self.out.block(f"if {index.code} == {number}:")):
                    self.store_item(owner, Static(data), value)
            return
        key = self.known(index, "a key")
        live = thing.get(key, _ABSENT)
        if (
            live is _ABSENT
            and isinstance(thing, collections.defaultdict)
            and thing.default_factory is not None
        ):
            live = thing.default_factory()
        self.keep.append(thing)
        self.store_cell(self.entry_key(thing, key), "entry", live, value)

    def delete_item(self, owner: Value, index: Value) -> None:
        """`del owner[key]`."""
        if isinstance(owner, Static) and isinstance(owner.value, dict):
            self.pop_entry(owner, [index])
            return
        if isinstance(owner, Sequence) or (isinstance(owner, Static) and isinstance(owner.value, LISTS)):
            sequence = (
                owner
                if isinstance(owner, Sequence)
                else self.sequence(self.cell(owner.cell, "list", owner.value))
            )
            self.out.line(
                f"{sequence.count} = drop({sequence.array}, {sequence.count}, {self.whole_number(index)}, error)"
            )
            return
        raise self.refuse(f"deletes an entry of {describe(owner)}")

    def pop_entry(self, owner: Static, arguments: Arguments) -> Value:
        """`d.pop(key)` and `d.pop(key, default)`."""
        if isinstance(arguments[0], Number) and arguments[0].type == DATA:
            raise self.refuse("removes an entry by a data known only in the run")
        key = self.known(arguments[0], "a key")
        thing = owner.value
        slot = self.cell(self.entry_key(thing, key), "entry", thing.get(key, _ABSENT))
        if not slot.missing:
            slot.missing = self.out.changed = True
        if len(arguments) == 1:
            self.out.line(f"if {slot.name}_missing: fault(error)")
            value = self.held(slot.number()) if slot.type else NONE
        else:
            present = Number(f"(not {slot.name}_missing)", BOOL)
            value = self.choose(
                present, (lambda: slot.number() if slot.type else NONE, []), (lambda: arguments[1], [])
            )
        self.out.line(f"{slot.name}_missing = True")
        return value

    def static_method(self, method: Method, arguments: Arguments, keywords: Keywords) -> Value:
        """A built-in method of something known now: of strings, lists and dicts."""
        owner, name = method.owner, method.name
        thing = owner.value
        if isinstance(thing, dict):
            return self.dict_method(owner, name, arguments)
        if isinstance(thing, LISTS):
            return self.list_method(owner, name, arguments, keywords)
        if isinstance(thing, str):
            if all(self.is_plain(value) for value in [*arguments, *keywords.values()]):
                return self.compute(getattr(thing, name), arguments, keywords)
            for value in [*arguments, *keywords.values()]:
                self.printable(value, formatted=name == "format" and ":" in thing)
            return Text()
        if isinstance(
            thing, (int, float, tuple, set, frozenset, datetime.date, datetime.time, datetime.timedelta)
        ) and all(self.is_plain(value) for value in [*arguments, *keywords.values()]):
            return self.compute(getattr(thing, name), arguments, keywords)
        raise self.refuse(f"calls {name}() of a {type(thing).__name__}")

    def dict_method(self, owner: Static, name: str, arguments: Arguments) -> Value:
        """Methods of a dict that was there after `__init__`."""
        thing = owner.value
        if name == "get":
            default = arguments[1] if len(arguments) > 1 else NONE
            if isinstance(arguments[0], Number) and arguments[0].type == DATA:
                return self.by_data(arguments[0], lambda data: self.get_entry(thing, data, default))
            return self.get_entry(thing, self.known(arguments[0], "a key"), default)
        if name in ("items", "keys", "values") and not any(slot.missing for slot in self.entry_slots(thing)):
            return self.mapping_method(Mapping({key: self.entry(thing, key) for key in thing}), name, [], {})
        if name == "pop":
            return self.pop_entry(owner, arguments)
        if name == "clear":
            self.store_container(None, "dict", thing, Mapping({}))
            return NONE
        if name == "setdefault":
            key = self.known(arguments[0], "a key")
            if key in thing:
                return self.entry(thing, key)
        raise self.refuse(f"calls {name}() of a dict the run changes")

    def get_entry(self, thing: dict[Any, Any], key: Any, default: Value) -> Value:
        """`d.get(key, default)`."""
        slot = self.out.slots.get(self.entry_key(thing, key))
        if slot is None or not slot.written:
            if key in thing:
                return self.entry(thing, key)
            self.keep.append(thing)
            return default
        if not slot.missing:
            return self.read_slot(slot)
        if slot.type is None:
            return (
                default
                if isinstance(default, Static) and default.value is None
                else self.choose(
                    Number(f"(not {slot.name}_missing)", BOOL), (lambda: NONE, []), (lambda: default, [])
                )
            )
        present = Number(f"(not {slot.name}_missing)", BOOL)
        return self.choose(present, (slot.number, []), (lambda: default, []))

    def mapping_method(self, owner: Mapping, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """Methods of a dict made in the same call."""
        if name in ("update", "pop"):
            self.check_place(owner.where)
        if name == "update":
            for value in arguments:
                owner.values.update(self.known_mapping(value))
            owner.values.update(keywords)
            return NONE
        if name == "get":
            return owner.values.get(
                self.known(arguments[0], "a key"), arguments[1] if len(arguments) > 1 else NONE
            )
        if name == "pop":
            key = self.known(arguments[0], "a key")
            if key in owner.values:
                return owner.values.pop(key)
            if len(arguments) > 1:
                return arguments[1]
        if name in ("items", "keys", "values"):
            parts: dict[str, list[Value]] = {
                "items": [Items((Static(key), value)) for key, value in owner.values.items()],
                "keys": [Static(key) for key in owner.values],
                "values": list(owner.values.values()),
            }
            return Items(tuple(parts[name]))
        raise self.refuse(f"calls {name}() of a dict")

    def contains(self, owner: Value, value: Value) -> Value:
        """`value in owner`."""
        if isinstance(owner, Static) and isinstance(owner.value, LISTS) and owner.cell is not None:
            slot = self.out.slots.get(owner.cell)
            if slot is not None and slot.written:
                owner = self.sequence(slot)
        if isinstance(owner, Sequence):
            code = self.element_code(owner, value)
            return Number(f"(find({owner.array}, {owner.count}, {code}) >= 0)", BOOL)
        if isinstance(owner, Window):
            number = (
                self.present(value)
                if not self.is_data_value(value)
                else Number(str(self.number_of_data(value)), DATA)
            )
            return Number(
                f"(find({owner.array}[{owner.start}:{owner.stop}], {owner.stop} - {owner.start}, {number.code}) >= 0)",
                BOOL,
            )
        if isinstance(owner, Static) and isinstance(owner.value, dict):
            return self.contains_key(owner.value, value)
        if isinstance(owner, Mapping):
            return Static(self.known(value, "a key") in owner.values)
        if isinstance(owner, Info):
            return self.has_info(owner, self.known(value, "a key"))
        if isinstance(owner, Static) and isinstance(value, Static) and not self.is_line(value.value):
            return Static(value.value in owner.value)
        if (
            isinstance(owner, Static)
            and isinstance(value, Static)
            and any(part is value.value for part in owner.value)
        ):
            return Static(True)
        parts = self.elements(owner)
        if parts is None:
            raise self.refuse(f"looks for something in {describe(owner)}")
        if isinstance(value, Number):
            value = self.held(value)
        tests = [self.equal(value, part) for part in parts]
        if any(isinstance(test, Static) and test.value for test in tests):
            return Static(True)
        codes = [test.code for test in tests if isinstance(test, Number)]
        return Number("(" + " or ".join(codes) + ")", BOOL) if codes else Static(False)

    def contains_key(self, thing: dict[Any, Any], value: Value) -> Value:
        """`key in d`."""
        if isinstance(value, Number) and value.type == DATA:
            return self.by_data(value, lambda data: self.contains_key(thing, Static(data)))
        key = self.known(value, "a key")
        slot = self.out.slots.get(self.entry_key(thing, key))
        if slot is not None and slot.written:
            return Number(f"(not {slot.name}_missing)", BOOL) if slot.missing else Static(True)
        return Static(key in thing)

    def elements(self, value: Value) -> list[Value] | None:
        """The parts of something whose length is known now, None for anything else."""
        if isinstance(value, Items):
            return list(value.values)
        if isinstance(value, Mapping):
            return [Static(key) for key in value.values]
        if isinstance(value, Record) and issubclass(value.cls, tuple):
            return list(value.values.values())
        if not isinstance(value, Static) or self.is_line(value.value):
            return None
        thing = value.value
        if thing is None:
            return None
        if value.cell is not None and (slot := self.out.slots.get(value.cell)) is not None and slot.written:
            return None
        if isinstance(thing, dict):
            if self.entry_slots(thing) and any(slot.missing for slot in self.entry_slots(thing)):
                return None
            return [Static(key) for key in thing]
        if isinstance(thing, (list, tuple, range, set, frozenset, collections.deque)):
            if isinstance(thing, LISTS) and self.belongs(thing) and value.cell is not None:
                return [
                    self.lifted(part, ("item", id(thing), number), in_instance=False)
                    for number, part in enumerate(thing)
                ]
            return [part if isinstance(part, (Static, Number)) else Static(part) for part in thing]
        if isinstance(thing, str):
            return [Static(part) for part in thing]
        return None

    # -- lists the kernel keeps

    def sequence(self, slot: Slot) -> Sequence:
        """A list's slot as a value."""
        if slot.element is None:
            slot.element, self.out.changed = "empty", True
        return Sequence(slot.name, f"{slot.name}_n", slot.element, slot)

    def new_sequence(self, key: Hashable, name: str, value: Items) -> Value:
        """A list local to a call that grows in it."""
        slot = self.out.slot(("sequence", key), name)
        slot.written = True
        slot.extra["live"] = []
        sequence = self.sequence(slot)
        self.out.line(f"{sequence.count} = 0")
        for part in value.values:
            self.append(sequence, part)
        return Sequence(slot.name, f"{slot.name}_n", slot.element or "empty", slot)

    def new_type(self, sequence: Sequence) -> Value:
        """The list with the type of element it has by now."""
        return Sequence(sequence.array, sequence.count, sequence.slot.element or "empty", sequence.slot)

    def element(self, slot: Slot, value: Value) -> Number:
        """A value as an element of this list; widens the list's type."""
        scalar = self.scalar(value)
        if scalar is None and isinstance(value, Static) and self.is_data(value.value):
            scalar = Number(str(self.number_of_data(value)), DATA)
        if scalar is None or (isinstance(scalar, Static) and scalar.value is None):
            raise self.refuse(f"keeps {describe(value)} in a list")
        number = (
            self.present(self.out.number(scalar)) if not isinstance(scalar, Number) else self.present(scalar)
        )
        kind = INT if number.type == BOOL else number.type
        before = slot.element
        if before in (None, "empty"):
            joined: str | None = kind
        else:
            joined = kind if before == kind else FLOAT if {before, kind} <= NUMERIC else None
        if joined is None:
            raise self.refuse(f"keeps a {before} and a {kind} in one list")
        if joined != before:
            slot.element = joined
            self.out.changed = True
        return number

    def element_code(self, sequence: Sequence, value: Value) -> str:
        """A value as something to compare a list's elements with."""
        number = self.element(sequence.slot, value)
        kind = sequence.slot.element
        return self.out.coerced(number, kind)[0] if kind in NUMERIC else number.code

    def append(self, sequence: Sequence, value: Value) -> None:
        """`list.append(value)`; a deque with a length drops its first."""
        if isinstance(value, Number) and value.type == ORDER and value.snap is not None:
            raise self.refuse("keeps the order of a notification in a list")
        code = self.element_code(sequence, value)
        sequence = Sequence(sequence.array, sequence.count, sequence.slot.element or "empty", sequence.slot)
        limit = getattr(sequence.slot.extra.get("live"), "maxlen", None)
        if limit is not None:
            self.out.line(
                f"if {sequence.count} == {limit}: {sequence.count} = drop({sequence.array}, {sequence.count}, 0, error)"
            )
        self.out.line(f"{sequence.array} = appended({sequence.array}, {sequence.count}, {code})")
        self.out.line(f"{sequence.count} += 1")

    def store_element(self, sequence: Sequence, index: Value, value: Value) -> None:
        """`list[index] = value`."""
        code = self.element_code(sequence, value)
        self.out.line(f"put({sequence.array}, {sequence.count}, {self.whole_number(index)}, {code}, error)")

    def list_method(self, owner: Static, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """A method of a list that was there after `__init__`; one that changes it makes the kernel keep it."""
        slot = self.out.slots.get(owner.cell) if owner.cell is not None else None
        if slot is None or not slot.written:
            if name in ("index", "count", "copy"):
                return self.compute(getattr(owner.value, name), arguments, keywords)
            if owner.cell is None or not (self.belongs(owner.value) or owner.cell in self.defaults):
                raise self.refuse("changes a list that outlives the run")
            slot = self.cell(owner.cell, "list", owner.value)
        return self.sequence_method(self.sequence(slot), name, arguments, keywords)

    def sequence_method(self, owner: Sequence, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """Methods of a list the kernel keeps."""
        array, count = owner.array, owner.count
        if name == "append":
            self.append(owner, arguments[0])
            return NONE
        if name == "extend":
            parts = self.elements(arguments[0])
            if parts is None:
                raise self.refuse("extends a list by another of unknown length")
            for part in parts:
                self.append(owner, part)
            return NONE
        if name in ("pop", "popleft"):
            index = "0" if name == "popleft" else self.whole_number(arguments[0]) if arguments else "-1"
            kind = owner.type if owner.type != "empty" else INT
            found = self.out.temporary(f"item({array}, {count}, {index}, error)")
            self.out.line(f"{count} = drop({array}, {count}, {index}, error)")
            return Number(found, kind)
        if name == "remove":
            place = self.out.temporary(f"find({array}, {count}, {self.element_code(owner, arguments[0])})")
            self.out.line(f"if {place} < 0: fault(error)")
            self.out.line(f"else: {count} = drop({array}, {count}, {place}, error)")
            return NONE
        if name == "clear":
            self.out.line(f"{count} = 0")
            return NONE
        if name in ("insert", "appendleft"):
            position = Static(0) if name == "appendleft" else arguments[0]
            if not (isinstance(position, Static) and position.value == 0):
                raise self.refuse("inserts into the middle of a list")
            code = self.element_code(owner, arguments[-1])
            limit = getattr(owner.slot.extra.get("live"), "maxlen", None)
            if limit is not None:
                self.out.line(f"if {count} == {limit}: {count} -= 1")
            self.out.line(f"{array} = insert_first({array}, {count}, {code})")
            self.out.line(f"{count} += 1")
            return NONE
        if name == "count":
            return Number(f"np.sum({array}[:{count}] == {self.element_code(owner, arguments[0])})", INT)
        raise self.refuse(f"calls {name}() of a list")

    def slice(self, owner: Value, parts: list[Value | None]) -> Value:
        """`owner[a:b]`."""
        lower, upper, step = parts
        if isinstance(owner, Static) and isinstance(owner.value, LISTS) and owner.cell is not None:
            slot = self.out.slots.get(owner.cell)
            if slot is not None and slot.written:
                owner = self.sequence(slot)
        known = self.elements(owner)
        if known is not None:
            bounds = [None if part is None else int(self.known(part, "a slice")) for part in parts]
            return Items(tuple(known[slice(*bounds)]))
        if isinstance(owner, (Sequence, Window)) and step is None:
            base, start0 = owner.array, "0" if isinstance(owner, Sequence) else owner.start
            length = owner.count if isinstance(owner, Sequence) else f"({owner.stop} - {owner.start})"
            start = "0" if lower is None else self.bound(self.whole_number(lower), length)
            stop = length if upper is None else self.bound(self.whole_number(upper), length)
            first = self.out.temporary(f"{start0} + {start}")
            last = self.out.temporary(f"max({first}, {start0} + {stop})")
            if isinstance(owner, Sequence):
                copy = self.out.temporary(f"{base}[{first}:{last}].copy()")
                return Window(copy, "0", f"len({copy})", owner.type)
            return Window(base, first, last, owner.type)
        raise self.refuse(f"takes a part of {describe(owner)}")

    def copied(self, owner: Sequence) -> Value:
        """`list(values)`: what the list holds now."""
        copy = self.out.temporary(f"{owner.array}[:{owner.count}].copy()")
        return Window(copy, "0", f"len({copy})", owner.type)

    @staticmethod
    def bound(code: str, length: str) -> str:
        """A slice's bound within 0 and the length."""
        return f"min({length}, max(0, {code} + ({length} if {code} < 0 else 0)))"

    def counting(self, iterable: Value, node: Any) -> tuple[str, list[str], Callable[[], Value]] | None:
        """A loop of the kernel over a range, a list it keeps, or values of a line."""
        if isinstance(iterable, Method) and iterable.name == "range" and isinstance(iterable.owner, tuple):
            counter = f"x{self.unique()}"
            return (
                f"for {counter} in range({', '.join(iterable.function)}):",
                [],
                lambda: Number(counter, INT),
            )
        if isinstance(iterable, Static) and isinstance(iterable.value, LISTS) and iterable.cell is not None:
            slot = self.out.slots.get(iterable.cell)
            if slot is not None and slot.written:
                iterable = self.sequence(slot)
        if isinstance(iterable, Sequence):
            if iterable.slot is not None:
                self.active.append(iterable.slot)
            counter = f"x{self.unique()}"
            kind = iterable.type if iterable.type != "empty" else INT

            def element() -> Value:
                self.out.line(f"if {counter} >= {iterable.count}: break")
                return Number(f"{iterable.array}[{counter}]", kind)

            return f"for {counter} in range({2**31}):", [], element
        if isinstance(iterable, Window):
            counter = f"x{self.unique()}"
            return (
                f"for {counter} in range({iterable.start}, {iterable.stop}):",
                [],
                lambda: Number(f"{iterable.array}[{counter}]", iterable.type),
            )
        return None

    def for_data(self, code: str, walk: Callable[[Value], None]) -> None:
        """Walk once a data, each where the number of the run is that data's."""
        for number, data in enumerate(self.datas):
            with self.writing(self.out.block(f"if {code} == {number}:")):
                self.path.append(("data", number))
                walk(Static(data))
                self.path.pop()

    def filtered(self, known: list[tuple[Value, Value]], hint: str) -> Value:
        """A list of the values whose truths hold, kept by the kernel."""
        slot = self.out.slot(("filtered", *self.site()), hint)
        slot.written = True
        slot.extra["live"] = []
        sequence = self.sequence(slot)
        self.out.line(f"{sequence.count} = 0")
        for value, wanted in known:
            tree = (
                self.out.block(f"if {wanted.code}:")
                if isinstance(wanted, Number)
                else self.out.place()
                if wanted.value
                else []
            )
            with self.writing(tree):
                self.append(sequence, value)
        return Sequence(slot.name, f"{slot.name}_n", slot.element or "empty", slot)

    def sorted_datas(self, parts: list[Value], keys: list[Value], backwards: bool) -> Value:
        """`sorted(datas, key=...)`: the numbers of the datas, in order."""
        codes = ", ".join(self.floating(key) for key in keys)
        places = self.out.temporary(f"ranked(np.array([{codes}]), {backwards}, error)")
        numbers = ", ".join(str(self.number_of_data(part)) for part in parts)
        found = self.out.temporary(f"np.array([{numbers}])[{places}]")
        return Window(found, "0", str(len(parts)), DATA)

    # -- the broker

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
                return Number("(t + 1)", INT)
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
        raise self.refuse(f"calls {name}() of the broker while it runs")

    def value_of(self, arguments: Arguments, keywords: Keywords) -> Value:
        """`getvalue()` and `getvalue([data])`."""
        names = dict(zip(("datas", "mkt", "lever"), arguments, strict=False)) | keywords
        datas = names.pop("datas", NONE)
        if names:
            raise self.refuse(f"asks for a value with {', '.join(names)}")
        if isinstance(datas, Static) and datas.value is None:
            return Number("account.value", FLOAT)
        parts = self.elements(datas)
        if parts is None or len(parts) != 1:
            raise self.refuse("asks for the value of several datas")
        return Number(f"data_value(book, {self.number_of_data(parts[0])})", FLOAT)

    def cancel_order(self, order: Value) -> Value:
        """`broker.cancel(order)`; None in it changes nothing."""
        if isinstance(order, Static) and order.value is None:
            return NONE
        if not isinstance(order, Number) or order.type != ORDER:
            raise self.refuse(f"cancels {describe(order)}")
        call = f"cancel(book, {order.code})"
        self.out.line(call if order.none == "False" else f"if {order.code} >= 0: {call}")
        return NONE

    def submit_order(self, buy: bool, arguments: Arguments, keywords: Keywords) -> Value:
        """`broker.buy(...)` and `broker.sell(...)`."""
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

    def info_code(self, names: Keywords) -> str:
        """Whatever else an order was given, by number."""
        if not names:
            return "0"
        entry = {name: self.known(value, f"{name} of an order") for name, value in names.items()}
        for number, known in enumerate(self.infos):
            if known == entry:
                return str(number)
        self.infos.append(entry)
        self.out.changed = True
        return str(len(self.infos) - 1)


class _Absent:
    """No attribute."""


_ABSENT: Any = _Absent()


def _is_params(thing: Any) -> bool:
    return isinstance(thing, bt.metabase.AutoInfoClass)

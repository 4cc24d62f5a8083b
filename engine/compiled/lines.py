"""Lines, datas and moments: what a strategy reads of its bars."""

from __future__ import annotations

import datetime
from collections.abc import Hashable
from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineBuffer
from backtrader.lineroot import LineRoot

from engine.compiled.heap import Heap
from engine.compiled.values import (
    DATA,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    TIME,
    TIMEDELTA,
    Arguments,
    Keywords,
    Number,
    Static,
    Text,
    Value,
    Window,
    describe,
)

DAY_US = 86_400_000_000
EPOCH_US = 719_163 * DAY_US
"""1970-01-01 in microseconds since ordinal 0."""
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


class Lines(Heap):
    """Lines and datas, as a kernel sees them."""

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
    growing: bool
    opening: bool
    time_rows: dict[str, str]
    keep: list[Any]
    order_class = bt.Order

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
        if self.opening and not self.is_line_of_data(found):
            if clock == "t":
                raise self.refuse("reads the strategy's own times at the open")
            clock = f"p{clock[1:]}"
        row = self.rows.get(id(found))
        if row is None:
            row = self.rows[id(found)] = len(self.row_lines)
            self.row_lines.append(found)
        return f"a{row}", clock

    def is_line_of_data(self, line: Any) -> bool:
        """Whether a line is one of a data's own."""
        return any(line is own for data in self.datas for own in data.lines)

    def is_data_value(self, value: Value) -> bool:
        """Whether a value is one of the datas."""
        return isinstance(value, Static) and self.is_data(value.value)

    def line_value(self, line: Any, ago: Value) -> Value:
        """`line[ago]`."""
        array, clock = self.buffer(line)
        if isinstance(ago, Static) and isinstance(ago.value, int):
            if ago.value > 0:
                raise self.refuse("reads a bar that has not happened yet")
            if self.growing and (ago.value or clock != "i0"):
                return Number(f"seen({array}, {clock}, {ago.value}, error)", FLOAT, exact=True)
            self.deepest = max(self.deepest, -ago.value + (clock[0] == "p"))
            return Number(
                f"{array}[{clock} - {-ago.value}]" if ago.value else f"{array}[{clock}]", FLOAT, exact=True
            )
        return Number(self.bar_value(array, clock, self.whole_number(ago)), FLOAT, exact=True)

    def bar_value(self, array: str, clock: str, ago: str) -> str:
        """A line's value so many bars away. Where the line grows in the run nothing is behind its first bar."""
        if self.growing:
            return f"seen({array}, {clock}, {ago}, error)"
        return f"at({array}, {clock} + {ago}, error)"

    def moments(self, line: Any, ago: Value) -> Number:
        """`line.datetime(ago)` in microseconds."""
        array, clock = self.buffer(line)
        row = self.time_rows.setdefault(array, f"m{array[1:]}")
        return Number(f"(int({self.bar_value(row, clock, self.whole_number(ago))}) + {EPOCH_US})", DATETIME)

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
            first = self.out.temporary(f"{clock} + {ago} - {size} + 1")
            if self.growing:
                self.out.line(f"if {first} < 0 or {ago} > 0: fault(error)")
            start = self.out.temporary(f"place_of({first}, len({array}))")
            stop = self.out.temporary(f"max({start}, place_of({clock} + {ago} + 1, len({array})))")
            return Window(array, start, stop, exact=True)
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

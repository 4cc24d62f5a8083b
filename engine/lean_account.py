"""The account of Backtrader's own broker, with what it recomputes on every bar put off until somebody asks.

Left out are calls without an effect: interest on schemes that charge none, and the account's value while nobody
reads it.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import backtrader as bt
from backtrader.brokers import BackBroker
from backtrader.order import Order, OrderExecutionBit
from backtrader.position import Position

from engine.lean_costs import follows_parameters, is_simple
from engine.lean_groups import Families
from engine.lean_lines import Cursor
from engine.lean_orders import Bars
from engine.lean_positions import LeanPositions
from engine.lean_waiting import Levels
from engine.refusal import Refused

if TYPE_CHECKING:
    from engine.lean_recording import Change

Notice = tuple[Order, int, OrderExecutionBit | None]
"""What is told: the order, the status it took, the execution if there was one."""


def _put_off(name: str) -> property:
    """An account figure that is computed when it is read for the first time on a bar."""

    def read(self: LeanAccount) -> Any:
        if self._settled != self._step[0]:
            self._settle()
        return self.__dict__[name]

    def write(self: LeanAccount, value: Any) -> None:
        self.__dict__[name] = value

    return property(read, write)


class LeanAccount(BackBroker):
    """Cash, value and positions of a broker in a lean run.

    `_step`: cursor of the bars. `_settled`: the bar the account's figures are of. `changes`: cash and the position it
    changed with, from a bar on. `touched` is not empty when cash was set since the last of them. `_opened`: datas in
    which something was opened on this bar. `simple`, `valued`: schemes that charge and pay, or are worth, what their
    parameters say; `by_parameters`: whether all are.
    """

    bars: Mapping[Any, Bars]
    copied: frozenset[int]
    plain: bool
    complete: bool
    levels: Levels | None
    simple: set[bt.CommInfoBase]
    valued: set[bt.CommInfoBase]
    by_parameters: bool
    positions: dict[Any, Position]
    _step: Cursor
    _settled: int
    changes: list[Change]
    touched: list[None]
    _opened: set[Any]
    _matching = False

    @classmethod
    def adopt(
        cls,
        broker: BackBroker,
        step: Cursor,
        bars: Mapping[Any, Bars],
        *,
        copied: frozenset[int],
        plain: bool,
        complete: bool,
        levels: Levels | None,
    ) -> Self:
        """Turn a started stock broker into this one, in place.

        bars: per data its arrays and its cursor. copied: statuses of which somebody looks at the order in `notifs`.
        plain: whether all schemes are, so that the account's value can wait; else `next` is due on every bar.
        complete: whether somebody could see of an order that parts of it are made later. levels: None where
        somebody else could change what a pending order waits for.
        """
        broker._step, broker._settled, broker.changes, broker.touched = step, step[0], [], []
        broker.bars, broker.copied, broker.plain, broker.complete = bars, copied, plain, complete
        broker._opened, broker.levels = set(), levels
        broker._pchildren = Families(broker._pchildren)
        broker.simple = {scheme for scheme in broker.comminfo.values() if is_simple(scheme)}
        broker.valued = {scheme for scheme in broker.comminfo.values() if follows_parameters(scheme)}
        broker.by_parameters = broker.valued.issuperset(broker.comminfo.values())
        broker.__class__ = cls
        lean: Self = broker
        lean.positions = LeanPositions(lean, list(lean.positions.items()))
        lean.changes.append((0, lean.cash, None, 0.0, 0.0))
        return lean

    def release(self) -> None:
        """Turn it back, with every figure settled."""
        self._settle()
        notices = self.take_notices()
        positions: dict[Any, Position] = collections.defaultdict(Position)
        for data, position in self.positions.items():
            marks = position.__dict__
            if "datetime" in marks:
                marks["datetime"] = position.datetime
            marks.pop("_broker")
            position.__class__ = Position
            positions[data] = position
        self.__class__ = BackBroker
        self.positions = positions
        self.notifs.extend([notice[0].clone() for notice in notices])
        for name in (
            "_step",
            "_settled",
            "touched",
            "changes",
            "bars",
            "copied",
            "plain",
            "complete",
            "levels",
            "simple",
            "valued",
            "by_parameters",
            "_opened",
        ):
            delattr(self, name)

    def take_notices(self) -> list[Notice]:
        """What is to be told, oldest first; none of it is left."""
        notices = list(self.notifs)
        self.notifs.clear()
        return notices

    @property
    def cash(self) -> float:
        """Cash, as everywhere in Backtrader."""
        return self.__dict__["cash"]  # type: ignore[no-any-return]

    @cash.setter
    def cash(self, cash: float) -> None:
        if self._settled != self._step[0] and not self._matching:
            self._settle()  # the account's value on this bar is that of before
        self.__dict__["cash"] = cash
        self.touched.append(None)

    _value = _put_off("_value")
    _valuemkt = _put_off("_valuemkt")
    _valuelever = _put_off("_valuelever")
    _valuemktlever = _put_off("_valuemktlever")
    _leverage = _put_off("_leverage")
    _unrealized = _put_off("_unrealized")
    _fundval = _put_off("_fundval")

    def setcommission(self, *args: Any, **kwargs: Any) -> None:
        """Refused: the account's curve is computed with the schemes of the start."""
        raise Refused("changes the commission while it runs")

    addcommissioninfo = setcommission

    def add_cash(self, cash: float) -> None:
        """Add cash at the end of the next bar."""
        self._settle()
        super().add_cash(cash)

    def note(self) -> None:
        """Write down cash, where something else than an execution changed it."""
        if self.touched:
            self.touched.clear()
            self.changes.append((self._step[0], self.__dict__["cash"], None, 0.0, 0.0))

    def _note_position(self, data: Any, position: Position) -> None:
        """Write down cash and a position that an execution changed."""
        self.changes.append((self._step[0], self.__dict__["cash"], data, position.size, position.price))

    def _settle(self) -> None:
        """Bring the account's figures to the current bar."""
        if self._settled == self._step[0] or self._matching:
            return
        self._settled = self._step[0]
        for data, position in self.positions.items() if self.plain else ():
            marks = position.__dict__
            if marks["size"]:
                _, _, _, closes, times, (at,) = self.bars[data]
                marks["datetime"] = data.datetime, times[at]
                marks["adjbase"] = closes[at]
        if self._cash_addition or self._fundhist or not self.by_parameters:
            super()._get_value()
        else:
            self._value_by_parameters()

    def _value_by_parameters(self) -> None:
        """`BackBroker._get_value` of everything, where no scheme has rules of its own."""
        marked = paid = unrealized = 0.0
        shortcash = self.p.shortcash
        for data, position in self.positions.items():
            size = position.size
            if not size and self.plain:
                continue
            price, close = position.price, data.close[0]
            scheme = self.getcommissioninfo(data)
            terms = scheme.p
            gain = size * (close - price) * terms.mult
            if not scheme._stocklike:
                value = abs(size) * (scheme.get_margin(close) if terms.automargin else terms.margin)
            elif shortcash or size >= 0:
                value = size * close
            else:
                value = price * size
                value += (price - close) * size
            if not shortcash:
                value = abs(value)
            marked += value
            unrealized += gain
            if value > 0:
                paid += (value - gain) / terms.leverage
                paid += gain
            else:
                paid += value
        values = self.__dict__
        cash = values["cash"]
        values["_value"] = total = cash + paid
        values["_fundval"] = total / self._fundshares
        values["_valuemkt"] = paid
        values["_valuelever"] = cash + marked
        values["_valuemktlever"] = marked
        values["_leverage"] = marked / (paid or 1.0)
        values["_unrealized"] = unrealized

    def get_value(self, datas: Any = None, mkt: bool = False, lever: bool = False) -> float:
        """`BackBroker.get_value`."""
        if datas is not None or mkt or lever:
            return super().get_value(datas, mkt, lever)  # type: ignore[no-any-return]
        if self._settled != self._step[0]:
            self._settle()
        return self.__dict__["_value"]  # type: ignore[no-any-return]

    getvalue = get_value

    def _get_value(self, datas: Any = None, lever: bool = False) -> float:
        self._settle()
        return super()._get_value(datas, lever)  # type: ignore[no-any-return]

    def _charge_interest(self) -> None:
        """Take what holding the positions costs."""
        credit = 0.0
        for data, position in self.positions.items():
            marks = position.__dict__
            if not marks["size"]:
                continue
            scheme = self.getcommissioninfo(data)
            if scheme in self.valued and not scheme._creditrate and math.isfinite(marks["price"]):
                self.d_credit[data] += 0.0
                marks["datetime"] = data.datetime, data.datetime[0]
                continue
            now = data.datetime.datetime()
            due = scheme.get_credit_interest(data, position, now)
            self.d_credit[data] += due
            credit += due
            position.datetime = now
        if credit:
            self.cash -= credit

    def _adjust_to_close(self) -> None:
        """Book what futures gained or lost since their last adjustment."""
        for data, position in self.positions.items():
            marks = position.__dict__
            if marks["size"]:
                close = data.close[0]
                scheme = self.getcommissioninfo(data)
                self.cash += scheme.cashadjust(marks["size"], marks["adjbase"], close)
                marks["adjbase"] = close

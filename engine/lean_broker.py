"""Backtrader's own broker with what it recomputes on every bar put off until somebody asks.

Orders are checked, matched and booked by Backtrader's code. Left out are calls without an effect: matching an
order the bar does not touch, interest on schemes that charge none, and the account's value while nobody reads it.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import backtrader as bt
from backtrader.brokers import BackBroker
from backtrader.order import Order
from backtrader.position import Position

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.lean_lines import Cursor

PLAIN_METHODS = (
    "getvalue",
    "getvaluesize",
    "profitandloss",
    "get_leverage",
    "get_margin",
    "cashadjust",
    "get_credit_interest",
    "_get_credit_interest",
)


def is_plain(scheme: bt.CommInfoBase) -> bool:
    """Whether a commission scheme costs nothing while a position is held: no futures, no interest, stock rules."""
    own = any(getattr(type(scheme), name) is not getattr(bt.CommInfoBase, name) for name in PLAIN_METHODS)
    return not own and scheme._stocklike and not scheme._creditrate


class LeanPosition(Position):
    """A position whose daily marks are made when read."""

    _broker: LeanBroker | None = None

    @property
    def adjbase(self) -> Any:
        """Price of the last cash adjustment, which is the close of every bar the position is held."""
        self._settle()
        return self.__dict__["adjbase"]

    @adjbase.setter
    def adjbase(self, price: Any) -> None:
        self.__dict__["adjbase"] = price

    @property
    def datetime(self) -> Any:
        """When interest was last looked at, which is every bar the position is held."""
        self._settle()
        return self.__dict__["datetime"]

    @datetime.setter
    def datetime(self, moment: Any) -> None:
        self.__dict__["datetime"] = moment

    def _settle(self) -> None:
        if self._broker is not None:
            self._broker._settle()


class LeanPositions(collections.defaultdict[Any, Position]):
    """The broker's positions by data."""

    def __init__(self, broker: LeanBroker, positions: Iterable[tuple[Any, Position]]) -> None:
        super().__init__(Position)
        self.broker = broker
        for data, position in positions:
            self[data] = position
            self._adopt(position)

    def __missing__(self, data: Any) -> Position:
        self[data] = position = Position()
        return self._adopt(position)

    def _adopt(self, position: Position) -> Position:
        position.__class__ = LeanPosition
        position._broker = self.broker
        return position


def _put_off(name: str) -> property:
    """An account figure that is computed when it is read for the first time on a bar."""

    def read(self: LeanBroker) -> Any:
        if self._settled != self._step[0]:
            self._settle()
        return self.__dict__[name]

    def write(self: LeanBroker, value: Any) -> None:
        self.__dict__[name] = value

    return property(read, write)


class LeanBroker(BackBroker):
    """What a `BackBroker` becomes while the lean engine runs. Only for schemes that are all plain.

    `_step`: cursor of the bars. `_settled`: the bar the account's figures are of. `changes`: cash and open
    positions from a bar on, whenever they changed: (bar, cash, ((data, size, price), ...)). `touched` is not empty when
    cash was set since the last of them.
    """

    @classmethod
    def adopt(cls, broker: BackBroker, step: Cursor) -> LeanBroker:
        """Turn a started stock broker into this one, in place."""
        broker._step, broker._settled, broker.changes, broker.touched = step, step[0], [], []
        broker.__class__ = cls
        lean: LeanBroker = broker
        lean.positions = LeanPositions(lean, list(lean.positions.items()))
        lean.changes.append((0, lean.cash, ()))
        return lean

    def release(self) -> None:
        """Turn it back, with every figure settled."""
        self._settle()
        positions = collections.defaultdict(Position)
        for data, position in self.positions.items():
            marks = position.__dict__
            marks.pop("_broker")
            position.__class__ = Position
            positions[data] = position
        self.__class__ = BackBroker
        self.positions = positions
        del self._step, self._settled, self.touched, self.changes

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
    _matching = False

    def add_cash(self, cash: float) -> None:
        """Add cash at the end of the next bar."""
        self._settle()
        super().add_cash(cash)

    def _settle(self) -> None:
        """Bring the account's figures to the current bar."""
        if self._settled == self._step[0] or self._matching:
            return
        self._settled = self._step[0]
        for data, position in self.positions.items():
            if position.size:
                position.datetime = data.datetime.datetime()
                position.adjbase = data.close[0]
        super()._get_value()

    def _get_value(self, datas: Any = None, lever: bool = False) -> float:
        self._settle()
        return super()._get_value(datas, lever)  # type: ignore[no-any-return]

    def note(self) -> None:
        """Write down cash and open positions, when an execution changed them."""
        if self.touched:
            self.touched.clear()
            held = tuple((data, p.size, p.price) for data, p in self.positions.items() if p.size)
            self.changes.append((self._step[0], self.cash, held))

    def next(self) -> None:
        """`BackBroker.next` for plain schemes, and without its last step, the account's value."""
        self._matching = True
        self._settled = -1
        while self._toactivate:
            self._toactivate.popleft().activate()
        if self.submitted and self.p.checksubmit:
            self.check_submitted()
        pending = self.pending
        pending.append(None)
        while (order := pending.popleft()) is not None:
            if order.expire():
                self.notify(order)
                self._ococheck(order)
                self._bracketize(order, cancel=True)
            elif not order.active():
                pending.append(order)
            else:
                self._try_exec(order)
                if order.alive():
                    pending.append(order)
                elif order.status == Order.Completed:
                    self._bracketize(order)
        self._matching = False
        if self._cash_addition:
            self._settle()

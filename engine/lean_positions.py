"""Positions whose daily marks are made when somebody reads them."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import backtrader as bt
from backtrader.position import Position

from engine.lean_orders import split

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.lean_account import LeanAccount


class LeanPosition(Position):
    """A position whose daily marks are made when read."""

    _broker: LeanAccount | None = None
    size: float
    price: float

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
        if "datetime" not in self.__dict__:
            raise AttributeError("datetime")  # as on a position that never changed
        moment = self.__dict__["datetime"]
        if isinstance(moment, tuple):  # the line and the day number in place of what it converts to
            line, number = moment
            moment = self.datetime = bt.num2date(number, tz=line._tz)
        return moment

    @datetime.setter
    def datetime(self, moment: Any) -> None:
        self.__dict__["datetime"] = moment

    def book(self, size: float, price: float, data: Any) -> None:
        """`update` with an execution on the current bar of `data`. size: signed, not zero."""
        values = self.__dict__
        values["price_orig"] = held = values["price"]
        values["size"], values["price"], values["upopened"], values["upclosed"] = split(
            values["size"], held, size, price
        )
        values["datetime"] = data.datetime, data.datetime[0]

    def _settle(self) -> None:
        if self._broker is not None:
            self._broker._settle()


class LeanPositions(collections.defaultdict[Any, Position]):
    """The broker's positions by data."""

    def __init__(self, broker: LeanAccount, positions: Iterable[tuple[Any, Position]]) -> None:
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

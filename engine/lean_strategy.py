"""A strategy in a lean run: some of Backtrader's own methods of it, by shorter ways."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import backtrader as bt
from backtrader.lineseries import LineSeries

from engine.lean_lines import codes_of, names_in

LOOKS_AT_CLASSES = frozenset(("type", "__class__", "__subclasses__", "__bases__", "__mro__"))
"""Names by which code would find out that a strategy's class was replaced."""


def quicken(strategy: bt.Strategy) -> bool:
    """Give a strategy whose lines share a cursor a class with quicker methods; False where that could be seen."""
    kind: Any = type(strategy)
    quick = _quick_class(kind)
    if quick is kind:
        return False
    strategy.__class__ = quick
    return True


def slow_down(strategy: bt.Strategy) -> None:
    """Undo `quicken`."""
    strategy.__class__ = type(strategy).__bases__[0]


@functools.lru_cache(maxsize=64)
def _quick_class(kind: Any) -> Any:
    methods = {
        name: quick
        for name, (quick, stock) in QUICK.items()
        if getattr(kind, name, None) is getattr(stock, name)
    }
    subclassing = getattr(kind.__init_subclass__, "__func__", None) is not None
    if not methods or subclassing or not LOOKS_AT_CLASSES.isdisjoint(names_around(kind)):
        return kind
    body = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__", "__hash__")}
    # Not by the metaclass: it would derive parameters and enter the class in Backtrader's registries again.
    return type.__new__(type(kind), kind.__name__, (kind,), {**methods, **body})


@functools.lru_cache(maxsize=64)
def names_around(kind: Any) -> frozenset[str]:
    """Names used in the modules of an author's classes."""
    return frozenset(names_in(codes_around(kind)))


def codes_around(kind: type) -> list[Any]:
    """Code of the classes and functions in the modules of an author's classes."""
    found = codes_of(kind)
    modules = {each.__module__ for each in kind.__mro__} - {"builtins"}
    for name in modules:
        if name.partition(".")[0] != "backtrader":
            for value in vars(sys.modules[name]).values() if name in sys.modules else ():
                if isinstance(value, type) and value.__module__ == name:
                    found += codes_of(value)
                elif isinstance(value, FunctionType):
                    found.append(value.__code__)
    return found


def _len(self: Any) -> int:
    return self.lines.lines[0]._cursor[0] + 1  # type: ignore[no-any-return]


def _getposition(self: Any, data: Any = None, broker: Any = None) -> Any:
    return (broker or self.broker).getposition(self.datas[0] if data is None else data)


def _placing(is_buy: bool) -> Callable[..., Any]:
    """`bt.Strategy.buy` or `sell`."""

    def place(
        self: Any,
        data: Any = None,
        size: float | None = None,
        price: float | None = None,
        plimit: float | None = None,
        exectype: int | None = None,
        valid: Any = None,
        tradeid: int = 0,
        oco: Any = None,
        trailamount: float | None = None,
        trailpercent: float | None = None,
        parent: Any = None,
        transmit: bool = True,
        **kwargs: Any,
    ) -> Any:
        if data is None:
            data = self.datas[0]
        elif isinstance(data, str):
            data = self.getdatabyname(data)
        if size is None:
            size = self.getsizing(data, isbuy=is_buy)
        if not size:
            return None
        order = self.broker.buy if is_buy else self.broker.sell
        return order(
            self, data, abs(size), price, plimit, exectype, valid, tradeid, oco, trailamount, trailpercent,
            parent, transmit, **kwargs,
        )  # fmt: skip

    return place


def _position(self: Any) -> Any:
    return self.broker.getposition(self.datas[0])


def _above(lines: Any) -> bool:
    return bool(lines) and all(line[0] > 0.0 for line in lines)


def _below(lines: Any) -> bool:
    return bool(lines) and all(line[0] < 0.0 for line in lines)


def _any(lines: Any) -> bool:
    return bool(lines) and all(line[0] for line in lines)


def _signs(signals: Any, kind: int, inverse: int, either: int, up: Callable[..., bool]) -> bool:
    """Whether signals of one of three kinds say so. up: `_above` or `_below`, which of them is meant."""
    down = _below if up is _above else _above
    return up(signals[kind]) or down(signals[inverse]) or _any(signals[either])


def _next_signal(self: Any) -> None:
    """`bt.SignalStrategy._next_signal`."""
    if self._sentinel is not None and not self.p._concurrent:
        return
    signals = self._signals
    both = signals[bt.SIGNAL_LONGSHORT]
    long = _above(both)
    short = _below(both)
    enters_long = _signs(signals, *_LONG, _above)
    enters_short = _signs(signals, *_SHORT, _below)
    target = self._dtarget
    size = self.getposition(target).size
    if not size:
        if long or enters_long:
            self._sentinel = self.buy(target)
        elif short or enters_short:
            self._sentinel = self.sell(target)
    elif size > 0:
        reverses = not self._longexit and enters_short
        leaves = not self._longexit and _signs(signals, *_LONG, _below)
        if short or _signs(signals, *_LONG_EXIT, _below) or reverses or leaves:
            self.close(target)
        if short or reverses:
            self._sentinel = self.sell(target)
        if (long or enters_long) and self.p._accumulate:
            self._sentinel = self.buy(target)
    elif size < 0:
        reverses = not self._shortexit and enters_long
        leaves = not self._shortexit and _signs(signals, *_SHORT, _above)
        if long or _signs(signals, *_SHORT_EXIT, _above) or reverses or leaves:
            self.close(target)
        if long or reverses:
            self._sentinel = self.buy(target)
        if (short or enters_short) and self.p._accumulate:
            self._sentinel = self.sell(target)


_LONG = (bt.SIGNAL_LONG, bt.SIGNAL_LONG_INV, bt.SIGNAL_LONG_ANY)
_SHORT = (bt.SIGNAL_SHORT, bt.SIGNAL_SHORT_INV, bt.SIGNAL_SHORT_ANY)
_LONG_EXIT = (bt.SIGNAL_LONGEXIT, bt.SIGNAL_LONGEXIT_INV, bt.SIGNAL_LONGEXIT_ANY)
_SHORT_EXIT = (bt.SIGNAL_SHORTEXIT, bt.SIGNAL_SHORTEXIT_INV, bt.SIGNAL_SHORTEXIT_ANY)

QUICK: dict[str, tuple[Any, type]] = {
    "__len__": (_len, LineSeries),
    "buy": (_placing(True), bt.Strategy),
    "sell": (_placing(False), bt.Strategy),
    "getposition": (_getposition, bt.Strategy),
    "position": (property(_position), bt.Strategy),
    "_next_signal": (_next_signal, bt.SignalStrategy),
}

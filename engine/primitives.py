"""Which kernel computes which stock Backtrader class, and what it reads from an instance.

`PRIMITIVES` is keyed by stock class. `primitive_of(o)` also knows stock's aliases (SMA, MaxN, ...) and user
subclasses that override nothing the evaluation calls; it returns None for whatever stock must compute itself.
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import backtrader as bt
from backtrader import functions, indicators
from backtrader.linebuffer import (
    LineBuffer,
    LineOwnOperation,
    LinesOperation,
    PseudoArray,
    _LineDelay,
    _LineForward,
)
from backtrader.lineseries import LineSeriesStub

from engine.primitive import Lines, Primitive, Scalars, always
from engine.primitives_talib import talib_primitives
from indicators import kernels, operations


def _line(o: Any) -> Lines:
    return (o.lines[0],)


def _itself(o: Any) -> Lines:
    return (o,)


def _data(o: Any) -> Lines:
    return (o.data.lines[0],)


def _two_datas(o: Any) -> Lines:
    return (o.data0.lines[0], o.data1.lines[0])


def _first(x: Any) -> Any:
    """The line buffer behind a line or the first line of several."""
    return x if isinstance(x, LineBuffer) else x.lines[0]


def _before(period: int, *_: Any) -> int:
    """Bars before the current one in a window; -1, never allowed, for a window stock cannot take."""
    return period - 1 if type(period) is int and period > 0 else -1


def _reads_datas(kernel: Any, **kept: Any) -> Primitive:
    return Primitive(kernel, _two_datas, lambda _: (), _line, **kept)


def _windowed(kernel: Any, *constants: Any, func: Any = None, fits: Any = always) -> Primitive:
    def right(o: Any) -> bool:
        return (func is None or o.func is func) and fits(o)

    return Primitive(kernel, _data, lambda o: (o.p.period, *constants), _line, _before, right)


def _smoothing(o: Any) -> Scalars:
    return (o.p.period, o.alpha, o.alpha1)


def _dynamic(o: Any) -> Lines:
    return (o.data.lines[0], _first(o.alpha), _first(o.alpha1))


def _find(o: Any) -> Scalars:
    """(period, sign, newest): FindFirstIndex looks back from the current bar, FindLastIndex from the oldest."""
    newest = o.func.__func__ is indicators.FindFirstIndex.func
    return (o.p.period, 1.0 if o.p._evalfunc is max else -1.0, newest)


_FIND = (indicators.FindFirstIndex.func, indicators.FindLastIndex.func)


def _finds(o: Any) -> bool:
    return getattr(o.func, "__func__", None) in _FIND and (o.p._evalfunc is max or o.p._evalfunc is min)


_PERCENT_RANK = indicators.PercentRank.params.func


def _sar_prices(o: Any) -> Lines:
    return (o.data.high, o.data.low, o.data.close)


def _steps(o: Any) -> bool:
    """Whether the only data moves with stock's bar by bar computation: an indicator would not, nor one data given twice."""
    (data, *others) = o.datas
    still = isinstance(data, LineSeriesStub) and data.slave
    moves = isinstance(data, LineSeriesStub) or type(data).advance is bt.feed.AbstractDataBase.advance
    return moves and not still and not others and o.data is data


def _laguerre(index: bool) -> Primitive:
    def rested(o: Any) -> bool:
        return _steps(o) and o.l0 == o.l1 == o.l2 == o.l3 == 0.0

    return Primitive(kernels.laguerre, _data, lambda o: (o.p.gamma, index), _line, fits=rested, advances=True)


def _error_limit(o: Any) -> Scalars:
    return (o.ema.alpha, o.ema.alpha1, o.p.gainlimit)


def _corrects(o: Any) -> bool:
    return _steps(o) and type(o.p.gainlimit) is int and o.ema.datas[0] is o.data


_OPERATORS = {
    operator.__add__: operations.ADD,
    operator.__sub__: operations.SUBTRACT,
    operator.__mul__: operations.MULTIPLY,
    operator.__truediv__: operations.DIVIDE,
    operator.__floordiv__: operations.FLOOR_DIVIDE,
    operator.__pow__: operations.POWER,
    operator.__lt__: operations.LESS,
    operator.__gt__: operations.GREATER,
    operator.__le__: operations.LESS_EQUAL,
    operator.__ge__: operations.GREATER_EQUAL,
    operator.__eq__: operations.EQUAL,
    operator.__ne__: operations.NOT_EQUAL,
}
_OWN_OPERATORS = {operator.__neg__: operations.NEGATE, operator.__abs__: operations.ABSOLUTE}


def _operands(o: Any) -> Lines:
    if o.bline:
        return (o.a, o.b)
    return (o.b,) if o.r else (o.a,)


def _operation(o: Any) -> Scalars:
    code = _OPERATORS[o.operation]
    if o.bline:
        return (code,)
    return (code, o.a if o.r else o.b, o.r)


def _operates(o: Any) -> bool:
    return not o.btime and o.operation in _OPERATORS and all(isinstance(x, LineBuffer) for x in _operands(o))


def _is_number(x: Any) -> bool:
    return isinstance(x, PseudoArray)


def _delay_source(o: Any) -> Lines:
    return () if _is_number(o.a) else (o.a,)


def _delay_scalars(o: Any) -> Scalars:
    return (o.a.wrapped,) if _is_number(o.a) else (o.ago,)


def _delay_reach(value: Any) -> int:
    return -value if type(value) is int else 0


def _delays(o: Any) -> bool:
    return _is_number(o.a) or (isinstance(o.a, LineBuffer) and type(o.ago) is int and o.ago <= 0)


def _logic(function: int, *names: str, fits: Any = always) -> Primitive:
    """A class of `backtrader.functions` whose arguments are o.<names>, or o.args when no name is given."""

    def arguments(o: Any) -> list[Any]:
        return [getattr(o, name) for name in names] if names else o.args

    def lines(o: Any) -> Lines:
        return tuple(x for x in arguments(o) if not _is_number(x))

    def scalars(o: Any) -> Scalars:
        given = arguments(o)
        form = "".join("n" if _is_number(x) else "l" for x in given)
        return (function, form, *(x.wrapped for x in given if _is_number(x)))

    return Primitive(kernels.logic, lines, scalars, _itself, fits=lambda o: bool(arguments(o)) and fits(o))


def _reduces(function: Any) -> Callable[[Any], bool]:
    def right(o: Any) -> bool:
        return o.flogic.args == (function,) and not o.flogic.keywords

    return right


def _applies(function: Any) -> Callable[[Any], bool]:
    return lambda o: o.flogic is function


def _fraction(o: Any) -> Lines:
    return (_first(o.a), _first(o.b))


def _both_lines(o: Any) -> bool:
    return all(isinstance(x, bt.LineRoot) for x in (o.a, o.b))


def _safe_division(function: int, *names: str) -> Primitive:
    def scalars(o: Any) -> Scalars:
        return (function, "ll", *(getattr(o, name) for name in names))

    return Primitive(kernels.logic, _fraction, scalars, _itself, fits=_both_lines)


def _indicator_primitives() -> dict[type, Primitive]:
    smoothing = (kernels.exponential, _data, _smoothing, _line, _before)
    weights = (kernels.weighted, _data, lambda o: (o.p.period, o.p.coef, o.p.weights), _line, _before)
    dynamic = (kernels.exponential_dynamic, _dynamic, lambda o: (o.p.period,), _line, _before)
    find = Primitive(kernels.extreme_age, _data, _find, _line, _before, _finds)
    sar = (kernels.parabolic_sar, _sar_prices, lambda o: (o.p.af, o.p.afmax), _line, lambda *_: 1)
    error = (kernels.error_correcting, lambda o: (o.data.lines[0], o.ema.lines[0]), _error_limit, _line)
    return {
        indicators.Average: _windowed(kernels.average),
        indicators.SumN: _windowed(kernels.rolling_sum, func=math.fsum),
        indicators.Highest: _windowed(kernels.extreme, 1.0, func=max),
        indicators.Lowest: _windowed(kernels.extreme, -1.0, func=min),
        indicators.AnyN: Primitive(
            kernels.truth_count, _data, lambda o: (o.p.period, 1), _line, _before, lambda o: o.func is any
        ),
        indicators.AllN: Primitive(
            kernels.truth_count,
            _data,
            lambda o: (o.p.period, o.p.period),
            _line,
            _before,
            lambda o: o.func is all,
        ),
        indicators.FindFirstIndex: find,
        indicators.FindLastIndex: find,
        indicators.FindFirstIndexHighest: find,
        indicators.FindFirstIndexLowest: find,
        indicators.FindLastIndexHighest: find,
        indicators.FindLastIndexLowest: find,
        indicators.PercentRank: _windowed(kernels.percent_rank, fits=lambda o: o.func is _PERCENT_RANK),
        indicators.Accum: Primitive(kernels.accumulate, _data, lambda o: (o.p.seed,), _line),
        indicators.ExponentialSmoothing: Primitive(*smoothing),
        indicators.ExponentialSmoothingDynamic: Primitive(*dynamic, fits=_dynamic_lines),
        indicators.WeightedAverage: Primitive(*weights, fits=_plain_weights),
        indicators.NonZeroDifference: _reads_datas(kernels.non_zero_difference),
        indicators.ParabolicSAR: Primitive(*sar, fits=_steps, advances=True),
        indicators.LaguerreRSI: _laguerre(True),
        indicators.LaguerreFilter: _laguerre(False),
        indicators.ZeroLagIndicator: Primitive(*error, fits=_corrects, advances=True),
    }


def _dynamic_lines(o: Any) -> bool:
    return all(isinstance(x, bt.LineRoot) for x in (o.alpha, o.alpha1))


def _plain_weights(o: Any) -> bool:
    return all(type(weight) in (float, int) for weight in o.p.weights)


def _function_primitives() -> dict[type, Primitive]:
    return {
        functions.And: _logic(operations.AND, fits=_reduces(functions._andlogic)),
        functions.Or: _logic(operations.OR, fits=_reduces(functions._orlogic)),
        functions.Max: _logic(operations.MAX, fits=_applies(max)),
        functions.Min: _logic(operations.MIN, fits=_applies(min)),
        functions.Sum: _logic(operations.SUM, fits=_applies(math.fsum)),
        functions.Any: _logic(operations.ANY, fits=_applies(any)),
        functions.All: _logic(operations.ALL, fits=_applies(all)),
        functions.Cmp: _logic(operations.COMPARE, "a", "b"),
        functions.CmpEx: _logic(operations.COMPARE_CHOOSE, "a", "b", "r1", "r2", "r3"),
        functions.If: _logic(operations.IF, "cond", "a", "b"),
        functions.DivByZero: _safe_division(operations.DIVIDE_BY_ZERO, "zero", "zero"),
        functions.DivZeroByZero: _safe_division(operations.ZERO_BY_ZERO, "single", "dual"),
    }


def _line_primitives() -> dict[type, Primitive]:
    forward = (kernels.forward, lambda o: (o.a,), lambda o: (o.ago,), _itself)
    own = (kernels.own, lambda o: (o.a,), lambda o: (_OWN_OPERATORS[o.operation],), _itself)
    return {
        LinesOperation: Primitive(kernels.operate, _operands, _operation, _itself, fits=_operates),
        LineOwnOperation: Primitive(
            *own, fits=lambda o: o.operation in _OWN_OPERATORS and isinstance(o.a, LineBuffer)
        ),
        _LineDelay: Primitive(kernels.delay, _delay_source, _delay_scalars, _itself, _delay_reach, _delays),
        _LineForward: Primitive(
            *forward, fits=lambda o: type(o.ago) is int and o.ago > 0 and isinstance(o.a, LineBuffer)
        ),
    }


PRIMITIVES: Mapping[type, Primitive] = {
    **_line_primitives(),
    **_function_primitives(),
    **_indicator_primitives(),
    **talib_primitives(),
}

_EVALUATED = (
    "_once", "preonce", "oncestart", "once", "prenext", "nextstart", "next", "func", "flogic", "forward",
    "home", "advance", "buflen", "array", "oncebinding", "CANDLEOVER", "CANDLEREF", "__getattr__", "__getattribute__",
)  # fmt: skip

_known: WeakKeyDictionary[type, Primitive | None] = WeakKeyDictionary()


def _of_type(cls: type) -> Primitive | None:
    """The primitive of the nearest registered base, where `cls` overrides nothing that evaluation calls."""
    for base in cls.__mro__:
        if base in PRIMITIVES:
            unchanged = all(getattr(cls, name, None) is getattr(base, name, None) for name in _EVALUATED)
            return PRIMITIVES[base] if unchanged else None
    return None


def primitive_of(o: Any) -> Primitive | None:
    """The primitive that computes the live object `o`, or None where stock's own `once` must run."""
    cls = type(o)
    try:
        found = _known[cls]
    except KeyError:
        found = _known[cls] = _of_type(cls)
    if found is None or "once" in o.__dict__ or "oncestart" in o.__dict__ or not found.fits(o):
        return None
    return found

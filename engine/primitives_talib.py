"""TA-Lib's indicators, through the call Backtrader makes."""

from typing import Any

import backtrader as bt
import numpy as np

from engine.primitive import Lines, Primitive, Scalars
from indicators import kernels


def talib_call(*given: Any) -> int:
    """TA-Lib through the call stock makes, over whole series.

    talib_call(*dst, *src, start, end, *scalars), scalars: TA-Lib's function name, the number of lines, whether the last is a candle's mark, parameter names,
    and their values. Raises what TA-Lib raises.
    """
    count = next(k for k, value in enumerate(given) if not isinstance(value, np.ndarray))
    name, size, candle, names, *values = given[count + 2 :]
    dst, src = given[:size], given[size:count]
    results = getattr(bt.talib.talib, name)(*src, **dict(zip(names, values, strict=True)))
    if size - candle == 1:
        results = [results]
    if any(len(result) != len(line) for result, line in zip(results, dst, strict=False)):
        return kernels.RAISES
    for line, result in zip(dst, results, strict=False):
        line[:] = result
    if candle:
        dst[-1][:] = src[_TALIB.CANDLEREF] * _TALIB.CANDLEOVER * (results[0] / 100.0)
    return kernels.DONE


_TALIB: Any = getattr(bt.talib, "_TALibIndicator", None)  # absent where TA-Lib is not installed


def _talib_scalars(o: Any) -> Scalars:
    parameters = o.p._getkwargs()
    return (o._tafunc.__name__, o.size(), o._iscandle, tuple(parameters), *parameters.values())


def _talib_fits(o: Any) -> bool:
    return o._iscandle in (False, True) and getattr(bt.talib.talib, o._tafunc.__name__, None) is o._tafunc


def talib_primitives() -> dict[type, Primitive]:
    """The one class behind all of them; nothing where TA-Lib is not installed."""
    if _TALIB is None:
        return {}

    def lines(o: Any) -> Lines:
        return tuple(o.lines)

    def sources(o: Any) -> Lines:
        return tuple(data.lines[0] for data in o.datas)

    return {_TALIB: Primitive(talib_call, sources, _talib_scalars, lines, fits=_talib_fits)}

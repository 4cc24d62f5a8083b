"""numpy's own logarithms, exponentials, sines and cosines in a kernel.

numpy computes them with the widest instructions a processor has, and their last bits differ from those of any other
library's. So a kernel calls the very loops numpy calls; it knows them by name, whatever their addresses in this process.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numba as nb
import numpy as np

DOUBLE = 12
"""numpy's number of float64."""


class _Ufunc(ctypes.Structure):
    """The head of numpy's PyUFuncObject, as its C API publishes it."""

    _fields_ = (
        ("references", ctypes.c_ssize_t),
        ("type", ctypes.c_void_p),
        *((name, ctypes.c_int) for name in ("inputs", "outputs", "arguments", "identity")),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("count", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_char)),
    )


def _register(ufunc: Any, symbol: str) -> Any:
    """Numpy's loop over float64 as a function of a kernel."""
    found = _Ufunc.from_address(id(ufunc))
    if found.name != ufunc.__name__.encode() or (found.inputs, found.outputs) != (1, 1):
        raise ImportError(f"numpy {np.__version__} lays out its functions in another way")
    kinds = [bytes(found.types[2 * k : 2 * k + 2]) for k in range(found.count)]
    place = kinds.index(bytes([DOUBLE, DOUBLE]))
    llvm.add_symbol(symbol, found.functions[place])
    pointer = nb.types.intp
    return nb.types.ExternalFunction(symbol, nb.types.void(pointer, pointer, pointer, pointer))


_log = _register(np.log, "tradewright_numpy_log")
_exp = _register(np.exp, "tradewright_numpy_exp")
_sin = _register(np.sin, "tradewright_numpy_sin")
_cos = _register(np.cos, "tradewright_numpy_cos")

LOG, EXP, SIN, COS = range(4)
NUMBERS = {np.log: LOG, np.exp: EXP, np.sin: SIN, np.cos: COS}
Floats = Any  # a float64 array
compiled = nb.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def ufunc_of(kind: int, values: Floats) -> Floats:
    """Numpy's function of every value of an array."""
    source = np.ascontiguousarray(values)
    found = np.empty(len(source))
    places = np.array([source.ctypes.data, found.ctypes.data], np.intp)
    count = np.array([len(source)], np.intp)
    steps = np.array([8, 8], np.intp)
    if kind == LOG:
        _log(places.ctypes.data, count.ctypes.data, steps.ctypes.data, 0)
    elif kind == EXP:
        _exp(places.ctypes.data, count.ctypes.data, steps.ctypes.data, 0)
    elif kind == SIN:
        _sin(places.ctypes.data, count.ctypes.data, steps.ctypes.data, 0)
    else:
        _cos(places.ctypes.data, count.ctypes.data, steps.ctypes.data, 0)
    if places[0] != source.ctypes.data or count[0] + steps[0] + steps[1] < 0:
        found[:] = np.nan  # never: asked after the call so that no array is let go before it
    return found


@compiled
def ufunc_at(kind: int, value: float) -> float:
    """Numpy's function of one value."""
    values = np.empty(1)
    values[0] = value
    return ufunc_of(kind, values)[0]  # type: ignore[no-any-return]

"""The loop of a compiled sweep: one kernel call a combination, on books that are used again, measured on the spot."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numba import types
from numba.experimental.function_type import _get_wrapper_address

from engine.compiled.broker import reset
from engine.sweep_metrics import METRICS, measure, sum_parts
from engine.sweep_nodes import compiled, fill_own

DONE, FAULT, FULL, NOT_FINITE = range(4)
"""How a combination ended: well, in what is an exception in Python, with a book too small, with such an equity."""
TOGETHER = 4
"""Combinations that a thread takes in a row: neighbours often have lines in common."""


def _drive(  # type: ignore[no-untyped-def]
    kernel,
    table,
    rows,
    floats,
    ints,
    book,
    index,
    curves,
    chain,
    base,
    lost,
    start,
    periods,
    groups,
    scratch,
    out,
    ended,
    moments,
    first,
    stride,
):
    """Every `stride`-th group of `TOGETHER` combinations, from the `first` on.

    In: rows, floats, ints (combinations, ...); chain: of `sweep_nodes.Chain` calls, whole, numbers and groups, then
    the shared rows that failed. Scratch: curves (2, steps), lost (slots,) and the rows of table from `base` on. Out:
    out (combinations, METRICS), ended, and moments (combinations, 3 parts), of no parts when nobody asks for them; see
    `sum_parts`.
    """
    calls, whole, numbers, alike, failed = chain
    equity, cash = curves[0], curves[1]
    account, fills, trades = book.account, book.fills, book.trades
    own = np.empty(rows.shape[1], np.int64)
    filled = -1
    for place in range(first * TOGETHER, len(rows), stride * TOGETHER):
        for c in range(place, min(place + TOGETHER, len(rows))):
            if ended[c] != DONE:
                continue
            if len(calls) and alike[c] != filled:
                fill_own(table, base, calls, whole[c], numbers[c], failed, lost)
                filled = alike[c]
            for k in range(len(own)):
                row = rows[c, k]
                own[k] = row if row >= 0 else base - 1 - row
                if row < 0 and lost[-1 - row]:
                    ended[c] = FAULT
            if ended[c] != DONE:
                continue
            reset(book, start)
            ended[c] = kernel(table, own, floats[c], ints[c], book, index, equity, cash)
            if account[0]["overflow"] != 0:
                ended[c] = FULL
            if ended[c] == DONE:
                told = measure(
                    equity, periods, account, fills, trades, len(book.lengths), groups, scratch, out[c]
                )
                if not told:
                    ended[c] = NOT_FINITE
                sum_parts(equity, start, moments[c])


_drivers: dict[Any, Any] = {}


def driver(book: Any) -> Any:
    """The loop, compiled once for all kernels: they are passed by address."""
    # What may differ in the type of a book; numba takes milliseconds to say so.
    given = tuple((array.dtype, array.ndim, array.flags.writeable) for array in book)
    if given not in _drivers:
        kind: Any = nb.typeof(book)  # type: ignore[no-untyped-call]
        f1, f2 = types.Array(nb.float64, 1, "C"), types.Array(nb.float64, 2, "C")
        i1, i2 = types.Array(nb.int64, 1, "C"), types.Array(nb.int64, 2, "C")
        f3, i3, flags = (
            types.Array(nb.float64, 3, "C"),
            types.Array(nb.int64, 3, "C"),
            types.Array(nb.bool_, 1, "C"),
        )
        chain: Any = types.Tuple((i2, i3, f3, i1, flags))  # type: ignore[no-untyped-call]
        kernel = types.FunctionType(nb.int64(f2, i1, f1, i1, kind, i2, f1, f1))
        made = compiled(_drive)
        made.compile(
            (
                kernel,
                f2,
                i2,
                f2,
                i2,
                kind,
                i2,
                f2,
                chain,
                nb.int64,
                flags,
                nb.float64,
                nb.float64,
                nb.int64,
                f2,
                f2,
                i1,
                f2,
                nb.int64,
                nb.int64,
            )
        )
        made.disable_compile()
        _drivers[given] = made
    return _drivers[given]


class _Address(types.WrapperAddressProtocol):
    """A kernel as its address, which numba otherwise looks up at each call."""

    def __init__(self, address: int, signature: Any) -> None:
        self._address, self._signature = address, signature

    def __wrapper_address__(self) -> int:
        return self._address

    def signature(self) -> Any:
        return self._signature


_address_of: Any = _get_wrapper_address
_addresses: dict[Any, _Address] = {}


def callable_by_address(kernel: Any, run: Any) -> Any:
    """A kernel as an argument of `run`, a `driver(...)`."""
    found = _addresses.get((kernel, run))
    if found is None:
        signature = run.signatures[0][0].signature
        kernel.compile(
            tuple(signature.args)
        )  # as Python calls it: numba would not find that on disk by the other
        found = _addresses[kernel, run] = _Address(_address_of(kernel, signature), signature)
    return found


def room(combinations: int) -> tuple[Any, Any]:
    """`out`, not a number throughout, and `ended`, DONE throughout."""
    return np.full((combinations, len(METRICS)), np.nan), np.full(combinations, DONE, np.int64)

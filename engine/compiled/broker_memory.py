"""A book's records by address, for the broker's inner functions.

Handing a whole `Book` from function to function costs about a hundred machine words a call, and seconds of compile
time. The inner functions take one number instead, the address of `Book.desk`, and read records through it.
Indices are not checked here; whoever appends compares with the room first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba as nb
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

from engine.compiled.records import (
    ACCOUNT,
    DESK,
    FILL,
    NOTE,
    ORDER,
    POSITION,
    QUEUE,
    RULES,
    SCHEME,
    TRADE,
)

Compiled = TypeVar("Compiled", bound=Callable[..., Any])
FOLDER = Path(__file__).parent
_lean: Any = functools.partial(
    nb.njit,
    nogil=True,
    error_model="numpy",
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    no_rewrites=True,
    _nrt=False,
)


def inner(function: Compiled) -> Compiled:
    """Compile an inner function, which Python cannot call; what calls it from outside is kept on disk, with it."""
    return _lean()(function)  # type: ignore[no-any-return]


def _sources() -> tuple[float, int]:
    """What machine code on disk has to match: when any file of the broker was last changed, and their length."""
    files = [path.stat() for path in (*FOLDER.glob("broker*.py"), FOLDER / "records.py")]
    return max(file.st_mtime for file in files), sum(file.st_size for file in files)


def entry(function: Compiled) -> Compiled:
    """Compile what a kernel's calls arrive at, with every inner function in it, and keep it on disk.

    numba looks only at the file of the function itself for changes, which would leave inner functions behind.
    """
    dispatcher: Any = _lean(cache=True)(function)
    dispatcher._cache._cache_file._source_stamp = _sources()
    return dispatcher  # type: ignore[no-any-return]


def _reader(dtype: np.dtype[Any]) -> Callable[..., Any]:
    """A function (address, index) -> the record there, or the number."""
    kind = nb.from_dtype(dtype)
    size = dtype.itemsize
    whole = isinstance(kind, nb.types.Record)

    def read(typing_context: Any, address: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = builder.add(arguments[0], builder.mul(arguments[1], ir.Constant(arguments[1].type, size)))
            if whole:
                return builder.inttoptr(place, context.get_value_type(kind))
            return builder.load(builder.inttoptr(place, context.get_value_type(kind).as_pointer()))

        return kind(nb.types.intp, nb.types.intp), generate

    return intrinsic(read)


desk_at = _reader(DESK)
account_at = _reader(ACCOUNT)
rules_at = _reader(RULES)
scheme_at = _reader(SCHEME)
position_at = _reader(POSITION)
order_at = _reader(ORDER)
note_at = _reader(NOTE)
fill_at = _reader(FILL)
trade_at = _reader(TRADE)
queue_at = _reader(QUEUE)
float_at = _reader(np.dtype(np.float64))
int_at = _reader(np.dtype(np.int64))


def _copy_trade(typing_context: Any, target: Any, source: Any) -> Any:
    """Copy one TRADE record over another."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        size = ir.Constant(ir.IntType(64), TRADE.itemsize)
        nb.core.cgutils.raw_memcpy(builder, arguments[0], arguments[1], size, 1)  # type: ignore[no-untyped-call]
        return context.get_dummy_value()

    return nb.types.void(target, source), generate


copy_trade: Callable[..., None] = intrinsic(_copy_trade)

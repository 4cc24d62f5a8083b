"""The broker's functions as machine code, and a book's records by address.

Every function of the broker takes the address of `Book.desk` and reads records through it. All of them together are
compiled once for all kernels (`machine`); a kernel calls them at the addresses that `Book.desk` names, and contains
nothing of them. Indices are not checked here; whoever appends compares with the room first.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numba as nb
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic
from numpy.typing import NDArray

from engine.compiled.lowered_types import Copier, Reader, Signature, Writer
from engine.compiled.machine import compile_functions
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
KINDS = {ir.IntType(64): nb.int64, ir.DoubleType(): nb.float64, ir.VoidType(): nb.void}
PREFIX = "tradewright_broker_"

_functions: list[Callable[..., Any]] = []
_entries: list[Callable[..., Any]] = []


def inner(function: Compiled) -> Compiled:
    """A function of the broker that only the broker calls."""
    _functions.append(function)
    return function


def entry(function: Compiled) -> Compiled:
    """A function of the broker that kernels call: what stands for it in numba. Its first argument is the desk's address."""
    number = len(_entries)
    _entries.append(inner(function))
    signature = Signature(function, symbol_of(function))
    numbers = [KINDS[kind] for kind in signature.parameters]
    parts = getattr(signature.result, "elements", None)
    result: Any = KINDS.get(signature.result)
    if parts:
        result = nb.types.UniTuple(nb.int64, len(parts))  # type: ignore[no-untyped-call]

    def call(typing_context: Any, *arguments: Any) -> Any:
        def generate(context: Any, builder: Any, types: Any, values: Any) -> Any:
            table = builder.load(_place(builder, values[0], DESK.fields["code"][1]))  # type: ignore[index]
            address = builder.load(_place(builder, table, 8 * number))
            found = builder.call(builder.inttoptr(address, signature.type.as_pointer()), values)
            if parts:
                taken = [builder.extract_value(found, part) for part in range(len(parts))]
                return context.make_tuple(builder, result, taken)
            return context.get_dummy_value() if result == nb.void else found

        return result(*numbers), generate

    names = ["typing_context", *inspect.signature(function).parameters]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    call.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]
    return intrinsic(call)  # type: ignore[return-value]


def symbol_of(function: Callable[..., Any]) -> str:
    """What an entry is called in machine code."""
    return PREFIX + function.__name__.strip("_")


def _place(builder: Any, address: Any, offset: int) -> Any:
    whole = ir.IntType(64)
    return builder.inttoptr(builder.add(address, ir.Constant(whole, offset)), whole.as_pointer())


@dataclass(frozen=True)
class Machine:
    """The broker in machine code. table: the address of each entry. reset: the entry of that name, for Python."""

    table: NDArray[np.int64]
    reset: Callable[[int, float], None]


@cache
def machine() -> Machine:
    """The broker's machine code, compiled unless it is on disk."""
    found = compile_functions("broker", _functions, {symbol_of(function): function for function in _entries})
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_double)
    return Machine(np.array(list(found.values()), np.int64), prototype(found[PREFIX + "reset"]))


desk_at = Reader(DESK)
account_at = Reader(ACCOUNT)
rules_at = Reader(RULES)
scheme_at = Reader(SCHEME)
position_at = Reader(POSITION)
order_at = Reader(ORDER)
note_at = Reader(NOTE)
fill_at = Reader(FILL)
trade_at = Reader(TRADE)
queue_at = Reader(QUEUE)
float_at = Reader(np.dtype(np.float64))
store_float = Writer(np.dtype(np.float64))
int_at = Reader(np.dtype(np.int64))
copy_trade = Copier(TRADE)

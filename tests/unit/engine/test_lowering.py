"""Functions written down as LLVM do what Python does; what is unknown is refused, what is broken on disk is made again."""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compiled.kernel import FOLDER_VARIABLE
from engine.compiled.lowered_types import NotLowered, Reader, Writer
from engine.compiled.lowering import lowered
from engine.compiled.machine import compile_functions

LIMIT = 7
numbers = st.floats(allow_nan=True, allow_infinity=True)
wholes = st.integers(-(2**30), 2**30)


def parts_of(x: float) -> tuple[float, int]:
    if math.isnan(x) or abs(x) > 1e15:
        return 0.0, 0
    whole = math.floor(x)
    return x - whole, whole


def arithmetic(a: int, b: int, x: float, y: float) -> float:
    rest, whole = parts_of(x)
    total = x * a + (y - b) * 2
    total += rest if a > b else -whole
    total -= parts_of(y)[0]
    if a in (1, 2, LIMIT) or not x <= y:
        total = total / (1.5 + abs(rest))
    elif a & 4 != 0 and b != 3:
        return float(whole)
    return total


def loops(a: int, b: int, x: float, y: float) -> float:
    count = 0
    for k in range(a & 63):
        if k == b & 15:
            continue
        count += k
        if count > 500:
            break
    while count > LIMIT and count != 100:
        count -= 3
    for k in range(2, 5):
        count = count * 2 + k
    return count + (x if x == x else 1)


FUNCTIONS: dict[str, Callable[..., Any]] = {"test_arithmetic": arithmetic, "test_loops": loops}


def compiled() -> dict[str, Any]:
    found = compile_functions("lowering-test", [parts_of, *FUNCTIONS.values()], FUNCTIONS)
    kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64, ctypes.c_int64, ctypes.c_double, ctypes.c_double)
    return {name: kind(address) for name, address in found.items()}


CODE = compiled()


@pytest.mark.parametrize("name", FUNCTIONS)
@given(wholes, wholes, numbers, numbers)
def test_equals_python_to_the_last_bit(name: str, a: int, b: int, x: float, y: float) -> None:
    ours, theirs = CODE[name](a, b, x, y), float(FUNCTIONS[name](a, b, x, y))
    assert struct.pack("d", ours) == struct.pack("d", theirs) or (math.isnan(ours) and math.isnan(theirs))


float_at, store_float = (kind(np.dtype(np.float64)) for kind in (Reader, Writer))


def doubled(source: int, target: int, count: int) -> None:
    for k in range(count):
        store_float(target, k, 2 * float_at(source, k) if k != 3 else k)


def test_numbers_are_read_from_arrays_and_stored_in_them() -> None:
    found = compile_functions("lowering-test-arrays", [doubled], {"test_doubled": doubled})
    source, target = np.arange(10.0), np.full(12, -1.0)
    kinds = [ctypes.c_int64] * 3
    ctypes.CFUNCTYPE(None, *kinds)(found["test_doubled"])(source.ctypes.data, target.ctypes.data, 10)
    assert target.tolist() == [0, 2, 4, 3, 8, 10, 12, 14, 16, 18, -1, -1]


def unknown_call(x: float) -> float:
    return math.sin(x)


def narrowing(x: float) -> int:
    whole = 1
    whole = x  # type: ignore[assignment]
    return whole


def a_number_as_truth(a: int) -> int:
    return 1 if a else 0


def untyped(x) -> int:  # type: ignore[no-untyped-def]
    return 1


@pytest.mark.parametrize("function", [unknown_call, narrowing, a_number_as_truth, untyped])
def test_what_is_not_known_is_refused(function: Callable[..., Any]) -> None:
    from llvmlite import ir

    with pytest.raises(NotLowered):
        lowered(ir.Module(), [function], {"refused": function})


def test_a_broken_file_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one(a: int) -> int:
        return a + 1

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    compile_functions("broken", [one], {"test_broken": one})
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    address = compile_functions("broken", [one], {"test_broken": one})["test_broken"]
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(41) == 42
    assert len(file.read_bytes()) == len(whole)
    assert len(list(tmp_path.iterdir())) == 1

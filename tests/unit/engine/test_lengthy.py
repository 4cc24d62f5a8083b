"""Long kernels beside others that call the same functions; in processes of their own, since what fails is a crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LONG = """
@lengthy.kernel
def long_one(heap, mem, handle, error):
    found = 0
    for _ in range(3):
        found += memory.room(heap, mem, handle, error)
        heap[found % 7] += 1
        found += memory.room(heap, mem, handle, error)
    return found + memory.room(heap, mem, handle, error)
"""
SHORT = """
@nb.njit(error_model="numpy", cache=True)
def short_one(heap, mem, handle, error):
    found = memory.room(heap, mem, handle, error)
    heap[found % 7] += 1
    found += memory.room(heap, mem, handle, error)
    for k in range(5):
        found += memory.room(heap, mem, handle, error)
    return found
"""
START = """
import numba as nb
import numpy as np
from engine.compiled import lengthy, memory

def fresh():
    mem, error = np.zeros(2, np.int64), np.zeros(1, np.int64)
    heap = memory.new_heap(mem, 1000)
    return heap, mem, memory.new_list(heap, mem, 1, 4, error), error
"""
CALL = """
assert {name}(*fresh()) == {name}.py_func(*fresh()), "{name}"
"""


@pytest.mark.parametrize("order", [("long_one", "short_one"), ("short_one", "long_one")])
def test_what_a_long_kernel_made_of_a_function_is_its_own(order: tuple[str, str], tmp_path: Path) -> None:
    """It takes arguments away from functions that nobody outside calls; they are not the others' functions."""
    script = tmp_path / "both.py"
    script.write_text(START + LONG + SHORT + "".join(CALL.format(name=name) for name in order))
    for _ in ("compiled", "from disk"):
        done = subprocess.run(
            [sys.executable, str(script)],
            env={"PATH": "", "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr

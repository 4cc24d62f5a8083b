"""The kernel's sums against the interpreter's, to the last bit."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from engine.compiled.sum_runtime import compensated, rounding, settled, total
from engine.compiled.values import COMPENSATES

HARD = (0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 2.0**53, 1e16, -1e16, 1e100, -1e100, 1e308, -1e308, 5e-324)
WILD = (float("inf"), float("-inf"), float("nan"))


def bits(value: float) -> bytes:
    return b"nan" if value != value else struct.pack("d", value)


def draws(seed: int, count: int) -> list[list[float]]:
    chance = random.Random(seed)
    pools = (HARD, (*HARD, *WILD))
    found = []
    for _ in range(count):
        pool = chance.choice(pools)
        found.append(
            [
                chance.choice(pool)
                if chance.random() < 0.6
                else chance.gauss(0, 1) * 10.0 ** chance.randrange(-20, 20)
                for _ in range(chance.randrange(9))
            ]
        )
    return found


@pytest.mark.parametrize("start", [0, 0.0, -0.0, 0.1, 1e100, float("inf")])
def test_floats(start: float) -> None:
    added = compensated if COMPENSATES else total
    for values in draws(3, 3000):
        assert bits(added(np.array(values), float(start))) == bits(float(sum(values, start))), values


def test_whole_numbers() -> None:
    for values in ([], [3], [1, 2**52, -7]):
        assert total(np.array(values, np.int64), 2) == sum(values, 2)
        assert bits(total(np.array(values, np.int64), 0.1)) == bits(float(sum(values, 0.1)))


def test_step_by_step_is_the_same() -> None:
    for values in draws(4, 1000):
        found = lost = 0.0
        for value in values:
            larger = found + value
            lost += rounding(found, value, larger)
            found = larger
        assert bits(settled(found, lost)) == bits(compensated(np.array(values), 0.0))

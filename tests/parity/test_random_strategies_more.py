"""The second thousand of random strategies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.test_random_strategies import CLASSES, compare


@pytest.mark.parametrize("seed", range(CLASSES, 2 * CLASSES))
def test_more_random_strategies_equal_stock(seed: int, tmp_path: Path) -> None:
    compare(seed, tmp_path)

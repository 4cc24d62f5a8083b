"""The second thousand of random strategies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.test_random_strategies import GROUPS, compare_group


@pytest.mark.parametrize("group", range(GROUPS, 2 * GROUPS))
def test_more_random_strategies_equal_stock(group: int, tmp_path: Path) -> None:
    compare_group(group, tmp_path)

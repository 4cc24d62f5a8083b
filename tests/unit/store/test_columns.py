"""Values that must read back the same."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import StrategyError
from store.columns import restorable

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(), plain, max_size=4))
def test_plain_values_read_back_the_same(state: dict[str, Any]) -> None:
    assert json.loads(json.dumps(restorable(state))) == state


def test_numpy_numbers_become_numbers() -> None:
    kept = restorable({"a": np.float64(0.1), "b": np.int64(3), "c": np.bool_(True), "d": (np.float32(0.5),)})
    assert kept == {"a": 0.1, "b": 3, "c": True, "d": [0.5]}
    assert type(kept["a"]) is float
    assert math.isnan(restorable({"a": np.nan})["a"])


@pytest.mark.parametrize("value", [{1, 2}, {1: 2}, object(), b"x", np.array([1.0, 2.0])])
def test_what_would_come_back_different_is_refused(value: object) -> None:
    with pytest.raises(StrategyError, match=r"state\['deep'\]\[0\]"):
        restorable({"deep": [value]})

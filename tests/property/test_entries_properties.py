"""What holds for the test of entries, whatever was held."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzers.entries import LEAST, Held, entry_test

BARS = 60
held_bars = st.lists(st.sampled_from([-1.0, 0.0, 0.0, 0.5, 1.0]), min_size=BARS, max_size=BARS)


def held(weights: list[float], seed: int, size: float = 1.0, price: float = 1.0) -> Held:
    rng = np.random.default_rng(seed)
    closes = price * np.cumprod(1 + 0.02 * rng.standard_normal(BARS))
    opens = closes * (1 + 0.005 * rng.standard_normal(BARS))
    return Held(size * np.stack([weights, weights], axis=1), opens, closes)


@settings(max_examples=60, deadline=None)
@given(held_bars, st.integers(0, 1000), st.sampled_from([0.25, 4.0]), st.sampled_from([0.125, 1024.0]))
def test_it_is_a_probability_that_neither_size_nor_price_changes(
    weights: list[float], seed: int, size: float, price: float
) -> None:
    found = entry_test([held(weights, seed)], draws=50)
    if found.entries < LEAST:
        always = found.entries == 1 and all(weights)
        assert found.probability == 1.0 if always else np.isnan(found.probability)
        return
    assert 1 / 51 <= found.probability <= 1
    scaled = entry_test([held(weights, seed, size, price)], draws=50)
    assert scaled.probability == found.probability
    assert scaled.earned == pytest.approx(size * found.earned, rel=1e-9, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(held_bars, st.integers(0, 1000))
def test_the_other_side_earns_the_reverse(weights: list[float], seed: int) -> None:
    found, other = (entry_test([held(weights, seed, size)], draws=50) for size in (1.0, -1.0))
    assert other.entries == found.entries
    if found.entries >= LEAST:
        assert other.earned == pytest.approx(-found.earned, abs=1e-12)
        assert other.probability + found.probability >= 1, "ties count on both sides, and the real one twice"

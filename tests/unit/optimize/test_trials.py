"""Spans and batches of trials."""

from __future__ import annotations

import numpy as np
import pytest

from optimize.trials import BLOCKS, COUNT, SQUARES, SUM, Outcome, Span, concatenate, moments_of


def outcome(*values: float, error: str = "") -> Outcome:
    return Outcome(
        {"sharpe": np.array(values)}, [error] * len(values), np.ones((len(values), BLOCKS, 3)), cached=1
    )


@pytest.mark.parametrize("bad", [(5, 5, 0), (5, 4, 0), (3, 9, 4), (-1, 4, 0)])
def test_a_span_without_bars_is_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="holds no bars"):
        Span(*bad)


def test_a_span_runs_its_warm_up_and_measures_the_rest() -> None:
    span = Span(100, 160, 30)
    assert (span.start, len(span)) == (70, 60)


def test_batches_are_joined_in_order() -> None:
    first, second = outcome(1.0, 2.0), outcome(3.0, error="it raised")
    second.metrics["trades"] = np.array([7.0])
    second.tracebacks[0] = "Traceback"
    joined = concatenate([first, second])
    assert len(joined) == 3
    assert joined.metrics["sharpe"].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(joined.metrics["trades"][:2]).all()
    assert joined.errors == ["", "", "it raised"]
    assert joined.tracebacks == {2: "Traceback"}
    assert joined.cached == 2
    assert joined.moments.shape == (3, BLOCKS, 3)


def test_moments_add_up_to_the_whole() -> None:
    equity = 100 * np.cumprod(1 + 0.01 * np.random.default_rng(1).standard_normal(501))
    found = moments_of(equity)
    returns = equity[1:] / equity[:-1] - 1
    assert found[:, COUNT].sum() == 500
    assert found[:, COUNT].max() - found[:, COUNT].min() <= 1
    assert found[:, SUM].sum() == pytest.approx(returns.sum())
    assert found[:, SQUARES].sum() == pytest.approx((returns**2).sum())


def test_a_lost_account_has_no_returns_left() -> None:
    assert np.isfinite(moments_of(np.array([100.0, 0.0, 0.0, 5.0] * 20))).all()

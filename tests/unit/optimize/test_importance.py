"""Which parameters decide."""

from __future__ import annotations

import numpy as np
import pytest

from optimize.importance import importance

NAMES = ("a", "b", "c")
ROUGH = 0.1
"""Two thousand trials in a hundred cells tell a share to about so much."""


def points(count: int = 2000) -> np.ndarray:
    return np.random.default_rng(1).random((count, 3))


def test_the_parameter_that_decides_comes_first_and_noise_explains_nothing():
    u = points()
    found = importance(NAMES, u, u[:, 1] * 3 + u[:, 0])
    assert list(found) == ["b", "a", "c"]
    assert found["b"].alone == pytest.approx(0.9, abs=ROUGH)
    assert found["a"].alone == pytest.approx(0.1, abs=ROUGH)
    assert found["c"].alone + found["c"].joint < 0.05


def test_what_two_explain_only_together_is_shared_between_them():
    u = points()
    found = importance(NAMES, u, np.sign(u[:, 0] - 0.5) * np.sign(u[:, 2] - 0.5))
    assert found["a"].alone < 0.05
    assert found["a"].joint == pytest.approx(0.5, abs=ROUGH)
    assert found["a"].joint == pytest.approx(found["c"].joint, abs=0.02)
    assert found["b"].joint < 0.05


def test_shares_of_noise_are_near_zero_and_never_sum_above_one():
    u = points(300)
    noise = importance(NAMES, u, np.random.default_rng(2).standard_normal(300))
    assert sum(share.alone for share in noise.values()) < 0.1
    same = np.repeat(u[:, :1], 3, axis=1)
    every = importance(NAMES, same, u[:, 0])
    assert sum(share.alone + share.joint for share in every.values()) <= 1 + 1e-12


def test_infeasible_trials_are_left_out_and_nothing_is_said_of_few_or_equal_ones():
    u = points(200)
    scores = u[:, 0].copy()
    scores[::2] = np.nan
    assert importance(NAMES, u, scores) == importance(NAMES, u[1::2], scores[1::2])
    assert importance(NAMES, u[:9], u[:9, 0]) == {}
    assert importance(NAMES, u, np.ones(200)) == {}

"""Samplers: the same again from a seed, from what was told, and better than chance."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import ConfigError, UnknownNameError
from optimize import samplers
from optimize.samplers import NAMES, SEVERAL, make

SAMPLERS = [(name, trials) for name in NAMES if name != "grid" for trials in (100,)] + [("tpe", 5000)]


def bowl(points: np.ndarray) -> np.ndarray:
    """Best at 0.3 in the first dimension and 0.7 in the others; a corner has no value."""
    best = np.full(points.shape[1], 0.7)
    best[0] = 0.3
    value = -((points - best) ** 2).sum(axis=1, keepdims=True)
    return np.where(points[:, :1] > 0.95, np.nan, value)


@pytest.mark.parametrize("dimensions", [1, 3])
@pytest.mark.parametrize(("name", "trials"), SAMPLERS)
class TestEvery:
    def test_the_same_seed_gives_the_same_points(self, name: str, trials: int, dimensions: int) -> None:
        def walk(seed: int) -> np.ndarray:
            sampler = make(name, dimensions, seed, trials=trials)
            found = []
            for _ in range(4):
                points = sampler.ask(sampler.batch)
                sampler.tell(points, bowl(points))
                found.append(points)
            return np.concatenate(found)

        first = walk(1)
        assert first.shape[1] == dimensions
        assert ((first >= 0) & (first <= 1)).all()
        assert np.array_equal(first, walk(1))
        assert not np.array_equal(first, walk(2))

    def test_one_that_is_told_the_batches_goes_on_alike(
        self, name: str, trials: int, dimensions: int
    ) -> None:
        whole, stopped = make(name, dimensions, 5, trials=trials), make(name, dimensions, 5, trials=trials)
        batches = []
        for sampler in (whole, stopped):
            batches = []
            for _ in range(3):
                points = sampler.ask(sampler.batch)
                sampler.tell(points, bowl(points))
                batches.append(points)
        again = make(name, dimensions, 5, trials=trials)
        for points in batches:
            asked = again.ask(again.batch)
            assert np.array_equal(asked, points)
            again.tell(points, bowl(points))
        assert np.array_equal(again.ask(again.batch), whole.ask(whole.batch))


@pytest.mark.parametrize(
    ("name", "trials", "count"), [("cmaes", 300, 300), ("tpe", 120, 120), ("tpe", 3000, 640)]
)
def test_what_learns_beats_chance(name: str, trials: int, count: int) -> None:
    def best(seed: int) -> float:
        sampler, found, done = make(name, 3, seed, trials=trials), -np.inf, 0
        while done < count:
            points = sampler.ask(sampler.batch)
            scores = bowl(points)
            sampler.tell(points, scores)
            found, done = max(found, float(np.nanmax(scores))), done + len(points)
        return found

    chance = [float(np.nanmax(bowl(np.random.default_rng(seed).random((count, 3))))) for seed in range(5)]
    assert np.median([best(seed) for seed in range(5)]) > np.median(chance) / 4, "squared losses, below zero"


def test_evolution_starts_again_once_it_has_converged() -> None:
    sampler = samplers.Evolution(2, 1)
    for _ in range(400):
        points = sampler.ask(sampler.batch)
        sampler.tell(points, bowl(points))
    assert sampler._restarts > 0
    assert sampler._cma.population_size > sampler.batch


def test_genetic_search_finds_the_front_of_two_objectives() -> None:
    """Of x squared and (1 - x) squared every x is on the front; other dimensions only cost."""
    sampler = make("nsga2", 3, 3, trials=400, objectives=2)
    points, scores = [], []
    for _ in range(10):
        asked = sampler.ask(sampler.batch)
        cost = asked[:, 1] + asked[:, 2]
        told = np.stack([-(asked[:, 0] ** 2) - cost, -((1 - asked[:, 0]) ** 2) - cost], axis=1)
        sampler.tell(asked, told)
        points.append(asked)
        scores.append(told)
    assert points[-1][:, 1:].mean() < points[0][:, 1:].mean() / 2
    assert np.ptp(points[-1][:, 0]) > 0.4


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SEVERAL])
def test_one_objective_only(name: str) -> None:
    with pytest.raises(ConfigError, match="takes one objective"):
        make(name, 2, 1, objectives=2)


def test_an_unknown_sampler_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean cmaes"):
        make("cmae", 2, 1)

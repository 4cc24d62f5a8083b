"""Where to look next: samplers that propose points of the unit cube in batches, and learn from batches.

sampler = make("cmaes", dimensions=4, seed=7)
points = sampler.ask(64)              # (64, 4)
sampler.tell(points, scores)          # (64, objectives), more is better, NaN where a trial has no value

A sampler is a function of its seed and of the batches it was told, in order: telling a new one the batches that a
stopped search had finished brings it to the same state, so that a search goes on as if it had never stopped. Its
batches have a size of their own; how many workers evaluate them changes nothing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError, UnknownNameError

Points = NDArray[np.float64]

_ROOT = math.sqrt(2 * math.pi)
MOST_BY_OPTUNA = 200
"""Trials up to which TPE is Optuna's own; beyond them its time a trial grows past that of the runs."""
MOST_TOGETHER = 128
"""The largest first population of CMA-ES."""
REDRAWN = 100
"""How often CMA-ES draws a point again that lies outside; then it is put on the border."""


class Sampler(Protocol):
    """Proposes points and learns from them. batch: points a batch."""

    batch: int

    def ask(self, count: int) -> Points:
        """The next points, (count, d) in [0, 1]."""
        ...

    def tell(self, points: Points, scores: Points) -> None:
        """What came of points, (n, objectives): more is better, NaN is worst."""
        ...


class Independent:
    """Points that do not depend on what came of others; every batch draws from a generator of its own."""

    def __init__(self, dimensions: int, seed: int, batch: int = 1024) -> None:
        self.batch = batch
        self._dimensions, self._seed, self._asked = dimensions, seed, 0

    def ask(self, count: int) -> Points:
        """Uniform points."""
        self._asked += 1
        return np.random.default_rng([self._seed, self._asked]).random((count, self._dimensions))

    def tell(self, points: Points, scores: Points) -> None:
        """Nothing is learned."""


class Sobol(Independent):
    """Quasi-random points, which fill the cube more evenly: a scrambled Sobol sequence."""

    def __init__(self, dimensions: int, seed: int, batch: int = 1024) -> None:
        from scipy.stats import qmc

        super().__init__(dimensions, seed, batch)
        self._sequence = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))

    def ask(self, count: int) -> Points:
        """The sequence's next points."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The balance properties of Sobol")
            drawn: Points = self._sequence.random(count)
        return drawn


class Evolution:
    """CMA-ES: a normal distribution that moves and turns towards the better half of each generation.

    Populations grow with the number of trials wanted: more are run together, and the search is wider. Starts again with
    twice the population once it has converged (IPOP). Of `cmaes` (Nomura and Shibata, 2024); Hansen
    and Ostermeier (2001).
    """

    def __init__(self, dimensions: int, seed: int, trials: int = 100) -> None:
        self._dimensions = max(2, dimensions)  # the library takes no single dimension: the second is idle
        self._wanted, self._seed, self._restarts = dimensions, seed, 0
        least = 4 + 3 * math.ceil(math.log(self._dimensions + 1)) + 4
        self.batch = max(least, min(MOST_TOGETHER, trials // 20))
        self._start()

    def _start(self) -> None:
        from cmaes import CMA

        rng = np.random.default_rng([self._seed, self._restarts])
        self._rng = rng
        middle = np.full(self._dimensions, 0.5) if self._restarts == 0 else rng.random(self._dimensions)
        self._cma = CMA(
            mean=middle,
            sigma=0.3,
            bounds=np.tile([0.0, 1.0], (self._dimensions, 1)),
            seed=int(rng.integers(2**31)),
            population_size=self.batch * 2 ** min(self._restarts, 5),
        )
        self._told: list[tuple[Points, float]] = []

    def ask(self, count: int) -> Points:
        """Draws from the distribution; of those outside the cube others, as long as that helps."""
        axes, lengths = (
            self._cma._eigen_decomposition()
        )  # the library's own `ask` takes a tenth of a ms a point
        turned = self._cma._sigma * axes * lengths
        points = np.empty((count, self._dimensions))
        out = np.arange(count)
        for _ in range(REDRAWN):
            drawn = self._rng.standard_normal((len(out), self._dimensions))
            points[out] = self._cma.mean + drawn @ turned.T
            out = out[((points[out] < 0.0) | (points[out] > 1.0)).any(axis=1)]
            if not len(out):
                break
        return np.clip(points, 0.0, 1.0)[:, : self._wanted]

    def tell(self, points: Points, scores: Points) -> None:
        """Move the distribution, generation by generation."""
        idle = np.full((len(points), self._dimensions - self._wanted), 0.5)
        losses = np.where(np.isfinite(scores[:, 0]), -scores[:, 0], np.inf)
        self._told += zip(np.hstack([points, idle]), losses.tolist(), strict=True)
        while len(self._told) >= self._cma.population_size:
            size = self._cma.population_size
            generation, self._told = self._told[:size], self._told[size:]
            worst = max((loss for _, loss in generation if math.isfinite(loss)), default=0.0)
            self._cma.tell(
                [(point, loss if math.isfinite(loss) else worst + 1.0) for point, loss in generation]
            )
            if self._cma.should_stop():
                self._restarts += 1
                self._start()


class Parzen:
    """Tree-structured Parzen estimator over whole batches: where good trials are dense and bad ones are not.

    Each dimension on its own, as by default in Optuna. At most `GOOD` trials are the good ones; the others, which share
    one width, are counted into cells before their density is smoothed, so that a batch hardly costs more the more
    trials there are. Bergstra, Bardenet, Bengio and Kégl (2011), "Algorithms for Hyper-Parameter Optimization";
    density by counts: Silverman (1982), AS 176.
    """

    CELLS = 256
    GOOD = 100
    CANDIDATES = 2  # more would send a whole batch to one place: nothing is learned within it
    FIRST = 64

    def __init__(self, dimensions: int, seed: int, batch: int = 64) -> None:
        self.batch = batch
        self._dimensions, self._seed, self._asked = dimensions, seed, 0
        self._points = np.empty((0, dimensions))
        self._scores = np.empty(0)

    def ask(self, count: int) -> Points:
        """The best of some candidates each, by the ratio of the two densities."""
        self._asked += 1
        rng = np.random.default_rng([self._seed, self._asked])
        known = len(self._scores)
        if known < self.FIRST:
            return rng.random((count, self._dimensions))
        points = self._points
        order = np.argsort(-self._scores, kind="stable")
        good = order[: max(2, min(math.ceil(0.1 * known), self.GOOD))]
        bad = order[len(good) :]
        chosen = np.empty((count, self._dimensions))
        for place in range(self._dimensions):
            chosen[:, place] = self._propose(rng, points[good, place], points[bad, place], count)
        return chosen

    def _propose(self, rng: np.random.Generator, good: Points, bad: Points, count: int) -> Points:
        good = np.sort(good)
        widths = _widths(good)
        place = rng.integers(0, len(good) + 1, (count, self.CANDIDATES))  # the last is the prior
        centres, spread = np.append(good, 0.5)[place], np.append(widths, 1.0)[place]
        candidates = _reflected(centres + spread * rng.standard_normal(place.shape))
        ratio = np.log(self._density(good, widths)) - np.log(self._counted(bad))
        best = np.interp(candidates, self._grid, ratio).argmax(axis=1)
        return np.asarray(candidates[np.arange(count), best], dtype=np.float64)

    @property
    def _grid(self) -> Points:
        return (np.arange(self.CELLS) + 0.5) / self.CELLS

    def _density(self, values: Points, widths: Points) -> Points:
        """A Parzen density on the grid with an even prior that weighs as one kernel, (CELLS,)."""
        apart = (self._grid - values[:, None]) / widths[:, None]
        found = 1.0 + (np.exp(-0.5 * apart**2) / widths[:, None]).sum(axis=0) / _ROOT
        return np.asarray(found / (len(values) + 1), dtype=np.float64)

    def _counted(self, values: Points) -> Points:
        """The same of values that share one width, by how many lie in each cell."""
        width = max(float(values.std()) * len(values) ** -0.2, 1 / self.CELLS)
        cells = np.minimum((values * self.CELLS).astype(np.int64), self.CELLS - 1)
        apart = np.arange(1 - self.CELLS, self.CELLS) / self.CELLS
        kernel = np.exp(-0.5 * (apart / width) ** 2) / (width * _ROOT)
        found = 1.0 + np.convolve(np.bincount(cells, minlength=self.CELLS), kernel, mode="valid")
        return np.asarray(found / (len(values) + 1), dtype=np.float64)

    def tell(self, points: Points, scores: Points) -> None:
        """Remember them."""
        self._points = np.concatenate([self._points, points])
        found = scores[:, 0]
        self._scores = np.concatenate([self._scores, np.where(np.isfinite(found), found, -np.inf)])


class ByOptuna:
    """One of Optuna's samplers, asked and told in batches over a study in memory."""

    def __init__(
        self, make_sampler: Callable[[int], Any], dimensions: int, seed: int, objectives: int, batch: int
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.batch = batch
        self._names = [f"x{place}" for place in range(dimensions)]
        self._distributions: dict[str, Any] = {
            name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in self._names
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study = optuna.create_study(
                sampler=make_sampler(seed), directions=["maximize"] * objectives
            )
        self._open: dict[bytes, list[Any]] = {}

    def ask(self, count: int) -> Points:
        """The sampler's next points."""
        points = np.empty((count, len(self._names)))
        for row in points:
            trial = self._study.ask(self._distributions)
            row[:] = [trial.params[name] for name in self._names]
            self._open.setdefault(row.tobytes(), []).append(trial)
        return points

    def tell(self, points: Points, scores: Points) -> None:
        """Tell it of points, asked of this sampler or not."""
        import optuna

        failed, complete = optuna.trial.TrialState.FAIL, optuna.trial.TrialState.COMPLETE
        for point, score in zip(points, scores, strict=True):
            whole = bool(np.isfinite(score).all())
            waiting = self._open.get(point.tobytes())
            if waiting:
                trial = waiting.pop(0)
                self._study.tell(trial, score.tolist() if whole else None, failed if not whole else complete)
            elif whole:
                self._study.add_trial(
                    optuna.trial.create_trial(
                        params=dict(zip(self._names, point.tolist(), strict=True)),
                        distributions=self._distributions,
                        values=score.tolist(),
                    )
                )


def _tpe(seed: int) -> Any:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, constant_liar=True, n_startup_trials=32)


def _genetic(population: int) -> Callable[[int], Any]:
    def made(seed: int) -> Any:
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(seed=seed, population_size=population)

    return made


def _widths(values: Points) -> Points:
    """Of each kernel the distance to its farther neighbour, not below an even share of a hundred. values: sorted."""
    gaps = np.diff(np.concatenate([[0.0], values, [1.0]]))
    return np.clip(np.maximum(gaps[:-1], gaps[1:]), 1 / min(100, len(values) + 1) / 2, 1.0)


def _reflected(values: Points) -> Points:
    """Into [0, 1], mirrored at its ends."""
    folded = np.abs(values) % 2.0
    return np.asarray(np.where(folded > 1.0, 2.0 - folded, folded), dtype=np.float64)


NAMES = ("grid", "random", "qmc", "cmaes", "tpe", "nsga2")
SEVERAL = ("grid", "random", "qmc", "nsga2")
"""Samplers that serve more than one objective."""


def make(name: str, dimensions: int, seed: int, *, trials: int = 100, objectives: int = 1) -> Sampler:
    """A sampler by name. trials: how many are wanted in all. Raises UnknownNameError, ConfigError.

    A grid is no sampler: the search walks over `SearchSpace.grid`.
    """
    if name not in NAMES or name == "grid":
        raise UnknownNameError("sampler", name, NAMES)
    if objectives > 1 and name not in SEVERAL:
        raise ConfigError(f"{name} takes one objective", hint=f"use {', '.join(SEVERAL)} for several")
    if name == "random":
        return Independent(dimensions, seed)
    if name == "qmc":
        return Sobol(dimensions, seed)
    if name == "cmaes":
        return Evolution(dimensions, seed, trials)
    if name == "nsga2":
        population = max(8, min(50, trials // 4))
        return ByOptuna(_genetic(population), dimensions, seed, objectives, batch=population)
    if trials <= MOST_BY_OPTUNA:
        return ByOptuna(_tpe, dimensions, seed, objectives, batch=8)
    return Parzen(dimensions, seed)


__all__ = ["NAMES", "SEVERAL", "Sampler", "make"]

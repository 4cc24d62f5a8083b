"""What else could have come of a run: the same trades in another order, the same returns drawn again.

    found = monte_carlo(result, paths=10_000, seed=7)
    found.ruin_probability, found.percentiles()["max_drawdown"]["p95"]

Nothing here knows of a market that is different from the one the run saw; what is drawn is what was.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from analyzers.metrics import periods_per_year, simple_returns
from core.errors import ConfigError, DataError, UnknownNameError
from core.results import RunResult
from core.threads import in_threads

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Method = Literal["stationary", "iid", "trades"]

FIGURES = ("total_return", "cagr", "max_drawdown", "sharpe", "var_95", "cvar_95", "time_under_water")
PERCENTILES = (5, 25, 50, 75, 95)
FAN_STEPS, FAN_PATHS = 100, 10_000
"""Times of a fan, beside the start, and paths it is made of."""
TOGETHER = 2_000_000
"""Steps that a thread walks before it looks for more: a few milliseconds, so that an interrupt is heard."""
DAYS = 252.0


@dataclass(frozen=True, slots=True)
class Fan:
    """Where the equity may be, as time goes on.

    times: (k,) numbers of steps (bars, or trades), 0 first. levels: (m,) probabilities. values: (m, k), the equity
    relative to the start that is not exceeded with that probability; of the first `FAN_PATHS` paths, where there are
    more: an error of half a percent in the level, at most.
    """

    times: NDArray[np.int64]
    levels: Floats
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class MonteCarlo:
    """What was drawn. Each figure is (paths,), by the definitions of `analyzers.metrics`; NaN where not defined.

    total_return, cagr, max_drawdown, time_under_water: fractions. sharpe: annualised. var_95, cvar_95: loss of one
    step. fan: see `Fan`. ruin_probability: share of the paths whose equity was below `ruin` times the start at any step.
    method, paths, seed: as asked. block: mean length of the blocks in steps, 1 where none were drawn. steps: of a path,
    as many as there were returns (bars), or trades.
    """

    total_return: Floats
    cagr: Floats
    max_drawdown: Floats
    sharpe: Floats
    var_95: Floats
    cvar_95: Floats
    time_under_water: Floats
    fan: Fan
    ruin_probability: float
    method: Method
    paths: int
    seed: int
    block: float
    ruin: float
    steps: int

    def percentiles(self) -> dict[str, dict[str, float]]:
        """By figure p5, p25, p50, p75, p95 over the paths on which it is defined; NaN where it is on none."""
        return {name: _percentiles(getattr(self, name)) for name in FIGURES}


def monte_carlo(
    result_or_returns: RunResult | Sequence[float] | Floats | pd.Series,
    *,
    method: Method = "stationary",
    paths: int = 10_000,
    seed: int = 0,
    block: float | None = None,
    ruin: float = 0.5,
    periods: float | None = None,
    threads: int | None = None,
) -> MonteCarlo:
    """Draw `paths` paths as long as what was given, and measure each.

    result_or_returns: a run, or simple returns per step, (n,), fractions not below -1.
    method: "stationary" draws returns in blocks of random length (Politis and Romano, 1994), "iid" one by one (Efron,
    1979), both with replacement; "trades" puts the run's trades in a random order, each as a fraction of the account at
    its entry, so that totals stay and drawdowns change.
    A path takes some nanoseconds a step: of a run of very many bars, pass the returns of its days.
    block: mean length of a block in bars; None takes it from the returns (`analyzers.overfitting.block_length`).
    ruin: part of the start, in (0, 1). periods: steps a year; None takes those of the run or of the times of a series,
    and 252 for bare numbers. seed: the same one gives the same answer, whatever the number of threads (None: all cores).

    Raises ConfigError for arguments that make no sense, UnknownNameError for another method, DataError for fewer than
    two returns (a lost account has none) or trades, and for returns that are not finite or below -1.
    """
    _check(method, paths, block, ruin, periods)
    returns, a_year = _given(result_or_returns, method)
    a_year = a_year if periods is None else float(periods)
    length = _block(returns, method, block)
    times = np.unique(np.linspace(0, returns.size, FAN_STEPS + 1).round().astype(np.int64))
    fan = np.empty((min(paths, FAN_PATHS), times.size - 1))
    jobs = max(1, threads or os.cpu_count() or 1)
    figures = _measured(returns, method, paths, seed, length, a_year, times[1:], fan, jobs)
    lowest = figures.pop("lowest")
    return MonteCarlo(
        **figures,
        fan=_fan(times, fan, min(jobs, times.size - 1)),
        ruin_probability=float(np.mean(lowest < math.log(ruin))),
        method=method,
        paths=paths,
        seed=seed,
        block=length,
        ruin=ruin,
        steps=returns.size,
    )


def drawn(steps: int, *, method: Method, paths: int, seed: int = 0, block: float = 1.0) -> NDArray[np.int32]:
    """The places that `monte_carlo` draws: (paths, steps), numbers of the returns that were given."""
    from analyzers import montecarlo_kernels as kernels

    places = np.empty((paths, steps), np.int32)
    with np.errstate(over="ignore"):  # states count in 64 bits and begin again
        for path in range(paths):
            state = kernels.mixed(_state(seed) + np.uint64(path) * kernels.GOLDEN)
            kernels.draw(places[path], _code(method), _chance(block), np.uint64(state))
    return places


def _measured(
    returns: Floats,
    method: Method,
    paths: int,
    seed: int,
    block: float,
    periods: float,
    times: NDArray[np.int64],
    fan: Floats,
    jobs: int,
) -> dict[str, Floats]:
    """The figures of every path, by name, and the lowest log growth. fan: out."""
    from analyzers import montecarlo_kernels as kernels

    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log1p(returns), kernels.LOST)
    by_rank = np.argsort(returns, kind="stable").astype(np.int32)
    found = np.empty((kernels.FIGURES, paths))
    drawing = (_state(seed), _code(method), _chance(block), periods)
    given: tuple[Any, ...] = (*drawing, returns, logs, returns[by_rank], by_rank, times, fan, found)
    size = max(1, TOGETHER // returns.size)
    waiting = deque(range(0, paths, size))

    def work(number: int) -> None:
        try:
            while (first := _next(waiting)) is not None:
                kernels.measure(first, min(first + size, paths), *given)
        finally:
            waiting.clear()  # whoever fails or is interrupted ends the others

    in_threads(min(jobs, len(waiting)), work)
    if method == "trades":  # the order in which logarithms are added up is no figure
        found[kernels.TOTAL], found[kernels.CAGR] = found[kernels.TOTAL, 0], found[kernels.CAGR, 0]
    found[: kernels.LOWEST][~np.isfinite(found[: kernels.LOWEST])] = np.nan
    rows = (*FIGURES, "lowest")
    return dict(zip(rows, found, strict=True))


def _next(waiting: deque[int]) -> int | None:
    """What comes next; None when another thread was quicker."""
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _given(given: Any, method: Method) -> tuple[Floats, float]:
    """Returns of the steps, and steps a year."""
    if isinstance(given, RunResult):
        a_year = given.metrics.get("periods_per_year", math.nan)
        returns, periods = steps_of(given.equity, given.trades, method, a_year)
    else:
        returns = np.ascontiguousarray(given, dtype=np.float64)
        times: Any = getattr(given, "index", None)  # a list has a method of that name
        found = periods_per_year(times) if hasattr(times, "dtype") else math.nan
        periods = found if math.isfinite(found) else DAYS
    if returns.ndim != 1:
        raise ConfigError(f"the returns have {returns.ndim} dimensions", hint="pass one return a step")
    if returns.size < 2:
        what = "trades" if method == "trades" else "returns"
        raise DataError(
            f"{returns.size} {what} are too few to draw from",
            hint="a Monte Carlo needs two at least, of an account that was not lost",
        )
    wrong = int((~np.isfinite(returns)).sum())
    if wrong or returns.min() < -1:
        raise DataError(
            f"{wrong} returns are not finite"
            if wrong
            else f"a return of {returns.min():g} loses more than all",
            hint="leave bars without a value out, and pass simple returns as fractions: 0.01 is 1%",
        )
    return returns, periods


def steps_of(
    equity: pd.Series, trades: pd.DataFrame, method: Method, periods: float = math.nan
) -> tuple[Floats, float]:
    """What a path is drawn from, and how many of it make a year: returns of the bars, or of the trades.

    equity: one value a bar, DatetimeIndex; bars without a finite value are left out. trades: columns entry_time and
    pnl_net; each counts as its result over the account's value at the last bar up to its entry, -1 at least. periods:
    bars a year, by the times when NaN. Empty for an account that was lost.
    """
    known = equity[np.isfinite(equity.to_numpy(dtype=np.float64))]
    values = known.to_numpy(dtype=np.float64)
    returns, a_year = simple_returns(values), periods
    if not math.isfinite(periods):
        a_year = periods_per_year(known.index)
    if method != "trades":
        return returns, a_year
    closed = trades[np.isfinite(trades["pnl_net"].to_numpy(dtype=np.float64))]
    if not returns.size or closed.empty:
        return np.empty(0), math.nan
    place = np.maximum(known.index.searchsorted(closed["entry_time"], side="right") - 1, 0)
    made = np.maximum(closed["pnl_net"].to_numpy(dtype=np.float64) / values[place], -1.0)
    return made, made.size * a_year / returns.size


def _check(method: str, paths: int, block: float | None, ruin: float, periods: float | None) -> None:
    if method not in get_args(Method):
        raise UnknownNameError("Monte Carlo method", str(method), get_args(Method))
    for name, value, wanted, good in (
        ("paths", paths, "a whole number, 1 or more", isinstance(paths, int) and paths >= 1),
        ("block", block, "a length in bars, 1 or more", block is None or 1 <= block < math.inf),
        ("ruin", ruin, "a part of the start, between 0 and 1", 0 < ruin < 1),
        ("periods", periods, "steps a year, above 0", periods is None or 0 < periods < math.inf),
    ):
        if not good:
            raise ConfigError(f"{name} is {value}", hint=f"pass {wanted}")


def _block(returns: Floats, method: Method, block: float | None) -> float:
    from analyzers.overfitting import block_length

    if method != "stationary":
        return 1.0
    return block_length(returns) if block is None else float(block)


def _code(method: Method) -> int:
    from analyzers import montecarlo_kernels as kernels

    return {"iid": kernels.IID, "stationary": kernels.STATIONARY, "trades": kernels.SHUFFLE}[method]


def _chance(block: float) -> np.uint64:
    """Of a new block at each step, in 2**-32."""
    return np.uint64(round(2**32 / block))


def _state(seed: int) -> np.uint64:
    """Where the random numbers of a seed begin; of any whole number."""
    return np.uint64(np.random.SeedSequence(abs(seed)).generate_state(1, np.uint64)[0])


def _fan(times: NDArray[np.int64], growth: Floats, jobs: int) -> Fan:
    """growth: (paths, k - 1), logarithms."""
    levels = np.array(PERCENTILES) / 100
    found = np.zeros((levels.size, times.size))

    def work(number: int) -> None:
        mine = slice(1 + number, None, jobs)
        found[:, mine] = np.quantile(growth[:, number::jobs], levels, axis=0)

    in_threads(jobs, work)
    with np.errstate(over="ignore"):
        values = np.exp(found)
    return Fan(times, levels, np.where(np.isfinite(values), values, np.nan))


def _percentiles(values: Floats) -> dict[str, float]:
    known = values[~np.isnan(values)]
    found = np.percentile(known, PERCENTILES) if known.size else np.full(len(PERCENTILES), np.nan)
    return {f"p{level}": float(value) for level, value in zip(PERCENTILES, found, strict=True)}


__all__ = ["FIGURES", "Fan", "Method", "MonteCarlo", "drawn", "monte_carlo", "steps_of"]

"""A search: what it tries, when it ends, and that a stop changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from core.errors import ConfigError, UnknownNameError, UserError
from core.space import Float, Int
from optimize.objective import Objective, front, parse_objectives, scores_of
from optimize.search import PRUNED, Settings, search
from optimize.space import SearchSpace
from optimize.trials import BLOCKS, Outcome, Params, Span

SPAN = Span(0, 300)
SPACE = SearchSpace({"fast": Int(1, 20), "slow": Int(1, 20)}, (lambda p: p["fast"] < p["slow"],))
REAL = SearchSpace({"x": Float(0, 1), "y": Float(0, 1)})
LEARNING = ["qmc", "random", "cmaes", "tpe", "nsga2"]


class Evaluate:
    """Best at fast 7 and slow 15, or x 0.3 and y 0.7; counts what it ran."""

    def __init__(self, trades: float = 50.0) -> None:
        self.ran: list[tuple[Any, ...]] = []
        self.spans: list[Span] = []
        self.trades = trades

    def __call__(self, params: Sequence[Params], span: Span) -> Outcome:
        self.ran += [tuple(each.values()) for each in params]
        self.spans.append(span)
        pairs = np.array([list(each.values()) for each in params], dtype=float)
        best = np.array([7, 15]) if "fast" in params[0] else np.array([0.3, 0.7])
        sharpe = 3 - np.abs(pairs - best).sum(axis=1)
        return Outcome(
            {
                "sharpe": sharpe,
                "trades": np.full(len(params), self.trades),
                "max_drawdown": pairs[:, 0] / 20,
            },
            [""] * len(params),
            np.ones((len(params), BLOCKS, 3)),
        )


class Log:
    """Keeps batches, and can stop a search in the middle."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.kept: dict[str, Outcome] = {}
        self.stop_after = stop_after

    def outcome(
        self, key: str, params: Sequence[Params], run: Callable[[Sequence[Params]], Outcome]
    ) -> Outcome:
        if key not in self.kept:
            if self.stop_after is not None and len(self.kept) >= self.stop_after:
                raise KeyboardInterrupt
            self.kept[key] = run(params)
        return self.kept[key]

    def flush(self) -> None:
        """Nothing waits."""


def test_a_grid_tries_every_allowed_combination_once() -> None:
    evaluate = Evaluate()
    found = search(SPACE, evaluate, SPAN, Settings(trials=10_000, sampler="grid"))
    assert len(evaluate.ran) == len(set(evaluate.ran)) == len(found) == 190
    assert all(fast < slow for fast, slow in evaluate.ran)
    assert found.params[found.best] == {"fast": 7, "slow": 15}
    assert found.stopped == "all 190 combinations of the space"


def test_auto_is_the_grid_where_it_fits() -> None:
    assert len(search(SPACE, Evaluate(), SPAN, Settings(trials=400))) == 190
    assert len(search(SPACE, Evaluate(), SPAN, Settings(trials=100))) == 100


@pytest.mark.parametrize("sampler", LEARNING)
def test_the_number_of_trials_is_exact_and_no_trial_is_run_twice(sampler: str) -> None:
    evaluate = Evaluate()
    found = search(SPACE, evaluate, SPAN, Settings(trials=75, sampler=sampler, seed=3))
    assert len(found) == len(evaluate.ran) == len(set(evaluate.ran)) == 75
    assert found.scores[found.best, 0] == found.outcome.metrics["sharpe"].max()


@pytest.mark.parametrize("sampler", ["grid", *LEARNING])
@pytest.mark.parametrize("prune", [False, True])
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not(sampler: str, prune: bool) -> None:
    space = SPACE if sampler == "grid" else REAL
    settings = Settings(trials=120, sampler=sampler, seed=5, prune=prune)
    whole = search(space, Evaluate(), SPAN, settings)
    log = Log(stop_after=0 if sampler in ("grid", "qmc", "random") else 2)
    first, second = Evaluate(), Evaluate()
    with pytest.raises(KeyboardInterrupt):
        search(space, first, SPAN, settings, log=log)
    log.stop_after = None
    again = search(space, second, SPAN, settings, log=log)
    assert np.array_equal(again.points, whole.points)
    assert np.array_equal(again.scores, whole.scores, equal_nan=True)
    assert not set(first.ran) & set(second.ran) or prune


def test_a_small_space_is_used_up() -> None:
    space = SearchSpace({"fast": Int(1, 2), "slow": Int(1, 3)})
    found = search(space, Evaluate(), SPAN, Settings(trials=500, sampler="random"))
    assert len(found) == 6
    assert found.stopped == "all 6 combinations of the space"


def test_patience_ends_it() -> None:
    found = search(REAL, Evaluate(), SPAN, Settings(trials=5000, sampler="cmaes", patience=200))
    assert len(found) < 5000
    assert found.stopped.startswith("no better one in")


def test_minutes_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setattr("optimize.search._now", lambda: next(clock))
    found = search(REAL, Evaluate(), SPAN, Settings(trials=10**6, sampler="cmaes", minutes=1))
    assert found.stopped == "1 minutes"


def test_pruning_runs_half_of_a_batch_over_all_bars() -> None:
    evaluate = Evaluate()
    found = search(REAL, evaluate, SPAN, Settings(trials=64, sampler="qmc", prune=True))
    pruned = np.array([error == PRUNED for error in found.outcome.errors])
    assert pruned.sum() == 32
    assert evaluate.spans == [Span(0, 100), SPAN]
    assert np.isnan(found.scores[pruned]).all()
    assert found.scores[~pruned].min() >= (3 - np.abs(found.points - [0.3, 0.7]).sum(axis=1))[pruned].max()


def test_too_few_trades_are_infeasible() -> None:
    found = search(REAL, Evaluate(trades=3), SPAN, Settings(trials=8, min_trades=10))
    assert np.isnan(found.scores).all()
    with pytest.raises(UserError, match="none of 8 trials has 10 trades, the most is 3; lower --min-trades"):
        _ = found.best


def test_when_nothing_runs_the_first_reason_is_said() -> None:
    def failing(params: Sequence[Params], span: Span) -> Outcome:
        return Outcome(
            {"sharpe": np.full(len(params), np.nan)},
            [f"ZeroDivisionError in next(), bar 7, {dict(each)}" for each in params],
            np.zeros((len(params), BLOCKS, 3)),
        )

    found = search(REAL, failing, SPAN, Settings(trials=5))
    with pytest.raises(
        UserError,
        match=r"none of 5 trials could run; the first, trial 0 with .*=.*: ZeroDivisionError in next",
    ):
        _ = found.best


def test_two_objectives_have_a_front() -> None:
    objectives = parse_objectives(["sharpe", "max_drawdown"])
    found = search(REAL, Evaluate(), SPAN, Settings(trials=200, sampler="nsga2", objectives=objectives))
    assert len(found.front) > 3
    chosen = found.scores[found.front]
    assert (np.diff(chosen[:, 0]) <= 0).all()
    assert (np.diff(chosen[:, 1]) >= 0).all()
    assert found.front[0] == found.best


def test_a_front_is_what_nothing_beats() -> None:
    scores = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0], [0.5, 0.5], [np.nan, 9.0], [2.0, -1.0]])
    assert front(scores).tolist() == [1, 0, 2]


def test_objectives_have_a_direction() -> None:
    assert parse_objectives(["sharpe", "max_drawdown"]) == (
        Objective("sharpe"),
        Objective("max_drawdown", largest=False),
    )
    assert parse_objectives(["-trades", "-volatility"]) == (
        Objective("trades", largest=False),
        Objective("volatility"),
    )
    assert parse_objectives(["my.module:score"])[0].custom
    for texts in ([], ["sharpe", "sharpe"]):
        with pytest.raises(ConfigError):
            parse_objectives(texts)
    with pytest.raises(UnknownNameError, match="did you mean sharpe"):
        parse_objectives(["sharp"])


def test_scores_turn_what_should_be_small() -> None:
    outcome = Outcome(
        {"max_drawdown": np.array([0.1, 0.2, 0.3]), "trades": np.array([9.0, 9.0, 1.0])},
        ["", "it raised", ""],
        np.zeros((3, BLOCKS, 3)),
    )
    found = scores_of(outcome, parse_objectives(["max_drawdown"]), min_trades=2)
    assert found[0, 0] == -0.1
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize("settings", [{"trials": 0}, {"patience": 0}, {"minutes": 0}, {"seed": -1}])
def test_settings_that_make_no_search_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        search(REAL, Evaluate(), SPAN, Settings(**settings))


def test_progress_is_told_after_each_batch() -> None:
    seen: list[tuple[int, float]] = []
    found = search(
        REAL, Evaluate(), SPAN, Settings(trials=40, sampler="cmaes"), on_batch=lambda *each: seen.append(each)
    )
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (40, found.scores[found.best, 0])

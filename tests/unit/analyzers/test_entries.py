"""Entries against entries at random moments."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from analyzers import entries
from analyzers.entries import EntryTest, Held, entry_test

OF_DRAWS = 0.02
"""Three standard deviations of a probability from 6,000 draws."""
MARKETS = 250
UNLIKELY = 0.01


def market(
    rng: np.random.Generator, moves: np.ndarray | None = None, bars: int = 500
) -> tuple[np.ndarray, np.ndarray]:
    """Opens and closes of a random walk, with gaps overnight."""
    moves = 0.01 * rng.standard_normal(bars) if moves is None else moves
    closes = 100 * np.exp(np.cumsum(moves))
    opens = np.concatenate([[100.0], closes[:-1]]) * np.exp(0.002 * rng.standard_normal(len(closes)))
    return opens, closes


def trend(opens: np.ndarray, closes: np.ndarray, side: int = 1, short: bool = False) -> Held:
    """Held above the average of twenty bars (side 1) or below it (-1), from the next open on; short: else sold."""
    sums = np.cumsum(np.insert(closes, 0, 0.0))
    average = np.full(len(closes), np.nan)
    average[19:] = (sums[20:] - sums[:-20]) / 20
    signal = np.where(
        np.isnan(average), 0.0, np.where(side * (closes - average) > 0, 1.0, -1.0 if short else 0.0)
    )
    weights = np.concatenate([[0.0], signal[:-1]])
    return Held(np.stack([weights, weights], axis=1), opens, closes)


def planted(seed: int, edge: float, holding: int = 3) -> Held:
    """Forty entries, each followed by a drift of `edge` a bar as long as it is held."""
    rng = np.random.default_rng(seed)
    weights = np.zeros(500)
    for start in np.cumsum(rng.integers(holding + 1, 16, 40)):
        weights[start : start + holding] = 1.0
    moves = 0.01 * rng.standard_normal(500) + edge * weights
    opens, closes = market(rng, moves)
    return Held(np.stack([weights, weights], axis=1), opens, closes)


def earned_by(
    profiles: list[np.ndarray], gaps: tuple[int, ...], opens: np.ndarray, closes: np.ndarray
) -> float:
    """Step by step what stretches with these gaps before them earn."""
    total, place = 0.0, 0
    for gap, profile in zip(gaps, profiles, strict=False):
        place += gap
        for within, after in profile:
            total += within * (closes[place] / opens[place] - 1)
            total += after * (opens[place + 1] / closes[place] - 1) if place + 1 < len(opens) else 0.0
            place += 1
    return total


@pytest.mark.parametrize("seed", [1, 2, 3, 5])
def test_it_is_the_share_of_all_arrangements(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every order of three stretches and four gaps, counted by hand: half bars, a change of size, a short position."""
    monkeypatch.setattr(entries, "LEAST", 3)
    profiles = [
        np.array([[0.0, 0.5], [0.5, 0.5], [0.5, 0.0]]),
        np.array([[1.0, 1.0], [2.0, 2.0]]),
        np.array([[-1.0, -1.0]]),
    ]
    gaps = (2, 3, 0, 4)
    opens, closes = market(np.random.default_rng(seed), bars=15)
    rows = [np.zeros((2, 2)), profiles[0], np.zeros((3, 2)), profiles[1], profiles[2], np.zeros((4, 2))]
    real = earned_by(profiles, gaps, opens, closes)
    every = [
        earned_by(list(order), spaces, opens, closes)
        for order in itertools.permutations(profiles)
        for spaces in itertools.permutations(gaps)
    ]
    found = entry_test([Held(np.concatenate(rows), opens, closes)], draws=6_000)
    assert found.entries == 3
    assert found.earned == pytest.approx(real, rel=1e-9)
    assert found.probability == pytest.approx(np.mean(np.array(every) >= real - 1e-12), abs=OF_DRAWS)
    assert found.random == pytest.approx(np.mean(every), abs=3 * np.std(every) / math.sqrt(6_000))


@pytest.mark.parametrize(("side", "short"), [(1, False), (-1, False), (1, True)])
def test_on_noise_every_probability_is_as_likely(side: int, short: bool) -> None:
    """Rules that follow the trend, and one that goes against it: what they hold depends on prices, not on luck."""
    found = [
        entry_test(
            [trend(*market(np.random.default_rng(seed)), side, short)], draws=200, seed=seed
        ).probability
        for seed in range(MARKETS)
    ]
    assert stats.kstest(found, "uniform").pvalue > UNLIKELY
    assert np.mean(np.array(found) <= 0.05) <= 0.09


def test_symbols_that_move_together_do_not_pass_for_many() -> None:
    """Five symbols with one market behind them: shuffled one by one, 12% of such rules would show less than 5%."""
    found = []
    for seed in range(MARKETS):
        rng = np.random.default_rng(seed)
        common = rng.standard_normal(500)
        moves = [0.01 * (0.84 * common + 0.55 * rng.standard_normal(500)) for _ in range(5)]
        found.append(
            entry_test([trend(*market(rng, each)) for each in moves], draws=200, seed=seed).probability
        )
    assert stats.kstest(found, "uniform").pvalue > UNLIKELY
    assert np.mean(np.array(found) <= 0.05) <= 0.07


def test_planted_entries_are_found_and_their_reverse_is_not() -> None:
    good = entry_test([planted(1, 0.01)])
    assert good.probability < 0.001
    assert good.earned > 0.5 > good.random
    assert entry_test([planted(1, -0.01)]).probability > 0.99
    both = entry_test([planted(1, 0.01), planted(2, 0.01)])
    assert both.probability == pytest.approx(1 / 500), "one of as many arrangements as there are bars"
    assert (both.entries, both.draws) == (80, 499)


def test_what_is_always_held_has_no_moment_of_entry() -> None:
    opens, closes = market(np.random.default_rng(1))
    always = Held(np.full((500, 2), 0.9), opens, closes)
    for held in ([always], [always, always]):
        found = entry_test(held)
        assert found.probability == 1.0
        assert found.earned == found.random
    weights = always.weights.copy()
    weights[300:] = 0.4  # the size changes, the side does not
    assert entry_test([Held(weights, opens, closes)]).probability == 1.0


def test_few_entries_say_so_and_nothing_else() -> None:
    held = planted(1, 0.01)
    few = held.weights.copy()
    few[np.flatnonzero(np.diff(few[:, 0]) > 0)[entries.LEAST - 1] :] = 0.0
    found = entry_test([Held(few, held.opens, held.closes)])
    assert found.entries == entries.LEAST - 1
    assert math.isnan(found.probability)
    assert math.isnan(found.earned)
    for nothing in ([], [Held(np.zeros((500, 2)), held.opens, held.closes)]):
        assert entry_test(nothing).entries == 0
        assert math.isnan(entry_test(nothing).probability)


def test_blocks_change_nothing_and_a_seed_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = [planted(3, 0.001)], [planted(3, 0.001), planted(4, 0.0)]
    whole: list[EntryTest] = [entry_test(each, draws=300) for each in (one, two)]
    assert entry_test(one, draws=300, seed=1) != whole[0]
    monkeypatch.setattr(entries, "CHUNK", 1_000)
    for before, held in zip(whole, (one, two), strict=True):
        after = entry_test(held, draws=300)
        assert (after.probability, after.draws) == (before.probability, before.draws)
        assert after.random == pytest.approx(before.random, rel=1e-9)


def test_each_symbol_stays_on_its_own_bars() -> None:
    """A symbol with half of the bars is moved half as far; none is placed where it has no prices."""
    late = planted(5, 0.01)
    short = Held(late.weights[250:], late.opens[250:], late.closes[250:])
    found = entry_test([planted(6, 0.01), short])
    assert found.probability < 0.02
    assert found.draws == 499

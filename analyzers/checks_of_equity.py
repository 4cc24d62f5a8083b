"""Checks of the account's curve: whether it says anything, and whether a few bars made it."""

from __future__ import annotations

import math

import numpy as np

from analyzers.facts import Facts, Finding, money

SHORT_HISTORY_YEARS, FEW_BARS = 1.0, 100
DEEP = 0.5
NEAR_ZERO = 0.01
IDLE = 0.5
FEW_DAYS = 5
SURE = 0.95
TOO_GOOD_SHARPE, TOO_GOOD_WINS = 4.0, 0.9
ONE_YEAR = 0.8
BORROWED = 1.05


def not_finite(facts: Facts) -> Finding | None:
    """The account's value was no number on some bars."""
    lost = len(facts.equity) - len(facts.finite)
    if not lost:
        return None
    return Finding(
        "not_finite",
        "serious",
        "The account's value is not a number",
        f"{lost:,} of {len(facts.equity):,} bars have no finite value; the figures leave them out.",
        "Look for prices of zero or without a value in the data, and for sizes that overflow.",
    )


def lost_account(facts: Facts) -> Finding | None:
    """The account fell to nothing, or by more than half."""
    if not facts.finite.size:
        return None
    if float(facts.finite.min()) <= 0:
        return Finding(
            "lost_account",
            "serious",
            "The account was lost",
            f"Its value fell to {money(float(facts.finite.min()))}; ratios of returns are not defined after that.",
            "Cap the size of positions and the leverage: no venue lets an account trade below zero.",
        )
    deepest = facts.figure("max_drawdown")
    if not deepest >= DEEP:
        return None
    return Finding(
        "lost_account",
        "serious",
        "It lost more than half on the way",
        f"The largest drawdown is {deepest:.0%}: it takes {_way_back(deepest)} to come back from there.",
        "Few go on through such a fall; trade a fraction of the size, or find out what happened there.",
    )


def _way_back(drawdown: float) -> str:
    """The gain that makes up for a drawdown, which rounding may make a whole."""
    return f"{1 / (1 - drawdown) - 1:.0%}" if drawdown < 1 else "more than can be told"


def short_history(facts: Facts) -> Finding | None:
    """Less than a year, or a hundred bars."""
    bars, periods = len(facts.finite), facts.figure("periods_per_year")
    index = facts.result.equity.index
    years = (index[-1] - index[0]).total_seconds() / (365.25 * 86_400) if len(index) > 1 else 0.0
    if years >= SHORT_HISTORY_YEARS and bars >= FEW_BARS:
        return None
    length = f"{bars:,} bars over {years * 365.25:,.0f} days" if math.isfinite(periods) else f"{bars:,} bars"
    return Finding(
        "short_history",
        "serious" if bars < FEW_BARS else "warning",
        "Short history",
        f"{length}: it has seen one kind of market at most.",
        "Figures for a year are extrapolated from less; test it on years that differ.",
    )


def flat_equity(facts: Facts) -> Finding | None:
    """The account stood still for much of the run, or from some bar on."""
    if facts.finite.size < FEW_BARS / 2 or not len(facts.result.fills):
        return None
    moving = np.flatnonzero(np.diff(facts.finite))
    if not moving.size:
        return None
    idle = facts.finite.size - 2 - int(moving[-1])
    if idle < IDLE * facts.finite.size:
        return None
    since = facts.result.equity.index[np.flatnonzero(np.isfinite(facts.equity))[int(moving[-1]) + 1]]
    return Finding(
        "flat_equity",
        "warning",
        "The account stood still to the end",
        f"Nothing changed on the last {idle:,} of {facts.finite.size:,} bars, since {since:%Y-%m-%d}.",
        "See why it stopped: an order that hangs, a condition that never comes again, or cash that ran out.",
    )


def little_exposure(facts: Facts) -> Finding | None:
    """Almost never in the market."""
    exposure = facts.figure("exposure")
    if not exposure < NEAR_ZERO or not len(facts.result.fills):
        return None
    return Finding(
        "little_exposure",
        "warning",
        "Almost never in the market",
        f"A position was held at the end of {exposure:.2%} of the bars.",
        "Yearly figures say little of so few bars; judge it trade by trade.",
    )


def few_bars_carry(facts: Facts) -> Finding | None:
    """Without its best bars it would have lost."""
    returns = np.sort(facts.returns)
    if returns.size < 20 * FEW_DAYS or not facts.profit > 0:
        return None
    total = float(np.log1p(returns).sum())
    without = float(np.log1p(returns[:-FEW_DAYS]).sum())
    if without > 0 or total <= 0:
        return None
    return Finding(
        "few_bars_carry",
        "warning",
        f"{FEW_DAYS} bars carry the profit",
        f"With its {FEW_DAYS} best bars it returned {math.expm1(total):.1%}, without them {math.expm1(without):.1%}.",
        "Missing those few would have turned the result: look at them one by one.",
    )


def one_year_carries(facts: Facts) -> Finding | None:
    """Most of the profit came in one calendar year."""
    import pandas as pd

    equity = facts.result.equity[np.isfinite(facts.equity)]
    if len(equity) < 2 or not facts.profit > 0:
        return None
    years = pd.DatetimeIndex(equity.index).year
    ends = equity.groupby(years).last()
    earned = ends.diff()
    earned.iloc[0] = ends.iloc[0] - equity.iloc[0]
    best = float(earned.max())
    if len(earned) < 3 or best < ONE_YEAR * facts.profit:
        return None
    return Finding(
        "one_year_carries",
        "warning",
        "One year carries the profit",
        f"{earned.idxmax()} earned {money(best)} of {money(facts.profit)} in {len(earned)} calendar years.",
        "Ask what that year had that others lack; walk-forward shows how it does elsewhere.",
    )


def fades(facts: Facts) -> Finding | None:
    """It earned in the first half of the run and lost in the second."""
    half = facts.returns.size // 2
    if half < FEW_BARS / 2:
        return None
    early = float(np.log1p(facts.returns[:half]).sum())
    late = float(np.log1p(facts.returns[half:]).sum())
    if early <= 0 or late >= 0:
        return None
    return Finding(
        "fades",
        "warning",
        "It stopped working",
        f"The first half returned {math.expm1(early):.1%}, the second {math.expm1(late):.1%}.",
        "An edge that fades is often one that others found, or one that was fitted to the early years.",
    )


def could_be_chance(facts: Facts) -> Finding | None:
    """The Sharpe ratio is not surely above zero."""
    probability = facts.figure("psr")
    if not probability < SURE or not facts.figure("sharpe") > 0 or not len(facts.result.fills):
        return None
    return Finding(
        "could_be_chance",
        "warning",
        "It could be chance",
        f"The probability that the true Sharpe ratio is above zero is {probability:.0%}, "
        f"for returns of this length and shape.",
        "Take it as unproven: a longer history is the only cure, not more parameters.",
    )


def lost_money(facts: Facts) -> Finding | None:
    """It ended with less than it began with."""
    if not facts.profit < 0 or not len(facts.result.fills):
        return None
    return Finding(
        "lost_money",
        "warning",
        "It lost money",
        f"It began with {money(float(facts.finite[0]))} and ended with {money(float(facts.finite[-1]))}.",
        "See first whether it earns before costs; then which trades, exits and markets lose.",
    )


def too_good(facts: Facts) -> Finding | None:
    """Figures that honest backtests do not have."""
    sharpe, wins = facts.figure("sharpe"), facts.figure("win_rate")
    enough = facts.pnl.size >= 20
    if not (sharpe > TOO_GOOD_SHARPE and enough) and not (wins > TOO_GOOD_WINS and enough and sharpe > 2):
        return None
    return Finding(
        "too_good",
        "serious",
        "Too good to be true",
        f"A Sharpe ratio of {sharpe:.1f} with {wins:.0%} of {facts.pnl.size:,} trades won.",
        "Look for look-ahead first: python -m engine.lookahead STRATEGY; then for costs that are missing.",
    )


def in_sample_only(facts: Facts) -> Finding | None:
    """A backtest on the same bars that the parameters were, perhaps, chosen on."""
    if facts.result.kind != "backtest" or not len(facts.result.fills):
        return None
    if any(name in facts.result.meta for name in ("walkforward", "out_of_sample")):
        return None
    return Finding(
        "in_sample_only",
        "note",
        "Nothing here is out of sample",
        "One run over all bars cannot tell skill from parameters that were chosen to fit them.",
        "python -m optimize.walkforward STRATEGY judges it on bars it was not chosen on.",
    )


def loses_to_holding(facts: Facts) -> Finding | None:
    """Buying and holding the market returned more."""
    held, own = facts.figure("benchmark_return"), facts.figure("total_return")
    if not math.isfinite(held) or not own < held or not len(facts.result.fills):
        return None
    return Finding(
        "loses_to_holding",
        "note",
        "Buying and holding returned more",
        f"{own:.1%} against {held:.1%} over the same bars.",
        "That can be worth it for a smaller drawdown: compare both, and at the same risk.",
    )


def borrowed_money(facts: Facts) -> Finding | None:
    """Positions were worth more than the account."""
    finite = np.isfinite(facts.equity) & (facts.equity > 0) & np.isfinite(facts.invested)
    if not finite.any():
        return None
    leverage = facts.invested[finite] / facts.equity[finite]
    most = float(leverage.max())
    if most <= BORROWED:
        return None
    return Finding(
        "borrowed_money",
        "warning" if most < 3 else "serious",
        "It traded with borrowed money",
        f"Positions came to {most:.1f} times the account, and above it on {float((leverage > 1).mean()):.0%} of the bars.",
        "Borrowing costs, margin calls and liquidation are charged only where you ask for them: docs/costs.md.",
    )


CHECKS = (
    not_finite,
    lost_account,
    short_history,
    flat_equity,
    little_exposure,
    few_bars_carry,
    one_year_carries,
    fades,
    could_be_chance,
    lost_money,
    too_good,
    in_sample_only,
    loses_to_holding,
    borrowed_money,
)

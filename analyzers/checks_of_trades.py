"""Checks of what was traded: how often, on what, and whether the profit rests on more than luck."""

from __future__ import annotations

import math

import numpy as np

from analyzers.facts import Facts, Finding, money

FEW_TRADES = 30
"""Below this a mean has an error about as large as itself for most strategies."""
MOST_OF_PROFIT = 0.5
COSTLY, RUINOUS = 0.3, 1.0
THIN_EDGE = 0.0005
RARE_LOSSES, SMALL_WINS = 0.8, 0.35
REFUSED, UNFILLED = 0.05, 0.5
WITHIN_A_BAR = 0.2
GROWS_AFTER_LOSSES = 0.3


def no_trades(facts: Facts) -> Finding | None:
    """Nothing was bought or sold."""
    if len(facts.result.fills):
        return None
    orders = len(facts.result.orders)
    if orders:
        return Finding(
            "no_trades",
            "serious",
            "Nothing was traded",
            f"{orders:,} orders were made, none was filled.",
            "Look at the orders' status and prices: limits out of reach, too little cash, or orders made on the last bar.",
        )
    return Finding(
        "no_trades",
        "serious",
        "Nothing was traded",
        f"The strategy made no order in {len(facts.equity):,} bars.",
        "Check that its conditions can be met on these bars, that the warm-up leaves bars to trade, and its parameters.",
    )


def few_trades(facts: Facts) -> Finding | None:
    """Too few closed trades for a mean to say anything."""
    count = len(facts.pnl)
    if not len(facts.result.fills) or count >= FEW_TRADES:
        return None
    return Finding(
        "few_trades",
        "serious" if count < FEW_TRADES / 3 else "warning",
        "Few trades",
        f"{count} closed trades; below {FEW_TRADES} win rate and expectancy are mostly chance.",
        "Use a longer history, more symbols or a shorter timeframe before you believe the figures.",
    )


def one_trade_carries(facts: Facts) -> Finding | None:
    """Without its best trade the run earned little or nothing."""
    total = float(facts.pnl.sum())
    if facts.pnl.size < 2 or total <= 0:
        return None
    best = float(facts.pnl.max())
    if best < MOST_OF_PROFIT * total:
        return None
    return Finding(
        "one_trade_carries",
        "serious" if best >= total else "warning",
        "One trade carries the profit",
        f"The best trade earned {money(best)} of {money(total)} in all ({best / total:.0%}); "
        f"the other {facts.pnl.size - 1} together {money(total - best)}.",
        "Judge the strategy without that trade, and ask whether it could come again.",
    )


def costs_eat_the_edge(facts: Facts) -> Finding | None:
    """Commission, slippage and financing take much of what was earned before them."""
    part = facts.figure("cost_share")
    if not part >= COSTLY or part == 1.0:
        return None
    gross = facts.profit / (1.0 - part)
    return Finding(
        "costs_eat_the_edge",
        "serious" if part >= RUINOUS else "warning",
        "Costs eat the edge",
        f"It earned {money(gross)} before costs and paid {money(part * gross)} ({part:.0%}).",
        "Trade less often, work limit orders, or look for a larger move per trade; check your real fee tier.",
    )


def no_costs(facts: Facts) -> Finding | None:
    """Trading was free, which it never is."""
    charged = facts.result.costs
    if not len(facts.result.fills) or facts.paid != 0:
        return None
    if any(value for name, value in charged.items() if name != "cash"):
        return None
    return Finding(
        "no_costs",
        "warning",
        "Trading was free",
        f"{len(facts.result.fills):,} fills paid no commission, spread or slippage.",
        "Run it again with your venue's commission and a spread: --commission 0.001, and docs/costs.md.",
    )


def thin_edge(facts: Facts) -> Finding | None:
    """What is earned per unit traded is less than a usual spread."""
    if facts.traded <= 0 or not facts.profit > 0 or facts.pnl.size < FEW_TRADES:
        return None
    edge = facts.profit / facts.traded
    if edge >= THIN_EDGE:
        return None
    return Finding(
        "thin_edge",
        "warning",
        "The edge is thinner than a spread",
        f"It earned {edge * 1e4:.1f} basis points of the {money(facts.traded)} traded: "
        f"that much more cost per fill and nothing is left.",
        "Stress it with a wider spread before you trade it, and prefer entries that do not cross the spread.",
    )


def rare_large_losses(facts: Facts) -> Finding | None:
    """Many small wins against few large losses: the tail may be longer than the history."""
    won, lost = facts.pnl[facts.pnl > 0], -facts.pnl[facts.pnl < 0]
    if facts.pnl.size < FEW_TRADES / 3 or not won.size:
        return None
    rate = won.size / facts.pnl.size
    if rate < RARE_LOSSES:
        return None
    if not lost.size:
        return Finding(
            "rare_large_losses",
            "warning",
            "It never lost",
            f"All {facts.pnl.size} closed trades earned.",
            "Look for losses that are still open, for look-ahead, and for a stop that the history never reached.",
        )
    payoff = float(won.mean() / lost.mean())
    if payoff > SMALL_WINS:
        return None
    return Finding(
        "rare_large_losses",
        "warning",
        "Small wins, rare large losses",
        f"{rate:.0%} of the trades won {money(float(won.mean()))} on average; "
        f"the others lost {money(float(lost.mean()))}.",
        "A few losses more than the history has would turn the result: stress it with gaps and a crash.",
    )


def grows_after_losses(facts: Facts) -> Finding | None:
    """Sizes rise after losses: a martingale looks well until it ends."""
    trades = facts.result.trades
    if len(trades) < FEW_TRADES:
        return None
    value = np.abs(trades["size"].to_numpy(np.float64)) * trades["entry_price"].to_numpy(np.float64)
    result = trades["pnl_net"].to_numpy(np.float64)
    growth = np.diff(np.log(np.where(value > 0, value, np.nan)))
    after = growth[np.isfinite(growth) & (result[:-1] < 0)]
    other = growth[np.isfinite(growth) & (result[:-1] >= 0)]
    if after.size < 5 or other.size < 5 or float(np.median(after)) < GROWS_AFTER_LOSSES:
        return None
    if float(np.median(other)) >= 0:
        return None
    return Finding(
        "grows_after_losses",
        "serious",
        "Positions grow after losses",
        f"After a loss the next position is {math.expm1(float(np.median(after))):+.0%} in the median, "
        f"after a win {math.expm1(float(np.median(other))):+.0%}.",
        "A run of losses longer than in this history ends the account: cap the size and see what remains.",
    )


def one_side_earns(facts: Facts) -> Finding | None:
    """Longs and shorts were traded, and one of them loses."""
    trades = facts.result.trades
    size, result = trades["size"].to_numpy(np.float64), trades["pnl_net"].to_numpy(np.float64)
    longs, shorts = result[size > 0], result[size < 0]
    if min(longs.size, shorts.size) < FEW_TRADES / 3:
        return None
    sums = {"longs": float(longs.sum()), "shorts": float(shorts.sum())}
    if min(sums.values()) >= 0 or max(sums.values()) <= 0:
        return None
    loser = min(sums, key=lambda side: sums[side])
    winner = max(sums, key=lambda side: sums[side])
    return Finding(
        "one_side_earns",
        "note",
        f"Only the {winner} earn",
        f"{winner.capitalize()} earned {money(sums[winner])}, {loser} lost {money(-sums[loser])}.",
        f"The market may have done it: compare with buying and holding, and ask what the {loser} are for.",
    )


def refused_orders(facts: Facts) -> Finding | None:
    """Orders ended as Margin or Rejected."""
    orders = facts.result.orders
    refused = int(orders["status"].isin(("margin", "rejected")).sum())
    if not len(orders) or refused / len(orders) < REFUSED:
        return None
    return Finding(
        "refused_orders",
        "warning",
        "Orders were refused",
        f"{refused:,} of {len(orders):,} orders ended for want of cash or were rejected.",
        "Size by what the account can pay: what you see is not what the strategy meant to do.",
    )


def unfilled_orders(facts: Facts) -> Finding | None:
    """Most orders ended without a fill."""
    orders = facts.result.orders
    ended = orders["status"].isin(("cancelled", "expired"))
    unfilled = int((ended & (orders["filled"].to_numpy(np.float64) == 0)).sum())
    if len(orders) < 10 or unfilled / len(orders) < UNFILLED:
        return None
    return Finding(
        "unfilled_orders",
        "note",
        "Most orders were never filled",
        f"{unfilled:,} of {len(orders):,} orders were cancelled or expired without a fill.",
        "Live, the fills you miss are more often the good ones: rehearse it before you rely on these.",
    )


def trades_within_a_bar(facts: Facts) -> Finding | None:
    """Entry and exit fell on the same bar, whose inner path nobody knows."""
    bars = facts.result.trades["bars"].to_numpy(np.float64)
    within = int((bars == 0).sum())
    if not within or within / len(bars) < WITHIN_A_BAR:
        return None
    return Finding(
        "trades_within_a_bar",
        "warning",
        "Trades begin and end within one bar",
        f"{within:,} of {len(bars):,} trades closed on the bar they were opened on.",
        "Which price came first within a bar is an assumption: run it on shorter bars.",
    )


CHECKS = (
    no_trades,
    few_trades,
    one_trade_carries,
    costs_eat_the_edge,
    no_costs,
    thin_edge,
    rare_large_losses,
    grows_after_losses,
    one_side_earns,
    refused_orders,
    unfilled_orders,
    trades_within_a_bar,
)

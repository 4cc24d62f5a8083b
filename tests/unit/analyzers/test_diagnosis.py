"""B20: each check finds what it is named for, and is silent about a run without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyzers.diagnosis import CHECKS, Finding, diagnose
from analyzers.metrics import figures
from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, RunResult

BARS, TRADES, HELD = 1000, 60, 8
FORCED = [{"kind": kind} for kind in ("margin_call", "liquidation", "split", "margin_call")]
INDEX = pd.date_range("2020-01-01", periods=BARS, freq="B", tz="UTC")


def market() -> pd.DataFrame:
    """A thousand bars that go nowhere much, opening near the close before, far from their highs and lows."""
    rng = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(rng.normal(0.0, 0.01, BARS)))
    opening = np.r_[close[0], close[:-1]] * np.exp(rng.normal(0, 0.001, BARS))
    body = np.maximum(opening, close), np.minimum(opening, close)
    return pd.DataFrame(
        {"open": opening, "high": body[0] * 1.01, "low": body[1] * 0.99, "close": close, "volume": 1e6},
        index=INDEX,
    )


def sound() -> RunResult:
    """A run without a fault: sixty trades over four years, a Sharpe ratio near two, ten units at a time."""
    prices = market()
    rng = np.random.default_rng(8)
    equity = pd.Series(100_000 * np.exp(np.cumsum(rng.normal(0.0008, 0.006, BARS))), index=INDEX)
    trades, fills = [], []
    for number in range(TRADES):
        first, last = 10 + 16 * number, 10 + 16 * number + HELD
        bought, sold = prices["open"].iloc[first], prices["open"].iloc[last]
        net = 900.0 if number % 3 else -600.0 - number
        trades.append(
            ("A", INDEX[first], INDEX[last], 10.0, bought, sold, net + 20, net, 20.0, "signal", HELD)
        )
        fills += [
            (INDEX[first], "A", 10.0, bought, 10.0, 2 * number + 1),
            (INDEX[last], "A", -10.0, sold, 10.0, 2 * number + 2),
        ]
    orders = pd.DataFrame(
        [
            (
                1 + n,
                INDEX[5],
                "A",
                "market",
                "buy",
                10.0,
                *[np.nan] * 2,
                "filled",
                10.0,
                100.0,
                10.0,
                INDEX[6],
                "",
            )
            for n in range(120)
        ],
        columns=list(ORDER_COLUMNS),
    )
    return complete(
        RunResult(
            kind="paper",
            strategy="momentum",
            params={},
            data=_info(),
            equity=equity,
            cash=equity,
            trades=pd.DataFrame(trades, columns=list(TRADE_COLUMNS)),
            orders=orders,
            fills=pd.DataFrame(fills, columns=list(FILL_COLUMNS)),
            metrics={},
            engine="paper",
            engine_reason="",
            prices={"A": prices},
            costs={"cash": 100_000.0, "commission": 0.001},
        )
    )


def _info(**quality: object) -> Any:
    from core.types import DataInfo

    first, last = INDEX[0].to_pydatetime(), INDEX[-1].to_pydatetime()
    return DataInfo("csv:a.csv", ("A",), first, last, BARS, "1d", quality)


def complete(run: RunResult) -> RunResult:
    """With its figures, against holding the market."""
    held = run.prices["A"]["close"] if "A" in run.prices else None
    return replace(run, metrics=figures(run, benchmark=held))


def found(run: RunResult) -> dict[str, Finding]:
    return {finding.check: finding for finding in diagnose(complete(run))}


def with_trades(run: RunResult, **columns: Any) -> RunResult:
    return replace(run, trades=run.trades.assign(**columns))


def with_fills(run: RunResult, **columns: Any) -> RunResult:
    return replace(run, fills=run.fills.assign(**columns))


def with_bars(run: RunResult, **columns: Any) -> RunResult:
    return replace(run, prices={"A": run.prices["A"].assign(**columns)})


def with_equity(run: RunResult, values: Any) -> RunResult:
    return replace(run, equity=pd.Series(np.asarray(values, dtype=float), index=run.equity.index))


def with_orders(run: RunResult, count: int, status: str) -> RunResult:
    changed = run.orders.copy()
    changed.loc[: count - 1, ["status", "filled"]] = [status, 0.0]
    return replace(run, orders=changed)


def without_trading(run: RunResult) -> RunResult:
    return replace(run, trades=run.trades[:0], fills=run.fills[:0], orders=run.orders[:0])


def up_to(run: RunResult, bars: int) -> RunResult:
    return replace(run, equity=run.equity[:bars])


def best_bars_only(run: RunResult) -> np.ndarray:
    returns = np.full(BARS, -0.0001)
    returns[100:600:100] = 0.05
    return 100_000 * np.cumprod(1 + returns)


def one_good_year(run: RunResult) -> np.ndarray:
    good = run.equity.index.year == 2021
    return 100_000 * np.exp(np.cumsum(np.where(good, 0.001, 0.00001)))


def rises_and_falls() -> np.ndarray:
    wobble = np.random.default_rng(1).normal(0, 0.002, BARS)
    return 100_000 * np.exp(np.cumsum(np.r_[np.full(500, 0.001), np.full(500, -0.0008)] + wobble))


def barely() -> np.ndarray:
    """A sliver of a drift under much noise."""
    return 100_000 * np.exp(np.cumsum(np.random.default_rng(4).normal(0.0, 0.01, BARS) + 0.0002))


def doubling() -> np.ndarray:
    """Sizes that double after every loss and go back to ten after a win."""
    return np.where(np.arange(TRADES) % 3 == 1, 20.0, np.where(np.arange(TRADES) % 3 == 2, 10.0, 10.0))


def far_apart() -> pd.DatetimeIndex:
    return INDEX + pd.to_timedelta(np.repeat([0, 200, 400, 600], BARS // 4), unit="D")


def moved(run: RunResult) -> RunResult:
    """The same run with three holes of 200 days in its bars."""
    prices = run.prices["A"].set_axis(far_apart())
    return replace(run, prices={"A": prices})


Change = Callable[[RunResult], RunResult]
CASES: dict[str, tuple[Change, str]] = {
    "not_finite": (
        lambda run: with_equity(run, np.where(np.arange(BARS) == 7, np.inf, run.equity)),
        "1 of 1,000",
    ),
    "lost_account": (
        lambda run: with_equity(run, run.equity - np.r_[np.zeros(900), np.full(100, 2e5)]),
        "fell to \u2212",
    ),
    "short_history": (lambda run: up_to(run, 150), "150 bars over"),
    "flat_equity": (
        lambda run: with_equity(run, np.r_[run.equity[:400], np.full(600, run.equity.iloc[399])]),
        "last 600 of 1,000 bars, since 2021-07-13",
    ),
    "little_exposure": (
        lambda run: replace(with_fills(run), fills=run.fills[:2].assign(time=[INDEX[10], INDEX[12]])),
        "0.20% of the bars",
    ),
    "few_bars_carry": (lambda run: with_equity(run, best_bars_only(run)), "5 best bars"),
    "one_year_carries": (lambda run: with_equity(run, one_good_year(run)), "2021 earned"),
    "fades": (lambda run: with_equity(run, rises_and_falls()), "second"),
    "could_be_chance": (lambda run: with_equity(run, barely()), "above zero is "),
    "lost_money": (lambda run: with_equity(run, run.equity[::-1].to_numpy()), "and ended with"),
    "too_good": (
        lambda run: with_equity(
            run, 1e5 * np.exp(np.arange(BARS) * 0.001 + 1e-5 * np.sin(np.arange(BARS) ** 2))
        ),
        "Sharpe",
    ),
    "in_sample_only": (lambda run: replace(run, kind="backtest"), "One run over all bars"),
    "loses_to_holding": (lambda run: with_bars(run, close=np.linspace(100, 900, BARS)), "against 800.0%"),
    "borrowed_money": (lambda run: with_fills(run, size=run.fills["size"] * 200), "times the account"),
    "no_trades": (without_trading, "no order in 1,000 bars"),
    "few_trades": (lambda run: replace(run, trades=run.trades[:29]), "29 closed trades"),
    "one_trade_carries": (
        lambda run: with_trades(run, pnl_net=np.r_[60_000.0, run.trades["pnl_net"].to_numpy()[1:]]),
        "The best trade earned 60,000.00",
    ),
    "costs_eat_the_edge": (lambda run: with_fills(run, commission=500.0), "paid 60,000.00 (4"),
    "no_costs": (
        lambda run: replace(with_fills(run, commission=0.0), costs={"cash": 1.0, "commission": 0.0}),
        "120 fills paid no commission",
    ),
    "thin_edge": (lambda run: with_fills(run, price=run.fills["price"] * 1e4), "basis points"),
    "rare_large_losses": (
        lambda run: with_trades(run, pnl_net=np.where(np.arange(TRADES) % 10 == 0, -4000.0, 900.0)),
        "90% of the trades won 900.00 on average; the others lost 4,000.00",
    ),
    "grows_after_losses": (
        lambda run: with_trades(run, size=doubling(), entry_price=100.0),
        "+100% in the median",
    ),
    "one_side_earns": (
        lambda run: with_trades(run, size=np.where(run.trades["pnl_net"] > 0, 10.0, -10.0)),
        "shorts lost 12,570.00",
    ),
    "refused_orders": (lambda run: with_orders(run, 12, "margin"), "12 of 120 orders"),
    "unfilled_orders": (lambda run: with_orders(run, 80, "cancelled"), "80 of 120 orders"),
    "trades_within_a_bar": (lambda run: with_trades(run, bars=np.arange(TRADES) % 4), "15 of 60 trades"),
    "fills_beyond_volume": (
        lambda run: with_bars(run, volume=5.0),
        "120 more than all of it (at most 200% of it)",
    ),
    "fills_at_the_extreme": (
        lambda run: with_fills(
            run,
            price=[
                run.prices["A"].at[when, "low" if size > 0 else "high"]
                for when, size in zip(run.fills["time"], run.fills["size"], strict=True)
            ],
        ),
        "120 of 120 fills bought at the low",
    ),
    "fills_outside_the_bar": (lambda run: with_fills(run, price=run.fills["price"] * 1.05), "above the high"),
    "bars_without_volume": (
        lambda run: with_bars(
            run, volume=np.where(run.prices["A"].index.isin(run.fills["time"][:30]), 0.0, 1e6)
        ),
        "30 of 120 fills",
    ),
    "gaps_at_entries": (
        lambda run: with_bars(
            run,
            close=np.where(run.prices["A"].index.isin(run.fills["time"] - pd.offsets.BDay(1)), 10.0, 100.0),
        ),
        "120 of 120 fills",
    ),
    "open_at_the_end": (lambda run: replace(run, fills=run.fills[:-1]), "what is open at the end"),
    "stale_bars": (
        lambda run: replace(
            run, prices={"A": run.prices["A"].iloc[np.r_[0:500, [499] * 6, 506:BARS]].set_axis(INDEX)}
        ),
        "6 bars of A repeat the bar before, up to 6 in a row",
    ),
    "mended_data": (
        lambda run: replace(run, data=_info(filled_bars=40, rows=1000)),
        "40 filled bars in 1,000 bars",
    ),
    "holes": (moved, "3 stretches without bars, the longest of 20"),
    "forced_closings": (
        lambda run: replace(run, meta={"costs": {"events": FORCED}}),
        "margin 2 times, and positions were closed by force 1 times",
    ),
}


def test_a_sound_run_is_found_sound() -> None:
    assert diagnose(sound()) == ()


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_finds_what_it_is_named_for(check: str) -> None:
    change, evidence = CASES[check]
    finding = found(change(sound())).get(check)
    assert finding is not None
    assert evidence in finding.evidence
    assert finding.advice
    assert finding.title


def test_there_are_at_least_twenty() -> None:
    assert len(CHECKS) >= 20
    assert set(CHECKS) == set(CASES)


def test_the_most_serious_comes_first() -> None:
    run = replace(with_bars(sound(), volume=5.0), kind="backtest", trades=sound().trades[:29])
    assert [finding.severity for finding in diagnose(run)] == ["serious", "warning", "note"]


@pytest.mark.parametrize(
    "equity", [[], [1000.0], [np.nan, np.nan], [0.0, 0.0], [1e-8, 2e-8], [1.0, -5.0, np.inf]]
)
def test_odd_accounts_are_findings_and_no_errors(equity: list[float], make_run: Any) -> None:
    run = make_run(equity)
    checks = [finding.check for finding in diagnose(run, figures=figures(run))]
    assert "no_trades" in checks
    assert not any("nan" in finding.evidence or "inf" in finding.evidence for finding in diagnose(run))

"""What a report says, worked out once."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analyzers.metrics import figures
from core.results import RunResult
from reports.document import first_symbol, make_report
from reports.figures import FIGURES, GROUPS, MISSING


def test_figures_are_those_of_the_analyzers_against_the_first_symbol(run: RunResult):
    report = make_report(run)
    expected = figures(run, benchmark=run.prices["AAA"]["close"])
    assert {key: repr(value) for key, value in report.figures.items()} == {
        key: repr(value) for key, value in expected.items()
    }
    assert [row.figure.key for row in report.rows] == [
        figure.key for group in GROUPS.values() for figure in group
    ]
    assert report.row("total_return").text == FIGURES["total_return"].text(expected)


def test_a_given_benchmark_goes_before_the_first_symbol(run: RunResult):
    """B18"""
    twice = pd.Series(np.linspace(100.0, 200.0, 30), index=run.equity.index, name="INDEX")
    report = make_report(run, benchmark=twice)
    assert report.figures["benchmark_return"] == pytest.approx(1.0)
    assert report.benchmark is not None
    assert report.benchmark.name == "INDEX"


def test_the_title_is_the_strategy_and_its_market_unless_another_is_given(run: RunResult):
    assert make_report(run).title == "momentum on AAA"
    assert make_report(replace(run, strategy="mine/turtle.py:Turtle")).title == "Turtle on AAA"
    assert make_report(run, title="Ours").title == "Ours"


def test_trades_are_newest_first_with_their_move_and_excursions(make_run):
    trades = [
        ("AAA", 2, 4, 2.0, 50.0, 51.0, 2.0, 1.8, 0.2, "signal", 2),
        ("AAA", 5, 7, -2.0, 50.0, 45.0, 10.0, 9.5, 0.5, "stop_loss", 2),
    ]
    grid = make_report(make_run([1000.0 + bar for bar in range(20)], trades=trades)).trades
    newest, oldest = grid.records()
    assert (newest["side"], newest["size"], newest["exit_reason"]) == ("short", 2.0, "stop loss")
    assert newest["move"] == pytest.approx(0.1)
    assert oldest["move"] == pytest.approx(0.02)
    # Bars 2 and 3: highs 51.909 and 51.141, lows 49.909 and 49.141; the last bar counts by its exit price.
    assert oldest["mfe"] == pytest.approx((51 + math.sin(2) - 50) / 50)
    assert oldest["mae"] == pytest.approx((50 - (49 + math.sin(3))) / 50)


def test_a_year_is_the_product_of_its_months(make_run):
    report = make_report(make_run([100.0] * 20 + [110.0] * 23 + [99.0] * 20))
    (year,) = report.months.records()
    assert year["year"] == "2024"
    assert year["jan"] == pytest.approx(0.10)
    assert year["feb"] == pytest.approx(-0.10)
    assert year["whole"] == pytest.approx(-0.01)
    assert year["jun"] is None


def test_parameters_and_notes_are_without_secrets(make_run):
    run = make_run([1.0, 2.0], params={"api_key": "planted"}, notes=("password=planted", "x", "x"))
    report = make_report(run)
    assert "planted" not in str((report.parameters, report.remarks))
    assert report.remarks.count("x") == 1


def test_costs_say_what_was_asked_and_what_it_came_to(run: RunResult):
    costs = dict(make_report(run).costs)
    assert costs["Commission"] == "0.1% of the value traded"
    assert costs["Commission paid"] == FIGURES["commission"].text(run.metrics)


def test_what_was_charged_beside_the_commission_is_told_as_money(make_run):
    charged = {
        "cash": 1000.0,
        "spread": 0.0005,
        "slippage_paid": 12.345,
        "borrow_paid": 0.0,
        "fees_paid": 3.0,
    }
    run = make_run([1000.0, 990.0], costs=charged, meta={"costs": {"text": "half of a spread", "events": []}})
    costs = dict(make_report(run).costs)
    assert costs["Spread"] == "0.05% of the price"
    assert costs["Spread and slippage paid"] == "12.35"
    assert costs["Charged"] == "half of a spread"
    assert not {"Borrowing paid", "Fees paid"} & set(costs)


def test_breakdowns_add_up(run: RunResult):
    report = make_report(run)
    (reason,) = report.exit_reasons.records()
    assert reason["exit_reason"] == "profit target"
    assert reason["total"] == pytest.approx(run.trades["pnl_net"].sum())
    assert sum(row["share"] for row in report.regimes.records()) == pytest.approx(1.0)


EDGES = {
    "no trades": ({"equity": [1000.0, 1010.0, 1005.0] * 20}, "No trade was closed"),
    "no bars": ({"equity": []}, "no bars"),
    "nothing known": ({"equity": [math.nan] * 20}, "No bar has a finite account value"),
    "not finite": (
        {"equity": [1000.0, math.nan, 1010.0, math.inf] * 10},
        "20 bars without a finite account value are left out",
    ),
    "never fell": ({"equity": [1000.0 + bar for bar in range(50)]}, "never fell below an earlier high"),
    "never changed": ({"equity": [1000.0] * 40}, "never changed"),
    "lost": ({"equity": [1000.0, 500.0, -10.0, 20.0] * 5}, "The account was lost"),
    "one day": ({"equity": [1000.0 + bar % 3 for bar in range(390)], "freq": "min"}, "1 day long"),
    "no prices": ({"equity": [1000.0, 1001.0], "prices": {}}, "no prices"),
}


@pytest.mark.parametrize(("given", "said"), EDGES.values(), ids=EDGES)
def test_what_is_missing_is_said(make_run, given, said: str):
    report = make_report(make_run(**given))
    assert any(said in remark for remark in report.remarks)
    for row in report.rows:
        assert math.isnan(row.value) == (row.text == MISSING)


@pytest.mark.parametrize("count", [1, 3])
def test_one_trade_and_only_losses_are_said(make_run, count: int):
    lost = [("AAA", bar, bar + 1, 1.0, 50.0, 49.0, -1.0, -1.1, 0.1, "signal", 1) for bar in range(count)]
    said = make_report(make_run([1000.0 - bar for bar in range(40)], trades=lost)).remarks
    assert ("One trade was closed: figures of trades describe it alone." in said) == (count == 1)
    assert ("Every trade lost." in said) == (count == 3)


def test_an_ordinary_run_needs_no_remark(make_run):
    walk = list(1000 * np.cumprod(1 + np.random.default_rng(1).normal(0, 0.01, 300)))
    trades = [
        ("AAA", bar, bar + 2, 1.0, 50.0, 50.0 + gain, gain, gain, 0.0, "signal", 2)
        for bar, gain in ((2, 1.0), (9, -1.0))
    ]
    assert make_report(make_run(walk, trades=trades)).remarks == ()


def test_the_first_symbol_over_the_run_is_the_benchmark(make_run):
    run = make_run([1000.0] * 5, symbols=("AAA", "BBB"))
    held = first_symbol(run)
    assert held is not None
    assert (held.name, len(held)) == ("AAA", 5)
    assert first_symbol(make_run([1000.0], prices={})) is None

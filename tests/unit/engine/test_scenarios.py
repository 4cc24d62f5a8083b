"""E6 and E7: named stresses and scenarios of one's own, beside the run as it was."""

from __future__ import annotations

import math
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from core.errors import ConfigError, UnknownNameError
from engine.scenario_file import read_scenarios
from engine.scenarios import BASE, COMPARED, Outcomes, Scenario, scenarios, stresses
from engine.shocks import Gap, Noise, Outage, Volatility
from feeds.market import Market, load

CASH, BARS = 100_000.0, 60


class Holds(bt.Strategy):
    """Buys on the fifth bar and sells on the fortieth."""

    params = (("size", 100),)

    def next(self) -> None:
        if len(self) == 5:
            self.buy(size=self.p.size)
        elif len(self) == 40:
            self.close()


@pytest.fixture(scope="module")
def market() -> Market:
    close = 50.0 + np.arange(BARS) * 0.5
    bars = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1e6}
    index = pd.date_range("2022-01-03", periods=BARS, freq="B", tz="UTC")
    return load(pd.DataFrame(bars, index=index))


def run(market: Market, *listed: Scenario) -> Outcomes:
    return scenarios(Holds, market, listed, cash=CASH, commission=0.0)


def test_a_gap_costs_what_it_takes_from_the_position(market: Market) -> None:
    """Bought at the open of bar 5 for 52.50, sold at that of bar 40 for 70.00; the largest position is at bar 39."""
    found = run(market, Scenario("down", (Gap(-0.1),)), Scenario("early", (Gap(-0.1, at=0.0),)))
    table = found.table()
    assert table.index.tolist() == [BASE, "down", "early"]
    assert table.loc[BASE, "end_value"] == pytest.approx(CASH + 100 * (70.0 - 52.5))
    assert table.loc["down", "end_value"] == pytest.approx(CASH + 100 * (0.9 * 70.0 - 52.5))
    assert table.loc["early", "end_value"] == pytest.approx(CASH + 100 * 0.9 * (70.0 - 52.5))
    assert table.loc["down", "end_value_delta"] == pytest.approx(-700.0)
    assert table.loc[BASE, "end_value_delta"] == 0.0


def test_costs_commission_and_parameters(market: Market) -> None:
    found = run(
        market,
        Scenario("spread", costs={"spread": 0.02}),
        Scenario("dear", commission=0.01),
        Scenario("twice", params={"size": 200}),
    )
    table = found.table()["end_value_delta"]
    assert table["spread"] == pytest.approx(-100 * 0.01 * (52.5 + 70.0))
    assert table["dear"] == pytest.approx(-100 * 0.01 * (52.5 + 70.0))
    assert table["twice"] == pytest.approx(100 * 17.5)


def test_what_cannot_run_says_so_beside_the_others(market: Market) -> None:
    found = run(market, Scenario("wrong", params={"sizes": 1}), Scenario("fine", (Outage(2),)))
    wrong, fine = found.scenarios
    assert wrong.result is None
    assert "sizes" in wrong.failure
    assert fine.result is not None
    table = found.table()
    assert math.isnan(table.loc["wrong", "end_value"])
    assert found.failures == {"wrong": wrong.failure}
    assert list(found.runs) == ["fine"]


def test_the_same_seed_draws_the_same_market(market: Market) -> None:
    noisy = Scenario("noise", (Noise(0.5),))
    once, again = (scenarios(Holds, market, [noisy], seed=3).table() for _ in range(2))
    other = scenarios(Holds, market, [noisy], seed=4).table()
    pd.testing.assert_frame_equal(once, again)
    assert once.loc["noise", "end_value"] != other.loc["noise", "end_value"]


def test_the_named_stresses_run_on_the_sample_market() -> None:
    told: list[int] = []
    found = scenarios("momentum", load("sample:goog"), stresses(), on_run=told.append)
    assert told == list(range(1, len(stresses()) + 2))
    table = found.table()
    assert table["end_value"].notna().all()
    shocked = table.drop(index=BASE)["total_return_delta"]
    assert shocked["gap of -10% against the largest position"] < 0
    assert shocked["spread x 5"] < 0
    assert (table.columns == [*COMPARED, *(f"{name}_delta" for name in COMPARED)]).all()


def test_scenarios_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        """
scenarios:
  - name: flash crash
    shocks:
      - gap: {size: -0.2, at: 0.5}
      - volatility: {times: 3, begin: 0.5, end: 0.6}
  - name: late
    shocks: [delay]
    costs: {spread: 0.002}
    params: {fast: 20}
    commission: 0.002
"""
    )
    crash, late = read_scenarios(file)
    assert crash == Scenario("flash crash", (Gap(-0.2, 0.5), Volatility(3, 0.5, 0.6)))
    assert (late.costs, late.params, late.commission) == ({"spread": 0.002}, {"fast": 20}, 0.002)
    assert late.shocks[0].costs.__self__.bars_later == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scenarios: {", "is not YAML"),
        ("- name: a", "lists no scenarios"),
        ("scenarios: []", "lists no scenarios"),
        ("scenarios:\n- shocks: []", "scenario 1 has no name"),
        ("scenarios:\n- name: a\n  shock: []", "shock"),
        ("scenarios:\n- name: a\n  shocks: {gap: 1}", "shocks is not a list"),
        ("scenarios:\n- name: a\n  shocks: [gaps]", "gap"),
        ("scenarios:\n- name: a\n  shocks:\n  - gap: {sise: 1}", "size"),
        ("scenarios:\n- name: a\n  shocks:\n  - gap: {size: -2}", "gap: size is -2"),
        ("scenarios:\n- name: a\n  shocks:\n  - gap: {size: much}", "gap"),
        ("scenarios:\n- name: a\n  costs: {spred: 1}", "spread"),
        ("scenarios:\n- name: a\n  costs: {spread: -1}", "spread"),
        ("scenarios:\n- name: a\n  params: 3", "params is not a mapping"),
        ("scenarios:\n- name: a\n  commission: much", "commission"),
        ("scenarios:\n- name: a\n- name: a", "two scenarios are called 'a'"),
        (f"scenarios:\n- name: {BASE}", "two scenarios are called"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises((ConfigError, UnknownNameError)) as caught:
        read_scenarios(file)
    assert said in f"{caught.value} {caught.value.hint}"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_scenarios(tmp_path / "none.yaml")

"""Adverse and favourable excursions of trades on bars drawn by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyzers.metrics import excursion_metrics, excursions
from core.results import TRADE_COLUMNS

DAYS = pd.date_range("2024-01-01", periods=6, freq="D", tz="UTC")
BARS = pd.DataFrame(
    {"high": [101.0, 104, 110, 106, 130, 90], "low": [99.0, 95, 102, 80, 100, 70]}, index=DAYS
)


def trade(
    first: int, last: int, size: float, entry: float, left: float, symbol: str = "A"
) -> tuple[object, ...]:
    return (symbol, DAYS[first], DAYS[last], size, entry, left, 0.0, 0.0, 0.0, "", last - first)


def table(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(TRADE_COLUMNS), index=range(5, 5 + len(rows)))


def test_a_long_and_a_short_trade_by_hand() -> None:
    """R13: bought at 100, held over the bars 1 and 2, out at 105; the same sold short."""
    found = excursions(table(trade(1, 3, 2, 100, 105), trade(1, 3, -2, 100, 105)), {"A": BARS})
    assert found.loc[5].tolist() == pytest.approx([0.05, 0.10])
    assert found.loc[6].tolist() == pytest.approx([0.10, 0.05])


def test_of_the_bar_of_the_exit_only_the_price_counts() -> None:
    found = excursions(table(trade(1, 3, 1, 100, 85), trade(2, 2, 1, 105, 103)), {"A": BARS})
    assert found.loc[5].tolist() == pytest.approx([0.15, 0.10])
    assert found.loc[6].tolist() == pytest.approx([2 / 105, 0.0])


def test_a_trade_that_never_lost_has_no_adverse_excursion() -> None:
    found = excursions(table(trade(4, 5, 1, 95, 120)), {"A": BARS})
    assert found.loc[5].tolist() == pytest.approx([0.0, 35 / 95])


def test_the_last_bar_and_times_between_bars() -> None:
    late = table(trade(4, 5, -1, 100, 75))
    late["exit_time"] += pd.Timedelta("1h")  # after the last bar, which counts whole
    late["entry_time"] -= pd.Timedelta("1h")  # within the bar that ends at DAYS[4]
    assert excursions(late, {"A": BARS}).loc[5].tolist() == pytest.approx([0.30, 0.30])


def test_what_is_not_known_is_nan() -> None:
    gappy = BARS.assign(high=[np.nan] * 6)
    none = excursions(table(trade(1, 3, 1, 100, 105, "B"), trade(1, 3, 1, 0.0, 5)), {"A": BARS})
    assert none.isna().to_numpy().all()
    assert excursions(table(trade(1, 3, 1, 100, 105)), {"A": gappy}).loc[5].tolist() == pytest.approx(
        [0.05, 0.05]
    )
    assert excursions(table(), {"A": BARS}).shape == (0, 2)
    assert excursions(table(trade(1, 3, 1, 100, 105)), {"A": BARS.iloc[:0]}).isna().to_numpy().all()


def test_prices_of_several_symbols_are_kept_apart_and_means_leave_out_what_is_not_known() -> None:
    rows = table(trade(1, 3, 1, 100, 105), trade(1, 3, 1, 1000, 1050, "B"), trade(1, 3, 1, 5, 5, "C"))
    prices = {"A": BARS, "B": BARS * 10}
    assert excursions(rows, prices).loc[6].tolist() == pytest.approx([0.05, 0.10])
    assert excursion_metrics(rows, prices) == pytest.approx({"mae": 0.05, "mfe": 0.10})

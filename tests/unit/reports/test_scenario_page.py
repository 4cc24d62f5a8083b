"""E7: the table of deltas as a page and as a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reports.figures import MINUS, MISSING
from reports.scenario_page import COLUMNS, overlay, scenario_grid, scenario_page

FIGURES = ("total_return", "sharpe", "max_drawdown", "trades")


def table(*rows: tuple[str, float]) -> pd.DataFrame:
    made = pd.DataFrame(
        {name: [value for _, value in rows] for name in FIGURES}, index=[name for name, _ in rows]
    )
    return made.join((made - made.iloc[0].to_numpy()).add_suffix("_delta"))


def test_the_run_as_it_was_has_no_changes_of_its_own() -> None:
    grid = scenario_grid(table(("as it was", 0.5), ("gap", 0.2), ("failed", np.nan)))
    assert list(grid.texts()) == [
        ("as it was", "50.00%", MISSING, "0.50", "50.00%", MISSING, "0"),
        ("gap", "20.00%", f"{MINUS}30.00%", "0.20", "20.00%", f"{MINUS}30.00%", "0"),
        ("failed", *[MISSING] * (len(COLUMNS) - 1)),
    ]


def test_the_page_names_what_failed_and_escapes_it(make_run: Any) -> None:
    base, worse = make_run([100.0, 110.0, 120.0]), make_run([100.0, 90.0, 80.0])
    found = table(("as it was", 0.2), ("<b>gap</b>", -0.2), ("failed", np.nan))
    page = scenario_page(base, {"<b>gap</b>": worse}, found, {"failed": "too <few> bars"})
    assert "&lt;b&gt;gap&lt;/b&gt;" in page
    assert "<b>gap</b>" not in page
    assert "<strong>failed</strong>: too &lt;few&gt; bars" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_worst_is_named_and_the_others_share_a_name(make_run: Any) -> None:
    base = make_run([100.0, 110.0, 120.0])
    runs = {
        name: make_run([100.0, 90.0, end]) for name, end in (("one", 80.0), ("two", 70.0), ("three", 95.0))
    }
    drawn = overlay(base, runs, "two", (600.0, 300.0))
    words = [shape.text for shape in drawn.shapes if type(shape).__name__ == "Label"]
    assert [word for word in words if word in {"as it was", "one", "two", "three", "others"}] == [
        "as it was",
        "two",
        "others",
    ]


def test_accounts_that_are_lost_or_empty_are_not_drawn(make_run: Any) -> None:
    base = make_run([0.0, 1.0])
    assert "Nothing to draw" in str(overlay(base, {}, None, (600.0, 300.0)))

from __future__ import annotations

import json
from datetime import UTC, datetime

from feeds.quality import BadCell, QualityReport, merge

ONE = QualityReport(
    rows=10,
    bars=11,
    zero_prices=1,
    filled_values=4,
    inserted_bars=1,
    cells=(BadCell("A", 3, "close", "x"),),
    filled_times=(datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)),
    notes=("a",),
)
OTHER = QualityReport(rows=5, bars=5, missing_volumes=2, closures=3, notes=("b",))


def test_a_report_is_plain_values_for_json() -> None:
    """D1"""
    facts = json.loads(json.dumps(ONE.as_dict()))
    assert facts["cells"] == [{"symbol": "A", "row": 3, "column": "close", "value": "x"}]
    assert facts["filled_times"] == ["2024-01-02T00:00:00+00:00", "2024-01-03T00:00:00+00:00"]
    assert facts["filled_bars"] == 2


def test_a_summary_is_one_line() -> None:
    assert ONE.summary() == (
        "11 bars; 2 bars filled from the bar before, 1 of them had no row, 1 zero price taken as missing, "
        "1 cell not a number"
    )
    assert OTHER.summary() == "5 bars; 2 volumes missing, now 0"


def test_reports_of_several_symbols_add_up() -> None:
    both = merge([ONE, OTHER])
    assert (both.rows, both.bars, both.closures, both.missing_volumes) == (15, 16, 3, 2)
    assert both.cells == ONE.cells
    assert both.notes == ("a", "b")
    assert merge([ONE]) is ONE
    assert not both.untouched

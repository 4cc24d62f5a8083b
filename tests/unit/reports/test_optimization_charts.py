"""What the charts of an optimisation draw."""

from __future__ import annotations

import numpy as np
import pytest

from core.jsontext import jsonable
from reports.optimization_charts import CELLS, MOST_AXES, MOST_LINES, axis_of, chart_data
from tests.unit.reports.optimizations import document, with_second_objective

SHORTENED = 1e-3
"""Cells are written with four digits."""


def test_few_values_have_a_cell_each_in_order():
    axis = axis_of([30, 10, 20, 10])
    assert axis.labels == ("10", "20", "30")
    assert axis.cells.tolist() == [2, 0, 1, 0]
    assert axis.places.tolist() == [1.0, 0.0, 0.5, 0.0]


def test_many_values_share_cells_that_say_what_they_hold():
    axis = axis_of(list(range(2, 202)))
    assert len(axis.labels) == CELLS
    assert axis.labels[0] == "2 to 11"
    assert axis.cells.min() == 0
    assert axis.cells.max() == CELLS - 1


def test_values_that_lie_evenly_by_ratio_are_placed_so():
    axis = axis_of([1e-4, 1e-3, 1e-2, 1e-1])
    assert axis.places == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert axis_of([1, 100, 200, 300, 400]).places[2] == pytest.approx(199 / 399)


@pytest.mark.parametrize("values", [[True, False], ["a", 3], [None, "b"], ["x", "x"]])
def test_choices_stand_in_the_middle_of_their_share(values: list[object]):
    axis = axis_of(values)
    assert len(axis.labels) == len(set(map(str, values)))
    assert axis.place(values[0]) == axis.places[0]
    assert axis.place("unheard of") is None


def test_a_single_value_stands_in_the_middle():
    axis = axis_of([7, 7])
    assert axis.places.tolist() == [0.5, 0.5]
    assert axis.labels == ("7",)


def test_cells_hold_the_median_and_the_best_of_their_trials():
    made = document()
    data = chart_data(jsonable(made))
    pair = data["heat"]["pairs"]["0,2"][0]
    fast, mode = made["trials"]["params"]["fast"], made["trials"]["params"]["mode"]
    values = np.array([np.nan if v is None else v for v in made["trials"]["values"]["sharpe"]])
    across, down = axis_of(fast), axis_of(mode)
    seen = 0
    for row in range(len(down.labels)):
        for column in range(len(across.labels)):
            inside = values[(across.cells == column) & (down.cells == row) & np.isfinite(values)]
            place = row * len(across.labels) + column
            assert pair["count"][place] == len(inside)
            if len(inside):
                seen += 1
                assert pair["median"][place] == pytest.approx(np.median(inside), rel=SHORTENED)
                assert pair["best"][place] == pytest.approx(inside.max(), rel=SHORTENED)
            else:
                assert pair["median"][place] is None
    assert seen > CELLS
    assert data["heat"]["chosen"][0] == across.cells[fast.index(made["chosen"]["fast"])]
    assert data["heat"]["first"] == [0, 1]


def test_less_is_better_turns_best_and_history():
    made = document()
    made["objectives"] = [{"name": "sharpe", "largest": False}]
    data = chart_data(jsonable(made))
    values = [value for value in made["trials"]["values"]["sharpe"] if value is not None]
    assert data["history"]["best"][1][-1] == pytest.approx(min(values), rel=SHORTENED)
    assert data["history"]["low"] == pytest.approx(min(values))
    assert data["lines"][-1][:2] == [1.0, pytest.approx(min(values), rel=SHORTENED)]


def test_every_new_best_is_in_the_history_however_many_trials():
    made = document(trials=9_000)
    history = chart_data(jsonable(made))["history"]
    best, expected = -np.inf, []
    for number, value in enumerate(made["trials"]["values"]["sharpe"]):
        if value is not None and value > best:
            best = value
            expected.append(number)
    assert history["best"][0] == expected
    assert set(expected) <= set(history["points"][0])
    assert len(history["points"][0]) < 3_000


def test_lines_are_few_with_the_best_last():
    data = chart_data(jsonable(document(trials=9_000)))
    ranks = [rank for rank, _, _ in data["lines"]]
    assert len(ranks) == MOST_LINES
    assert ranks == sorted(ranks)
    assert ranks[-1] == 1.0
    assert ranks[0] == 0.0


def test_both_equities_are_one_at_the_bar_before_the_first_test():
    data = chart_data(jsonable(document()))["equity"]
    assert data["outside"][1][0] == 1.0
    place = data["inside"][0].index(data["outside"][0][0])
    assert data["inside"][1][place] == 1.0
    assert data["tests"][0] == data["outside"][0][1]


def test_of_many_parameters_the_most_important_are_drawn():
    made = document()
    columns = {f"p{number}": made["trials"]["params"]["fast"] for number in range(20)}
    made["names"] = list(columns)
    made["chosen"] = dict.fromkeys(columns, 5)
    made["windows"] = [window | {"params": made["chosen"]} for window in made["windows"]]
    made["trials"]["params"] = columns
    made["importance"] = {f"p{number}": {"alone": 0.1, "joint": 0.0} for number in range(19, -1, -1)}
    data = chart_data(jsonable(made))
    assert data["names"] == [f"p{number}" for number in range(10, 20)]
    assert len(data["heat"]["pairs"]) == MOST_AXES * (MOST_AXES - 1) // 2
    assert data["heat"]["first"] == [8, 9]


def test_drift_places_what_only_a_window_chose():
    made = document()
    made["windows"][0]["params"] = {"fast": 600, "stop": 0.01, "mode": "sideways"}
    drift = chart_data(jsonable(made))["drift"]
    assert drift[0]["points"][0][:2] == [1.0, "600"]
    assert drift[2]["points"][0][1] == "sideways"
    assert drift[2]["points"][0][0] is not None


def test_the_trade_off_is_drawn_for_several_objectives():
    assert chart_data(jsonable(document()))["front"] is None
    front = chart_data(jsonable(with_second_objective(document())))["front"]
    assert front["names"] == ["Sharpe", "Largest drawdown"]
    assert len(front["front"][0]) == 2
    assert len(front["points"][0]) == 199

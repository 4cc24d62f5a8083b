"""Charts as shapes: ticks, what is left out, what is kept."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from reports.axes import round_step, time_ticks, value_ticks
from reports.plots import MOST_POINTS, Area, Label, Line, bars, fan, over_time, thinned
from reports.svg import svg

SIZE = (400.0, 120.0)
ROUNDED = 1e-9  # of the span


@given(some.floats(-1e9, 1e9), some.floats(1e-6, 1e9), some.integers(2, 12))
def test_ticks_are_few_round_and_within(low: float, span: float, most: int):
    high = low + span
    ticks = value_ticks(low, high, most, "ratio")
    assert len(ticks) <= most + 1
    for value, _ in ticks:
        assert low - ROUNDED * (abs(low) + span) <= value <= high + ROUNDED * (abs(high) + span)


@pytest.mark.parametrize(
    ("low", "high", "unit", "labels"),
    [
        (0.0, 1.0, "ratio", ["0.0", "0.5", "1.0"]),
        (-0.2, 0.0, "percent", ["\u221220%", "\u221210%", "0%"]),
        (0.0, 4e6, "money", ["0M", "2M", "4M"]),
        (100.0, 100_500.0, "money", ["50,000", "100,000"]),
        (1.0, 1.0, "ratio", []),
    ],
)
def test_labels_of_values(low: float, high: float, unit: str, labels: list[str]):
    assert [label for _, label in value_ticks(low, high, 3, unit)] == labels


@pytest.mark.parametrize(
    ("size", "step"), [(0.3, 0.5), (1.0, 1.0), (1.01, 2.0), (70, 100.0), (0.0, 0.0), (math.nan, 0.0)]
)
def test_round_step(size: float, step: float):
    assert round_step(size) == pytest.approx(step)


@pytest.mark.parametrize(
    ("first", "last", "labels"),
    [
        ("2014-01-01", "2023-08-29", ["2014", "2016", "2018", "2020", "2022"]),
        ("2024-01-15", "2024-06-20", ["Mar 2024", "May 2024"]),
        ("2024-03-01 09:30", "2024-03-01 16:00", ["01 Mar 12:00", "01 Mar 15:00"]),
        ("2024-03-01", "2024-03-05", ["01 Mar", "02 Mar", "03 Mar", "04 Mar", "05 Mar"]),
    ],
)
def test_moments_are_on_the_calendar(first: str, last: str, labels: list[str]):
    at = [datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in (first, last)]
    assert [label for _, label in time_ticks(*at, 5)] == labels


@given(
    some.lists(some.floats(allow_infinity=False, width=32), min_size=1, max_size=60), some.integers(40, 400)
)
def test_thinning_keeps_the_extremes_and_the_ends(pattern: list[float], times: int):
    values = np.array(pattern * times)
    at = np.arange(len(values), dtype=float)
    kept_at, kept = thinned(at, values)
    assert len(kept) <= max(2 * MOST_POINTS + 2, len(kept_at))
    assert (np.diff(kept_at) > 0).all()
    assert kept_at[0] == 0
    assert kept_at[-1] == at[-1]
    if np.isfinite(values).any():
        assert np.nanmax(kept) == np.nanmax(values)
        assert np.nanmin(kept) == np.nanmin(values)


def test_a_gap_breaks_the_line():
    values = np.array([1.0, 2.0, math.nan, 3.0, 4.0])
    plot = over_time([("x", np.arange(5.0) * 86_400, values, "accent")], unit="ratio", size=SIZE, said="x")
    assert len([shape for shape in plot.shapes if isinstance(shape, Line) and shape.style == "accent"]) == 2


def test_everything_stays_within_the_drawing():
    walk = np.cumsum(np.random.default_rng(1).normal(size=500)) + 1e6
    at = np.arange(500.0) * 86_400
    lines = [("one", at, walk, "accent"), ("other", at, walk + 5, "muted")]
    edges = np.linspace(-0.1, 0.2, 31)
    levels = np.linspace(0.05, 0.95, 5)
    plots = (
        over_time(lines, unit="money", size=SIZE, said="x", filled=True, level=0.0),
        bars(edges, np.arange(30.0), curve=np.arange(30.0), size=SIZE, said="x"),
        fan(at, levels.tolist(), np.outer(levels, np.linspace(1, 2, 500)), size=SIZE, said="x"),
    )
    for plot in plots:
        assert len(plot.shapes) > 5
        for shape in plot.shapes:
            points = (shape.x, shape.y) if isinstance(shape, Label) else shape.points
            assert all(-1 <= x <= SIZE[0] + 1 for x in points[::2])
            assert all(-1 <= y <= SIZE[1] + 1 for y in points[1::2])


def test_nothing_to_draw_says_so():
    plot = over_time([("x", np.arange(3.0), np.full(3, np.nan), "accent")], unit="ratio", size=SIZE, said="x")
    assert [shape.text for shape in plot.shapes if isinstance(shape, Label)] == ["Nothing to draw"]


def test_svg_is_escaped_and_loads_nothing():
    line = ("a<b", np.arange(3.0), np.arange(3.0), "accent")
    text = str(svg(over_time([line, line], unit="ratio", size=SIZE, said='"<x>')))
    assert "a<b" not in text
    assert "a&lt;b" in text
    assert 'aria-label="&#34;&lt;x&gt;"' in text
    assert not re.search(r"href|url\(|<script|style=", text)
    assert text.count("<polyline") >= 2


def test_a_histogram_colours_losses_and_gains():
    plot = bars(np.array([-0.02, 0.0, 0.02]), np.array([3.0, 5.0]), curve=None, size=SIZE, said="x")
    assert [shape.style for shape in plot.shapes if isinstance(shape, Area)] == ["loss", "gain"]

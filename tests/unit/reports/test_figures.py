"""Numbers as a person reads them."""

from __future__ import annotations

import math

import pytest

from analyzers.metrics import figures
from core.results import RunResult
from reports.figures import FIGURES, MISSING, number, price, show


def test_every_figure_has_a_label_but_the_two_that_describe_the_bars(run: RunResult):
    metrics = figures(run)
    assert set(FIGURES) == set(metrics) - {"bars", "periods_per_year"}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.12345, "percent", "12.35%"),
        (-0.5, "percent", "\u221250.00%"),
        (-0.000001, "percent", "0.00%"),
        (1234567.891, "money", "1,234,567.89"),
        (-0.001, "money", "0.00"),
        (1.005, "ratio", "1.00"),
        (12345.0, "count", "12,345"),
        (1e40, "percent", "1.00e+42%"),
        (math.nan, "ratio", MISSING),
        (math.inf, "money", MISSING),
    ],
)
def test_show(value: float, unit: str, text: str):
    assert show(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1000.0, "1,000"), (0.001, "0.001"), (0.1 + 0.2, "0.30"), (-2.5, "\u22122.50"), (math.nan, MISSING)],
)
def test_number(value: float, text: str):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (446.0, "446.00"),
        (1.23456, "1.2346"),
        (0.000123456, "0.00012346"),
        (43210.5, "43,210.50"),
        (0.0, "0.00"),
    ],
)
def test_price_has_as_many_decimals_as_it_needs(value: float, text: str):
    assert price(value) == text

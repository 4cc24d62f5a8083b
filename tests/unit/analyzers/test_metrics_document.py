"""docs/metrics.md against the code: every key, and every function it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from analyzers import intervals, metrics, montecarlo, overfitting

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
ROWS = [line for line in PAGE.split("## Parts of a run")[0].splitlines() if line.startswith("| `")]


def keys_of(row: str) -> list[str]:
    return re.findall(r"`(\w+)`", row.split("|")[1])


def test_the_page_defines_every_figure_once(make_run: Any) -> None:
    """R13"""
    named = [key for row in ROWS for key in keys_of(row)]
    assert sorted(named) == sorted(metrics.figures(make_run([1000.0, 1001.0])))


def test_the_page_says_which_figures_every_run_carries(make_run: Any) -> None:
    quick = [key for row in ROWS if row.split("|")[4].strip() == "yes" for key in keys_of(row)]
    assert sorted(quick) == sorted(make_run([1000.0, 1001.0]).metrics)


def test_functions_that_the_page_names_are_there() -> None:
    named = re.findall(r"`(\w+)\([^`]*\)`", PAGE)
    assert len(named) > 5
    assert [name for name in named if not hasattr(metrics, name)] == []
    assert "intervals_of(result)" in PAGE
    assert intervals.intervals_of.__doc__
    assert overfitting.__doc__


def test_each_definition_has_a_docstring() -> None:
    functions = [getattr(metrics, name) for name in metrics.__all__ if name.islower()]
    assert [each.__name__ for each in functions if not each.__doc__] == []
    assert len(functions) > 35


def test_each_public_name_of_metrics_is_defined_once() -> None:
    """R14: one source."""
    import ast

    places: dict[str, list[str]] = {}
    for path in (Path(__file__).parents[3] / "analyzers").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name in metrics.__all__:
                places.setdefault(node.name, []).append(path.name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
    assert len(places) > 35


def test_the_page_names_the_methods_and_figures_of_the_monte_carlo() -> None:
    """R6"""
    part = PAGE.split("## Monte Carlo")[1].split("\n## ")[0]
    methods = [keys_of(line)[0] for line in part.splitlines() if line.startswith("| `")]
    assert sorted(methods) == sorted(get_args(montecarlo.Method))
    assert [name for name in montecarlo.FIGURES if f"`{name}`" not in part] == []

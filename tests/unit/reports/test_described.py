"""result.json keeps to the schema that is published."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from core.jsontext import jsonable
from core.results import RunResult
from reports import write_run
from reports.described import describe, schema
from reports.document import make_report
from reports.figures import FIGURES

pytestmark = pytest.mark.usefixtures("without_quantstats")


def validate(document: Any) -> None:
    jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker()).validate(document)


def test_the_schema_is_one():
    """R10"""
    jsonschema.Draft202012Validator.check_schema(schema())


def test_result_json_validates(make_run, tmp_path: Path):
    """R10"""
    walk = list(1000 * np.cumprod(1 + np.random.default_rng(5).normal(0.001, 0.01, 300)))
    trades = [("AAA", bar, bar + 2, 1.0, 50.0, 51.0, 1.0, 1.0, 0.0, "signal", 2) for bar in range(0, 200, 9)]
    meta = {"open_trades": 1, "resample": ["1W"], "entries": {"ratio": math.nan}, "config": {"a": 1}}
    run = make_run(walk, trades=trades, meta=meta)
    write_run(run, tmp_path)
    found = json.loads((tmp_path / "result.json").read_text())
    validate(found)
    assert found["monte_carlo"] is not None
    assert found["distribution"] is not None
    assert len(found["drawdowns"]) == 10
    assert found["exit_reasons"][0]["trades"] == len(trades)
    assert set(found["figures"]) == set(schema()["properties"]["figures"]["required"])
    assert "config" not in found["meta"]


@pytest.mark.parametrize(
    "equity",
    [[], [1000.0], [1000.0, math.nan, math.inf], [1000.0] * 40, [1000.0, -1.0] * 9],
    ids=["no bars", "one bar", "not finite", "never changed", "lost"],
)
def test_the_document_of_any_run_validates(make_run, equity: list[float]):
    validate(jsonable(describe(make_report(make_run(equity)))))


def test_every_figure_of_the_schema_is_the_figure_that_is_shown():
    described = schema()["properties"]["figures"]["properties"]
    for key, figure in FIGURES.items():
        assert described[key]["description"].startswith(f"{figure.label}: {figure.meaning}")
    assert set(described) - set(FIGURES) == {"bars", "periods_per_year"}


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 1},
        {"surprise": 1},
        {"diagnosis": [{"check": "x"}]},
        {"figures": {}},
        {"counts": {"bars": -1, "orders": 0, "fills": 0, "trades": 0}},
    ],
)
def test_the_schema_refuses_what_it_does_not_describe(run: RunResult, change: dict[str, Any]):
    document = jsonable(describe(make_report(run)))
    validate(document)
    with pytest.raises(jsonschema.ValidationError):
        validate(document | change)


def test_secrets_are_hidden_wherever_they_stand(run: RunResult):
    told = replace(run, notes=("token=planted-4711-token",), engine_reason="password=planted")
    assert "planted" not in json.dumps(jsonable(describe(make_report(told))))

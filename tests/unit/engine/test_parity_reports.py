"""What `check_engines` says of an engine that agrees, refuses, fails, or gives another answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import feeds
from core.errors import StrategyError
from engine import lean
from engine.parity import EngineReport, check_engines
from engine.recording import Recording
from engine.refusal import Refused
from feeds.market import Market
from strategies import registry


@pytest.fixture(scope="module")
def market() -> Market:
    whole = feeds.load("sample:goog")
    return replace(whole, frames={name: frame.iloc[:300] for name, frame in whole.frames.items()})


def reports(market: Market) -> list[EngineReport]:
    momentum = registry.load("momentum")
    params = registry.resolve_params(momentum, {})
    return list(check_engines(momentum, params, market, engines=["lean"]))


def test_the_reference_comes_first_and_an_equal_answer_is_identical(market: Market) -> None:
    """B3"""
    first, second = reports(market)
    assert (first.engine, first.agrees) == ("cerebro", True)
    assert (second.engine, second.agrees) == ("lean", True)
    assert str(second).startswith("identical: 300 bars, ")


def test_a_refusal_is_said_with_its_place_and_is_no_difference(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Recording:
        raise Refused("calls an unknown function: fetch", file="own.py", line=7)

    monkeypatch.setattr(lean, "run", refuse)
    report = reports(market)[1]
    assert report.agrees
    assert str(report) == "refused: own.py:7: calls an unknown function: fetch"


def test_an_engine_that_fails_where_stock_does_not_differs(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Recording:
        raise StrategyError("Momentum failed at own.py:7", hint="")

    monkeypatch.setattr(lean, "run", fail)
    report = reports(market)[1]
    assert not report.agrees
    assert str(report) == "different: it failed: Momentum failed at own.py:7"


def test_a_difference_names_the_engine(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """B3"""
    honest = lean.run

    def altered(*given: Any, **settings: Any) -> Recording:
        recording = honest(*given, **settings)
        return replace(recording, cash=recording.cash + 1.0)

    monkeypatch.setattr(lean, "run", altered)
    report = reports(market)[1]
    assert not report.agrees
    assert str(report).startswith("different: cash at ")
    assert "cerebro has 100000.0, lean has 100001.0" in str(report)

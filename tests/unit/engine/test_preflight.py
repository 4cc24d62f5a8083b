from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.config import CostSettings
from core.errors import ConfigError, DataError, UnknownNameError, UserError
from engine.preflight import check_engine, check_frames, check_money, check_names, check_uncharged


@pytest.mark.parametrize("name", ["auto", "compiled", "lean", "cerebro"])
def test_known_engines(name: str) -> None:
    check_engine(name)


def test_an_unknown_engine_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown engine 'cerbro'; did you mean cerebro\?"):
        check_engine("cerbro")


@pytest.mark.parametrize(("cash", "commission"), [(0.01, 0.0), (1e9, 0.999)])
def test_money_that_can_be_used(cash: float, commission: float) -> None:
    check_money(cash, commission)


@pytest.mark.parametrize("cash", [0.0, -1.0, float("nan"), float("inf")])
def test_cash_must_be_above_zero(cash: float) -> None:
    with pytest.raises(ConfigError, match="cash is"):
        check_money(cash, 0.001)


@pytest.mark.parametrize("commission", [-0.001, 1.0, 2.5, float("nan")])
def test_commission_is_a_fraction(commission: float) -> None:
    with pytest.raises(ConfigError, match="commission is"):
        check_money(1.0, commission)


def with_nan(frame: pd.DataFrame) -> pd.DataFrame:
    frame.iloc[3, frame.columns.get_loc("low")] = np.nan
    return frame


def with_infinity(frame: pd.DataFrame) -> pd.DataFrame:
    frame.iloc[3, frame.columns.get_loc("close")] = np.inf
    return frame


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.drop(columns=["volume", "low"]), "A has no column low, volume"),
        (lambda frame: frame.iloc[:0], "A has no bars"),
        (lambda frame: frame.reset_index(drop=True), "A is not indexed by time"),
        (lambda frame: frame.iloc[::-1], "A has times that repeat or go back"),
        (lambda frame: pd.concat([frame, frame.iloc[-1:]]), "A has times that repeat or go back"),
        (with_nan, "A has a price that is not a number at 2020-01-04"),
        (with_infinity, "A has a price that is not a number at 2020-01-04"),
    ],
)
def test_frames_backtrader_would_stumble_over(
    make_bars: Any, spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        check_frames({"GOOD": make_bars(10), "A": spoil(make_bars(10))})
    assert caught.value.hint


def test_good_frames_pass(make_bars: Any) -> None:
    check_frames({"A": make_bars(10), "B": make_bars(1)})


def test_no_frames() -> None:
    with pytest.raises(DataError, match="no data"):
        check_frames({})


@pytest.mark.parametrize(("names", "resample"), [(["A"], ["1W", "1W"]), (["A", "A 1W"], ["1W"])])
def test_two_datas_of_one_name(make_bars: Any, names: list[str], resample: list[str]) -> None:
    with pytest.raises(UserError, match="two datas would be named 'A 1W'"):
        check_names({name: make_bars(3) for name in names}, resample)


def test_names_that_differ(make_bars: Any) -> None:
    check_names({"A": make_bars(3), "B": make_bars(3)}, ["1W", "1M"])


def test_a_sweep_refuses_costs_that_it_would_not_charge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_uncharged(CostSettings(), "a sweep")
    given = ["momentum", "--space", "fast=5:6", "--set", "broker.costs.margin.enabled=true"]
    command = importlib.import_module("engine.sweep")  # the package's `sweep` is the function
    with pytest.raises(ConfigError, match="a sweep charges the commission alone"):
        command.main(command._parser().parse_args(given))

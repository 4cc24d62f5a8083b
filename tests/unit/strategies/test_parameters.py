"""What a user gives for parameters, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import backtrader as bt
import numpy as np
import pytest

from core.errors import StrategyError, UnknownNameError
from strategies.momentum import Momentum
from strategies.registry import resolve_params


class Plain(bt.Strategy):
    params = (("count", 5), ("rate", 0.5), ("on", False), ("label", "x"), ("free", None), ("pair", (1, 2)))


def test_defaults_are_merged_and_untouched() -> None:
    assert resolve_params(Plain, {}) == dict(Plain.params._getitems())
    assert resolve_params(Momentum, {"fast": 7})["fast"] == 7
    assert resolve_params(Momentum, {"fast": 7})["slow"] == 30


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("count", "7", 7),
        ("count", 7.0, 7),
        ("count", np.int64(7), 7),
        ("rate", "1e-3", 0.001),
        ("rate", 2, 2.0),
        ("on", "yes", True),
        ("on", "FALSE", False),
        ("label", "12", "12"),
        ("free", "12", 12),
        ("free", "none", None),
        ("free", "word", "word"),
        ("pair", "(3, 4)", (3, 4)),
    ],
)
def test_text_is_read_as_the_default_s_type(name: str, given: Any, value: Any) -> None:
    found = resolve_params(Plain, {name: given})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": "2.5"}, "count must be a whole number"),
        ({"rate": "fast"}, "rate must be a number"),
        ({"on": "maybe"}, "on must be true or false"),
        ({"pair": "(1,"}, "pair must be a tuple"),
        ({"count": [1]}, "count must be a whole number"),
    ],
)
def test_unreadable_values_name_what_is_wanted(given: Mapping[str, Any], message: str) -> None:
    with pytest.raises(StrategyError) as caught:
        resolve_params(Plain, given)
    assert message in str(caught.value)


def test_an_unknown_parameter_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean fast"):
        resolve_params(Momentum, {"fastt": 3})


def test_a_value_outside_its_space_names_the_range() -> None:
    with pytest.raises(StrategyError, match="fast must be a whole number from 2 to 100"):
        resolve_params(Momentum, {"fast": "1"})


def test_values_that_contradict_each_other_name_the_rule() -> None:
    with pytest.raises(StrategyError, match=r"fast=40, slow=30.*Fast must be below slow"):
        resolve_params(Momentum, {"fast": 40, "slow": 30})

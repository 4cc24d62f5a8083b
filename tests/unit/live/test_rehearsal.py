"""What a rehearsal checks afterwards must be able to fail; which faults there are; what it can play."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from brokers.simulators.faults import POINTS, read_fault
from core.errors import InconsistentState, UnknownNameError, UserError
from live.faults import CATALOGUE, FaultSchedule, chosen
from live.rehearsal import bars_to_play, judge, minutes_of

AT_VENUE = {
    "orders": {
        "1": {"client_id": "twa", "external": False},
        "2": {"client_id": "twb", "external": False},
        "3": {"client_id": "twb.2", "external": False},
        "4": {"client_id": "by hand", "external": True},
    },
    "executions": [{"order_id": 1}, {"order_id": 3}, {"order_id": 4}],
}
"""Two orders, one of which was changed, and a trade of the account's owner."""


class FakeSchedule:
    names, met, failure = ("mute", "lose"), ("mute",), None


def verdict(state: dict[str, Any], orders: dict[str, str], fills: int) -> Any:
    sim = SimpleNamespace(control=SimpleNamespace(state=lambda: state))
    journalled = [
        SimpleNamespace(intent=SimpleNamespace(client_id=client_id), status=status)
        for client_id, status in orders.items()
    ]
    journal = SimpleNamespace(orders=lambda: journalled, fills=lambda: [None] * fills)
    return judge(cast("Any", sim), cast("Any", journal), cast("FaultSchedule", FakeSchedule()))


HELD = {"twa": "filled", "twb": "partial", "twc": "rejected"}


def test_both_sides_agree() -> None:
    """B9"""
    found = verdict(AT_VENUE, HELD, 2)
    assert (found.orders, found.fills, found.met, found.not_met) == (2, 2, ("mute",), ("lose",))


@pytest.mark.parametrize(
    ("change", "orders", "fills", "said"),
    [
        ({"5": {"client_id": "twa", "external": False}}, HELD, 2, "order twa is there 2 times"),
        ({"5": {"client_id": "twx", "external": False}}, HELD, 2, "order twx is not in the journal"),
        ({}, {**HELD, "twd": "accepted"}, 2, r"order twd \(accepted\) is not at the venue"),
        ({}, HELD, 1, "the venue executed 2 times, the journal has 1 fills"),
    ],
)
def test_each_difference_fails_it(
    change: dict[str, Any], orders: dict[str, str], fills: int, said: str
) -> None:
    """B9"""
    state = deepcopy(AT_VENUE)
    cast("dict[str, Any]", state["orders"]).update(change)
    with pytest.raises(InconsistentState, match=said):
        verdict(state, orders, fills)


def test_the_simulators_know_every_fault_of_the_catalogue() -> None:
    for venue, faults in CATALOGUE.items():
        assert chosen(venue, "all") == list(faults)
        for steps in faults.values():
            for step in steps:
                assert read_fault(step).name in POINTS


def test_names_of_faults() -> None:
    assert chosen("binance", None) == []
    assert chosen("ibkr", "mute, lose") == ["mute", "lose"]
    with pytest.raises(UnknownNameError, match="did you mean clock-skew"):
        chosen("binance", "clock-skw")
    with pytest.raises(UnknownNameError):
        chosen("ibkr", "clock-skew")


def test_what_can_be_played() -> None:
    frames = {"A": pd.DataFrame({"close": range(11)}), "B": pd.DataFrame({"close": range(21)})}
    assert bars_to_play(frames, 1, 5) == 5
    assert bars_to_play(frames, 1, 50) == 10, "the last minute never ends"
    assert bars_to_play(frames, 5, 50) == 2
    with pytest.raises(UserError, match="too short"):
        bars_to_play(frames, 15, 50)
    assert minutes_of(5 * 60 * 10**9) == 5
    for seconds in (30, 90):
        with pytest.raises(UserError, match="whole minutes"):
            minutes_of(seconds * 10**9)

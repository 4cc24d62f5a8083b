from __future__ import annotations

from decimal import Decimal

import pytest

from brokers.simulators.faults import POINTS, Fault, Faults, Point, read_fault
from core.errors import UnknownNameError, UserError


def test_a_fault_strikes_once_where_it_belongs() -> None:
    faults = Faults()
    faults.add(Fault("drop-after-accept"))
    assert faults.at(Point.REQUEST, "order") is None
    struck = faults.at(Point.ANSWER, "order")
    assert struck is not None
    assert struck.name == "drop-after-accept"
    assert faults.at(Point.ANSWER, "order") is None
    assert (faults.waiting, faults.struck) == ([], ["drop-after-accept"])


def test_a_fault_waits_for_its_match_and_lets_some_pass() -> None:
    faults = Faults()
    faults.add(Fault("reject", match="order", after=2, times=2, code=-1013))
    heard = [
        faults.at(Point.REQUEST, what) is not None
        for what in ("time", "order", "order", "order", "order", "order")
    ]
    assert heard == [False, False, False, True, True, False]


def test_a_fault_that_lasts_ends_by_the_clock() -> None:
    now = [0.0]
    faults = Faults(lambda: now[0])
    faults.add(Fault("mute", seconds=5))
    assert faults.at(Point.MESSAGE) is not None
    now[0] = 4.9
    assert faults.at(Point.MESSAGE) is not None
    now[0] = 5.0
    assert faults.at(Point.MESSAGE) is None


def test_skew_holds_until_it_is_cleared() -> None:
    faults = Faults()
    faults.add(Fault("clock-skew", seconds=-30))
    assert faults.skew() == -30
    faults.clear()
    assert faults.skew() == 0


def test_what_waits_for_nobody_is_carried_out_at_once() -> None:
    faults, done = Faults(), []
    faults.on_now(done.append)
    faults.add(Fault("half-open"))
    assert [fault.name for fault in done] == ["half-open"]
    assert faults.waiting == []


def test_faults_are_read_from_plain_data() -> None:
    fault = read_fault({"name": "partial", "value": "0.25", "times": 3})
    assert (fault.point, fault.value, fault.times) == (Point.FILL, Decimal("0.25"), 3)
    with pytest.raises(UnknownNameError, match="did you mean"):
        read_fault({"name": "drop-after-acept"})
    with pytest.raises(UnknownNameError, match="field of a fault"):
        read_fault({"name": "hold", "second": 3})
    with pytest.raises(UserError, match="hold"):
        read_fault({"name": "hold", "seconds": "soon"})


def test_every_fault_has_a_point_that_is_asked() -> None:
    assert set(POINTS.values()) == set(Point)

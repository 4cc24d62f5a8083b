"""What orders are given, and dicts looked into by it: what the compiled engine takes, and what it leaves to others."""

from __future__ import annotations

import backtrader as bt
import pytest

from tests.parity.engines import Case, difference, on_fast, on_stock
from tests.parity.markets import frames


def case_of(strategy: type[bt.Strategy]) -> Case:
    return Case(strategy, {}, frames("chop", 1, 60))


class ReadsComputed(bt.Strategy):
    def notify_order(self, order):
        if order.info.bar > 5:
            self.close()

    def next(self):
        self.buy(size=1, bar=len(self))


class StatesLater(bt.Strategy):
    def notify_order(self, order):
        order.addinfo(exit_reason="late")

    def next(self):
        self.buy(size=1)


class Positional(bt.Strategy):
    def next(self):
        order = self.buy(size=1)
        order.addinfo({"name": "entry"})


REFUSED = {
    ReadsComputed: "reads bar of an order's info, which was computed in the run",
    StatesLater: "adds exit_reason to an order that is made already",
    Positional: "calls addinfo() of an order",
}


@pytest.mark.parametrize("strategy", REFUSED)
def test_what_is_refused_is_named(strategy: type[bt.Strategy]) -> None:
    refusal = on_fast("compiled", case_of(strategy)).refusal
    assert refusal is not None
    assert REFUSED[strategy] in refusal.reason
    assert refusal.file == __file__
    assert refusal.line


class Counts(bt.Strategy):
    """Counts by a text of the run; `known` holds all of them."""

    known = ("up", "down", "flat")

    def __init__(self):
        self.counts = dict.fromkeys(self.known, 0)

    def notify_order(self, order):
        if order.status == order.Completed:
            self.counts[order.info.kind] += 1

    def next(self):
        change = self.data.close[0] - self.data.close[-1]
        kind = "up" if change > 0 else "down" if change < 0 else "flat"
        if self.counts["up"] + 2 < self.counts["down"]:
            self.close(kind="flat")
        else:
            self.buy(size=1 + self.counts[kind] % 3, kind=kind)


class Misses(Counts):
    known = ("up", "flat")

    def next(self):
        if len(self) > 3:
            self.buy(size=1, kind="down" if len(self) % 2 else "up")


def test_texts_of_the_run_find_their_entries() -> None:
    stock, fast = (run(case_of(Counts)) for run in (on_stock, lambda case: on_fast("compiled", case)))
    assert stock.recording is not None
    assert len(stock.recording.fills) > 20
    assert difference(stock, fast) is None


def test_a_text_that_is_no_key_is_left_to_the_engine_that_raises() -> None:
    assert isinstance(on_stock(case_of(Misses)).error, Exception)
    refusal = on_fast("compiled", case_of(Misses)).refusal
    assert refusal is not None
    assert "exception" in refusal.reason

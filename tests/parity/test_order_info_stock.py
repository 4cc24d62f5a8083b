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


class TakesNothing(bt.Strategy):
    def notify_order(self, order):
        self.reason = order.info.reason

    def next(self):
        self.buy(size=1)


REFUSED = {
    TakesNothing: "takes reason of an order's info, which no order is given",
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


class AsksForMore(bt.Strategy):
    """Asks orders for what they were not given: an empty dict each time, and by `get` the default."""

    def notify_order(self, order):
        if order.status != order.Completed:
            return
        kind = order.info.kind
        tests = (
            order.info.never is None,
            order.info["kind"] is not None,
            order.info.kind == None,  # noqa: E711
            kind is None,
            not kind,
            (kind or "flat") == "flat",
            order.info.kind in ("up", "flat"),
            order.info.kind != "up",
            order.info.get("side", "long") == "long",
            order.info.get("mood", "good") == "good",
            order.info.given is None,
        )
        size = 0
        for number, holds in enumerate(tests):
            size += 2**number if holds else 0
        print(f"{order.info.kind}")
        if order.isbuy():
            self.sell(size=size)

    def next(self):
        if len(self) % 3:
            self.buy(size=20, kind="up", side="short", given=None)
        elif len(self) % 2:
            self.buy(size=20, given="once")
        else:
            self.buy(size=20)


def test_what_an_order_was_not_given_is_an_empty_dict() -> None:
    stock, fast = (run(case_of(AsksForMore)) for run in (on_stock, lambda case: on_fast("compiled", case)))
    assert stock.recording is not None
    assert len(stock.recording.orders) > 100
    assert difference(stock, fast) is None


class KeepsEmptyDicts(bt.Strategy):
    """Would keep the empty dict."""

    kept = "up"

    def notify_order(self, order):
        self.kept = order.info.kind

    def next(self):
        if self.kept is None:
            self.close()
        else:
            self.buy(size=1, kind="up") if len(self) % 2 else self.buy(size=1)


class MakesEntries(bt.Strategy):
    """Sees the entry that its own question made."""

    def notify_order(self, order):
        if order.info.kind == "down" or "kind" in order.info:
            self.close()

    def next(self):
        self.buy(size=1, kind="up") if len(self) % 2 else self.buy(size=1)


@pytest.mark.parametrize("strategy", [KeepsEmptyDicts, MakesEntries])
def test_an_empty_dict_that_matters_is_left_to_another_engine(strategy: type[bt.Strategy]) -> None:
    case = case_of(strategy)
    refusal = on_fast("compiled", case).refusal
    assert refusal is not None
    assert "exception" in refusal.reason
    assert difference(on_stock(case), on_fast("lean", case)) is None

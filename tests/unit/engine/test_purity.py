"""What the bytecode of a strategy tells, on every Python it may be compiled by."""

from __future__ import annotations

import dis
import opcode

import backtrader as bt
import pytest

from engine.compiled import purity
from engine.compiled.purity import watched, witness_of


class Plain(bt.Strategy):
    params = (("fast", 3), ("slow", 8))

    def __init__(self):
        super().__init__()
        self.means = [bt.ind.SMA(self.data.close, period=getattr(self.p, word)) for word in ("fast", "slow")]
        self.scaled = {number: value * 2 for number, value in enumerate((self.p.fast, self.p.slow))}


class ReadsThroughSuper(bt.Strategy):
    def __init__(self):
        self.kept = super()._idx


class ReadsInComprehension(bt.Strategy):
    def __init__(self):
        self.kept = [data.array for data in self.datas]


class Imports(bt.Strategy):
    def __init__(self):
        import time

        self.kept = time


def test_a_plain_strategy_is_read() -> None:
    assert witness_of(Plain) is not None


@pytest.mark.parametrize("strategy", [ReadsThroughSuper, ReadsInComprehension, Imports])
def test_what_leads_to_the_bars_or_outside_is_not(strategy: type[bt.Strategy]) -> None:
    assert witness_of(strategy) is None


def test_an_unknown_instruction_with_a_name_makes_code_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purity, "NAMING", purity.NAMING - {"LOAD_ATTR"})
    assert witness_of(Plain) is None


def test_every_instruction_with_a_name_is_known() -> None:
    real = {dis.opname[code] for code in dis.hasname if code < 256 and dis.opname[code] in opcode.opmap}
    assert real <= purity.NAMING


def test_the_onlooker_sees_the_clock() -> None:
    import datetime

    class Clock:
        def __init__(self) -> None:
            self.made = datetime.datetime.now()

    witness = purity.Witness(codes={Clock.__init__.__code__})
    with watched(witness) as watch:
        Clock()
    assert watch.problem.endswith("now")

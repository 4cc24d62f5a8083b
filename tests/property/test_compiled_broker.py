"""The compiled broker against Backtrader's own: random order flows, every notification and every bar equal to the last bit.

The flows come from `compiled_broker_flows.py`, which also runs by hand for as long as one likes.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from engine.compiled import broker
from engine.compiled.broker_money import clock_of
from engine.compiled.broker_setup import check_prices, rules_of, schemes_of
from engine.compiled.kernel import FOLDER_VARIABLE
from engine.refusal import Refused

FILE = Path(__file__).with_name("compiled_broker_flows.py")
DAY = bt.date2num(datetime(2024, 1, 1))


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compiled_broker_flows", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


flows = load()


class Drawn:
    """Hypothesis as the source of a flow's randomness."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def pick(self, values: Sequence[Any]) -> Any:
        return values[self.draw(st.integers(0, len(values) - 1))]


@st.composite
def drawn_flows(draw: st.DrawFn) -> Any:
    return flows.make(Drawn(draw), draw(st.integers(2, 14)), draw(st.integers(1, 8)))


def check(flow: Any) -> Any:
    expected, got = flows.stock(flow), flows.machine(flow)
    assert expected.differences(got) == []
    return expected


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(drawn_flows())
def test_equals_the_stock_broker_bit_for_bit(flow: Any) -> None:
    outcome = check(flow)
    if outcome.failed:
        event("stock broker raised")
    for kind, status in {(outcome.kinds[int(note[0])], int(note[1])) for note in outcome.notes}:
        event(f"{bt.Order.ExecTypes[kind]}: {bt.Order.Status[status]}")


@pytest.mark.parametrize("seed", range(40))
def test_equals_the_stock_broker_over_long_flows(seed: int) -> None:
    dice = flows.Dice(seed)
    outcome = check(flows.make(dice, 60, dice.integer(10, 60)))
    assert outcome.failed or outcome.notes


def bars(*rows: tuple[float, ...]) -> list[list[tuple[float, ...]]]:
    """One data, a bar a day."""
    return [[(DAY + n, *row) for n, row in enumerate(rows)]]


def flow_of(markets: Any, script: dict[int, list[Any]], **changes: Any) -> Any:
    parameters = {"cash": 1000.0, **changes}
    schemes = [parameters.pop("scheme", {"commission": 0.001})] * len(markets)
    return flows.Flow(parameters, schemes, markets, None, script, {})


FLAT = (10.0, 11.0, 9.0, 10.0)


def test_the_comparison_sees_a_difference() -> None:
    flow = flow_of(bars(FLAT, FLAT, FLAT), {0: [flows.Place(0, 5, 0)]})
    dearer = dataclasses.replace(flow, schemes=[{"commission": 0.0010000001}])
    assert flows.stock(flow).differences(flows.machine(flow)) == []
    assert flows.stock(flow).differences(flows.machine(dearer)) != []


def test_cash_that_suffices_to_close_only_gives_partial_then_margin() -> None:
    far = (100.0, 110.0, 90.0, 100.0)
    script = {0: [flows.Place(0, -2, 0)], 1: [flows.Place(0, 30, 0, price=10.0)]}
    outcome = check(flow_of(bars(FLAT, FLAT, far, far), script))
    assert [note[1] for note in outcome.notes if note[0] == 1] == [
        bt.Order.Submitted,
        bt.Order.Accepted,
        bt.Order.Partial,
        bt.Order.Margin,
    ]


def test_one_order_too_dear_poisons_those_after_it() -> None:
    script = {0: [flows.Place(0, 500, 0), flows.Place(0, 1, 0)]}
    outcome = check(flow_of(bars(FLAT, FLAT), script))
    assert [note[1] for note in outcome.notes[2:]] == [bt.Order.Margin, bt.Order.Margin]


def test_child_of_a_cancelled_parent_is_rejected() -> None:
    script = {
        0: [flows.Place(0, 1, 2, price=5.0)],
        1: [flows.Withdraw(1), flows.Place(0, -1, 3, price=8.0, parent=1)],
    }
    outcome = check(flow_of(bars(FLAT, FLAT, FLAT), script))
    assert outcome.notes[-1][1] == bt.Order.Rejected


def test_bracket_sent_twice_raises_in_stock_and_is_an_error_here() -> None:
    """A parent sent alone and again with its child is in the market twice; one of them outlives the bracket."""
    leader, entry = flows.Place(0, 1, 2, price=5.0), flows.Place(0, 1, 2, price=5.0, oco=1)
    child = flows.Place(0, -1, 2, price=20.0, parent=1)
    script = {0: [leader], 1: [entry, child, flows.Withdraw(3)], 2: [flows.Withdraw(1)]}
    outcome = check(flow_of(bars(FLAT, FLAT, FLAT, (6.0, 6.0, 4.0, 4.0)), script))
    assert outcome.failed == "bracket lost"


@pytest.mark.parametrize("room", [1, 2, 3, 5, 8])
def test_full_books_say_so_and_grown_ones_give_the_answer(room: int) -> None:
    dice = flows.Dice(7)
    flow = dataclasses.replace(flows.make(dice, 40, 40), room=room)
    assert flows.drive(flow, flows.new_book(flow)).failed == "overflow"
    check(flow)


def test_books_can_be_used_again() -> None:
    dice = flows.Dice(11)
    flow = flows.make(dice, 40, 30)
    flow = dataclasses.replace(flow, room=256)
    book = flows.new_book(flow)
    first = flows.drive(flow, book)
    broker.reset(book, float(flow.broker["cash"]))
    assert first.notes
    assert first.differences(flows.drive(flow, book)) == []


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
    st.times(),
    st.sampled_from([0, 1, 5, 9, 999_991]),
)
def test_clock_and_session_end_are_those_of_stock(moment: datetime, end: time, micro: int) -> None:
    now = bt.date2num(moment.replace(microsecond=micro))
    seen = bt.num2date(now)
    day, of_day = clock_of(now)
    assert (day, of_day) == (
        seen.toordinal(),
        ((seen.hour * 60 + seen.minute) * 60 + seen.second) * 1e6 + seen.microsecond,
    )
    ends = datetime.combine(seen, end)
    ends += timedelta(days=1) if ends < seen else timedelta(0)
    flow = flow_of([[(now, *FLAT)]], {0: [flows.Place(0, 1, 1)]})
    flow = dataclasses.replace(flow, session_end=end)
    book = flows.new_book(flow)
    flows.drive(flow, book)
    assert book.orders[0]["session_end"] == bt.date2num(ends)


class OwnBroker(bt.brokers.BackBroker):
    pass


class OwnScheme(bt.CommissionInfo):
    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return 1.0


class NamedScheme(bt.CommissionInfo):
    params = (("commission", 0.25),)


def test_setup_refuses_what_the_records_cannot_say() -> None:
    filler = bt.brokers.BackBroker(filler=bt.fillers.FixedSize(size=1))
    replaced = bt.brokers.BackBroker()
    replaced.getcash = lambda: 0.0
    history = bt.brokers.BackBroker()
    history.add_order_history([[DAY, 1, 1.0]])
    cases = {
        "broker of its own: OwnBroker": OwnBroker(),
        "volume filler": filler,
        "eosbar": bt.brokers.BackBroker(eosbar=True),
        "replaces a method of the broker: getcash": replaced,
        "order history": history,
        "without cash": bt.brokers.BackBroker(cash=0.0),
    }
    for reason, refused in cases.items():
        with pytest.raises(Refused, match=reason):
            rules_of(refused)


def test_setup_reads_schemes_and_refuses_those_with_methods() -> None:
    data = SimpleNamespace(_name="A", _compensate=None)
    plain = bt.brokers.BackBroker()
    plain.addcommissioninfo(NamedScheme(), name="A")
    scheme = schemes_of(plain, [data])[0]
    assert scheme["commission"] == 0.25
    assert math.isnan(scheme["margin"])
    assert (scheme["stocklike"], scheme["percent"]) == (1, 1)
    plain.addcommissioninfo(OwnScheme(), name="A")
    with pytest.raises(Refused, match="commission scheme of its own: OwnScheme"):
        schemes_of(plain, [data])
    data._compensate = data
    with pytest.raises(Refused, match="compensates"):
        schemes_of(plain, [data])


def test_setup_refuses_bars_without_a_price() -> None:
    book = flows.new_book(flow_of(bars(FLAT, FLAT), {}))
    prices, lengths = book.bars.copy(), book.lengths
    check_prices(prices, lengths)
    prices[0, 2, 1] = math.nan
    check_prices(prices, lengths - 1)
    with pytest.raises(Refused, match="without a price"):
        check_prices(prices, lengths)


def test_machine_code_on_disk_is_dropped_when_any_file_of_the_broker_changes(tmp_path: Path) -> None:
    """A changed inner function must not be left out because the file of the entry is as it was."""
    package = tmp_path / "engine" / "compiled"
    shutil.copytree(
        FILE.parents[2] / "engine" / "compiled", package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").write_text("")
    run = "from engine.compiled import broker, broker_memory; broker_memory.machine()"
    kept = []
    for _ in range(2):
        environment = {**os.environ, FOLDER_VARIABLE: str(tmp_path / "kernels")}
        subprocess.run([sys.executable, "-c", run], cwd=tmp_path, env=environment, check=True)
        kept.append({path.name for path in (tmp_path / "kernels").glob("broker-*")})
        inner = package / "broker_orders.py"
        inner.write_text(inner.read_text() + "\n")
    assert [len(names) for names in kept] == [1, 2]


def test_a_book_keeps_prices_it_was_given() -> None:
    flow = flow_of(bars(FLAT, FLAT), {})
    book = flows.new_book(flow)
    assert np.array_equal(book.bars[0, :4, 0], FLAT)
    assert book.desk[0]["bars"] == book.bars.ctypes.data

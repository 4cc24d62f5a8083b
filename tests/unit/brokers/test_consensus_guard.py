"""What entries are let through, by what several exchanges say; on a clock that stands where it is put."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.consensus_guard import ConsensusGuard
from brokers.risk import Account, RiskGate
from core.clock import SimulatedClock
from core.errors import OrderRejected
from core.types import OrderIntent, OrderType, Side
from feeds.price_watch import PriceSource, PriceWatch

T0 = datetime(2024, 1, 1, tzinfo=UTC)
D = Decimal
FRESH, OLD = 0.0, 11.0


def entry(side: Side = Side.BUY) -> OrderIntent:
    return OrderIntent("a", "BTC/USDT", side, OrderType.MARKET, D(1), D(100), T0, 1)


def watched(*quotes: tuple[str, float, float, float]) -> PriceWatch:
    """Of each source: its name, bid, ask, and how many seconds ago it answered."""
    clock = SimulatedClock(T0)
    watch = PriceWatch([PriceSource(name) for name in ("ours", "b", "c")], ["BTC/USDT"], clock=clock)
    for name, bid, ask, age in quotes:
        time = T0 - timedelta(seconds=age)
        watch._consensus["BTC/USDT"].hear(name, time, bid=bid, ask=ask)
    return watch


@pytest.mark.parametrize(
    ("quotes", "refused"),
    [
        ([("ours", 99.9, 100.1, FRESH), ("b", 99.8, 100.0, FRESH), ("c", 100, 100.2, FRESH)], None),
        ([("ours", 99.9, 100.1, FRESH), ("b", 99.8, 100.0, FRESH), ("c", 109, 109.2, FRESH)], None),
        ([("ours", 99.9, 100.1, FRESH), ("b", 99.8, 100.0, OLD), ("c", 100, 100.2, FRESH)], None),
        ([("ours", 109, 109.2, FRESH), ("b", 99.8, 100.0, FRESH), ("c", 100, 100.2, FRESH)], r"out of the consensus: \+8.99%"),
        ([("ours", 100.3, 100.1, FRESH), ("b", 99.8, 100.0, FRESH), ("c", 100, 100.2, FRESH)], "ours .*: crossed"),
        ([("ours", 99.9, 100.1, OLD), ("b", 99.8, 100.0, FRESH), ("c", 100, 100.2, FRESH)], "ours .*: silent for 11 s"),
        ([("b", 99.8, 100.0, FRESH), ("c", 100, 100.2, FRESH)], "ours .*: no answer yet"),
        ([("ours", 99.9, 100.1, FRESH), ("b", 99.8, 100.0, OLD)], "only 1 exchanges .*b: silent for 11 s; c: no answer yet"),
    ],
)  # fmt: skip
def test_an_entry_needs_a_quorum_with_the_traded_venue_in_it(
    quotes: list[tuple[str, float, float, float]], refused: str | None
) -> None:
    gate = RiskGate(rules=[ConsensusGuard(watched(*quotes), "ours")])
    if refused is None:
        assert gate.check(entry(), Account(D(1000))) == entry()
        return
    with pytest.raises(OrderRejected, match=refused):
        gate.check(entry(), Account(D(1000)))


def test_an_exit_needs_none() -> None:
    gate = RiskGate(rules=[ConsensusGuard(watched(), "ours")])
    held = Account(D(1000), positions={"BTC/USDT": D(1)})
    assert gate.check(entry(Side.SELL), held) == entry(Side.SELL)

"""A session that compares exchanges before it enters: three simulated Binances, of which one lies, crosses or is silent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import store
from brokers.consensus_guard import ConsensusGuard
from brokers.risk import Account, RiskGate
from core.errors import OrderRejected
from core.types import OrderIntent
from feeds.consensus import Agreed
from feeds.price_watch import PriceSource, PriceWatch
from tests.integration.binance_desk import NATIVE, SYMBOL, D, intent
from tests.integration.test_live_venues import ROUND_TRIPS
from tests.simulator import Simulator, simulator

SECONDS = 30
NAMES = ("ours", "second", "third")


@pytest.fixture(scope="module")
def exchanges() -> Iterator[dict[str, Simulator]]:
    arguments = ("--symbols", SYMBOL, "--speed", "1", "--market", "hand")
    with ExitStack() as stack:
        yield {name: stack.enter_context(simulator("binance", *arguments)) for name in NAMES}


@pytest.fixture
def watch(exchanges: dict[str, Simulator]) -> Iterator[PriceWatch]:
    for sim in exchanges.values():
        sim.control.clear()
        sim.control.price(NATIVE, 100, bid="99.9", ask="100.1", volume=100)
    sources = [
        PriceSource(name, "binance", f"http://{sim.host}:{sim.port}/api/v3")
        for name, sim in exchanges.items()
    ]
    made = PriceWatch(sources, [SYMBOL], max_age=timedelta(seconds=2), poll_seconds=0.2)
    made.start()
    until(made, lambda agreed: agreed.sources == tuple(sorted(NAMES)))
    yield made
    made.stop()


def until(watch: PriceWatch, wanted: object) -> Agreed:
    """What is agreed on once it is what is wanted; the sources are asked by threads of their own."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        agreed = watch.agreed(SYMBOL)
        if wanted(agreed):  # type: ignore[operator]
            return agreed
        time.sleep(0.05)
    raise AssertionError(f"still {watch.agreed(SYMBOL)}")


def refusal(watch: PriceWatch) -> str:
    gate = RiskGate(rules=[ConsensusGuard(watch, "ours")])
    order: OrderIntent = intent("a")
    try:
        gate.check(order, Account(D(1000)))
    except OrderRejected as refused:
        return str(refused)
    return ""


def test_one_of_the_others_lies_and_entries_go_on(exchanges: dict[str, Simulator], watch: PriceWatch) -> None:
    exchanges["third"].control.price(NATIVE, 150, bid="149.9", ask="150.1", volume=100)
    agreed = until(watch, lambda agreed: "third" in agreed.left_out)
    assert agreed.sources == ("ours", "second")
    assert refusal(watch) == ""


@pytest.mark.parametrize(
    ("bid", "ask", "reason"), [("109.9", "110.1", r"+10.00% from the median"), ("100.3", "100.1", "crossed")]
)
def test_the_traded_venue_is_out_and_nothing_is_entered(
    exchanges: dict[str, Simulator], watch: PriceWatch, bid: str, ask: str, reason: str
) -> None:
    exchanges["ours"].control.price(NATIVE, bid, bid=bid, ask=ask, volume=100)
    until(watch, lambda agreed: "ours" in agreed.left_out)
    assert f"ours is out of the consensus: {reason}" in refusal(watch)
    exchanges["ours"].control.price(NATIVE, 100, bid="99.9", ask="100.1", volume=100)
    until(watch, lambda agreed: "ours" in agreed.sources)
    assert refusal(watch) == ""


def test_too_few_answer_and_nothing_is_entered(exchanges: dict[str, Simulator], watch: PriceWatch) -> None:
    for name in ("second", "third"):
        exchanges[name].control.fault("ban", match="GET /api/v3/depth", seconds=8)
    until(watch, lambda agreed: agreed.price is None)
    assert "only 1 exchanges agree on a price" in refusal(watch)
    assert "second: silent for" in refusal(watch)
    until(watch, lambda agreed: agreed.sources == tuple(sorted(NAMES)))
    assert refusal(watch) == ""


@pytest.mark.parametrize("agrees", [True, False])
def test_a_session_enters_while_exchanges_agree_and_says_why_it_does_not(
    forked: Any, tmp_path: Path, exchanges: dict[str, Simulator], agrees: bool
) -> None:
    """D17: by configuration alone; the strategy is told, the journal keeps the reason."""
    (tmp_path / "s.py").write_text(ROUND_TRIPS)
    market = ("--market", "random:7", "--symbols", SYMBOL, "--speed", "60")
    with simulator("binance", *market) as sim:
        if not agrees:
            exchanges["second"].control.price(NATIVE, 5, bid="4.9", ask="5.1", volume=100)
            exchanges["third"].control.price(NATIVE, 5, bid="4.9", ask="5.1", volume=100)
        others = [sim, sim] if agrees else [exchanges["second"], exchanges["third"]]
        named = [f"x{n}=http://{o.host}:{o.port}/api/v3" for n, o in enumerate(others)]
        where = f"127.0.0.1:{sim.port}"
        addresses = {
            "BINANCE_KEY": "rehearsal-key",
            "BINANCE_SECRET": "rehearsal-secret",
            "BINANCE_REST": f"http://{where}/api/v3",
            "BINANCE_STREAMS": f"ws://{where}/ws",
            "BINANCE_WEBSOCKET_API": f"ws://{where}/ws-api/v3",
        }
        given = ("--broker", "binance", "--symbols", SYMBOL, "--param", "size=0.5", "--bars", "12")
        compared = ("--set", f"live.consensus={','.join(named)}", "--set", "live.consensus_tolerance=0.05")
        done = forked(tmp_path, "s.py:RoundTrips", *given, *compared, "--json", env=addresses)
        assert done.code == 0, done.stderr
        document = json.loads(done.stdout)
        assert bool(sim.orders()) is agrees
    with store.open_store(f"sqlite:///{tmp_path}/runs/tradewright.db") as database:
        told = [item.event for item in database.journal(document["run"]).events()]
    refused = [event.reason for event in told if event.status == "rejected"]
    if agrees:
        assert document["fills"] > 0
        assert not [reason for reason in refused if "consensus" in reason]
    else:
        assert document["fills"] == 0
        assert any("binance is out of the consensus" in reason for reason in refused), refused

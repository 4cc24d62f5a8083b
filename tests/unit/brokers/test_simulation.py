"""The deterministic simulation: seeds hold, replay to the same step, and find what is broken on purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brokers.binance_book import BinanceBook
from brokers.binance_desk import BinanceDesk
from brokers.binance_lists import BinanceLists
from brokers.binance_orders import BinanceOrder, Stage, Trade
from brokers.executor import Executor, Submission
from brokers.simulation import __main__ as command
from brokers.simulation.bench import Bench
from brokers.simulation.loop import Stuck, VirtualLoop
from brokers.simulation.scenario import Outcome
from brokers.simulation.sweep import sweep
from core.errors import OutcomeUnknown
from core.types import OrderIntent
from store import Journal

ROOT = Path(__file__).parents[3]
SEEDS = 200
"""How many seeds a mistake may stay hidden for."""


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def first_failure(bench: Bench) -> Outcome | None:
    outcomes = (bench.run(seed) for seed in range(1, SEEDS + 1))
    return next((outcome for outcome in outcomes if outcome.violation), None)


def test_no_seed_breaks_an_invariant() -> None:
    summary = sweep(range(1, SEEDS + 1), jobs=1)
    assert summary.failures == []
    # They did trade, and die, and every kind of fault struck.
    assert summary.seeds == SEEDS
    assert summary.fills > SEEDS
    assert summary.lives > SEEDS * 3 / 2
    assert {
        "crash",
        "lose",
        "duplicate",
        "reorder",
        "late",
        "partial",
        "manual-trade",
        "venue-restart",
    } <= set(summary.struck)
    assert len(summary.struck) == 21


def test_a_seed_replays_to_the_same_step_in_any_process(bench: Bench) -> None:
    seeds = (3, 8, 21)
    here = [bench.run(seed).digest for seed in seeds]
    assert [bench.run(seed).digest for seed in seeds] == here
    assert len(set(here)) == len(seeds)
    for seed, digest in zip(seeds[:1], here[:1], strict=True):
        environment = {**os.environ, "PYTHONHASHSEED": "1234"}
        run = [sys.executable, "-m", "brokers.simulation", "--seed", str(seed), "--json"]
        done = subprocess.run(
            run, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120, check=True
        )
        assert json.loads(done.stdout)["digest"] == digest


def test_journalling_after_the_submit_is_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[tuple[Journal, OrderIntent, int]] = []
    record, send = Journal.record_intent, Executor._send

    def remember(self: Journal, intent: OrderIntent, *, step: int) -> bool:
        late.append((self, intent, step))
        return True

    async def send_first(self: Executor, intent: OrderIntent) -> Submission:
        submit = self._venue.submit

        async def submit_then_write(order: OrderIntent) -> None:
            try:
                await submit(order)
            finally:
                for journal, known, step in late:
                    record(journal, known, step=step)
                late.clear()

        monkeypatch.setattr(self._venue, "submit", submit_then_write)
        return await send(self, intent)

    monkeypatch.setattr(Journal, "record_intent", remember)
    monkeypatch.setattr(Executor, "_send", send_first)
    found = first_failure(bench)
    assert found is not None
    assert "not in the journal" in found.violation


def test_sending_again_what_is_unknown_is_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    place: Callable[..., Awaitable[BinanceOrder]] = BinanceDesk.place

    async def place_blindly(
        self: BinanceDesk, order: BinanceOrder, kind: Any = None, **more: Any
    ) -> BinanceOrder:
        try:
            return await place(self, order, kind, **more)
        except OutcomeUnknown:
            return await place(self, order, kind, **more)

    monkeypatch.setattr(BinanceDesk, "place", place_blindly)
    assert first_failure(bench) is not None


def test_counting_an_execution_twice_is_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    trade = BinanceBook.trade

    def forgetful(self: BinanceBook, order: BinanceOrder, told: Trade) -> BinanceOrder:
        self._trades.discard(f"{order.native}:{told.id}")
        return trade(self, order, told)

    monkeypatch.setattr(BinanceBook, "trade", forgetful)
    assert first_failure(bench) is not None


def test_a_stop_that_does_not_follow_what_was_filled_is_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    protect = BinanceLists.protect

    async def protect_once(self: BinanceLists, parent: BinanceOrder) -> None:
        if all(child.stage is not Stage.KNOWN for child in self._children(parent)):
            await protect(self, parent)

    monkeypatch.setattr(BinanceLists, "protect", protect_once)
    found = first_failure(bench)
    assert found is not None
    assert "unprotected" in found.violation


def test_a_failing_seed_is_named_and_replayed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(BinanceBook, "_count", lambda self, fill: None)
    assert command.main(command.parser().parse_args(["--seeds", "3"])) == 1
    printed = capsys.readouterr().out
    assert "replay: python -m brokers.simulation --seed " in printed
    seed = printed.partition("seed ")[2].partition(":")[0]
    assert command.main(command.parser().parse_args(["--seed", seed])) == 1
    assert "VIOLATION" in capsys.readouterr().out


def test_the_command_sums_up() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "brokers.simulation", *arguments]
        return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)

    done = run("--first", "5", "--seeds", "26", "--jobs", "2", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["seeds"], facts["violations"]) == (26, [])
    assert facts["faults"]["crash"] > 0
    refused = run("--seeds", "0")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)


def test_a_loop_in_which_nothing_can_happen_says_so() -> None:
    loop = VirtualLoop()
    with pytest.raises(Stuck, match="nothing is due"):
        loop.run_until_complete(loop.create_future())
    loop.close()

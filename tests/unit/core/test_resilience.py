"""Reads are asked again by a schedule, and whoever does not answer is left alone for a while (P15, P16, P19)."""

from __future__ import annotations

import ast
import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tenacity
from purgatory.domain import model as purgatory_model

from brokers.simulation.loop import VirtualLoop
from core.errors import OutcomeUnknown, ProviderError, ProviderUnavailable, VenueTransient
from core.resilience import Breaker, Schedule, resilient

ROOT = Path(__file__).parents[3]
TRADING = ("core", "store", "feeds", "brokers", "engine", "live")
EXACT = Schedule(attempts=5, first=0.2, longest=1.0, jitter=0.0, seconds=100.0)


class FakeClock:
    """In place of the module `time` where the libraries look for it: they take no clock."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def time(self) -> float:
        return self.seconds

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(tenacity, "time", fake)
    monkeypatch.setattr(tenacity.nap, "time", fake)
    monkeypatch.setattr(purgatory_model, "time", fake)
    return fake


class Source:
    """Fails so many times, then answers; notes when it was asked."""

    def __init__(self, now: Callable[[], float], failures: int, error: Exception | None = None) -> None:
        self.now, self.failures, self.error = now, failures, error or VenueTransient("busy")
        self.asked: list[float] = []

    def read(self) -> str:
        self.asked.append(round(self.now() - 1_000.0, 6))
        if len(self.asked) <= self.failures:
            raise self.error
        return "bars"

    async def read_later(self) -> str:
        return self.read()


def ask(source: Source, clock: FakeClock, schedule: Schedule, *, asynchronous: bool) -> Any:
    """Either way; the asynchronous one on a loop whose clock is the fake one."""
    if not asynchronous:
        return resilient(schedule=schedule)(source.read)()
    loop = VirtualLoop()

    def tick(number: int) -> None:
        clock.seconds = 1_000.0 + loop.seconds

    loop.on_round = tick
    try:
        return loop.run_until_complete(resilient(schedule=schedule)(source.read_later)())
    finally:
        loop.close()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_attempts_are_made_when_the_schedule_says(clock: FakeClock, asynchronous: bool) -> None:
    """P15, P19: pauses double from the first up to the longest."""
    source = Source(clock.time, failures=4)
    assert ask(source, clock, EXACT, asynchronous=asynchronous) == "bars"
    assert source.asked == pytest.approx([0.0, 0.2, 0.6, 1.4, 2.4])


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_last_error_comes_out_after_as_many_attempts(clock: FakeClock, asynchronous: bool) -> None:
    """P15, P19"""
    source = Source(clock.time, failures=99)
    with pytest.raises(VenueTransient, match="busy"):
        ask(source, clock, EXACT, asynchronous=asynchronous)
    assert len(source.asked) == 5


def test_no_attempt_begins_once_the_time_is_over(clock: FakeClock) -> None:
    """P15"""
    source = Source(clock.time, failures=99)
    patient = Schedule(attempts=1_000, first=1.0, longest=4.0, jitter=0.0, seconds=10.0)
    with pytest.raises(VenueTransient):
        resilient(schedule=patient)(source.read)()
    assert source.asked == [0.0, 1.0, 3.0, 7.0, 11.0]


def test_chance_comes_on_top_within_its_bound(clock: FakeClock) -> None:
    """P15: so that those who failed together do not ask together."""
    random.seed(7)
    firsts = []
    for _ in range(50):
        begun, source = clock.seconds, Source(clock.time, failures=1)
        resilient(schedule=Schedule(first=0.2, jitter=0.3))(source.read)()
        firsts.append(clock.seconds - begun)
    assert all(0.2 <= pause <= 0.5 for pause in firsts)
    assert max(firsts) - min(firsts) > 0.2


@pytest.mark.parametrize(
    "error", [OutcomeUnknown("lost"), ProviderError("no such symbol"), ValueError("defect")], ids=repr
)
def test_what_is_not_transient_is_not_asked_again(clock: FakeClock, error: Exception) -> None:
    """P15"""
    source = Source(clock.time, failures=1, error=error)
    with pytest.raises(type(error)):
        resilient()(source.read)()
    assert source.asked == [0.0]


def test_a_breaker_opens_lets_one_call_find_out_and_closes(clock: FakeClock) -> None:
    """P16: closed, opened, half-opened and back, and closed."""
    breaker = Breaker("kraken", failures=3, seconds=30.0)
    source = Source(clock.time, failures=4)
    once = Schedule(attempts=1)
    read = resilient(schedule=once, breaker=breaker)(source.read)
    for _ in range(3):
        assert breaker.state == "closed"
        with pytest.raises(VenueTransient):
            read()
    assert breaker.state == "opened"
    clock.sleep(29.0)
    with pytest.raises(ProviderUnavailable, match="kraken failed 3 times in a row: not asked for 30 s"):
        read()
    assert len(source.asked) == 3, "nobody was asked while it was open"
    clock.sleep(1.1)
    with pytest.raises(VenueTransient):
        read()
    assert (breaker.state, len(source.asked)) == ("opened", 4), "the one call failed: open again"
    clock.sleep(30.1)
    seen = []
    with breaker():
        seen.append(breaker.state)
    assert seen == ["half-opened"]
    assert breaker.state == "closed"
    assert read() == "bars"


def test_answers_that_refuse_do_not_open_a_breaker(clock: FakeClock) -> None:
    """P16: who refuses answers."""
    breaker = Breaker("kraken", failures=1)
    with pytest.raises(ProviderError), breaker():
        raise ProviderError("no such symbol")
    with pytest.raises(asyncio.CancelledError), breaker():
        raise asyncio.CancelledError
    assert breaker.state == "closed"


@pytest.mark.parametrize("name", ["submit", "cancel", "_send", "place_order", "order", "replace", "flatten"])
def test_what_acts_cannot_be_made_to_repeat(name: str) -> None:
    """P15: refused as the module is imported."""

    def act() -> None: ...

    act.__name__ = name
    with pytest.raises(ValueError, match="is never repeated"):
        resilient()(act)


def test_nothing_else_repeats_requests() -> None:
    """P15: the libraries that repeat are imported in one place, and nothing that is repeated asks a venue to act."""
    acts = {"submit", "cancel", "send", "placeOrder", "cancelOrder", "replace"}
    for path in (path for package in TRADING for path in (ROOT / package).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        imported = {name.split(".")[0] for node in nodes for name in _imports(node)}
        assert path.name == "resilience.py" or not imported & {"stamina", "tenacity", "backoff"}, path
        for node in nodes:
            if path.parts[-2] != "historical" and _repeats(node):
                called = {n.func.attr for n in ast.walk(node) if _calls_method(n)}
                assert not called & acts, (path, ast.unparse(node)[:80])


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def _repeats(node: ast.AST) -> bool:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, functions) and any(
        "resilient" in ast.unparse(each) for each in node.decorator_list
    )


def _calls_method(node: ast.AST) -> Any:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)

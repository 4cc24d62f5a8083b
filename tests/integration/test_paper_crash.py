"""A paper session killed at every seam of every commit ends exactly as one that was never killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.costs import Commission
from brokers.paper import PaperVenue
from brokers.paper_book import PaperBook
from brokers.paper_state import PaperState
from core.types import Bar, EventKind, OrderEvent, OrderIntent, OrderStatus, OrderType, Side

START = datetime(2024, 1, 1, tzinfo=UTC)
STEPS = 22
SEED = 90
CASH, RATE = 2_000.0, 0.00123


def bars(number: int, seed: int = SEED) -> dict[str, Bar]:
    """Bars of step `number`; B misses every fourth, and nothing moves in steps 9 to 13."""
    time = START + timedelta(hours=number)
    result = {}
    for symbol in "AB" if number % 4 else "A":
        chance = random.Random(f"{symbol}{seed}{0 if 9 <= number <= 13 else number}")
        opened, closed = (round(chance.uniform(9, 11), 2) for _ in range(2))
        high = max(opened, closed) + round(chance.uniform(0, 0.5), 2)
        low = min(opened, closed) - round(chance.uniform(0, 0.5), 2)
        result[symbol] = Bar(symbol, time, opened, high, low, closed, 1.0)
    return result


def orders(number: int, seed: int = SEED) -> list[OrderIntent]:
    """What is submitted after step `number`: anything, a bracket now and then, some in groups."""
    chance = random.Random(f"orders{seed}{number}")
    made: list[OrderIntent] = []
    if 8 <= number <= 12:
        return made
    parent = None
    for leg in range(chance.randint(0, 4)):
        bracket = parent is not None or chance.random() < 0.3
        name = f"o{number}-{leg}"
        made.append(
            OrderIntent(
                client_id=name,
                symbol=chance.choice("AB"),
                side=chance.choice(list(Side)),
                type=chance.choice(list(OrderType)),
                size=Decimal(str(chance.choice([1, 3, 7, 0.3, 120]))),
                reference_price=Decimal("10.1"),
                bar_time=START + timedelta(hours=number),
                leg=leg,
                price=Decimal(str(round(chance.uniform(9, 11), 2))),
                limit=Decimal(str(round(chance.uniform(9, 11), 2))),
                trail_percent=Decimal("0.021"),
                expires_at=START + timedelta(hours=number + 5) if chance.random() < 0.3 else None,
                session_end=START + timedelta(hours=number + chance.randint(1, 3)),
                oco=made[-1].client_id if made and chance.random() < 0.3 else None,
                parent=parent,
                transmit=not bracket or parent is not None,
            )
        )
        parent = name if bracket and parent is None else None
    return made


async def drive(venue: PaperVenue, seed: int = SEED) -> None:
    """Run the whole script; after a restart, repeat it: what the venue already has changes nothing.

    Cancels and amendments belong to a moment, so they are repeated only at the step the venue stands at.
    """
    await venue.connect()
    known: list[str] = []
    for number in range(1, STEPS + 1):
        now = bars(number, seed)
        await venue.step(number, now["A"].time, now)
        for intent in orders(number, seed):
            await venue.submit(intent)
            known.append(intent.client_id)
        if venue.last_step == number and len(known) > 2 and number % 3 == 0:
            await venue.cancel(known[-2])
        if venue.last_step == number and len(known) > 3 and number % 4 == 0:
            await venue.amend(known[-4], price=Decimal("10.05"), size=Decimal("2.5"))


async def outcome(venue: PaperVenue) -> tuple[object, ...]:
    return (
        await venue.fills(0),
        await venue.balances(),
        await venue.positions(),
        await venue.open_orders(),
        await venue.quote("A"),
    )


async def run(state: Path | None, seed: int = SEED) -> tuple[tuple[object, ...], list[str]]:
    seams: list[str] = []
    venue = PaperVenue(CASH, RATE, state=state, on_step=seams.append)
    await drive(venue, seed)
    result = await outcome(venue)
    await venue.close()
    return result, seams


def run_and_die(state: Path, at: int) -> int | None:
    """Drive the venue in another process that kills itself at its seam number `at`; returns its exit code.

    Forked, because starting an interpreter a hundred times would take most of the time.
    """
    process = multiprocessing.get_context("fork").Process(target=kill_at, args=(state, at))
    process.start()
    process.join(60)
    return process.exitcode


@pytest.fixture(scope="module")
def undisturbed() -> tuple[tuple[object, ...], list[str]]:
    return asyncio.run(run(None))


def test_the_script_meets_every_kind_of_event(undisturbed: tuple[tuple[object, ...], list[str]]) -> None:
    (events, *_), seams = undisturbed
    told = [event for event in events if isinstance(event, OrderEvent)]
    assert {event.status for event in told} >= set(OrderStatus) - {OrderStatus.INTENT, OrderStatus.PARTIAL}
    assert {event.kind for event in told} == set(EventKind)
    assert any(event.reason == "amended" for event in told)
    actions = {"submit", "step", "cancel", "amend"}
    assert set(seams) == {f"venue.{action}.{seam}" for action in actions for seam in ("begin", "committed")}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_at_every_seam_it_ends_the_same(
    tmp_path: Path, undisturbed: tuple[tuple[object, ...], list[str]]
) -> None:
    """L25, B9"""
    expected, seams = undisturbed
    for at in range(1, len(seams) + 1):
        state = tmp_path / f"{at}.db"
        assert run_and_die(state, at) == -signal.SIGKILL, f"seam {at} was not reached"
        got, _ = asyncio.run(run(state))
        assert got == expected, f"killed at seam {at}: {seams[at - 1]}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_again_and_again_it_ends_the_same(
    tmp_path: Path, undisturbed: tuple[tuple[object, ...], list[str]]
) -> None:
    """Every start lives for four seams only: one commit survives each, or two."""
    expected, seams = undisturbed
    state = tmp_path / "paper.db"
    deaths = 0
    while run_and_die(state, 4) == -signal.SIGKILL:
        deaths += 1
        assert deaths < len(seams)
    assert deaths > 5
    assert asyncio.run(run(state))[0] == expected


@pytest.mark.parametrize("seed", range(6))
def test_what_is_on_file_is_what_is_in_memory(tmp_path: Path, seed: int) -> None:
    """After every commit, a second reader finds every order, queue, group, bracket and float."""
    path = tmp_path / "paper.db"
    compared = 0

    def compare(seam: str) -> None:
        nonlocal compared
        if seam.endswith("committed"):
            book, state = PaperBook(CASH, Commission(RATE)), PaperState(path)
            state.load(book)
            state.close()
            assert venue._book is not None
            assert content(book) == content(venue._book)
            compared += 1

    venue = PaperVenue(CASH, RATE, state=path, on_step=compare)
    asyncio.run(drive(venue, seed))
    asyncio.run(venue.close())
    assert compared > 20


def content(book: PaperBook) -> dict[str, object]:
    """A book as plain values, orders by client id."""

    def names(queue: object) -> list[str]:
        return [order.intent.client_id for order in queue]  # type: ignore[attr-defined]

    fields = (
        "intent",
        *(name for name in type(next(iter(book.orders.values()))).__slots__ if name != "intent"),
    )
    return {
        "orders": {key: [getattr(order, name) for name in fields] for key, order in book.orders.items()},
        "queues": (names(book.submitted), names(book.resting), names(book.activating)),
        "plain": (book.cash, book.step, book.feed, book.sequence, book.positions, book.bars),
        "times": (book.last_times, book.previous_times),
    }


def kill_at(state: Path, count: int) -> None:
    seen = 0

    def on_step(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(drive(PaperVenue(CASH, RATE, state=state, on_step=on_step)))

"""A session whose wire was recorded, and the same session against the recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import store
from brokers.wire.tape import read_tape
from tests.integration.test_live_venues import ROUND_TRIPS, TRADED
from tests.simulator import simulator

BARS = "10"
"""The last order is decided on the one before: what became of it is known when the session ends."""
KINDS = {"binance": "binance", "ibkr": "tws"}


def journalled(folder: Path, run: str) -> tuple[list[Any], list[Any], list[Any]]:
    """Decisions, what became of them, and what was traded."""
    with store.open_store(f"sqlite:///{folder}/runs/tradewright.db") as database:
        journal = database.journal(run)
        orders = [(order.intent.client_id, order.status, order.filled) for order in journal.orders()]
        return [(each.client_id, each.bar_time, each.side, each.size) for each in journal.intents()], orders, [
            (fill.client_id, fill.size, fill.price, fill.commission, fill.time) for fill in journal.fills()
        ]  # fmt: skip


@pytest.mark.parametrize("venue", ["binance", "ibkr"])
def test_a_recorded_session_decides_and_trades_the_same_again(
    forked: Any, tmp_path: Path, venue: str
) -> None:
    """B28: orders, what became of them and fills, to the last digit, out of the recording alone."""
    (tmp_path / "s.py").write_text(ROUND_TRIPS)
    symbol, size = TRADED[venue]
    command = ("s.py:RoundTrips", "--param", f"size={size}", "--bars", BARS, "--json")
    first = forked(tmp_path, *command, "--rehearse", venue, "--speed", "120", "--record-wire", "wire.jsonl")
    assert first.code == 0, first.stderr
    file = tmp_path / "wire.jsonl"
    text = file.read_text()
    assert "rehearsal-key" not in text
    assert "rehearsal-secret" not in text
    session = read_tape(file)[0]
    with simulator(KINDS[venue], "--replay", str(file)) as replay:
        again = forked(
            *(tmp_path, *command, "--broker", venue, "--symbols", symbol),
            *("--bot", session["bot"], "--since", session["since"]),
            env=replay.variables(KINDS[venue]),
        )
        missing = replay.control.state()["missing"]
    assert again.code == 0, again.stderr
    one, other = json.loads(first.stdout), json.loads(again.stdout)
    assert journalled(tmp_path, one["run"]) == journalled(tmp_path, other["run"])
    assert one["metrics"] == other["metrics"]
    assert (one["orders"], one["fills"]) == (other["orders"], other["fills"])
    assert one["orders"] >= 4
    assert missing == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--replay", "nowhere.jsonl"), "cannot read nowhere.jsonl"),
        (("--replay", "text.jsonl"), "is no recording"),
        (("--replay", "empty.jsonl"), "the recording is empty"),
        (("--replay", "empty.jsonl", "--start", "2026-01-01"), "--start was given with --replay"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    forked: Any, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "text.jsonl").write_text("no JSON\n")
    (tmp_path / "empty.jsonl").write_text("")
    done = forked(tmp_path, "binance", *arguments, module="brokers.simulators.__main__")
    assert done.code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--record-wire", "wire.jsonl"), "--record-wire was given for a replay on paper"),
        (("--rehearse", "binance", "--since", "2026-01-01"), "--since was given with --rehearse"),
        (("--continue", "--record-wire", "wire.jsonl"), "--record-wire was given with --continue"),
        (("--resume", "--record-wire", "wire.jsonl"), "--record-wire was given with --resume"),
    ],
)
def test_what_does_not_go_together_is_said(
    forked: Any, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = forked(tmp_path, "momentum", *arguments)
    assert done.code == 2
    assert said in done.stderr
    assert not (tmp_path / "wire.jsonl").exists()

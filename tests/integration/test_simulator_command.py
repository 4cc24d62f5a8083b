"""`python -m brokers.simulators` as a person starts it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.types import Side
from tests.simulator import ROOT, simulator


@pytest.mark.parametrize("market", ["sample", "random:7"])
def test_the_market_moves_by_itself(market: str) -> None:
    with simulator("tws", "--market", market, "--speed", "600") as running:
        until = time.monotonic() + 30
        ticks = running.control.state()["ticks"]
        while (now := running.control.state()["ticks"]) == ticks and time.monotonic() < until:
            time.sleep(0.05)
        assert sorted(now) == ["ABC", "DEF"]
        assert now != ticks


def test_state_outlives_the_process(tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    for trades in (1, 2):
        with simulator("tws", "--state", state) as running:
            running.control.price("ABC", 100)
            running.control.trade(running.account, "ABC", Side.BUY, 5)
            assert len(running.control.state()["executions"]) == trades


def test_mistakes_are_answered_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for arguments, said in (
            (["--market", "random:x"], "names no seed"),
            (["--cash", "much"], "is no amount"),
            (["--start", "noon"], "is no time"),
            (["--market", "hand", "--port", port], "cannot listen"),
        ):
            command = [sys.executable, "-m", "brokers.simulators", "tws", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
            assert done.returncode == 2, done.stderr
            assert said in done.stderr
            assert len(done.stderr.splitlines()) == 1

"""`python -m live.run` at a venue: rehearsed, killed, resumed, ended, refused; real processes and sockets throughout."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import store
from brokers.binance_link import BinanceSettings
from tests.integration.test_live_run import Reader
from tests.simulator import Simulator, simulator

ROUND_TRIPS = """
import backtrader as bt


class Both(bt.Strategy):
    params = (("size", 1.0),)

    def next(self):
        for number, data in enumerate(self.datas):
            if not self.getposition(data) and len(self) % 3 == number:
                self.buy(data=data, size=self.p.size)
            elif self.getposition(data) and len(self) % 3 == 2:
                self.close(data=data)


class RoundTrips(bt.Strategy):
    params = (("size", 1.0),)

    def next(self):
        if not self.position and len(self) % 3 == 0:
            self.buy(size=self.p.size)
        elif self.position and len(self) % 3 == 2:
            self.close()
"""
TRADED = {"binance": ("BTC/USDT", "0.5"), "ibkr": ("AAPL", "10")}
"""What is traded at each venue, and how much at a time."""
TWO = {"binance": "BTC/USDT,ETH/USDT", "ibkr": "AAPL,MSFT"}
FEE = 0.002
"""Binance takes its commission out of what was bought."""
PATIENCE_SECONDS = 60


@pytest.fixture(params=["binance", "ibkr"])
def venue(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / "s.py").write_text(ROUND_TRIPS)
    return str(request.param)


def decisions(folder: Path, run: str) -> tuple[list[tuple[object, ...]], list[float]]:
    """Bar, side and type of every order of a run, and their sizes."""
    with store.open_store(f"sqlite:///{folder}/runs/tradewright.db") as database:
        intents = database.journal(run).intents()
    return [(each.bar_time, each.side, each.type) for each in intents], [float(each.size) for each in intents]


# Rehearsals


def test_a_rehearsal_decides_as_the_paper_replay_of_its_bars(forked: Any, tmp_path: Path, venue: str) -> None:
    """B9, L1: the same class, switched by an argument; what it recorded is replayed on paper."""
    size = ("--param", f"size={TRADED[venue][1]}")
    arguments = ("--rehearse", venue, "--bars", "14", "--speed", "120", "--record", "tape.csv", "--json")
    rehearsed = forked(tmp_path, "s.py:RoundTrips", *size, *arguments)
    assert rehearsed.code == 0, rehearsed.stderr
    document = json.loads(rehearsed.stdout)
    assert document["kind"] == "rehearsal"
    assert document["rehearsal"]["invariants"] == "held"
    assert document["rehearsal"]["orders"] == document["orders"] == 8
    paper = forked(tmp_path, "s.py:RoundTrips", *size, "--data", "csv:tape.csv", "--json")
    assert paper.code == 0, paper.stderr
    ours, theirs = (decisions(tmp_path, json.loads(done.stdout)["run"]) for done in (rehearsed, paper))
    assert ours[0] == theirs[0]
    assert ours[1] == pytest.approx(theirs[1], rel=FEE if venue == "binance" else 0)


def test_a_rehearsal_with_faults_says_which_were_met(forked: Any, tmp_path: Path, venue: str) -> None:
    """B9: an answer lost, a message twice, the connection gone; each order once all the same."""
    faults = ["drop-after-accept", "duplicate", "disconnect"]
    size = ("--param", f"size={TRADED[venue][1]}")
    arguments = ("--rehearse", venue, "--bars", "40", "--faults", ",".join(faults))
    done = forked(tmp_path, "s.py:RoundTrips", *size, *arguments)
    assert done.code == 0, done.stderr
    assert f"faults met: {', '.join(faults)}" in done.stdout
    assert re.search(r"invariants held: \d+ orders and \d+ fills, each once", done.stdout)
    assert done.lines[-1].endswith("tearsheet.html")


def test_two_symbols_come_together(forked: Any, tmp_path: Path) -> None:
    """L1: a moment's bars are one step, at a venue as in a replay."""
    (tmp_path / "s.py").write_text(ROUND_TRIPS)
    symbols = ("--symbols", "AAPL,MSFT", "--bars", "12", "--speed", "120")
    rehearsed = forked(
        tmp_path, "s.py:Both", "--rehearse", "ibkr", *symbols, "--record", "tape.csv", "--json"
    )
    assert rehearsed.code == 0, rehearsed.stderr
    paper = forked(tmp_path, "s.py:Both", "--data", "csv:tape.csv", "--json")
    ours, theirs = (decisions(tmp_path, json.loads(done.stdout)["run"]) for done in (rehearsed, paper))
    assert ours == theirs
    assert len(ours[0]) > 8


# A venue that lives on


@pytest.fixture
def running(venue: str) -> Iterator[tuple[Simulator, dict[str, str]]]:
    """A simulated venue, and the environment that names it."""
    exchange = "tws" if venue == "ibkr" else venue
    with simulator(exchange, "--market", "random:7", "--symbols", TWO[venue], "--speed", "120") as sim:
        yield sim, sim.variables(exchange)


def test_killed_resumed_interrupted_and_flattened(
    spawned: Any,
    forked: Any,
    tmp_path: Path,
    venue: str,
    running: tuple[Simulator, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """L25, L1: two symbols; no order twice in three lives, the run goes on, and nothing is held at its end."""
    sim, addresses = running
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in addresses.items()))
    command = ("-m", "live.run", "s.py:Both")
    begin = ("--broker", venue, "--symbols", TWO[venue], "--param", f"size={TRADED[venue][1]}")
    first = spawned(tmp_path, *command, *begin)
    reader = Reader(first)
    assert "no orders reach a real venue" in reader.until("SIMULATED")
    reader.until("buy .* commission")
    os.kill(first.pid, signal.SIGKILL)
    first.wait(PATIENCE_SECONDS)
    sent = [order["client_id"] for order in sim.orders()]
    second = spawned(tmp_path, *command, "--resume")
    Reader(second).until("commission")
    os.kill(second.pid, signal.SIGINT)
    _, errors = second.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 0, errors
    third = forked(
        tmp_path, "s.py:Both", "--resume", "--bars", "4", "--set", "live.on_stop=flatten", "--json"
    )
    assert third.code == 0, third.stderr
    document = json.loads(third.stdout)
    assert document["left"] == {"held": {}, "resting": 0}
    orders = sim.orders()
    assert Counter(order["client_id"] for order in orders).most_common(1)[0][1] == 1
    assert [order["client_id"] for order in orders][: len(sent)] == sent
    assert len(orders) > len(sent)
    assert document["fills"] == len(sim.control.state()["executions"])
    assert "has finished" in forked(tmp_path, "s.py:Both", "--resume", document["run"]).stderr


# Refusals


KEYS = {"BINANCE_KEY__MAIN": "plantedKey99", "BINANCE_SECRET__MAIN": "plantedSecret99"}
AT_BINANCE = ("--broker", "binance", "--symbols", "BTC/USDT")
REFUSED = {
    "no key": ((*AT_BINANCE,), {}, "BINANCE_KEY is not set"),
    "another profile": ((*AT_BINANCE,), KEYS, "or --profile main"),
    "nothing to trade": (("--broker", "binance", "--profile", "main"), KEYS, "add --symbols BTC/USDT"),
    "not --live": ((*AT_BINANCE, "--profile", "main"), KEYS, "would be real"),
    "--live without a terminal": (
        (*AT_BINANCE, "--profile", "main", "--live"),
        KEYS,
        "set live.confirm=main",
    ),
    "another name confirmed": (
        (*AT_BINANCE, "--profile", "main", "--live", "--set", "live.confirm=alt"),
        KEYS,
        "live.confirm is 'alt', not 'main'",
    ),
    "a gateway, not --live": (("--broker", "ibkr", "--symbols", "AAPL"), {}, "add --live"),
    "a replay's argument": ((*AT_BINANCE, "--data", "sample:goog"), {}, "leave --data out"),
    "a venue's argument": (("--symbols", "BTC/USDT"), {}, "name a venue with --broker"),
    "--live on paper": (("--live",), {}, "paper trades no money"),
    "--live in a rehearsal": (("--rehearse", "ibkr", "--live"), {}, "leave --live out"),
    "faults of nothing": (("--faults", "all"), {}, "add --rehearse"),
    "an unknown fault": (("--rehearse", "ibkr", "--faults", "mote"), {}, "did you mean mute?"),
    "another venue": (("--broker", "kraken"), {}, "invalid choice: 'kraken'"),
    "seconds rehearsed": (("--rehearse", "ibkr", "--timeframe", "30s"), {}, "take --timeframe 1m"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_a_line_and_nothing_is_written(
    forked: Any, listing: Any, tmp_path: Path, case: str
) -> None:
    """L2, L3"""
    argv, env, said = REFUSED[case]
    before = listing(tmp_path)
    done = forked(tmp_path, "momentum", *argv, env=env)
    assert (done.code, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr
    assert "planted" not in done.stderr
    assert listing(tmp_path) == before


@pytest.fixture
def nobody() -> Iterator[dict[str, str]]:
    """A profile of a simulator that does not run."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        yield {
            "BINANCE_KEY": "k",
            "BINANCE_SECRET": "s",
            "BINANCE_REST": f"http://{where}/api/v3",
            "BINANCE_STREAMS": f"ws://{where}/ws",
            "BINANCE_WEBSOCKET_API": f"ws://{where}/ws-api/v3",
        }


def test_a_venue_that_is_down_is_said_in_a_line(
    forked: Any, listing: Any, tmp_path: Path, nobody: dict[str, str]
) -> None:
    """L2: with what to do; paper stands in only where it is configured."""
    before = listing(tmp_path)
    done = forked(tmp_path, "momentum", *AT_BINANCE, env=nobody)
    assert (done.code, done.stdout) == (2, "")
    assert re.search(
        r"binance does not answer at 127.0.0.1:\d+ .*; start it: python -m brokers.simulators binance\n$",
        done.stderr,
    )
    assert listing(tmp_path) == before
    period = ("--set", "live.fallback=paper", "--set", "data.end=2004-12-31")
    done = forked(tmp_path, "momentum", *AT_BINANCE, *period, env=nobody)
    assert done.code == 0, done.stderr
    assert "note: binance does not answer" in done.stderr
    assert done.lines[0].startswith("PAPER, replaying GOOG")


def test_more_cash_than_the_account_holds(forked: Any, tmp_path: Path, nobody: dict[str, str]) -> None:
    """L18: said at the start, not by the venue at every order."""
    with simulator("binance", "--symbols", "BTC/USDT", "--cash", "500") as sim:
        sim.control.price("BTCUSDT", 100)
        where = f"127.0.0.1:{sim.port}"
        env = {name: re.sub(r"127.0.0.1:\d+", where, value) for name, value in nobody.items()}
        env |= {"BINANCE_KEY": "rehearsal-key", "BINANCE_SECRET": "rehearsal-secret"}
        done = forked(tmp_path, "momentum", *AT_BINANCE, env=env)
    assert done.code == 2
    assert "the account holds 500 USDT, the run would begin with 100000" in done.stderr


def test_a_key_that_the_venue_does_not_take(forked: Any, tmp_path: Path, nobody: dict[str, str]) -> None:
    """L2, L10: for the user to mend; and the key is in no file."""
    with simulator("binance", "--symbols", "BTC/USDT") as sim:
        where = f"127.0.0.1:{sim.port}"
        env = {name: re.sub(r"127.0.0.1:\d+", where, value) for name, value in nobody.items()}
        env |= {"BINANCE_KEY": "plantedKey99", "BINANCE_SECRET": "plantedSecret99"}
        done = forked(tmp_path, "momentum", *AT_BINANCE, env=env)
    assert done.code == 2, done.stderr
    assert "check key, secret, allowed addresses and permissions" in done.stderr
    assert "planted" not in done.stdout + done.stderr
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"planted" in p.read_bytes()]
    assert "planted" not in repr(BinanceSettings("plantedKey99", "plantedSecret99"))


def test_entries_worked_as_limits_are_counted(forked: Any, tmp_path: Path, venue: str) -> None:
    """L12, L14: by configuration alone; the figures stand on the screen, in --json, in the folder and the store."""
    size = ("--param", f"size={TRADED[venue][1]}")
    worked = ("--set", "live.entries=touch", "--set", "live.reprice_seconds=0.3")
    arguments = ("--rehearse", venue, "--bars", "14", "--speed", "120", *worked)
    done = forked(tmp_path, "s.py:RoundTrips", *size, *arguments, "--json", pages=True)
    assert done.code == 0, done.stderr
    document = json.loads(done.stdout)
    figures = document["meta"]["entries"]
    assert figures["entries"] == 4
    assert figures["fill_ratio"] > 0
    folder = tmp_path / document["folder"]
    assert json.loads((folder / "result.json").read_text())["entries"] == figures
    rows = (folder / "entries.csv").read_text().splitlines()
    assert len(rows) == 1 + figures["entries"]
    with store.open_store(f"sqlite:///{tmp_path}/runs/tradewright.db") as database:
        journal = database.journal(document["run"])
        assert len({attempt.client_id for attempt in journal.attempts()}) == figures["entries"]


def test_what_a_venue_cannot_do_with_entries_is_refused(forked: Any, tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(ROUND_TRIPS)
    refused = forked(tmp_path, "s.py:RoundTrips", "--rehearse", "ibkr", "--set", "live.entries=post-only")
    assert refused.code == 2
    assert "ibkr has no post-only orders" in refused.stderr
    both = ("--set", "live.entries=post-only", "--set", "live.reprice_then=market")
    refused = forked(tmp_path, "s.py:RoundTrips", "--rehearse", "binance", *both)
    assert refused.code == 2
    assert "post-only entries never take" in refused.stderr

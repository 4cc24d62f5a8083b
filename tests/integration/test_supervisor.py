"""`python -m live.supervisor`: real bots, real deaths, at simulated venues."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import store
from core.errors import TradewrightError
from live.fleet import ask
from tests.integration.conftest import ENVIRONMENT
from tests.integration.test_live_venues import ROUND_TRIPS, TRADED
from tests.simulator import Simulator, simulator

PATIENCE_SECONDS = 90
STATE = "st"
SYMBOLS = {"binance": ("BTC/USDT", "BTC/USDT"), "ibkr": ("AAPL", "MSFT")}
COMMAND = (sys.executable, "-m", "live.supervisor")
QUICK = "[supervisor]\nfirst_pause_seconds = 0.05\nlongest_pause_seconds = 0.2\n"
BROKEN = """
import os
from pathlib import Path

if Path("broken").exists():
    os._exit(3)
"""
PROTECTED = """
import backtrader as bt


class Protected(bt.Strategy):
    params = (("size", 1.0),)

    def next(self):
        if not self.position and not self.broker.get_orders_open():
            price = self.data.close[0]
            self.buy_bracket(
                size=self.p.size, exectype=bt.Order.Market, stopprice=price * 0.5, limitprice=price * 2
            )
"""


@dataclass
class Supervisor:
    """One that runs in a folder."""

    folder: Path
    process: subprocess.Popen[str]

    def command(self, *argv: str, code: int = 0) -> Any:
        done = subprocess.run(
            [*COMMAND, *argv, "--json", "--state", STATE],
            cwd=self.folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    def bot(self, name: str) -> dict[str, Any]:
        """As `status` shows it, without a process for each look."""
        view = asyncio.run(ask(self.folder / STATE, "GET", "/status"))
        (found,) = [row for row in view["bots"] if row["name"] == name]
        return dict(found)

    def until(self, true: Callable[[], object], what: str) -> None:
        until(true, f"{what}; it said {(self.folder / 'said').read_text()}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_SECONDS)

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.3)


@contextmanager
def supervising(folder: Path) -> Iterator[Supervisor]:
    """A supervisor of `bots.toml` in the folder, and all its bots ended with the block."""
    with (folder / "said").open("a") as said:
        process = subprocess.Popen(
            [*COMMAND, "run", "bots.toml", "--state", STATE],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=said,
            stderr=said,
            text=True,
        )
    try:
        until(lambda: listens(folder) or process.poll() is not None, "it listens")
        yield Supervisor(folder, process)
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_SECONDS)
        if process.poll() is None:
            process.kill()
            process.wait()


def listens(folder: Path) -> bool:
    try:
        return bool(asyncio.run(ask(folder / STATE, "GET", "/status")))
    except TradewrightError:
        return False


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def orders_of(folder: Path, bot: str) -> tuple[set[str], int, str]:
    """Client ids and number of fills of a bot's only run by its own database, and the run's status."""
    with store.open_store(f"sqlite:///{folder}/{STATE}/{bot}/tradewright.db") as database:
        (run,) = database.runs.list()
        assert run.bot == bot
        journal = database.journal(run.run_id)
        return {order.intent.client_id for order in journal.orders()}, len(journal.fills()), str(run.status)


@dataclass
class Story:
    """Two bots on one account, at Binance on one symbol, through the deaths of their supervisor and of one of them."""

    orphans: list[int] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    killed: dict[str, Any] = field(default_factory=dict)
    flattened: Any = None
    other: list[dict[str, Any]] = field(default_factory=list)
    stopped: Any = None
    closed: Any = None
    code: int = -1
    orders: dict[str, set[str]] = field(default_factory=dict)
    fills: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    venue: dict[str, Any] = field(default_factory=dict)


def prepare(folder: Path, sim: Simulator, venue: str) -> None:
    """Two bots on one symbol of one account; at IBKR each needs a symbol and a client id of its own."""
    size = TRADED[venue][1]
    lines, tables = [], []
    for number, name in enumerate(("a", "b"), start=1):
        values = sim.variables("tws" if venue == "ibkr" else venue, name)
        if venue == "ibkr":
            values |= {f"IBKR_CLIENT_ID__{name.upper()}": str(number)}
        lines += [f"{key}={value}" for key, value in values.items()]
        tables.append(
            f'[bots.{name}]\nstrategy = "s.py:RoundTrips"\nbroker = "{venue}"\nprofile = "{name}"\n'
            f'symbols = "{SYMBOLS[venue][number - 1]}"\ncash = 10000\nparams = {{ size = {size} }}\n'
        )
    (folder / ".env").write_text("\n".join(lines))
    (folder / "s.py").write_text(ROUND_TRIPS)
    (folder / "bots.toml").write_text(QUICK + "\n".join(tables))


@pytest.fixture(scope="module", params=["binance", "ibkr"])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Story:
    venue, told = str(request.param), Story()
    folder = tmp_path_factory.mktemp(venue)
    exchange = "tws" if venue == "ibkr" else venue
    with simulator(
        exchange,
        "--market",
        "random:7",
        "--symbols",
        ",".join(dict.fromkeys(SYMBOLS[venue])),
        "--speed",
        "120",
    ) as sim:
        prepare(folder, sim, venue)
        if venue == "binance":
            with supervising(folder) as first:
                first.until(lambda: all(traded(folder, bot) for bot in "ab"), "both have traded")
                rows = [first.bot(bot) for bot in "ab"]
                told.orphans, told.runs = [row["pid"] for row in rows], [row["run"] for row in rows]
                first.end(signal.SIGKILL)
                first.until(lambda: not any(map(alive, told.orphans)), "the bots end with their supervisor")
        with supervising(folder) as second:
            second.until(lambda: all(traded(folder, bot) for bot in "ab"), "both have traded")
            second.until(lambda: all(second.bot(bot)["state"] == "running" for bot in "ab"), "both go on")
            rows = second.command("status")["bots"]
            told.resumed = [row["run"] for row in rows]
            os.kill(rows[0]["pid"], signal.SIGKILL)
            second.until(
                lambda: second.bot("a")["state"] == "running" and second.bot("a")["restarts"] == 1,
                "a goes on",
            )
            told.killed = second.bot("a")
            told.flattened = second.command("flatten", "a")
            told.other.append(second.bot("b"))
            second.until(lambda: second.bot("b")["bars"] > told.other[0]["bars"] + 1, "b goes on")
            told.other.append(second.bot("b"))
            told.stopped = second.command("stop", "b")
            told.closed = second.command("flatten", "b")
            told.code = second.end()
        told.venue = sim.control.state()
        for bot in "ab":
            told.orders[bot], told.fills[bot], told.statuses[bot] = orders_of(folder, bot)
    return told


def traded(folder: Path, bot: str) -> bool:
    """Whether its database has a fill."""
    if not (folder / STATE / bot / "tradewright.db").exists():
        return False
    try:
        return orders_of(folder, bot)[1] > 0
    except (ValueError, TradewrightError):
        return False


@pytest.mark.parametrize("story", ["binance"], indirect=True)
def test_nothing_trades_on_when_the_supervisor_is_killed_and_the_next_goes_on(story: Story) -> None:
    """L28"""
    assert len(story.orphans) == 2
    assert story.resumed == story.runs


def test_a_bot_that_is_killed_goes_on_and_sends_no_order_twice(story: Story) -> None:
    """L28"""
    assert story.killed["run"] == story.resumed[0]
    sent = Counter(order["client_id"] for order in story.venue["orders"].values())
    assert sent.most_common(1)[0][1] == 1


def test_two_bots_on_one_account_share_neither_orders_nor_trades(story: Story) -> None:
    """L27"""
    ours, theirs = story.orders["a"], story.orders["b"]
    assert ours
    assert theirs
    assert not ours & theirs
    assert {str(order["client_id"]) for order in story.venue["orders"].values()} <= ours | theirs
    assert len(story.venue["executions"]) == story.fills["a"] + story.fills["b"]


def test_one_is_flattened_while_the_other_trades_on(story: Story) -> None:
    """L27"""
    assert (story.flattened["state"], story.flattened["left"]) == ("stopped", {"held": {}, "resting": 0})
    before, after = story.other
    assert before["pid"] == after["pid"]
    assert (before["state"], after["state"]) == ("running", "running")
    assert story.stopped["state"] == "stopped"
    assert story.code == 0


def test_one_that_does_not_run_is_flattened_once_it_knows_what_it_holds(story: Story) -> None:
    """L27"""
    assert story.closed["left"] == {"held": {}, "resting": 0}
    assert story.statuses == {"a": "finished", "b": "finished"}


def test_a_crash_loop_ends_and_positions_stay_protected(tmp_path: Path) -> None:
    """L28: the bot gives up, loudly; its stop rests at the venue, and a bot beside it is not disturbed."""
    with simulator("binance", "--market", "random:7", "--symbols", "BTC/USDT", "--speed", "120") as sim:
        lines = (f"{key}={value}" for key, value in sim.variables("binance").items())
        (tmp_path / ".env").write_text("\n".join(lines))
        (tmp_path / "s.py").write_text(BROKEN + PROTECTED)
        (tmp_path / "bots.toml").write_text(
            f"{QUICK}crashes = 3\n"
            '[bots.a]\nstrategy = "s.py:Protected"\nbroker = "binance"\nsymbols = "BTC/USDT"\ncash = 10000\n'
            '[bots.wrong]\nstrategy = "nosuch"\n'
            '[bots.other]\nstrategy = "momentum"\ndata = "sample:goog"\nspeed = 1\n'
        )
        with supervising(tmp_path) as supervisor:
            supervisor.until(lambda: traded(tmp_path, "a"), "a holds something")
            supervisor.until(lambda: len(open_orders(sim)) == 2, "its stop and its target rest")
            held, resting = sim.control.state()["executions"], open_orders(sim)
            (tmp_path / "broken").touch()
            os.kill(supervisor.bot("a")["pid"], signal.SIGKILL)
            supervisor.until(lambda: supervisor.bot("a")["state"] == "gave up", "a gives up")
            supervisor.until(lambda: supervisor.bot("other")["state"] == "running", "the other runs")
            assert supervisor.bot("a")["restarts"] == 2
            assert "exit code 3" in supervisor.bot("a")["last_error"]
            assert (supervisor.bot("wrong")["state"], supervisor.bot("wrong")["restarts"]) == ("refused", 0)
            assert (sim.control.state()["executions"], open_orders(sim)) == (held, resting)
            assert supervisor.end() == 1
        said = (tmp_path / "said").read_text()
        assert "a: GAVE UP after 3 crashes within 600 s: exit code 3" in said
        assert "what protects its positions rests at the venue" in said
        events = [json.loads(line) for line in (tmp_path / STATE / "log.jsonl").read_text().splitlines()]
        assert [each["level"] for each in events if "GAVE UP" in str(each.get("what"))] == ["error"]
        left = {row["name"]: row for row in supervisor.command("status")["bots"]}
        assert left["a"]["state"] == "gave up"
        assert left["a"]["positions"]


def open_orders(sim: Simulator) -> list[Any]:
    return sorted(
        (order["client_id"], order["status"])
        for order in sim.orders()
        if str(order["status"]).lower() in ("accepted", "new", "open", "working", "partial")
    )


REPLAY = '[bots.a]\nstrategy = "momentum"\nspeed = 1\n'


def test_a_silent_bot_is_told_of_and_started_again(tmp_path: Path) -> None:
    """L28: its process is there, and does nothing."""
    (tmp_path / "bots.toml").write_text(f"{QUICK}silence_seconds = 4\nrestart_silent = true\n{REPLAY}")
    with supervising(tmp_path) as supervisor:
        supervisor.until(lambda: supervisor.bot("a")["state"] == "running", "it runs")
        before = supervisor.bot("a")
        os.kill(before["pid"], signal.SIGSTOP)
        supervisor.until(lambda: supervisor.bot("a")["restarts"] > before["restarts"], "it is started again")
        assert "a: has shown no sign of life for 4 s; it is killed and started again" in supervisor.said
        supervisor.until(lambda: supervisor.bot("a")["state"] == "running", "it runs again")
        assert supervisor.bot("a")["run"] == before["run"]
        socket = tmp_path / STATE / "control.sock"
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        refused = supervisor.command("flatten", "a", code=2)
        assert "replays on paper" in refused["error"]["message"]
        assert "did you mean" in supervisor.command("stop", "aa", code=2)["error"]["hint"]
        second = supervisor.command("run", "bots.toml", code=2)
        assert f"already, process {supervisor.process.pid}" in second["error"]["message"]
        pid = supervisor.bot("a")["pid"]
        assert supervisor.end(signal.SIGINT) == 0
        assert not alive(pid)
    assert supervisor.command("status")["supervisor"] is None


def test_without_a_supervisor_it_says_how_to_start_one(tmp_path: Path) -> None:
    nobody = Supervisor(tmp_path, None)  # type: ignore[arg-type]
    said = nobody.command("status", code=2)["error"]
    assert said["message"] == f"no supervisor looks after {STATE}"
    assert said["hint"].startswith("start one: python -m live.supervisor run")

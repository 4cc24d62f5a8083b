"""`python -m live.doctor`: each check, with what it is about really wrong."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from live import checkups
from live.checkups import Finding
from store.revisions import HEAD
from tests.integration.test_live_run import PATIENCE_SECONDS, Reader
from tests.integration.test_live_venues import ROUND_TRIPS
from tests.simulator import Simulator, simulator

Ask = Callable[..., dict[str, list[dict[str, str]]]]


@pytest.fixture
def ask(forked: Any, tmp_path: Path) -> Ask:
    """Findings of `python -m live.doctor ARGV --json` in a folder, by check."""

    def asking(*argv: str, code: int, env: dict[str, str] | None = None) -> dict[str, list[dict[str, str]]]:
        env = {"XDG_STATE_HOME": str(tmp_path / "state"), **(env or {})}
        done = forked(tmp_path, *argv, "--json", module="live.doctor", env=env)
        assert done.code == code, done.stdout + done.stderr
        document = json.loads(done.stdout)
        assert document["ok"] == (code == 0)
        found: dict[str, list[dict[str, str]]] = {}
        for finding in document["findings"]:
            assert bool(finding["fix"]) == (finding["level"] != "ok"), finding
            assert "\n" not in finding["text"] + finding["fix"]
            found.setdefault(finding["check"], []).append(finding)
        return found

    return asking


def test_all_is_well_in_an_empty_folder(ask: Ask, forked: Any, tmp_path: Path) -> None:
    """B13"""
    found = ask(code=0)
    assert {level for each in found.values() for finding in each for level in [finding["level"]]} == {"ok"}
    assert {
        "python",
        "libraries",
        "names",
        "kernels",
        "configuration",
        "strategy",
        "database",
        "disk",
    } <= set(found)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    lines = forked(tmp_path, module="live.doctor", env=state).stdout.splitlines()
    assert len(lines) == sum(map(len, found.values()))
    assert all(line.startswith("ok  ") for line in lines)


LOCAL = {
    "configuration": (
        ("--set", "broker.cahs=1"),
        {},
        "unknown setting broker.cahs",
        "did you mean broker.cash?",
    ),
    "strategy": (("momentun",), {}, "unknown strategy 'momentun'", "did you mean momentum?"),
    "kernels": ((), {"TRADEWRIGHT_KERNELS": "/proc/x"}, "cannot write to /proc/x", "set TRADEWRIGHT_KERNELS"),
    "disk": (("--set", "reports.directory=/proc/x"), {}, "cannot write to /proc/x", "set reports.directory"),
    "database": (
        ("--set", "store.url=postgresql://me:plantedSecret@127.0.0.1:1/x"),
        {},
        "cannot be reached",
        "start the server",
    ),
    "keys": (("--broker", "binance", "--offline"), {}, "BINANCE_KEY is not set", "put it into .env"),
    "venue": (
        ("--broker", "ibkr"),
        {"IBKR_PORT": "1"},
        "no TWS or IB Gateway answers at 127.0.0.1:1",
        "start it, log in",
    ),
}


@pytest.mark.parametrize("check", LOCAL)
def test_what_is_wrong_here_is_named_with_its_fix(ask: Ask, check: str) -> None:
    """B13"""
    argv, env, said, fix = LOCAL[check]
    (finding,) = [each for each in ask(*argv, code=1, env=env)[check] if each["level"] == "fail"]
    assert said in finding["text"]
    assert fix in finding["fix"]
    assert "planted" not in str(finding)


def test_a_file_that_hides_a_library(tmp_path: Path) -> None:
    """B13: names that clash."""
    (tmp_path / "backtrader.py").touch()
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "__init__.py").touch()
    found = [finding for finding in checkups.names(tmp_path) if finding.level == "fail"]
    assert [finding.text for finding in found] == [
        f"{tmp_path}/live hides the package live",
        f"{tmp_path}/backtrader.py hides the package backtrader",
    ]
    assert found[1].fix == f"mv {tmp_path}/backtrader.py {tmp_path}/my_backtrader.py"


def test_libraries_that_clash_are_missing_or_of_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B13"""
    pins = tmp_path / "constraints.txt"
    pins.write_text("numpy==0.1\n")
    (other,) = checkups.libraries(pins)
    assert (other.level, "numpy" in other.text, "tested: 0.1" in other.text) == ("warn", True, True)
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["no-such-library>=1"])
    assert list(checkups.libraries(pins)) == [
        Finding("libraries", "fail", "not installed: no-such-library", checkups.INSTALL)
    ]
    monkeypatch.setattr(
        "importlib.metadata.packages_distributions", lambda: {"eventkit": ["aeventkit", "eventkit"]}
    )
    clash = next(iter(checkups.names(tmp_path)))
    assert (clash.level, clash.text) == ("fail", "eventkit comes from aeventkit and eventkit")


def test_databases_of_other_versions(ask: Ask, forked: Any, tmp_path: Path) -> None:
    """B13"""
    assert forked(tmp_path, "momentum", "--end", "2004-11-30").code == 0
    assert ask(code=0)["database"][0]["text"].endswith(f"at revision {HEAD}")
    for revision, level, fix in (("0001", "warn", "python -m store.migrate"), ("9999", "fail", "upgrade")):
        with sqlite3.connect(tmp_path / "runs/tradewright.db") as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.close()
        (finding,) = ask(code=int(level == "fail"))["database"]
        assert finding["level"] == level
        assert fix in finding["fix"]


@pytest.fixture(scope="module")
def binance() -> Iterator[Simulator]:
    with simulator("binance", "--symbols", "BTC/USDT") as sim:
        sim.control.price("BTCUSDT", 100)
        yield sim


@pytest.fixture(scope="module")
def gateway() -> Iterator[Simulator]:
    with simulator("tws", "--symbols", "AAPL", "--market", "hand") as sim:
        sim.control.price("AAPL", 100)
        yield sim


def keyed(sim: Simulator, key: str) -> dict[str, str]:
    return {**sim.variables("binance"), "BINANCE_KEY": key}


def levels(found: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(finding["level"], finding["text"]) for finding in found if finding["level"] != "ok"]


def test_a_good_key_of_binance(ask: Ask, binance: Simulator) -> None:
    """B13, L10"""
    found = ask("--broker", "binance", code=0, env=keyed(binance, "rehearsal-key"))
    for check in ("venue", "clock", "websocket", "key", "permissions"):
        assert found[check][0]["level"] == "ok", found[check]
    assert levels(found["permissions"]) == [("warn", "the key works from everywhere")]
    assert "rehearsal-key" not in str(found)
    assert "rehearsal-secret" not in str(found)


def test_permissions_that_are_missing_or_too_much(ask: Ask, binance: Simulator) -> None:
    """L10: named as Binance names them."""
    reading = ask("--broker", "binance", code=1, env=keyed(binance, "read-only-key"))["permissions"]
    assert "lacks Enable Spot & Margin Trading" in reading[0]["text"]
    assert reading[0]["level"] == "fail"
    withdrawing = ask("--broker", "binance", code=0, env=keyed(binance, "withdraw-key"))["permissions"]
    assert ("warn", "the key has Enable Withdrawals, which nothing here uses") in levels(withdrawing)
    unknown = ask("--broker", "binance", code=1, env=keyed(binance, "plantedKey"))
    assert unknown["key"][0]["level"] == "fail"
    assert "refuses the key" in unknown["key"][0]["text"]
    assert "planted" not in str(unknown)


def test_exchanges_that_are_compared_or_merged(ask: Ask, binance: Simulator) -> None:
    """D17: each is asked for what is traded; the one that is left out of a guard is said before the session is."""
    address = f"http://{binance.host}:{binance.port}/api/v3"
    compared, merged = f"live.consensus=x={address}", "live.merge.exchanges=y=http://127.0.0.1:1/api/v3"
    asked = ("--broker", "binance", "--set", compared, "--set", merged, "--symbols")
    env = keyed(binance, "rehearsal-key")
    found = ask(*asked, "BTC/USDT", code=1, env=env)["exchanges"]
    assert (found[0]["level"], found[0]["text"]) == ("ok", "x has prices of BTC/USDT")
    assert (found[1]["level"], found[1]["text"].partition(" (")[0]) == ("fail", "y does not answer")
    found = ask(*asked, "BTC/USDX", code=1, env=env)["exchanges"]
    assert found[0]["text"] == "x does not list BTC/USDX"


def test_a_clock_that_is_wrong_and_sockets_that_are_refused(ask: Ask, binance: Simulator) -> None:
    """B13"""
    binance.control.fault("clock-skew", seconds=60)
    binance.control.fault("refuse", seconds=60)
    try:
        found = ask("--broker", "binance", code=1, env=keyed(binance, "rehearsal-key"))
    finally:
        binance.control.clear()
    assert found["clock"][0]["level"] == "fail"
    assert "s behind the venue's" in found["clock"][0]["text"]
    assert found["websocket"][0]["level"] == "fail"


def test_orders_of_nobody_and_sessions_without_an_end(ask: Ask, spawned: Any, tmp_path: Path) -> None:
    """B13: what a bot that was killed leaves, and an order that no bot here has made."""
    with simulator("binance", "--market", "random:7", "--symbols", "BTC/USDT", "--speed", "120") as sim:
        env = {**sim.variables("binance"), "XDG_STATE_HOME": str(tmp_path / "state")}
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))
        (tmp_path / "s.py").write_text(ROUND_TRIPS)
        argv = ("-m", "live.run", "s.py:RoundTrips", "--broker", "binance", "--symbols", "BTC/USDT")
        first = spawned(tmp_path, *argv, "--param", "size=0.5")
        Reader(first).until("commission")
        at_work = ask(code=0, env=env)
        os.kill(first.pid, signal.SIGKILL)
        first.wait(PATIENCE_SECONDS)
        left = ask(code=0, env=env)
        assert levels(at_work["runs"]) == []
        ((level, text),) = levels(left["runs"])
        assert (level, "was not ended, and nobody trades it" in text) == ("warn", True)
        assert left["runs"][0]["fix"].startswith("python -m live.run")
        place_by_hand(sim)
        (order,) = [e for e in ask("--broker", "binance", code=0, env=env)["orders"] if e["level"] == "warn"]
        assert order["text"] == "order by-hand in BTCUSDT is of no bot here"


def place_by_hand(sim: Simulator) -> None:
    """A limit far from the market, over the exchange's own protocol."""
    import ccxt

    exchange = ccxt.binance({"apiKey": "rehearsal-key", "secret": "rehearsal-secret"})
    exchange.urls["api"]["public"] = exchange.urls["api"]["private"] = f"http://127.0.0.1:{sim.port}/api/v3"
    exchange.private_post_order(
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "1",
            "price": "60",
            "newClientOrderId": "by-hand",
        }
    )


def test_a_gateway_of_ibkr(ask: Ask, gateway: Simulator) -> None:
    """B13, L10: what it may do, what account it is, and whether its client id is free."""
    env = gateway.variables("tws")
    found = ask("--broker", "ibkr", "--symbols", "AAPL", code=0, env=env)
    assert "a paper account" in found["account"][0]["text"]
    assert [found[check][0]["level"] for check in ("venue", "clock", "permissions", "market data")] == [
        "ok"
    ] * 4
    gateway.control.fault(
        "reject", match="reqAllOpenOrders", code=321, text="The API interface is in Read-Only mode"
    )
    gateway.control.fault(
        "reject", match="reqMktData", code=354, text="Requested market data is not subscribed"
    )
    limited = ask("--broker", "ibkr", "--symbols", "AAPL", code=1, env=env)
    assert "untick Read-Only API" in limited["permissions"][0]["fix"]
    assert "354: Requested market data is not subscribed" in limited["market data"][0]["text"]
    unlisted = ask("--broker", "ibkr", "--symbols", "ZZZZ", code=0, env=env)
    assert levels(unlisted["market data"]) == [("warn", "IBKR lists no ZZZZ")]


def test_wrong_arguments(forked: Any, tmp_path: Path) -> None:
    done = forked(tmp_path, "--broker", "kraken", module="live.doctor")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1

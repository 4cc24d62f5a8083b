"""`python -m live.compare`: a simulator stands in for the venue; one that says less is found out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from brokers.wire.shapes import differences, shapes
from brokers.wire.tape import Entry, read_tape
from tests.simulator import Simulator, simulator

SYMBOL = {"binance": "BTC/USDT", "ibkr": "AAPL"}
NATIVE = {"binance": "BTCUSDT", "ibkr": "AAPL"}


@pytest.fixture(scope="module", params=["binance", "ibkr"])
def venue(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sim(venue: str) -> Iterator[Simulator]:
    with simulator("tws" if venue == "ibkr" else venue, "--symbols", SYMBOL[venue]) as running:
        running.control.price(NATIVE[venue], 100)
        yield running


def environment(venue: str, sim: Simulator) -> Mapping[str, str]:
    where = f"{sim.host}:{sim.port}"
    if venue == "ibkr":
        return {"IBKR_PORT": str(sim.port), "IBKR_SIMULATOR": sim.control._base.rpartition(":")[2]}
    return {
        "BINANCE_KEY": "rehearsal-key", "BINANCE_SECRET": "rehearsal-secret",
        "BINANCE_REST": f"http://{where}/api/v3", "BINANCE_STREAMS": f"ws://{where}/ws",
        "BINANCE_WEBSOCKET_API": f"ws://{where}/ws-api/v3",
    }  # fmt: skip


def test_both_sides_are_recorded_and_nothing_differs(
    forked: Any, tmp_path: Path, venue: str, sim: Simulator
) -> None:
    done = forked(tmp_path, venue, "--json", module="live.compare", env=environment(venue, sim))
    assert done.code == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["differences"] == []
    told = read_tape(tmp_path / document["recordings"]["venue"])
    kinds = shapes(told)
    wanted = {
        "binance": {"POST /order", "GET /account", "executionReport TRADE", "DELETE /order", "POST /order error -1013"},
        "ibkr": {"openOrder", "orderStatus", "execDetails", "commissionReport", "position", "error 201", "error 202"},
    }  # fmt: skip
    assert wanted[venue] <= set(kinds)
    text = (tmp_path / document["recordings"]["venue"]).read_text()
    assert "rehearsal" not in text
    assert not sim.control.state()["accounts"].get("positions")
    statuses = [order["status"] for order in sim.orders()]
    assert statuses.count("filled") == 2
    assert set(statuses) <= {"filled", "cancelled", "rejected"}
    check_what_is_missing_is_told(told)


def check_what_is_missing_is_told(told: list[Entry]) -> None:
    """Of a recording from which one field, or one kind of message, was taken away."""
    less = [json.loads(json.dumps(entry)) for entry in told]
    for entry in less:
        if entry["kind"] == "frame" and entry["fields"][0] == "5":
            entry["fields"].pop()
        elif entry["from"] == "venue" and isinstance(entry.get("body"), dict):
            entry["body"].pop("canTrade", None)
    found = differences(shapes(told), shapes(less))
    assert found
    assert {each.simulator for each in found} == {"no such field"}
    assert {each.kind for each in found} in ({"openOrder"}, {"GET /account"})
    fewer = [entry for entry in told if "stream" not in str(entry["kind"]) and entry["kind"] != "execDetails"]
    assert differences(shapes(fewer), shapes(fewer)) == []


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (("binance",), {"BINANCE_KEY": "k", "BINANCE_SECRET": "s"}, "is no testnet"),
        (("ibkr", "--json"), {"IBKR_PORT": "1"}, "nobody is at a terminal"),
        (("ibkr", "--confirm", "other"), {"IBKR_PORT": "1"}, "not 'ibkr'"),
    ],
)
def test_nothing_is_sent_where_nobody_said_so(
    forked: Any, tmp_path: Path, arguments: tuple[str, ...], env: Mapping[str, str], said: str
) -> None:
    done = forked(tmp_path, *arguments, module="live.compare", env=dict(env))
    assert done.code == 2
    assert said in done.stderr
    assert not (tmp_path / "wire").exists()

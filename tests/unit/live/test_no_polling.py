"""Nothing on the live path sleeps and looks again: whoever waits is woken (E2)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
LIVE_PATH = ("core", "feeds", "brokers", "store", "live", "engine")
ELSEWHERE = ("brokers/simulators/", "brokers/simulation/", "engine/compiled/")
"""Simulated exchanges, and engines that no live session runs."""
ALLOWED = {
    "brokers/binance_ear.py:_watch": "asks now and then what the stream may have lost; only while an order lives",
    "brokers/binance_link.py:_listen": "a pause before connecting anew",
    "brokers/binance_link.py:_repeated": "a pause before a read is repeated",
    "brokers/arrivals.py:has_arrived": "a pause before an order is asked for again",
    "brokers/gateway.py:agree": "at the end: what is on its way to the journal may still make a difference",
    "brokers/ibkr_link.py:_reconnect": "a pause before connecting anew",
    "brokers/ibkr_link.py:open": "TWS keeps the client id of a program that died until it has noticed",
    "brokers/reconciling.py:by_the_clock": "journal and venue compared every so often, where that is configured",
    "brokers/working.py:_work": "follows the quote by the clock, as configured, while an entry is worked",
    "feeds/live/streams.py:_follow": "a pause before connecting anew",
    "brokers/binance_desk.py:_find": "until a request that was lost can no longer take effect",
    "brokers/ibkr_reports.py:_read_again_after": "asks again for what TWS has not told yet; ends when nothing is missing",
    "live/monitor.py:by_the_clock": "a snapshot of the account every so often, where that is configured",
    "store/database.py:switch_to_wal": "another process is switching the same database to its log",
}
"""Sleeps within a loop, and why each is there."""


def sleeps_in_loops(path: Path) -> Iterator[str]:
    """Names of the functions of a file that sleep in a loop."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            loops = [
                node for node in ast.walk(function) if isinstance(node, ast.While | ast.For | ast.AsyncFor)
            ]
            if any(_sleeps(node) for loop in loops for node in ast.walk(loop)):
                yield function.name


def _sleeps(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "sleep"


def test_every_sleep_in_a_loop_is_known_and_says_why() -> None:
    """E2"""
    found = set()
    for package in LIVE_PATH:
        for path in (ROOT / package).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(ELSEWHERE):
                found |= {f"{name}:{function}" for function in sleeps_in_loops(path)}
    assert found == set(ALLOWED)


def test_a_sleep_in_a_loop_is_found(tmp_path: Path) -> None:
    """E2: however it is written."""
    file = tmp_path / "module.py"
    file.write_text(
        "import time, asyncio\nfrom time import sleep\n"
        "def one():\n    while True:\n        time.sleep(1)\n"
        "async def two():\n    for _ in range(3):\n        if _:\n            await asyncio.sleep(0.1)\n"
        "def three():\n    while True:\n        sleep(1)\n"
        "def fine():\n    time.sleep(1)\n"
    )
    assert list(sleeps_in_loops(file)) == ["one", "two", "three"]

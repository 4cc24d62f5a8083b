"""With the network refused, a backtest and its tearsheet still complete, and the report says what was used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
NO_NETWORK = """
import socket


def refuse(*arguments, **options):
    raise OSError(101, "Network is unreachable")


socket.getaddrinfo = refuse
connect = socket.socket.connect


def only_local(self, address):
    if self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1"):
        return connect(self, address)
    return refuse()


socket.socket.connect = only_local
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "sitecustomize.py").write_text(NO_NETWORK)
    return subprocess.run(
        [sys.executable, "-m", "engine.backtest", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_sample_market_needs_no_network(tmp_path: Path) -> None:
    """D14"""
    done = run(tmp_path, "momentum", "--start", "2006-01-01", "--end", "2006-12-31")
    assert done.returncode == 0, done.stderr
    tearsheet = tmp_path / done.stdout.splitlines()[-1]
    assert tearsheet.stat().st_size > 100_000
    written = json.loads((tearsheet.parent / "result.json").read_text())
    assert written["data"]["source"].startswith("sample:goog")


def test_an_exchange_out_of_reach_is_one_line_and_leaves_no_run(tmp_path: Path) -> None:
    """D14"""
    done = run(
        tmp_path, "momentum", "--data", "binance:BTC/USDT:1d", "--start", "2024-01-01", "--end", "2024-03-01"
    )
    assert done.returncode in (1, 2)
    assert len(done.stderr.strip().splitlines()) == 1
    assert "binance" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_bars_fetched_before_are_used_and_named(tmp_path: Path) -> None:
    """D14: the cache answers for an exchange that cannot be reached."""
    fill_cache = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "import numpy as np, pandas as pd\n"
        "from core.clock import SimulatedClock\n"
        "from core.config import DataSettings\n"
        "from feeds import load, market\n"
        "class Exchange:\n"
        "    def __init__(self, real): self.real = real\n"
        "    def __getattr__(self, name): return getattr(self.real, name)\n"
        "    def fetch(self, *a, **k): return FRAME\n"
        "index = pd.date_range('2024-01-01', periods=80, freq='1D', tz='UTC', name='time')\n"
        "close = 100 + 10 * np.sin(np.arange(80) / 5)\n"
        "FRAME = pd.DataFrame({'open': close, 'high': close + 1, 'low': close - 1, 'close': close, 'volume': 1.0}, index)\n"
        "real = market.provider_for\n"
        "market.provider_for = lambda reference, options: Exchange(real(reference, options))\n"
        "load('binance:BTC/USDT:1d', start='2024-01-01', end='2024-03-20',\n"
        "     clock=SimulatedClock(datetime(2024, 3, 21, tzinfo=UTC)))\n"
    )
    filled = subprocess.run(
        [sys.executable, "-c", fill_cache],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert filled.returncode == 0, filled.stderr
    done = run(
        tmp_path,
        "momentum",
        "--data",
        "binance:BTC/USDT:1d",
        "--start",
        "2024-01-01",
        "--end",
        "2024-03-20",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert any("cache" in note for note in result["notes"]), result["notes"]
    page = Path(tmp_path / result["tearsheet"]).read_text()
    assert "cache" in page
    assert len(pd.read_parquet(Path(tmp_path / result["tearsheet"]).with_name("equity.parquet"))) == 80

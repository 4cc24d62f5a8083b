"""Commands run as real processes, each in a folder of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
# Settings of whoever runs the tests must not reach the commands.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("APP_")}
ENVIRONMENT["PYTHONPATH"] = str(ROOT)
# Locks of bots that tests kill are not left among those of whoever runs the tests.
ENVIRONMENT["XDG_STATE_HOME"] = f"{tempfile.gettempdir()}/tradewright-tests-{os.getuid()}"


@dataclass(frozen=True)
class Done:
    """What a process left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


class Forked:
    """Commands in processes forked from one that has the heavy libraries loaded."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forked_runs.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
            text=True,
        )

    def __call__(
        self,
        folder: Path,
        *argv: str,
        module: str = "live.run",
        script: Path | None = None,
        env: Mapping[str, str] | None = None,
        pages: bool = False,
    ) -> Done:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = {
            "module": module,
            "script": str(script or ""),
            "argv": argv,
            "cwd": str(folder),
            "env": dict(env or {}),
            "pages": pages,
        }
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return Done(**json.loads(self._server.stdout.readline()))

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(10)


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """`forked(folder, *argv)` runs `python -m live.run *argv` there; `pages=True` writes the report too.

    `script=path` runs that file instead.
    """
    server = Forked()
    yield server
    server.close()


class Spawned:
    """Commands in processes of their own, which can be read from and signalled while they run."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def __call__(self, folder: Path, *argv: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *argv],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process


@pytest.fixture(scope="module")
def spawned() -> Iterator[Spawned]:
    """`spawned(folder, "-m", "live.run", ...)` starts a Python there; it is killed at the end if it still runs."""
    starter = Spawned()
    yield starter
    for process in starter.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def market(times: pd.DatetimeIndex, seed: int = 3, drift: float = 0.001) -> pd.DataFrame:
    """A random walk over these times, as a table with a date column."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(drift, 0.02, len(times))))
    open_ = np.concatenate([[100.0], close[:-1]])
    return pd.DataFrame(
        {
            "date": times.strftime("%Y-%m-%d %H:%M:%S"),
            "open": open_,
            "high": np.maximum(open_, close) * 1.01,
            "low": np.minimum(open_, close) * 0.99,
            "close": close,
            "volume": 1000.0,
        }
    )


@pytest.fixture(scope="session")
def daily() -> pd.DataFrame:
    """60 daily bars of a random walk; a copy is yours to spoil."""
    return market(pd.date_range("2024-01-01", periods=60, freq="1D"))


@pytest.fixture(scope="session")
def minutes() -> pd.DataFrame:
    """Four days of ten one-minute bars each, nights between them."""
    days = pd.date_range("2024-01-01 14:30", periods=4, freq="1D")
    return market(pd.DatetimeIndex([day + pd.Timedelta(minutes=n) for day in days for n in range(10)]))


def listing(folder: Path) -> dict[str, str]:
    """Every file and folder below `folder`, with a hash of its content; but what Python keeps of its own."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }


@pytest.fixture(scope="session", name="listing")
def listing_fixture() -> object:
    """The function `listing`."""
    return listing

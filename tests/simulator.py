"""A simulated exchange as a process of its own, for a test."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokers.simulators.control import Control

ROOT = Path(__file__).parents[1]
SECONDS = 60


@dataclass(frozen=True)
class Simulator:
    """Where it listens, and its control API."""

    process: subprocess.Popen[str]
    host: str
    port: int
    account: str
    control: Control

    def orders(self) -> list[dict[str, Any]]:
        """Every order the exchange has, oldest first."""
        return list(self.control.state()["orders"].values())

    def variables(self, exchange: str, profile: str = "") -> dict[str, str]:
        """The environment that names it as the venue of `live.run`."""
        if exchange == "tws":
            found = {"IBKR_PORT": str(self.port), "IBKR_SIMULATOR": self.control._base.rpartition(":")[2]}
        else:
            where = f"127.0.0.1:{self.port}"
            found = {
                "BINANCE_KEY": "rehearsal-key",
                "BINANCE_SECRET": "rehearsal-secret",
                "BINANCE_REST": f"http://{where}/api/v3",
                "BINANCE_STREAMS": f"ws://{where}/ws",
                "BINANCE_WEBSOCKET_API": f"ws://{where}/ws-api/v3",
            }
        return {f"{name}__{profile.upper()}" if profile else name: value for name, value in found.items()}


@contextmanager
def simulator(exchange: str, *arguments: str) -> Iterator[Simulator]:
    """A simulator whose prices come by hand, unless `arguments` say otherwise; ended by SIGTERM."""
    command = [sys.executable, "-m", "brokers.simulators", exchange, "--json", "--port", "0", *arguments]
    if not {"--market", "--replay"} & {*arguments}:
        command += ["--market", "hand", "--start", "2024-01-02T15:00:00"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], SECONDS)
        line = process.stdout.readline() if readable else ""
        assert line, f"no simulator after {SECONDS} s, exit code {process.poll()}"
        ready = json.loads(line)["ready"]
        control = Control(ready["control"])
        yield Simulator(process, ready["host"], ready["port"], ready["account"], control)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        assert process.stdout is not None
        process.stdout.close()

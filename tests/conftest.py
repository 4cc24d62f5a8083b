"""Kernels and byte code that processes share; files in memory; the order of the tests; no deadlines; Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from engine.compiled.kernel import FOLDER_VARIABLE, foundation
from tests.scheduling import LongestFirst, longest_first

KEPT, BUSY_SECONDS = 4, 3600
"""Folders of kernels that stay: so many, and any that was used in the last hour."""
MEMORY, ROOM_BYTES = Path("/dev/shm"), 4 << 30
"""A file system without a disk, and what has to be free on it: a suite leaves about 100 MB, pytest keeps three."""


def kernels_of_the_tests() -> Path:
    """A folder of this user, shared by all workers of a suite and by its next runs on the same sources."""
    folder = Path(tempfile.gettempdir()) / f"tradewright-tests-{os.getuid()}" / foundation()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    if folder.parent.stat().st_uid != os.getuid():
        return Path(tempfile.mkdtemp(prefix="tradewright-tests-"))
    folder.parent.chmod(0o700)
    os.utime(folder)
    _drop_old(folder.parent)
    return folder


def _drop_old(parent: Path) -> None:
    """Keep the folders that were used last, and those that a suite may be using now."""
    with suppress(FileNotFoundError):  # another suite drops them at the same time
        used = {folder: folder.stat().st_mtime for folder in parent.iterdir()}
        for folder in sorted(used, key=lambda each: used[each])[:-KEPT]:
            if used[folder] < time.time() - BUSY_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


# In the environment before any worker or command is started, so that they inherit it. A folder that is
# named by whoever runs the tests stays.
os.environ.setdefault(FOLDER_VARIABLE, str(kernels_of_the_tests()))

# What is durable waits for the disk, many thousand times in a suite. A folder that is named stays, as above.
if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

# Without byte code on disk each of some hundred processes would compile the project anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Started in the background of a script, the suite inherits that Ctrl-C is ignored, and so would its commands.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example that takes long says that the machine is busy, not that the code is wrong.
# The suite draws the same examples every time, so that a failure is of the change that is tested;
# `make properties` draws others, and more of them.
settings.register_profile("tradewright", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("tradewright")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [items[place] for place in longest_first([item.nodeid for item in items])]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LongestFirst | None:
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return LongestFirst(config, log)

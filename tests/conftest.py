"""Kernels of the tests: one folder a machine and a state of the sources, never the user's cache; no deadlines; Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from hypothesis import settings

from engine.compiled.kernel import FOLDER_VARIABLE, foundation

KEPT, BUSY_SECONDS = 4, 3600
"""Folders of kernels that stay: so many, and any that was used in the last hour."""


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

# Started in the background of a script, the suite inherits that Ctrl-C is ignored, and so would its commands.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example that takes long says that the machine is busy, not that the code is wrong.
settings.register_profile("tradewright", deadline=None)
settings.load_profile("tradewright")

"""Kernels of the tests: one folder a machine and a state of the sources, never the user's cache."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from engine.compiled.kernel import FOLDER_VARIABLE, foundation


def kernels_of_the_tests() -> Path:
    """A folder of this user, shared by all workers of a suite and by its next runs on the same sources."""
    folder = Path(tempfile.gettempdir()) / f"tradewright-tests-{os.getuid()}" / foundation()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    if folder.parent.stat().st_uid != os.getuid():
        return Path(tempfile.mkdtemp(prefix="tradewright-tests-"))
    folder.parent.chmod(0o700)
    return folder


# In the environment before any worker or command is started, so that they inherit it. A folder that is
# named by whoever runs the tests stays.
os.environ.setdefault(FOLDER_VARIABLE, str(kernels_of_the_tests()))

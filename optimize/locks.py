"""Files that a worker and its job hold locked on their machine, until both have ended."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def lock(path: Path, worker: str) -> int | None:
    """A descriptor that holds the file locked for its process and those it hands it to; None when it is locked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, worker.encode())
    return descriptor


def holds(path: Path, worker: str) -> bool:
    """Whether this is the file that the worker locked: not one of another machine with the same name."""
    try:
        return path.read_text() == worker
    except OSError:
        return False


def is_locked(path: Path, worker: str) -> bool:
    """Whether the worker, or a job of it, still holds its lock here."""
    if not holds(path, worker):
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


__all__ = ["holds", "is_locked", "lock"]

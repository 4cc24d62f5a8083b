"""What is remembered of a kernel between runs and processes: whether it was checked, and what not compiling it cost.

One small file a kernel, by its name, beside the kernels; where that cannot be written, this process alone remembers.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engine.compiled import kernel

SAME = "same"
_known: dict[tuple[Path, str], Verdict] = {}


@dataclass(frozen=True, slots=True)
class Verdict:
    """checked: "" when no run was compared yet, `SAME`, or the difference. spent: seconds lean took in its place."""

    checked: str = ""
    spent: float = 0.0


def recall(key: str) -> Verdict:
    """What is known of the kernel of that key."""
    path = _path(key)
    known = _known.get((path, key))
    if known is None:
        known = _known[path, key] = _read(path)
    return known


def set_checked(key: str, checked: str) -> None:
    """Write down what the check found."""
    _remember(key, replace(recall(key), checked=checked))


def add_spent(key: str, seconds: float) -> None:
    """Write down that lean ran once more in the kernel's place."""
    known = recall(key)
    _remember(key, replace(known, spent=known.spent + seconds))


def _remember(key: str, verdict: Verdict) -> None:
    path = _path(key)
    _known[path, key] = verdict
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(asdict(verdict)))
        fresh.replace(path)
    except OSError:
        return  # a cache that cannot be written is only a slower one


def _path(key: str) -> Path:
    return kernel.folder() / "verdicts" / f"{key}.json"


def _read(path: Path) -> Verdict:
    try:
        return Verdict(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return Verdict()

"""What is remembered of a kernel between runs and processes: whether it was checked, and what not compiling it cost.

One small file a kernel in the user's cache directory; where that cannot be written, this process alone remembers.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

SAME = "same"
_known: dict[tuple[Path, str], Verdict] = {}


@dataclass(frozen=True, slots=True)
class Verdict:
    """checked: "" when no run was compared yet, `SAME`, or the difference. spent: seconds lean took in its place."""

    checked: str = ""
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class KernelState:
    """What `engine.compiled.kernel_state` says of the kernel a task needs.

    key: names the kernel's source and everything it was made with, as a file name. ready: whether nothing has to
    be compiled, because this process or the disk has it.
    """

    key: str
    ready: bool


def cache_directory() -> Path:
    """`$TRADEWRIGHT_CACHE`, or tradewright in the user's cache directory. Makes nothing."""
    given = os.environ.get("TRADEWRIGHT_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tradewright"


def recall(key: str) -> Verdict:
    """What is known of the kernel of that key."""
    path = _path(key)
    known = _known.get((path, key))
    if known is None:
        known = _known[path, key] = _read(path)
    return known


def remember(key: str, *, checked: str | None = None, spent: float | None = None) -> None:
    """Write down what was learnt; None leaves it as it was."""
    path, known = _path(key), recall(key)
    known = replace(
        known,
        checked=known.checked if checked is None else checked,
        spent=known.spent if spent is None else spent,
    )
    _known[path, key] = known
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(asdict(known)))
        fresh.replace(path)
    except OSError:
        return  # a cache that cannot be written is only a slower one


def _path(key: str) -> Path:
    return cache_directory() / "verdicts" / f"{key}.json"


def _read(path: Path) -> Verdict:
    try:
        return Verdict(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return Verdict()

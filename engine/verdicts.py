"""What is remembered between runs and processes: of a kernel, whether it was checked and what not compiling it cost.

Of a class whose translation takes long, how long. One small file each beside the kernels; where that cannot be written,
this process alone remembers.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from engine.compiled import kernel

SAME = "same"
LONG = 0.5
"""Seconds of a translation that are worth remembering."""
_known: dict[tuple[Path, str], Verdict] = {}


@dataclass(frozen=True, slots=True)
class Verdict:
    """checked: "" when no run was compared yet, `SAME`, or the difference. spent: seconds lean took in its place.

    translating: seconds it takes to translate the class.
    """

    checked: str = ""
    spent: float = 0.0
    translating: float = 0.0


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


def seconds_to_translate(cls: type) -> float:
    """What translating this class took the last time, if that was long; else 0."""
    return recall(_name_of(cls)).translating


def set_seconds_to_translate(cls: type, seconds: float) -> None:
    """Write down what translating took; a little less or more than before changes nothing."""
    known = seconds_to_translate(cls)
    if seconds > LONG and not known / 2 < seconds < known * 2:
        _remember(_name_of(cls), replace(recall(_name_of(cls)), translating=seconds))


@lru_cache(maxsize=64)
def _name_of(cls: type) -> str:
    """A class by its name and the files it is written in."""
    digest = hashlib.sha256(f"{kernel.foundation()} {cls.__module__} {cls.__qualname__}".encode())
    for base in cls.__mro__:
        try:
            digest.update(Path(inspect.getfile(base)).read_bytes())
        except (OSError, TypeError):  # made of C, or typed in
            continue
    return f"class-{digest.hexdigest()[:24]}"


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

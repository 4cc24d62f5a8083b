"""Kernels on disk: source by the hash of its text and of everything it is built on, machine code beside it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numba

from indicators import sums

COMPILE_SECONDS = 2.0
"""What compiling an ordinary kernel costs, measured."""
ORDINARY_LINES, LINES_A_SECOND = 400, 65
"""What an ordinary kernel has, and what is compiled of a longer one, measured."""
FOLDER_VARIABLE = "TRADEWRIGHT_KERNELS"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that can be called. name: the hash it is kept under. on_disk: whether its machine code was there."""

    name: str
    entry: Callable[..., int]
    path: Path
    on_disk: bool


def folder() -> Path:
    """Where kernels are kept: $TRADEWRIGHT_KERNELS, or the user's cache directory."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tradewright" / "kernels"


@cache
def foundation() -> str:
    """Hash of what every kernel is built on: sources, numba, Python, the processor's kind."""
    digest = hashlib.sha256()
    for path in (*sorted(Path(__file__).parent.glob("*.py")), Path(sums.__file__)):
        digest.update(path.read_bytes())
    digest.update(f"{numba.__version__} {sys.version} {platform.machine()}".encode())
    return digest.hexdigest()


def name_of(source: str) -> str:
    """The hash a kernel of this source is kept under."""
    return hashlib.sha256(f"{foundation()}\n{source}".encode()).hexdigest()[:24]


def seconds_of(source: str) -> float:
    """What compiling a source costs, about."""
    return COMPILE_SECONDS + max(0, source.count("\n") - ORDINARY_LINES) / LINES_A_SECOND


def is_compiled(source: str) -> bool:
    """Whether the machine code of this source is on disk or loaded."""
    name = name_of(source)
    return name in _loaded or _has_machine_code(folder() / f"k{name}.py")


_loaded: dict[str, Kernel] = {}


def load(source: str) -> Kernel:
    """The kernel of a source; numba compiles it at its first call unless its machine code is on disk."""
    name = name_of(source)
    if name not in _loaded:
        path = folder() / f"k{name}.py"
        on_disk = _has_machine_code(path)
        _write(path, source)
        spec = importlib.util.spec_from_file_location(f"tradewright_kernel_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # numba looks a function's module up there when it reads machine code
        spec.loader.exec_module(module)
        _loaded[name] = Kernel(name, _entry(module), path, on_disk)
    return _loaded[name]


def _entry(module: Any) -> Callable[..., int]:
    found: Callable[..., int] = module.kernel
    return found


def _has_machine_code(path: Path) -> bool:
    return any((path.parent / "__pycache__").glob(f"{path.stem}.*.nbc"))


def _write(path: Path, source: str) -> None:
    """Atomically, and only once: numba takes a newer file for another function."""
    if path.exists() and path.read_text() == source:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, suffix=".new") as file:
        file.write(source)
    os.utime(file.name, (time.time(), int(time.time())))
    os.replace(file.name, path)

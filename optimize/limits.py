"""What a worker's processes may take of the machine: cores and memory, and how it is said when the memory is used up.

limits = Limits.checked(cpus=2, memory=parse_size("2GB"))
process = subprocess.Popen(..., env={**os.environ, **limits.environment()}, preexec_fn=limits.preparing())
limits.check(process.pid)             # now and then; raises MemoryLimitError

Each process gets the whole memory as its own limit, so that an allocation beyond it fails where it is asked for; what
they take together is measured from outside.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigError, UserError

UNITS = {"": 10**9, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
LEAST_MEMORY = 600 * 10**6
"""Bytes that Python and its libraries take before the first trial, with some room."""
THREADS = (
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_PR_SET_PDEATHSIG = 1


class MemoryLimitError(UserError):
    """A process asked for more memory than it may take. Handler: give the work back, and end."""

    code = "memory-limit"


def parse_size(text: str) -> int:
    """Bytes of "2GB", "1.5G", "800MB"; a number alone is gigabytes. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if found is None:
        raise ConfigError(f"--memory is {text!r}", hint="write it as 2GB or 800MB")
    return int(float(found[1]) * UNITS[found[2].upper()])


def shown_size(size: int) -> str:
    """Bytes as a person writes them."""
    return f"{size / 10**9:.3g} GB" if size >= 10**9 else f"{size / 10**6:.0f} MB"


@dataclass(frozen=True, slots=True)
class Limits:
    """cpus: cores, and so processes and threads that calculate; memory: bytes, of all processes together; or None."""

    cpus: int | None = None
    memory: int | None = None

    @classmethod
    def checked(cls, *, cpus: int | None, memory: str | None) -> Limits:
        """As a command was given them. Raises ConfigError for what nothing can be run with."""
        if cpus is not None and cpus < 1:
            raise ConfigError(f"--cpus is {cpus}", hint="give 1 or more")
        size = None if memory is None else parse_size(memory)
        if size is not None and size < LEAST_MEMORY:
            least = shown_size(LEAST_MEMORY)
            raise ConfigError(
                f"--memory is {memory}",
                hint=f"give {least} or more: Python and its libraries take most of that",
            )
        return cls(cpus, size)

    def environment(self) -> dict[str, str]:
        """What libraries that start threads look at."""
        return {} if self.cpus is None else dict.fromkeys(THREADS, str(self.cpus))

    def preparing(self, *, nice: int = 0) -> Callable[[], None]:
        """What a process does to itself before it begins: it keeps to the limits, and ends with this one (on Linux)."""
        parent = os.getpid()
        prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
        cores = None if self.cpus is None or prctl is None else least_taken(self.cpus)

        def prepare() -> None:
            os.nice(nice)
            if cores is not None:
                os.sched_setaffinity(0, cores)
            if self.memory is not None:
                resource.setrlimit(resource.RLIMIT_DATA, (self.memory, self.memory))
            if prctl is not None:
                prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != parent:
                    os._exit(1)

        return prepare

    def check(self, process: int) -> None:
        """Raise MemoryLimitError when a process and those below it take more than they may together."""
        if self.memory is not None:
            taken = memory_of(process)
            if taken > self.memory:
                raise _over(self.memory, f"its processes take {shown_size(taken)} together")


def least_taken(count: int) -> set[int]:
    """So many of this process's cores: those to which the fewest other processes are bound."""
    free = os.sched_getaffinity(0)
    taken: Counter[int] = Counter()
    for process in _processes():
        with suppress(OSError):
            os.readlink(f"/proc/{process}/exe")  # threads of the kernel have none
            bound = os.sched_getaffinity(process)
            if len(bound) < len(free):
                taken.update(bound)
    return set(sorted(free, key=lambda core: (taken[core], core))[:count])


def memory_of(process: int) -> int:
    """Bytes of memory that a process and those below it have for themselves; 0 where the system does not tell."""
    parents = {each: _parent(each) for each in _processes()}
    family, generation = {process}, {process}
    while generation:
        generation = {each for each, parent in parents.items() if parent in generation} - family
        family |= generation
    figures = [_memory(each) for each in family]
    # Bars in shared memory count once.
    return sum(own for own, _ in figures) + max((shared for _, shared in figures), default=0)


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except FileNotFoundError:
        return []


def _parent(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _memory(process: int) -> tuple[int, int]:
    """Bytes of its own, and shared."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0, 0
    own, shared = (re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE) for name in ("RssAnon", "RssShmem"))
    return int(own[1]) * 1024 if own else 0, int(shared[1]) * 1024 if shared else 0


# -- in a process that is limited


def limit() -> int | None:
    """Bytes that this process may have for itself; None without a limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return None if soft == resource.RLIM_INFINITY else soft


def limit_error(error: BaseException, where: str = "") -> MemoryLimitError | None:
    """What to raise instead of an error that the limit of this process is behind; None for any other.

    where: what was asked for the memory, for the message.
    """
    found: BaseException | None = error
    size = limit()
    while size is not None and found is not None:
        if isinstance(found, MemoryError) or "can't start new thread" in str(found):
            return _over(size, where)
        found = found.__cause__
    return None


@contextmanager
def within_limit() -> Iterator[None]:
    """Raise MemoryLimitError where memory is asked for that this process may not have."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        limited = limit_error(error)
        if limited is None:
            raise
        raise limited from error


def over_in_worker() -> MemoryLimitError | None:
    """What to raise when a process with the same limit died again and again; None without a limit."""
    size = limit()
    return None if size is None else _over(size, "a process that ran trials died of it")


def _over(size: int, where: str) -> MemoryLimitError:
    return MemoryLimitError(
        f"the memory limit of {shown_size(size)} is used up" + (f": {where}" if where else ""),
        hint="no trial is lost: those under way are run again; give --memory more, or --cpus less",
    )


__all__ = [
    "Limits",
    "MemoryLimitError",
    "limit",
    "limit_error",
    "memory_of",
    "over_in_worker",
    "parse_size",
    "shown_size",
    "within_limit",
]

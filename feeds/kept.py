"""Lines a run keeps of what it was shown, so that a later run is shown the same: each on disk before it is acted on."""

from __future__ import annotations

import os
from pathlib import Path

from store.spool import Spool

ROOM = 1 << 16


class KeptLines:
    """Of one file; where its disk is full, in the room reserved beside it. read: what an earlier run kept."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.read = _read(file)
        self._spool = Spool(file.with_suffix(".spool"), ROOM)
        self._spool.open()
        self.read.extend(line for number, line in self._spool.entries if number >= len(self.read))
        self._written = len(self.read)

    def keep(self, line: str) -> None:
        """One more, with what the spool had to take before."""
        lines = [*(each for _, each in self._spool.entries), line]
        try:
            _append(self._file, "".join(f"{each}\n" for each in lines))
        except OSError:
            self._spool.append([self._written, line])
        else:
            self._spool.clear()
        self._written += 1


def _append(file: Path, text: str) -> None:
    """All of it, on disk, or nothing."""
    before = file.stat().st_size if file.exists() else 0
    try:
        with file.open("a", encoding="ascii") as writing:
            writing.write(text)
            writing.flush()
            os.fsync(writing.fileno())
    except OSError:
        if file.exists():
            os.truncate(file, before)
        raise


def _read(file: Path) -> list[str]:
    """Whole lines alone: the last may have been cut short, and then nothing followed from it."""
    if not file.exists():
        return []
    text = file.read_text(encoding="ascii")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="ascii")
    return whole.splitlines()

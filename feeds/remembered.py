"""What a later run of the same script must see again: from which bar on, and between which bars a data changed state."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from feeds.source import Feed
from store.spool import Spool

ROOM = 1 << 16


class Remembered:
    """In a file, if there is one; where its disk is full, in the room reserved beside it.

    since: the first bar; told: (bars before it, state) of every change.
    """

    def __init__(self, file: Path | None, since: datetime) -> None:
        self.since = since
        self.told: list[tuple[int, Feed]] = []
        self._file = file
        self._spool = Spool(file.with_suffix(".spool"), ROOM) if file is not None else None
        if file is not None and file.exists():
            self._read(file)
        else:
            self._write()
        if self._spool is not None:
            self._spool.open()
            for kept in self._spool.entries:
                self._take(kept)

    def changes_before(self, bars: int) -> list[Feed]:
        """States it was told of after so many bars, in an earlier run."""
        return [state for at, state in self.told if at == bars]

    def note(self, bars: int, state: Feed) -> bool:
        """A change of state after so many bars; False where an earlier run was already told of later ones."""
        if self.told and (bars < self.told[-1][0] or state is self.told[-1][1]):
            return False
        self.told.append((bars, state))
        self._write()
        return True

    def _read(self, file: Path) -> None:
        try:
            self._take(json.loads(file.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{file} does not say where the bars began: {error}",
                hint="name the file the run began with; without it, begin a new run with new files",
            ) from error

    def _take(self, kept: dict[str, Any]) -> None:
        self.since = datetime.fromisoformat(kept["since"])
        self.told = [(int(bars), Feed(state)) for bars, state in kept["told"]]

    def _write(self) -> None:
        """Whole or not at all, and before anybody acts on it."""
        if self._file is None:
            return
        kept = {"since": self.since.isoformat(), "told": self.told}
        beside = self._file.with_name(f"{self._file.name}.new")
        try:
            with beside.open("w") as writing:
                json.dump(kept, writing)
                writing.flush()
                os.fsync(writing.fileno())
            beside.replace(self._file)
        except OSError:
            if self._spool is None or not self._spool.is_open:
                raise
            self._spool.append(kept)
        else:
            if self._spool is not None:
                self._spool.clear()

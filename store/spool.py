"""Where a session writes what its database cannot take: lines in a file whose room was reserved while there was some.

A line holds a mark, the length of its text, a checksum, and the text, which is JSON. It is on disk when `append`
returns. What was cut short by a death is no line: nothing followed from it. The mark is another after each take-over,
so that lines which were there before are not read on with.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from pathlib import Path
from typing import Any

from core.errors import StoreError

SPOOL_FILE = "journal.spool"
"""Its name in the folder of a run."""
ROOM = 1 << 20
"""Bytes reserved: enough for the exits of thousands of positions."""


class Spool:
    """Lines of one file, in their order. entries: those that nobody has taken over yet."""

    def __init__(self, path: Path, room: int = ROOM) -> None:
        self.path = path
        self.entries: list[Any] = []
        self._room = room
        self._end = 0
        self._mark = secrets.token_hex(4).encode()
        self._file: int | None = None

    def open(self) -> None:
        """Read what an earlier session left, and reserve the room. Raises StoreError where that cannot be done."""
        if self._file is not None:
            return
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._file = file
            os.posix_fallocate(file, 0, self._room)
            os.fsync(file)
            content = os.pread(file, os.fstat(file).st_size, 0)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            self.close()
            raise self._unusable(error) from error
        mark, self.entries, self._end = read_lines(content)
        self._mark = mark or self._mark

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self._file is not None

    def append(self, entry: Any) -> None:
        """Write down one more. Raises StoreError when even that is impossible."""
        text = json.dumps(entry, separators=(",", ":")).encode()
        line = b"%s %d %08x %s\n" % (self._mark, len(text), zlib.crc32(text), text)
        if self._file is None:
            raise StoreError(f"{self.path} is not open")
        try:
            self._write(self._file, line)
        except OSError as error:
            raise self._unusable(error) from error
        self.entries.append(entry)
        self._end += len(line)

    def clear(self) -> None:
        """All of it has been taken over; the room stays."""
        if self._file is None or not self._end:
            return
        try:
            os.pwrite(self._file, b"\n", 0)
            os.fdatasync(self._file)
        except OSError as error:
            raise self._unusable(error) from error
        self.entries, self._end, self._mark = [], 0, secrets.token_hex(4).encode()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, file: int, data: bytes) -> None:
        at, left = self._end, memoryview(data)
        while left:
            written = os.pwrite(file, left, at)
            at, left = at + written, left[written:]
        os.fdatasync(file)

    def _unusable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self.path}, which stands in for the database, cannot be written: {error.strerror or error}",
            hint="free some space, or mend its rights",
        )


def waiting(folder: Path) -> int:
    """How many groups of writes of the run in `folder` its database has not taken over yet; nothing is changed."""
    file = folder / SPOOL_FILE
    return len(read_lines(file.read_bytes())[1]) if file.exists() else 0


def read_lines(content: bytes) -> tuple[bytes, list[Any], int]:
    """The mark and the entries of the whole lines at the beginning, and where they end."""
    first, entries, at = b"", [], 0
    while (end := content.find(b"\n", at)) > at:
        mark, _, rest = content[at:end].partition(b" ")
        length, _, rest = rest.partition(b" ")
        checksum, _, text = rest.partition(b" ")
        whole = length == b"%d" % len(text) and checksum == b"%08x" % zlib.crc32(text)
        if not (text and whole) or (first and mark != first):
            break
        first = mark
        entries.append(json.loads(text))
        at = end + 1
    return first, entries, at

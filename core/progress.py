"""A line at the bottom of a terminal that says how far the work is, below whatever is printed meanwhile."""

from __future__ import annotations

import shutil
import threading
import time
from types import TracebackType
from typing import Self, TextIO, cast

PATIENCE_SECONDS = 2.0
"""Work that takes less is not worth a line."""
REDRAW_SECONDS = 0.2
WIDTH = 30
ERASE = "\r\x1b[2K"


class ProgressLine:
    """Draws itself on `stream` from a thread of its own, so that waiting shows too; gone without a trace at the end.

    total: how much there is to do, or None where nobody knows. patience: seconds before it appears.
    """

    def __init__(
        self, stream: TextIO, description: str, total: int | None, *, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._stream = stream
        self._description = description
        self._total = total
        self._patience = patience
        self._done, self._note = 0, ""
        self._drawn = False
        self._mid_line = False
        self._started = time.monotonic()
        # Reentrant: a signal handler may print while this thread is printing.
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_drawing, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        with self._lock:
            self._erase()

    def advance(self, done: int, note: str = "") -> None:
        """Take note that `done` of the total is done, and of what else there is to say."""
        self._done, self._note = done, note

    def above(self, stream: TextIO) -> TextIO:
        """`stream`, with what is written to it standing above this line."""
        return cast(TextIO, _Above(stream, self))

    def write_above(self, stream: TextIO, text: str) -> int:
        """Write `text` to `stream`, with the line out of the way; it comes back once the text's line has ended."""
        with self._lock:
            self._erase()
            written = stream.write(text)
            stream.flush()
            if text:
                self._mid_line = not text.endswith("\n")
            return written

    def draw(self) -> None:
        """Draw it as it stands, unless somebody is in the middle of a line."""
        with self._lock:
            if self._mid_line:
                return
            text = self.text(time.monotonic() - self._started, shutil.get_terminal_size().columns)
            self._stream.write(f"{ERASE}{text}")
            self._stream.flush()
            self._drawn = True

    def text(self, seconds: float, columns: int) -> str:
        """The line after so many seconds, no wider than the terminal."""
        if not self._total:
            return f"{self._description} ... {seconds:.0f} s"[: columns - 1]
        share = min(self._done / self._total, 1.0)
        filled = round(share * WIDTH)
        parts = [
            f"{self._description} {'━' * filled}{'─' * (WIDTH - filled)}",
            f"{self._done:>{len(f'{self._total:,}')},} of {self._total:,}",
        ]
        if share == 1:
            parts.append("" if self._note else "finishing")
        elif share:
            parts.append(f"about {_duration(seconds / share - seconds)} left")
            if self._note and seconds > 0:
                parts.append(f"{self._done / seconds:,.0f} a second")
        parts = [part for part in (*parts, self._note) if part]
        return "  ".join(parts)[: columns - 1]

    def _keep_drawing(self) -> None:
        if self._ended.wait(self._patience):
            return
        while True:
            self.draw()
            if self._ended.wait(REDRAW_SECONDS):
                return

    def _erase(self) -> None:
        if self._drawn:
            self._stream.write(ERASE)
            self._stream.flush()
            self._drawn = False


class _Above:
    """A text stream whose writes stand above a progress line; everything else is the stream's own."""

    def __init__(self, stream: TextIO, line: ProgressLine) -> None:
        self._stream = stream
        self._line = line

    def write(self, text: str) -> int:
        """Write to the stream itself."""
        return self._line.write_above(self._stream, text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"

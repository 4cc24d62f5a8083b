"""A session that another process looks after: it says in a file how it is, and hears on standard input what to do.

The other process writes `flatten` to have positions closed and the session ended. When it closes standard input, or
ends, however that happens, the session ends as SIGTERM ends it: nothing trades that nobody looks after.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time as wall
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from core.jsontext import to_json
from core.types import Bar
from engine.live_path import LivePath
from feeds.source import Feed
from live.session import Hooks

BEAT_SECONDS = 1.0
"""How often an idle session shows that it lives."""
FLATTEN = "flatten"
READ_BYTES = 4096


class Attached(AbstractContextManager["Attached"]):
    """What the session tells in `file`, and what it is told. The file is as old as the last sign of life.

    It is written by the thread that runs the strategy: one that hangs is silent.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._path: LivePath | None = None
        self._flatten = False
        self._ended = threading.Event()
        self._said = 0.0
        self._state: dict[str, object] = {"pid": os.getpid(), "bars": 0, "bar": None, "feeds": {}}
        self._feeds: dict[str, str] = {}

    def __enter__(self) -> Attached:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._say()
        threading.Thread(target=self._listen, name="told", daemon=True).start()
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()

    def hooks(self) -> Hooks:
        """What the session is to tell."""
        return Hooks(on_bar=self._on_bar, on_state=self._on_state, on_path=self._on_path)

    # -- on the strategy's thread

    def _on_path(self, run: str, path: LivePath) -> None:
        self._path = path
        self._state["run"] = run
        path.gateway.on_wait = self._alive
        tape = path.on_tape

        def on_tape(bar: Bar) -> None:
            self._state["bar"] = bar.time
            if tape is not None:
                tape(bar)

        path.on_tape = on_tape
        if self._flatten:
            path.request_flatten()

    def _on_bar(self, bars: int) -> None:
        self._state["bars"] = bars
        self._alive()

    def _on_state(self, symbol: str, state: Feed) -> None:
        self._feeds[symbol] = str(state)
        self._state["feeds"] = dict(self._feeds)
        self._say()

    def _alive(self) -> None:
        if wall.monotonic() - self._said >= BEAT_SECONDS / 2:
            self._say()

    def _say(self) -> None:
        self._said = wall.monotonic()
        new = self._file.with_suffix(".new")
        new.write_text(to_json(self._state))
        os.replace(new, self._file)

    # -- beside it

    def _beat(self) -> None:
        """An idle session waits for news: this is some."""
        while not self._ended.wait(BEAT_SECONDS):
            if self._path is not None:
                self._path.gateway.wake()

    def _listen(self) -> None:
        # Not `sys.stdin`: a thread that waits in it keeps Python from ending.
        while told := os.read(sys.stdin.fileno(), READ_BYTES):
            if FLATTEN in told.decode("ascii", "replace").split():
                self._flatten = True
                if self._path is not None:
                    self._path.request_flatten()
        if not self._ended.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

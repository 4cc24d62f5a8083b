"""A recording of a wire: one JSON object a line, on file before it is passed on; keys and signatures are hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from core.errors import ConfigError
from core.redact import redact
from core.telemetry import get_logger

Sender = Literal["us", "venue"]
Entry = dict[str, Any]

log = get_logger("brokers.wire")


class WireTape:
    """Writes down who said what. Each line has `time`, `from` and `kind`; the rest is the protocol's.

    Where the file takes no more, the recording ends, and what is passed on goes on.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file: IO[str] | None = file

    def take(self, sender: Sender, kind: str, **said: Any) -> None:
        """One more message."""
        if self._file is None:
            return
        entry = {"time": datetime.now(UTC).isoformat(), "from": sender, "kind": kind, **redact(said)}
        try:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
        except OSError as error:
            log.error("wire.recording_ended", file=self._file.name, reason=str(error))
            self._file = None


@contextmanager
def recording(file: Path) -> Iterator[WireTape]:
    """A recording that is begun anew. Raises ConfigError where the file cannot be written."""
    try:
        opened = file.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}", hint="name another file") from error
    try:
        yield WireTape(opened)
    finally:
        with suppress(OSError):
            opened.close()


def read_tape(file: Path) -> list[Entry]:
    """Every whole line of a recording. Raises ConfigError for a file that cannot be read, or is none."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")[:-1]
        found = [json.loads(line) for line in lines]
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}", hint="name a recording") from error
    except ValueError as error:
        raise ConfigError(f"{file} is no recording: {error}", hint="name one of --record-wire") from error
    if not all(isinstance(entry, dict) and {"from", "kind"} <= entry.keys() for entry in found):
        raise ConfigError(f"{file} is no recording of a wire", hint="name one of --record-wire")
    return found

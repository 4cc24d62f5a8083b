"""A recording of a wire: one JSON object a line, on file before it is passed on; keys and signatures are hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from core.errors import ConfigError
from core.redact import redact

Sender = Literal["us", "venue"]
Entry = dict[str, Any]


class WireTape:
    """Writes down who said what. Each line has `time`, `from` and `kind`; the rest is the protocol's."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def take(self, sender: Sender, kind: str, **said: Any) -> None:
        """One more message."""
        entry = {"time": datetime.now(UTC).isoformat(), "from": sender, "kind": kind, **redact(said)}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


@contextmanager
def recording(file: Path) -> Iterator[WireTape]:
    """A recording that is begun anew. Raises ConfigError where the file cannot be written."""
    try:
        opened = file.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}", hint="name another file") from error
    with opened:
        yield WireTape(opened)


def read_tape(file: Path) -> list[Entry]:
    """Every whole line of a recording."""
    lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]

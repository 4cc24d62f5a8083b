"""What a bot's process said last: the error it ended with, and what it left at its venue."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.redact import redact_text

TAIL_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class LastWords:
    """code: of the error it reported, if it did; see `core.errors`. text: why it ended; empty where all was well."""

    code: str | None = None
    text: str = ""
    left: Mapping[str, Any] | None = None


def read_last_words(output: Path, start: int, exit_code: int) -> LastWords:
    """From the file of its output, of which this life's begins at byte `start`."""
    try:
        with output.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return last_words(lines, exit_code)


def last_words(lines: list[str], exit_code: int) -> LastWords:
    """The last document of `live.run --json` among the lines, or else the last line."""
    for line in reversed(lines):
        with suppress(ValueError):
            document = json.loads(line)
            said = document.get("error") if isinstance(document, dict) else None
            if isinstance(said, dict):
                text = "; ".join(filter(None, (said.get("message"), said.get("hint"))))
                return LastWords(said.get("code"), redact_text(text))
            if exit_code == 0 and isinstance(document, dict) and "left" in document:
                return LastWords(left=document["left"])
    if exit_code == 0:
        return LastWords()
    how = f"ended by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"exit code {exit_code}"
    return LastWords(text=redact_text(f"{how}: {lines[-1]}" if lines else how))

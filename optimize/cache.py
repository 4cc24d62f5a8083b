"""Results of trials that were run before, in one file: the same question is never run twice.

The key is a hash of all that an outcome depends on: the strategy's source and base classes, parameters, every bar of
the span, costs, and the version of this program. Trials that failed are not kept.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import ConfigError
from engine.plan import fingerprint
from feeds.market import Market
from optimize.slices import cut, times_of
from optimize.trials import BLOCKS, Outcome, Params, Span

FORMAT = 1
AT_ONCE = 500
"""Keys in one question to the file."""


class ResultCache:
    """Outcomes by what they depend on. facts: see `optimize.evaluate.facts_of`. hits: answered so far.

    Several processes may use one file. Raises ConfigError where the file cannot be used.
    """

    def __init__(self, path: Path, market: Market, facts: Mapping[str, Any]) -> None:
        self.hits = 0
        self._market, self._times = market, times_of(market.frames)
        self._facts = json.dumps({**facts, "format": FORMAT}, sort_keys=True)
        self._bars: dict[Span, str] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=30.0, isolation_level=None)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS results (key BLOB PRIMARY KEY, metrics TEXT NOT NULL, moments BLOB NOT NULL)"
            )
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"the result cache {path} cannot be used: {error}", hint="delete the file, or use --no-cache"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _keys(self, params: Sequence[Params], span: Span) -> list[bytes]:
        bars = self._bars.get(span)
        if bars is None:
            bars = self._bars[span] = fingerprint(cut(self._market, self._times, span).frames)
        first: pd.Timestamp = self._times[span.first]
        base = hashlib.blake2b(f"{self._facts} {bars} {first.value}".encode(), digest_size=20)
        keys = []
        for each in params:
            digest = base.copy()
            digest.update(repr(sorted(each.items())).encode())
            keys.append(digest.digest())
        return keys

    def look_up(
        self, params: Sequence[Params], span: Span, metrics: Sequence[str]
    ) -> dict[int, tuple[dict[str, float], Any]]:
        """By position, the metrics and moments of those that are known with all of `metrics`."""
        keys = self._keys(params, span)
        rows: dict[bytes, tuple[str, bytes]] = {}
        for first in range(0, len(keys), AT_ONCE):
            some = keys[first : first + AT_ONCE]
            marks = ",".join("?" * len(some))
            found = self._file.execute(
                f"SELECT key, metrics, moments FROM results WHERE key IN ({marks})", some
            )
            rows |= {key: (text, blob) for key, text, blob in found}
        known = {}
        for number, key in enumerate(keys):
            if key in rows:
                text, blob = rows[key]
                figures = {
                    name: np.nan if value is None else value for name, value in json.loads(text).items()
                }
                if figures.keys() >= set(metrics):
                    known[number] = (figures, np.frombuffer(blob).reshape(BLOCKS, 3))
        self.hits += len(known)
        return known

    def keep(self, params: Sequence[Params], span: Span, outcome: Outcome) -> None:
        """Remember trials that ran."""
        rows = []
        for number, key in enumerate(self._keys(params, span)):
            if outcome.errors[number]:
                continue
            figures = {name: float(values[number]) for name, values in outcome.metrics.items()}
            text = json.dumps({name: value if value == value else None for name, value in figures.items()})
            rows.append((key, text, outcome.moments[number].tobytes()))
        self._file.execute("BEGIN IMMEDIATE")
        self._file.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", rows)
        self._file.execute("COMMIT")

    @staticmethod
    def joined(
        count: int,
        known: Mapping[int, tuple[dict[str, float], Any]],
        missing: Sequence[int],
        fresh: Outcome | None,
        metrics: Sequence[str],
    ) -> Outcome:
        """Known and fresh trials in the order they were asked for."""
        columns = {name: np.full(count, np.nan) for name in metrics}
        moments, errors = np.zeros((count, BLOCKS, 3)), [""] * count
        tracebacks: dict[int, str] = {}
        for number, (figures, sums) in known.items():
            moments[number] = sums
            for name in metrics:
                columns[name][number] = figures[name]
        if fresh is not None:
            moments[list(missing)] = fresh.moments
            for name in metrics:
                columns[name][list(missing)] = fresh.metrics[name]
            for place, number in enumerate(missing):
                errors[number] = fresh.errors[place]
            tracebacks = {missing[place]: text for place, text in fresh.tracebacks.items()}
        return Outcome(columns, errors, moments, tracebacks, cached=len(known))


__all__ = ["ResultCache"]

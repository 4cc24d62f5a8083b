"""What the translator found in a strategy: data for `python -m engine.explain`, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.refusal import Refused


@dataclass(frozen=True, slots=True)
class MethodReport:
    """One method, or one function it calls.

    name: with its class, such as "Momentum.next". lines: the source, from `first_line` (counted from 1) on.
    problems: number of a line in `file`, and why it cannot be compiled; empty when all of it can.
    """

    name: str
    file: str
    first_line: int
    lines: Sequence[str]
    problems: Sequence[tuple[int, str]] = ()

    @property
    def compiles(self) -> bool:
        """Whether nothing in it stands in the way."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a strategy compiles for given parameters and bars, and why not where it does not.

    refusal: what `engine.compiled.run` would raise; None when it compiles. source: the generated kernel, where
    there is one. dropped: file, line and text of the calls that were left out because they have no effect on the
    run, such as `log`.
    """

    methods: Sequence[MethodReport]
    refusal: Refused | None = None
    source: str | None = None
    dropped: Sequence[tuple[str, int, str]] = ()

    @property
    def compiles(self) -> bool:
        """Whether the compiled engine takes it."""
        return self.refusal is None

    def public(self) -> Mapping[str, Any]:
        """The same as plain values, for `--json`."""
        refusal = self.refusal
        return {
            "compiles": self.compiles,
            "refusal": None
            if refusal is None
            else {"reason": refusal.reason, "file": refusal.file, "line": refusal.line},
            "methods": [
                {
                    "name": method.name,
                    "file": method.file,
                    "first_line": method.first_line,
                    "lines": len(method.lines),
                    "problems": [{"line": line, "reason": reason} for line, reason in method.problems],
                }
                for method in self.methods
            ],
            "dropped": [{"file": file, "line": line, "text": text} for file, line, text in self.dropped],
        }

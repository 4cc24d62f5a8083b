"""How a fast engine says that it cannot run something: named, with file, line and reason."""

from __future__ import annotations

from core.errors import TradewrightError


class Refused(TradewrightError):
    """An engine cannot keep stock Backtrader's answer here. Handler: the choice of engine, which takes the next.

    reason: one clause in plain words, such as "calls an unknown function: requests.get". file, line: where in the
    strategy's source, when a line is to blame.
    """

    code = "engine_refused"

    def __init__(self, reason: str, *, file: str | None = None, line: int | None = None) -> None:
        self.reason, self.file, self.line = reason, file, line
        super().__init__(str(self))

    def __str__(self) -> str:
        return self.reason if self.file is None else f"{self.file}:{self.line}: {self.reason}"

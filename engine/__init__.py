"""One strategy over bars, on stock Backtrader: `from engine import backtest`.

`backtest` is the function, also after the module of the same name was imported: importing a submodule sets
an attribute on its package, so the package answers for that one name itself. It loads nothing until asked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.results import RunResult
    from engine.backtest import backtest as backtest

__all__ = ["backtest"]


class _Package(ModuleType):
    def _backtest(self) -> Callable[..., RunResult]:
        from engine.backtest import backtest

        return backtest

    def _keep_function(self, module: object) -> None:
        """The import system would put the submodule here; it stays reachable through `sys.modules`."""

    backtest = property(_backtest, _keep_function)


sys.modules[__name__].__class__ = _Package

"""The compiled engine: a strategy's own methods, translated to one numba kernel that carries Backtrader's broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.compiled.running import run as run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    """`run`, loaded when it is asked for."""
    if name == "run":
        from engine.compiled.running import run

        return run
    raise AttributeError(name)

"""One kernel and how to call it for a live Backtrader indicator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Lines = tuple[Any, ...]
Scalars = tuple[Any, ...]


def always(_: Any) -> bool:
    """Fits every instance."""
    return True


def no_reach(*_: Any) -> int:
    """Reads the current bar alone."""
    return 0


@dataclass(frozen=True, slots=True)
class Primitive:
    """One kernel and how to call it for an instance o.

    kernel(*outputs, *sources, start, end, *scalars) -> status, as `indicators.kernels` describes.
    sources(o), outputs(o): line buffers. scalars(o): what o holds, unchanged.
    reach(*scalars): bars before `start` that the kernel reads; 0 <= reach <= start must hold.
    fits(o): whether this instance is one the kernel computes.
    advances: stock computes the class bar by bar and leaves what it reads at its last bar.
    """

    kernel: Callable[..., int]
    sources: Callable[[Any], Lines]
    scalars: Callable[[Any], Scalars]
    outputs: Callable[[Any], Lines]
    reach: Callable[..., int] = no_reach
    fits: Callable[[Any], bool] = always
    advances: bool = False

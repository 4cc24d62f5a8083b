"""Charts as shapes with the name of their style: one drawing for the page (SVG) and for paper (PDF).

x runs to the right and y down, from the upper left corner, in points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from reports.axes import Tick, time_ticks, value_ticks

FloatArray = npt.NDArray[np.float64]
Anchor = Literal["start", "middle", "end"]
MOST_POINTS = 900
PAGE_SIZES = ((1100.0, 330.0), (350.0, 220.0))
"""Width and height of a drawing over a whole page: of a screen, and of a telephone."""
LEFT, RIGHT, TOP, BOTTOM = 58.0, 12.0, 8.0, 22.0
TICK_WIDTH, NUMBER_WIDTH = 74.0, 46.0
"""Room that the labels of a moment and of a number take."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points: x, y by turns; style: the colour."""

    points: tuple[float, ...]
    style: str
    width: float = 1.4


@dataclass(frozen=True, slots=True)
class Area:
    """A closed shape without an outline."""

    points: tuple[float, ...]
    style: str
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Label:
    """Text, its baseline at y."""

    x: float
    y: float
    text: str
    anchor: Anchor = "start"
    style: str = "muted"


@dataclass(frozen=True, slots=True)
class Plot:
    """A finished drawing. said: what it shows, for who cannot see it."""

    width: float
    height: float
    shapes: tuple[Line | Area | Label, ...]
    said: str


@dataclass(slots=True)
class Frame:
    """Axes with a scale, and what is drawn in them so far."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    shapes: list[Line | Area | Label] = field(default_factory=list)

    def place(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values as points of the drawing."""
        (left, right), (low, high) = self.x, self.y
        across = self.width - LEFT - RIGHT
        down = self.height - TOP - BOTTOM
        return (
            LEFT + (x - left) / ((right - left) or 1.0) * across,
            TOP + (high - y) / ((high - low) or 1.0) * down,
        )

    def grid(self, ups: Sequence[Tick], acrosses: Sequence[Tick]) -> None:
        """Lines across at the values, labels at both axes."""
        for value, label in ups:
            _, y = self.place(np.zeros(1), np.array([value]))
            at = float(y[0])
            self.shapes.append(Line((LEFT, at, self.width - RIGHT, at), "line", 0.6))
            self.shapes.append(Label(LEFT - 6, at + 3.2, label, "end"))
        for value, label in acrosses:
            x, _ = self.place(np.array([value]), np.zeros(1))
            half = 3.0 * len(label)
            at = min(max(float(x[0]), LEFT + half - 10), self.width - half)
            self.shapes.append(Label(at, self.height - 6, label, "middle"))

    def line(self, x: FloatArray, y: FloatArray, style: str, width: float = 1.4) -> None:
        """A line for each unbroken run of values; NaN breaks it."""
        for part in _unbroken(y):
            across, down = self.place(x[part], y[part])
            self.shapes.append(Line(_flat(across, down), style, width))

    def area(self, x: FloatArray, low: FloatArray, high: FloatArray, style: str, opacity: float) -> None:
        """What lies between two lines, where both are known."""
        for part in _unbroken(low + high):
            across, below = self.place(x[part], low[part])
            _, above = self.place(x[part], high[part])
            around = np.concatenate((across, across[::-1])), np.concatenate((above, below[::-1]))
            self.shapes.append(Area(_flat(*around), style, opacity))

    def key(self, names: Sequence[tuple[str, str]]) -> None:
        """Names of the lines with their styles, in the upper left corner."""
        at = LEFT + 6
        for name, style in names:
            self.shapes.append(Line((at, TOP + 7, at + 14, TOP + 7), style, 2.0))
            self.shapes.append(Label(at + 18, TOP + 10, name, style="ink"))
            at += key_width(name)

    def plot(self, said: str) -> Plot:
        """The drawing."""
        return Plot(self.width, self.height, tuple(self.shapes), said)


def key_width(name: str) -> float:
    """Room that a name takes in the key."""
    return 30 + 5.6 * len(name)


def over_time(
    lines: Sequence[tuple[str, FloatArray, FloatArray, str]],
    *,
    unit: str,
    size: tuple[float, float],
    said: str,
    filled: bool = False,
    level: float | None = None,
) -> Plot:
    """Lines over time. lines: name, "" for one the key leaves out, seconds since 1970, values, style; later ones on top.

    filled: the first line's area to zero is filled. level: a value that is always shown, with a line.
    """
    drawn = [(name, *thinned(times, values), style) for name, times, values, style in lines]
    known = np.concatenate([values[np.isfinite(values)] for _, _, values, _ in drawn] or [np.empty(0)])
    if not known.size:
        return Plot(*size, (Label(size[0] / 2, size[1] / 2, "Nothing to draw", "middle"),), said)
    if level is not None:
        known = np.append(known, level)
    times = np.concatenate([at for _, at, _, _ in drawn])
    low, high = _room(known, filled)
    # The names stand above the lines.
    high += 0.1 * (high - low) if len(drawn) > 1 else 0.0
    frame = Frame(*size, (float(times.min()), float(times.max())), (low, high))
    _ticks(frame, unit, time_ticks(*frame.x, int(size[0] / TICK_WIDTH)))
    if level is not None:
        frame.line(np.array(frame.x), np.full(2, level), "muted", 0.9)
    if filled:
        _, at, values, style = drawn[0]
        frame.area(at, values, np.zeros_like(values), style, 0.25)
    for _, at, values, style in drawn:
        frame.line(at, values, style)
    if len(drawn) > 1:
        frame.key([(name, style) for name, _, _, style in drawn[::-1] if name])
    return frame.plot(said)


def bars(
    edges: FloatArray,
    counts: FloatArray,
    *,
    curve: FloatArray | None,
    size: tuple[float, float],
    said: str,
) -> Plot:
    """A histogram of fractions: gains and losses in their colours. curve: as many counts, drawn over it, at the middles."""
    top = float(max(counts.max(), 0.0 if curve is None else curve.max()))
    frame = Frame(*size, (float(edges[0]), float(edges[-1])), (0.0, top * 1.06))
    across = value_ticks(*frame.x, int(size[0] / NUMBER_WIDTH), "percent")
    frame.grid(value_ticks(0.0, top, int(size[1] / 26), "ratio"), across)
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        x = np.array([low + (high - low) * 0.06, high - (high - low) * 0.06])
        frame.area(x, np.zeros(2), np.full(2, count), "gain" if low + high > 0 else "loss", 0.75)
    if curve is not None:
        frame.line((edges[:-1] + edges[1:]) / 2, curve, "ink", 1.2)
    return frame.plot(said)


def fan(
    times: FloatArray, levels: Sequence[float], values: FloatArray, *, size: tuple[float, float], said: str
) -> Plot:
    """Quantiles of paths. times: (k,) steps; values: (m, k), by level, rising; the outermost pair is the widest band."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    frame = Frame(*size, (float(times[0]), float(times[-1])), _room(np.array([low, high, 1.0]), filled=False))
    across = value_ticks(*frame.x, int(size[0] / NUMBER_WIDTH), "money")
    _ticks(frame, "ratio", across)
    pairs = len(levels) // 2
    for place in range(pairs):
        frame.area(times, values[place], values[len(levels) - 1 - place], "accent", 0.16)
    if len(levels) % 2:
        frame.line(times, values[pairs], "accent")
    frame.line(np.array(frame.x), np.ones(2), "muted", 0.9)
    return frame.plot(said)


def thinned(times: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Few enough points to draw: of each group of neighbours its lowest and its highest, in their order."""
    if len(values) <= 2 * MOST_POINTS:
        return times, values
    group = -(-len(values) // MOST_POINTS)
    padded = np.append(values, np.full(-len(values) % group, values[-1])).reshape(-1, group)
    known = np.where(np.isfinite(padded), padded, np.nan)
    empty = np.isnan(known).all(axis=1)
    known[empty] = 0.0
    both = np.sort(np.stack([np.nanargmin(known, axis=1), np.nanargmax(known, axis=1)], axis=1), axis=1)
    starts = (np.arange(len(padded)) * group)[:, None]
    chosen = np.unique(np.minimum(np.append((both + starts).ravel(), [0, len(values) - 1]), len(values) - 1))
    return times[chosen], values[chosen]


def _ticks(frame: Frame, unit: str, across: Sequence[Tick]) -> None:
    frame.grid(value_ticks(*frame.y, max(2, int(frame.height / 26)), unit), across)


def _room(values: FloatArray, filled: bool) -> tuple[float, float]:
    """Lowest and highest of an axis: a little more than the values need; zero belongs to what is filled."""
    low, high = float(values.min()), float(values.max())
    if filled:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-9 * max(abs(high), abs(low), 1e-12):
        margin = abs(high) * 0.05 or 0.05
        return low - margin, high + margin
    margin = 0.05 * (high - low)
    return (low - margin, high + (0.0 if filled and high == 0.0 else margin))


def _unbroken(values: FloatArray) -> Iterator[slice]:
    known = np.concatenate(([False], np.isfinite(values), [False])).astype(np.int8)
    edges = np.flatnonzero(np.diff(known))
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield slice(first, last)


def _flat(x: FloatArray, y: FloatArray) -> tuple[float, ...]:
    flat = np.stack([x, y], axis=1).ravel()
    return tuple(0.0 if math.isnan(value) else round(value, 1) for value in flat.tolist())


__all__ = ["Area", "Label", "Line", "Plot", "bars", "fan", "key_width", "over_time", "thinned"]

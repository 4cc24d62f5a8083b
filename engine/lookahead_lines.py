"""The indicators of a strategy, all the way down: names a reader knows, what feeds what, and their values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np
from backtrader.linebuffer import _LineDelay, _LineForward

if TYPE_CHECKING:
    from numpy.typing import NDArray

INDICATORS = bt.LineIterator.IndType


@dataclass(frozen=True, slots=True, eq=False)
class Indicator:
    """One indicator, or one operation on lines.

    kind: class and parameters. attribute: what the strategy calls it, or "". inside: the name of the strategy's own
    indicator that it is a part of, or "". lines: names of its lines.
    inputs: places, in the tuple `indicators_of` gives, of what it is calculated from. clock: place of the data whose bars it counts, in the strategy's datas. chart: whether it is
    a line that Backtrader's own indicators lead ahead to be drawn, such as Ichimoku's chikou span. source: the object.
    """

    kind: str
    attribute: str
    inside: str
    lines: tuple[str, ...]
    inputs: tuple[int, ...]
    clock: int
    chart: bool
    source: Any

    @property
    def name(self) -> str:
        """`self.cross (CrossOver)`, or `SMA(period=5) in self.cross (CrossOver)`."""
        if self.attribute:
            return f"{self.attribute} ({self.kind})"
        return f"{self.kind} in {self.inside}" if self.inside else self.kind

    @property
    def top(self) -> bool:
        """Whether it is the strategy's own, and no part of another."""
        return not self.inside

    def line_name(self, line: int) -> str:
        """What to call one of its lines."""
        return self.name if len(self.lines) == 1 else f"{self.name}, line {self.lines[line]}"

    def now(self) -> Iterator[float]:
        """The value of each line on the present bar, NaN where there is none."""
        for line in _buffers(self.source):
            yield float(line.array[line.idx]) if 0 <= line.idx < len(line.array) else math.nan

    def arrays(self) -> Iterator[NDArray[np.float64]]:
        """The values of each line, one a bar of its clock."""
        for line in _buffers(self.source):
            yield np.array(line.array, dtype=np.float64)


def indicators_of(strategy: bt.Strategy) -> tuple[Indicator, ...]:
    """Every indicator reachable from the strategy; what feeds an indicator comes before it."""
    found: dict[int, _Found] = {}
    order: list[int] = []
    _collect(strategy, "", found, order)
    places = {key: place for place, key in enumerate(order)}
    homes = {id(line): key for key in order for line in _buffers(found[key].source)}
    clocks = {id(data): number for number, data in enumerate(strategy.datas)}
    clocks |= {id(line): number for number, data in enumerate(strategy.datas) for line in data.lines}
    owners = {line: found[key].source for line, key in homes.items()}
    return tuple(
        Indicator(
            _kind(one.source),
            one.attribute,
            one.inside,
            _line_names(one.source),
            tuple(sorted(_inputs(one.source, places, homes) - {places[id(one.source)]})),
            _clock(one.source, clocks, owners),
            isinstance(one.source, _LineForward) and _of_backtrader(one.source._owner),
            one.source,
        )
        for one in (found[key] for key in order)
    )


@dataclass(frozen=True, slots=True)
class _Found:
    source: Any
    attribute: str
    inside: str


def _collect(owner: Any, inside: str, found: dict[int, _Found], order: list[int]) -> None:
    """Children first, so that an indicator stands behind what it is made of."""
    attributes = {} if inside else dict(_attributes(owner))
    for child in owner._lineiterators[INDICATORS]:
        if id(child) in found:
            continue
        known, kind = attributes.get(id(child), ""), _kind(child)
        found[id(child)] = _Found(child, known, inside)
        if hasattr(child, "_lineiterators"):
            _collect(child, inside or (f"{known} ({kind})" if known else kind), found, order)
        order.append(id(child))


def _attributes(owner: Any) -> Iterator[tuple[int, str]]:
    """Ids of what the strategy's attributes hold, lists and dictionaries opened, and what to call it."""
    for name, value in vars(owner).items():
        if name.startswith("_"):
            continue
        yield id(value), f"self.{name}"
        if isinstance(value, (list, tuple)):
            yield from ((id(part), f"self.{name}[{number}]") for number, part in enumerate(value))
        elif isinstance(value, Mapping):
            for key, part in value.items():
                label = getattr(key, "_name", None) or repr(key)
                yield id(part), f"self.{name}[{label}]"
                if isinstance(part, Mapping):
                    yield from (
                        (id(deep), f"self.{name}[{label}][{inner!r}]") for inner, deep in part.items()
                    )


def _of_backtrader(owner: Any) -> bool:
    """Whether it is an indicator that comes with Backtrader; a strategy is not, whoever wrote it."""
    return isinstance(owner, bt.Indicator) and type(owner).__module__.partition(".")[0] == "backtrader"


def _kind(source: Any) -> str:
    """Class and parameters, such as `SMA(period=5)`; an operation on lines by its sign or function."""
    if isinstance(source, (_LineDelay, _LineForward)):
        return f"a line {abs(source.ago)} bars {'ago' if isinstance(source, _LineDelay) else 'ahead'}"
    operation = getattr(source, "operation", None)
    if operation is not None:
        return f"{type(source).__name__} {getattr(operation, '__name__', operation)}"
    params: Any = getattr(source, "p", None)
    given = dict(params._getkwargs()) if hasattr(params, "_getkwargs") else {}
    texts = [
        f"{name}={getattr(value, '__name__', value)}"
        for name, value in given.items()
        if isinstance(value, (int, float, str, type))
        and (name.startswith("period") or params.notdefault(name))
    ]
    return f"{type(source).__name__}({', '.join(texts)})" if texts else type(source).__name__


def _buffers(source: Any) -> list[Any]:
    """The line buffers of an indicator; an operation on lines is one itself."""
    return list(source.lines) if isinstance(source, bt.LineSeries) else [source]


def _line_names(source: Any) -> tuple[str, ...]:
    buffers = _buffers(source)
    if not isinstance(source, bt.LineSeries):
        return ("value",)
    aliases = source.lines.getlinealiases()
    return tuple(aliases[place] if place < len(aliases) else str(place) for place in range(len(buffers)))


def _inputs(source: Any, places: Mapping[int, int], homes: Mapping[int, int]) -> set[int]:
    """Places of the indicators an indicator holds: its datas, its operands, its parts."""
    held = [value for name, value in vars(source).items() if not name.startswith("_") and name != "bindings"]
    held += [part for value in held if isinstance(value, (list, tuple)) for part in value]
    held += source._lineiterators[INDICATORS] if hasattr(source, "_lineiterators") else []
    keys = set()
    for value in held:
        if isinstance(value, bt.LineSeries) and id(value) not in places:
            keys |= {homes[id(line)] for line in value.lines if id(line) in homes}
        elif id(value) in places:
            keys.add(id(value))
        elif id(value) in homes:
            keys.add(homes[id(value)])
    return {places[key] for key in keys}


def _clock(source: Any, clocks: Mapping[int, int], owners: Mapping[int, Any]) -> int:
    """Place of the data whose bars move it on; the first data where that cannot be told.

    clocks: the places of datas and their lines. owners: the indicators of lines. Both by id.
    """
    seen: set[int] = set()
    while source is not None and id(source) not in seen:
        if id(source) in clocks:
            return clocks[id(source)]
        seen.add(id(source))
        source = owners.get(id(source), source)
        above = getattr(source, "_clock", None)
        lines = source.lines if above is None and isinstance(source, bt.LineSeries) else ()
        source = next(iter(lines), None) if above is None else above
    return 0

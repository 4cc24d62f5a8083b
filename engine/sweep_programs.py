"""Programs of a sweep, kept: one that was traced once serves other bars, and other numbers that take its way.

Where `engine.compiled.purity` proves that making a strategy depends on nothing but its parameters and the structure of
its datas, the windows of a walk-forward, the batches of a search and shuffled markets share one trace and one
translation.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np

from engine.account import copied
from engine.compiled.assembly import Translated
from engine.compiled.evaluation import Evaluation
from engine.compiled.program import Program
from engine.compiled.program_reader import build
from engine.compiled.purity import Witness, watched, witness_of
from engine.compiled.recipe_keys import key_of
from engine.compiled.translate import translate
from engine.refusal import Refused
from engine.setup import prepare

if TYPE_CHECKING:
    import pandas as pd

MOST = 4
"""Structures that are kept, and programs of each."""
MOST_BARS = 200_000


@dataclass(slots=True)
class _Kept:
    """A program with what it was made of. bars: index and values by name of the frames it is bound to."""

    witness: Witness
    params: Mapping[str, Any]
    varied: frozenset[str]
    bars: dict[str, Any]
    program: Program
    translated: Translated

    def serves(self, params: Mapping[str, Any], varied: Sequence[str]) -> bool:
        """Whether it holds at these parameters, and was traced for all that vary."""
        traced = self.program.trace.numbers
        return (
            self.varied.issuperset(varied)
            and all(name in traced or params[name] == value for name, value in self.params.items())
            and self.witness.holds()
            and bool(
                self.program.holds(Evaluation({name: np.array([params[name]]) for name in traced}, 1)).all()
            )
        )


_kept: OrderedDict[Hashable, list[_Kept]] = OrderedDict()
"""By structure, the program used last first."""


def program_of(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: Any,
    varied: Sequence[str],
) -> tuple[Program, Translated]:
    """A program that holds at `params`, traced for the parameters that vary, bound to these bars.

    Refused where what is made once may not stand for other combinations.
    """
    key = key_of(cls, params, frames, broker, sizer)
    if key is None or sum(map(len, frames.values())) > MOST_BARS:
        made = _made(cls, params, frames, broker, sizer, varied)
        return made.program, made.translated
    known = _kept.setdefault(_structure(key), [])
    _kept.move_to_end(_structure(key))
    found = next((each for each in known if each.serves(params, varied)), None)
    if found is None:
        found = _made(cls, params, frames, broker, sizer, varied)
    else:
        known.remove(found)
        if not _same_bars(found.bars, frames):
            found = replace(found, bars=_bars_of(frames), program=_bound(found.program, frames, broker))
    known.insert(0, found)
    del known[MOST:]
    while len(_kept) > MOST:
        _kept.popitem(last=False)
    return found.program, found.translated


def _structure(key: Any) -> Hashable:
    """A key with the kinds of the parameters' values instead of them."""
    cls, numbers, *rest = key
    return cls, tuple((name, kind) for name, kind, _ in numbers), *rest


def _made(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: Any,
    varied: Sequence[str],
) -> _Kept:
    kind = sizer[0] if isinstance(sizer, tuple) else sizer
    witness = witness_of(*(each for each in (cls, kind) if each is not None))
    if witness is None:
        raise Refused("uses what may change while combinations run")
    with watched(witness) as watch:
        program = build(cls, params, frames, copied(broker), sizer=sizer, traced=varied)
    if watch.problem or not witness.holds():
        raise Refused(f"{watch.problem or 'changes its class or module'} while it is made")
    return _Kept(
        witness, dict(params), frozenset(varied), _bars_of(frames), program, translate(program.setup)
    )


def _bound(program: Program, frames: Mapping[str, pd.DataFrame], broker: bt.brokers.BackBroker) -> Program:
    """The same program over other bars of the same structure."""
    datas = prepare(bt.Strategy, {}, frames, copied(broker), recorder=False).datas
    columns = [np.array(line.array, dtype=np.float64) for data in datas for line in data.lines]
    return replace(
        program,
        setup=replace(program.setup, datas=datas),
        inputs=dict(zip(program.inputs, columns, strict=True)),
        lengths=tuple(len(data.lines[0].array) for data in datas),
        kept={"layouts": program.kept["layouts"]} if "layouts" in program.kept else {},
    )


def _bars_of(frames: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    return {name: (frame.index, _bits(frame).copy()) for name, frame in frames.items()}


def _same_bars(seen: Mapping[str, Any], frames: Mapping[str, pd.DataFrame]) -> bool:
    return seen.keys() == frames.keys() and all(
        seen[name][0].equals(frame.index) and np.array_equal(seen[name][1], _bits(frame))
        for name, frame in frames.items()
    )


def _bits(frame: pd.DataFrame) -> Any:
    """The numbers of a frame as whole ones that are equal where nothing differs, not even the sign of a zero."""
    return np.asarray(frame.to_numpy(dtype=np.float64).T, order="C").view(np.int64)


__all__ = ["program_of"]

"""Runs of a strategy that was run before: its program, its kernel and its numbers again, over any bars.

Where `engine.compiled.purity` proves that making a strategy depends on nothing but its parameters and the structure
of its datas (names, timeframes, how many), a `Recipe` takes the place of Cerebro, the instance and the translation.
It is kept for the same class, parameters, sizer, broker settings and structure, as long as nothing the strategy's
code refers to has changed.

recipe = recipe_of(Momentum, {"fast": 10}, {"GOOG": frame}, broker)   # None: no such proof
recording = recipe.run({"GOOG": frame})                               # None: only the long way can tell
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from core.errors import TradewrightError
from engine.compiled import kernel
from engine.compiled.assembly import Translated
from engine.compiled.broker_setup import rules_of, schemes_of, sessions_of
from engine.compiled.program import UNSET, Node, Program
from engine.compiled.program_reader import build
from engine.compiled.purity import Witness, watched, witness_of
from engine.compiled.recipe_keys import key_of
from engine.compiled.recipes import LINES, Recipe, Step
from engine.compiled.traced import plain
from engine.compiled.translate import translate
from engine.refusal import Refused

MOST = 64
"""Recipes that are kept."""


MAKING_FAILS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TradewrightError,
    TypeError,
    ValueError,
)
"""What a strategy or its translation may raise on the way."""
_recipes: OrderedDict[Any, Recipe] = OrderedDict()
_hopeless: OrderedDict[Any, None] = OrderedDict()
"""Classes, and keys, without one."""


def recipe_of(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: Any = None,
    cheat_on_open: bool = False,
) -> Recipe | None:
    """The recipe of a strategy, made if there is none yet; None where there can be none."""
    key = key_of(cls, params, frames, broker, sizer, cheat_on_open)
    if key is None or cls in _hopeless or key in _hopeless:
        return None
    found = _recipes.get(key)
    if found is not None and found.witness.holds():
        _recipes.move_to_end(key)
        return found
    if sys.getprofile() is not None:
        return None  # nothing can be proved under another profiler
    try:
        made = _make(cls, params, frames, broker, sizer, cheat_on_open)
    except MAKING_FAILS:  # the long way says what is wrong
        _keep(_hopeless, key, None)
        return None
    if made is None:
        _keep(_hopeless, cls, None)
    else:
        _keep(_recipes, key, made)
    return made


def is_made(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: Any = None,
) -> bool:
    """Whether the recipe is at hand."""
    return key_of(cls, params, frames, broker, sizer) in _recipes


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int = MOST) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)


def _make(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    sizer: Any,
    cheat_on_open: bool,
) -> Recipe | None:
    from engine.account import copied

    kind = sizer[0] if isinstance(sizer, tuple) else sizer
    witness = witness_of(*(each for each in (cls, kind) if each is not None))
    if witness is None:
        return None
    account = copied(broker)
    with watched(witness) as watch:
        program = build(cls, params, frames, account, sizer=sizer, cheat_on_open=cheat_on_open, traced=())
    if watch.problem or not witness.holds():
        return None
    translated = translate(program.setup)
    return _recipe(program, translated, witness, account) if witness.holds() else None


def _recipe(
    program: Program, translated: Translated, witness: Witness, broker: bt.brokers.BackBroker
) -> Recipe:
    from engine.compiled.recording import reasons_of

    setup = program.setup
    numbers = {
        line: None if made.data is None else program.line(made.buffer)
        for line, made in enumerate(translated.lines)
    }
    wanted = [number for number in numbers.values() if number is not None]
    steps, columns, rows, places = _steps(program, wanted)
    lines = tuple(
        (-1 if (number := numbers[place]) is None else places[number], line.data, line.time)
        for place, line in enumerate(translated.lines)
    )
    return Recipe(
        translated.source,
        kernel.name_of(translated.source),
        witness,
        steps,
        columns,
        rows,
        lines,
        translated.deepest,
        tuple(int(plain(period)) for period in setup.strategy._minperiods),
        np.array([float(plain(value)) for value in translated.floats], dtype=np.float64),
        np.array([int(plain(value)) for value in translated.ints], dtype=np.int64),
        reasons_of(translated.infos),
        rules_of(broker),
        schemes_of(broker, setup.datas),
        sessions_of(setup.datas),
        float(broker.cash),
    )


def _steps(
    program: Program, wanted: Sequence[int]
) -> tuple[tuple[Step, ...], tuple[tuple[int, str], ...], int, dict[int, int]]:
    """Every node as a step on rows, which are used again once nothing reads them: steps, further columns, rows, row by line."""
    places, columns = _input_places(program)
    first = 6 * len(program.setup.datas)
    count = first + len(columns)
    last_use = {
        line: number for number, node in enumerate(program.nodes) for line in (*node.sources, *node.before)
    }
    last_use |= dict.fromkeys(wanted, len(program.nodes))
    free: list[int] = []
    steps = []
    inputs = set(program.inputs)
    for number, node in enumerate(program.nodes):
        sources, before = _rows(node.sources, places), _rows(node.before, places)
        outputs = []
        for line in node.outputs:
            if free:
                outputs.append(free.pop())
            else:
                outputs.append(count)
                count += 1
            places[line] = outputs[-1]
        steps.append(_step(node, tuple(outputs), before, sources))
        for line in {*node.sources, *node.before, *node.outputs} - {UNSET} - inputs:
            if last_use.get(line, number) == number:
                free.append(places[line])
    return tuple(steps), columns, count - first, places


def _rows(lines: Sequence[int], places: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(UNSET if line == UNSET else places[line] for line in lines)


def _input_places(program: Program) -> tuple[dict[int, int], tuple[tuple[int, str], ...]]:
    places: dict[int, int] = {}
    columns: list[tuple[int, str]] = []
    datas = program.setup.datas
    number = 0
    for data, feed in enumerate(datas):
        for name in feed.getlinealiases():
            if name in LINES:
                places[number] = 6 * data + LINES.index(name)
            else:
                places[number] = 6 * len(datas) + len(columns)
                columns.append((data, name))
            number += 1
    if number != len(program.inputs):
        raise Refused("has datas with lines without a name")
    return places, tuple(columns)


def _step(node: Node, outputs: tuple[int, ...], before: tuple[int, ...], sources: tuple[int, ...]) -> Step:
    scalars = tuple(plain_scalar(scalar) for scalar in node.scalars)
    start = node.start.of({})
    assert isinstance(start, int)
    if not 0 <= node.reach(*scalars) <= start:
        raise Refused("reads before its first bar")
    return Step(node.kernel, outputs, before, sources, start, node.data, scalars)


def plain_scalar(scalar: Any) -> Any:
    """A node's scalar for a program without traced parameters."""
    from engine.compiled.formulas import Expression

    return scalar.of({}) if isinstance(scalar, Expression) else scalar


__all__ = ["Recipe", "key_of", "recipe_of"]

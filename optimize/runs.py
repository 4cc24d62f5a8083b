"""One run of one parameter set, measured: what a worker does, in this process or in another."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyzers.metrics import summarize
from core.errors import ConfigError, TradewrightError, UserError
from engine.account import copied
from engine.choose import Task, execute
from engine.refusal import Refused
from optimize.limits import limit_error
from optimize.trials import BLOCKS, Outcome, Params, moments_of, shown

if TYPE_CHECKING:
    from engine.recording import Recording


def load_function(reference: str) -> Callable[[Any], float]:
    """The objective that `module:function` or `path/to/file.py:function` names. Raises ConfigError."""
    place, _, name = reference.rpartition(":")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            if spec is None or spec.loader is None:
                raise ImportError(f"{place} is no module")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        function: Callable[[Any], float] = getattr(module, name)
    except (ImportError, OSError, AttributeError, SyntaxError) as error:
        raise ConfigError(
            f"the objective {reference} cannot be loaded: {error}",
            hint="write module:function or file.py:function",
        ) from error
    if not callable(function):
        raise ConfigError(f"the objective {reference} is no function", hint="name one that takes a RunResult")
    return function


def functions_of(names: Sequence[str]) -> dict[str, str]:
    """Hashes of the sources of those objectives that are functions. Raises ConfigError for one that is not there."""
    found = {}
    for name in names:
        if ":" in name:
            load_function(name)
            place = name.rpartition(":")[0]
            file = place if place.endswith(".py") else importlib.import_module(place).__file__
            found[name] = hashlib.sha256(Path(str(file)).read_bytes()).hexdigest()
    return found


def run_each(
    task: Task,
    params: Sequence[Params],
    metrics: Sequence[str],
    measured_from: pd.Timestamp,
    *,
    blocks: int = BLOCKS,
    on_done: Callable[[int], None] | None = None,
) -> Outcome:
    """Run every parameter set on its own, on the first engine that takes it.

    metrics: names of `summarize`, or references of functions of a RunResult. measured_from: the first bar that counts.
    blocks: of the outcome's moments.
    """
    functions = {name: load_function(name) for name in metrics if ":" in name}
    rows = np.full((len(params), len(metrics)), np.nan)
    moments = np.zeros((len(params), blocks, 3))
    errors, tracebacks = [""] * len(params), {}
    for number, each in enumerate(params):
        try:
            recording = _recorded(task, each)
            rows[number], equity = _measured(task, each, recording, metrics, functions, measured_from)
            moments[number] = moments_of(equity, blocks)
        except (TradewrightError, MemoryError) as error:
            limited = limit_error(error, f"the trial {shown(each)}")
            if limited is not None:
                raise limited from error
            errors[number] = " ".join((str(error) or type(error).__name__).split())
            tracebacks[number] = traceback.format_exc()
        if on_done is not None:
            on_done(number + 1)
    return Outcome({name: rows[:, k] for k, name in enumerate(metrics)}, errors, moments, tracebacks)


def _recorded(task: Task, params: Params) -> Recording:
    from strategies import registry

    resolved = registry.resolve_params(task.strategy, params)
    single = Task(task.strategy, resolved, task.frames, copied(task.broker), task.resample, sizer=task.sizer)
    try:
        return execute(single, "lean").recording
    except UserError as error:
        if not isinstance(error.__cause__, Refused):
            raise
    return execute(single, "cerebro").recording


def _measured(
    task: Task,
    params: Params,
    recording: Recording,
    metrics: Sequence[str],
    functions: Mapping[str, Callable[[Any], float]],
    first: pd.Timestamp,
) -> tuple[list[float], NDArray[np.float64]]:
    """The metrics, and the equity of the measured bars and the one before."""
    equity, trades, fills = recording.equity, recording.trades, recording.fills
    start = int(equity.index.searchsorted(first))
    values = equity.to_numpy(dtype=np.float64)
    before = values[start - 1] if start else float(task.broker.p.cash)
    if start:
        equity = equity.iloc[start - 1 :]
        trades, fills = trades[trades["exit_time"] >= first], fills[fills["time"] >= first]
    figures = summarize(equity, trades, fills=fills)
    row = [
        _value(name, functions[name], task, params, recording) if name in functions else figures[name]
        for name in metrics
    ]
    return row, np.concatenate([[before], values[start:]])


def _value(
    name: str, function: Callable[[Any], float], task: Task, params: Params, recording: Recording
) -> float:
    """A function of the result. What it raises is its author's, and ends the trial, not the search."""
    from engine.account import costs_of
    from engine.result import run_result
    from feeds.market import load

    result = run_result(
        "trial",
        task.strategy.__qualname__,
        params,
        load(dict(task.frames)),
        recording,
        engine="lean",
        reason="a trial",
        costs=costs_of(task.broker),
    )
    try:
        return float(function(result))
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"the objective {name} failed: {type(error).__name__}: {error}") from error


__all__ = ["functions_of", "load_function", "run_each"]

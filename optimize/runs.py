"""One run of one parameter set, measured: what a worker does, in this process or in another."""

from __future__ import annotations

import importlib
import importlib.util
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from optimize.trials import BLOCKS, Outcome, Params, moments_of

if TYPE_CHECKING:
    import backtrader as bt

    from engine.recording import Recording


@dataclass(frozen=True, slots=True)
class Schemes:
    """A broker as plain values, which another process can read: parameters, and commission schemes by symbol."""

    params: Mapping[str, Any]
    schemes: Mapping[str | None, tuple[str, Mapping[str, Any]]]

    @classmethod
    def of(cls, broker: bt.brokers.BackBroker) -> Schemes:
        """Take a configured broker down."""
        params = dict(broker.p._getkwargs())
        params.pop("commission", None)
        schemes = {
            symbol: (f"{type(scheme).__module__}:{type(scheme).__qualname__}", dict(scheme.p._getkwargs()))
            for symbol, scheme in broker.comminfo.items()
        }
        return cls(params, schemes)

    def broker(self) -> bt.brokers.BackBroker:
        """The broker again."""
        import backtrader as bt

        made = bt.brokers.BackBroker(**self.params)
        made.comminfo = {
            symbol: _named(kind)(**arguments) for symbol, (kind, arguments) in self.schemes.items()
        }
        return made


def _named(reference: str) -> Any:
    """What `module:name` names."""
    module, _, name = reference.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


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


def run_each(
    task: Task,
    params: Sequence[Params],
    metrics: Sequence[str],
    measured_from: pd.Timestamp,
    *,
    on_done: Callable[[int], None] | None = None,
) -> Outcome:
    """Run every parameter set on its own, on the first engine that takes it.

    metrics: names of `summarize`, or references of functions of a RunResult. measured_from: the first bar that counts.
    """
    functions = {name: load_function(name) for name in metrics if ":" in name}
    rows = np.full((len(params), len(metrics)), np.nan)
    moments = np.zeros((len(params), BLOCKS, 3))
    errors, tracebacks = [""] * len(params), {}
    for number, each in enumerate(params):
        try:
            recording = _recorded(task, each)
            rows[number], moments[number] = _measured(
                task, each, recording, metrics, functions, measured_from
            )
        except TradewrightError as error:
            errors[number] = " ".join(str(error).split())
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
    return row, moments_of(np.concatenate([[before], values[start:]]))


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


__all__ = ["Schemes", "load_function", "run_each"]

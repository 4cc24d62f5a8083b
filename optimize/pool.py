"""A pool of processes that is started once, with the bars in shared memory, and outlives the death of a worker.

with Pool(task, jobs=2) as pool:
    outcome = pool.run(params, metrics, first, last, measured_from)

A worker gets a reference of the strategy, the broker as plain values, and the bars; no object of Backtrader travels.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import shared_memory
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
import pandas as pd

from core.errors import TradewrightError, UserError
from engine.account import Schemes
from engine.choose import Task
from optimize.limits import over_in_worker
from optimize.runs import run_each
from optimize.trials import BLOCKS, Outcome, Params, concatenate

CHUNK = 16
"""Parameter sets that travel together, at most."""
LIVES = 3
"""Times that a chunk is begun before the death of its workers is held against its trials."""
DIED = f"the worker that ran it died {LIVES} times (out of memory, or killed from outside)"
COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class _Bars:
    """One symbol's bars in shared memory: times, then `COLUMNS`, 8 bytes each."""

    name: str
    rows: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker is started with."""

    strategy: str
    broker: Schemes
    resample: tuple[str, ...]
    bars: Mapping[str, _Bars]


@dataclass(frozen=True, slots=True)
class Part:
    """The bars of a run: from `first` to `last`, both included, measured from `measured`; blocks: of its moments."""

    first: pd.Timestamp
    last: pd.Timestamp
    measured: pd.Timestamp
    blocks: int = BLOCKS

    def of(self, frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """The frames' bars in it."""
        found = {}
        for symbol, frame in frames.items():
            index = frame.index
            rows = frame.iloc[index.searchsorted(self.first) : index.searchsorted(self.last, side="right")]
            if len(rows):
                found[symbol] = rows
        return found


class _Process(SpawnProcess):
    """A process that does not run the main script again: a worker needs nothing of it."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  # multiprocessing's own name
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return SpawnProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = main


class _Context(SpawnContext):
    Process = _Process


class Pool:
    """Worker processes for one strategy on one market. Raises StrategyError for a class no process can load."""

    def __init__(self, task: Task, jobs: int) -> None:
        from strategies import registry

        self._jobs = jobs
        self._memory: list[shared_memory.SharedMemory] = []
        self._executor: ProcessPoolExecutor | None = None
        if multiprocessing.parent_process() is not None:
            raise UserError(
                "a search began while its own worker was loading the strategy",
                hint='put what starts it below `if __name__ == "__main__":`',
            )
        reference = registry.reference(task.strategy)
        bars = {symbol: self._share(frame) for symbol, frame in task.frames.items()}
        self._job = _Job(reference, Schemes.of(task.broker), tuple(task.resample), bars)

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers and give the memory back."""
        self._stop()
        while self._memory:
            memory = self._memory.pop()
            memory.close()
            memory.unlink()

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers that run."""
        return [] if self._executor is None else list(self._executor._processes)

    def _share(self, frame: pd.DataFrame) -> _Bars:
        columns = tuple(name for name in COLUMNS if name in frame.columns)
        memory = shared_memory.SharedMemory(create=True, size=max(1, len(frame) * 8 * (len(columns) + 1)))
        self._memory.append(memory)
        table = np.ndarray((len(columns) + 1, len(frame)), np.float64, memory.buf)
        table[0].view(np.int64)[:] = pd.DatetimeIndex(frame.index).as_unit("ns").asi8
        for row, name in enumerate(columns, start=1):
            table[row] = frame[name].to_numpy(dtype=np.float64)
        return _Bars(memory.name, len(frame), columns)

    def _start(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._jobs,
                mp_context=_Context(),
                initializer=_begin,
                initargs=(self._job, os.getpid()),
            )
        return self._executor

    def _stop(self) -> None:
        if self._executor is not None:
            processes = list((self._executor._processes or {}).values())
            self._executor.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()
            self._executor = None

    def run(
        self,
        params: Sequence[Params],
        metrics: Sequence[str],
        part: Part,
        *,
        on_done: Callable[[int], None] | None = None,
    ) -> Outcome:
        """Run every parameter set; the outcome is in their order, whatever worker was first."""
        chunks = _chunks(params, self._jobs)
        found: dict[int, Outcome] = {}
        begun = [0] * len(chunks)
        try:
            while len(found) < len(chunks):
                self._round(chunks, metrics, part, found, begun, on_done)
        except BaseException:
            self._stop()
            raise
        return concatenate([found[number] for number in range(len(chunks))])

    def _round(
        self,
        chunks: list[list[Params]],
        metrics: Sequence[str],
        part: Part,
        found: dict[int, Outcome],
        begun: list[int],
        on_done: Callable[[int], None] | None,
    ) -> None:
        """Send what is missing until all is there or a worker dies."""
        waiting = [number for number in range(len(chunks)) if number not in found]
        # After a death, one at a time: so the chunk that kills is known, and the others do not pay for it.
        alone = any(begun[number] for number in waiting)
        open_: dict[Future[Outcome], int] = {}
        while waiting or open_:
            while waiting and len(open_) < (1 if alone else 2 * self._jobs):
                number = waiting.pop(0)
                if begun[number] >= LIVES:
                    limited = over_in_worker()
                    if limited is not None:
                        raise limited
                    found[number] = lost(chunks[number], metrics, DIED, part.blocks)
                    continue
                open_[self._start().submit(_run, chunks[number], tuple(metrics), part)] = number
            done, _ = wait(open_, return_when=FIRST_COMPLETED) if open_ else (set(), set())
            for future in done:
                number = open_.pop(future)
                try:
                    found[number] = future.result()
                except BrokenProcessPool:
                    for each in (number, *open_.values()):
                        begun[each] += 1
                    self._stop()
                    return
            if on_done is not None:
                on_done(sum(map(len, found.values())))


def _chunks(params: Sequence[Params], jobs: int) -> list[list[Params]]:
    """What travels together: ever fewer, down to one by one, so that the workers end at about the same time."""
    chunks, first = [], 0
    while first < len(params):
        size = max(1, min(CHUNK, (len(params) - first) // (4 * jobs)))
        chunks.append(list(params[first : first + size]))
        first += size
    return chunks


def lost(params: Sequence[Params], metrics: Sequence[str], text: str, blocks: int = BLOCKS) -> Outcome:
    """The outcome of trials that ended the worker that ran them. text: their error."""
    return Outcome(
        {name: np.full(len(params), np.nan) for name in metrics},
        [text] * len(params),
        np.zeros((len(params), blocks, 3)),
    )


# -- in the worker

_task: Task | None = None
_failure: TradewrightError | None = None
_attached: list[shared_memory.SharedMemory] = []


def _begin(job: _Job, parent: int) -> None:
    """Load the strategy and lay frames over the shared bars."""
    global _task, _failure
    from strategies import registry

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    _end_with(parent)
    frames = {symbol: _frame(bars) for symbol, bars in job.bars.items()}
    try:
        _task = Task(registry.load(job.strategy), {}, frames, job.broker.broker(), job.resample)
    except TradewrightError as error:
        _failure = error


def _end_with(parent: int) -> None:
    """End when the parent does, however that ended."""
    import threading
    import time

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _frame(bars: _Bars) -> pd.DataFrame:
    memory = shared_memory.SharedMemory(bars.name)
    _attached.append(memory)
    table: Any = np.ndarray((len(bars.columns) + 1, bars.rows), np.float64, memory.buf)
    table.flags.writeable = False
    index = pd.DatetimeIndex(table[0].view(np.int64), tz="UTC", name="time")
    return pd.DataFrame(dict(zip(bars.columns, table[1:], strict=True)), index=index, copy=False)


def _run(params: Sequence[Params], metrics: Sequence[str], part: Part) -> Outcome:
    if _task is None:
        raise _failure or UserError("the worker could not load the strategy")
    task = Task(_task.strategy, {}, part.of(_task.frames), _task.broker, _task.resample)
    return run_each(task, params, metrics, part.measured, blocks=part.blocks)


__all__ = ["Part", "Pool", "lost"]

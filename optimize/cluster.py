"""Trials on a Dask cluster: the bars are sent once to each worker, the trials of a worker that dies run elsewhere.

dask scheduler                                     # on one machine, prints tcp://host:8786
dask worker tcp://host:8786                        # on each machine, with this program and the strategy installed
python -m optimize.walkforward my_strategy.py:Mine --cluster tcp://host:8786
"""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import pandas as pd

from core.errors import ConfigError, UserError
from engine.account import Schemes
from engine.choose import Task
from optimize.pool import CHUNK, Part, lost
from optimize.runs import run_each
from optimize.trials import Outcome, Params, concatenate

CONNECT_SECONDS = 10
ALONE_SECONDS = 60.0
"""How long a cluster may be without workers while they are started again."""
LOOK_SECONDS = 2.0
ADDRESS = re.compile(r"(?:(?:tcp|tls|ws|wss|ucx)://)?[^\s:/]+:\d{1,5}")
KILLED = "it ended every worker that ran it (out of memory, or killed from outside)"
GO_ON = "start the same command again: it goes on"


class Cluster:
    """A client of a running scheduler. Raises UserError where none answers, or Dask is not installed."""

    def __init__(self, address: str) -> None:
        if not ADDRESS.fullmatch(address):
            raise ConfigError(f"the cluster {address!r} is no address", hint="write it as tcp://HOST:8786")
        try:
            from distributed import Client
        except ImportError as error:
            raise ConfigError(
                "a cluster needs Dask, which is not installed",
                hint="run: pip install 'tradewright[distributed]'",
            ) from error
        for name in ("distributed", "distributed.client", "distributed.core"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is raised, in a line
        self._address = address
        connect: Any = Client
        try:
            self._client: Any = connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UserError(
                f"the cluster {address} cannot be reached",
                hint="start `dask scheduler` and `dask worker`, or leave --cluster out",
            ) from error
        if not self._workers():
            self.close()
            raise UserError(f"the cluster {address} has no workers", hint=f"start one: dask worker {address}")
        self._bars: tuple[Task, Any] | None = None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster; what it still runs for us is given up."""
        self._client.close()

    def run(self, task: Task, params: Sequence[Params], metrics: Sequence[str], part: Part) -> Outcome:
        """Run every parameter set; the outcome is in their order.

        The trials of a worker that dies are run again by the others. Chunks whose workers all died are run once more,
        one at a time, so that the one that kills is known and the others do not pay for it. Raises UserError when the
        scheduler is lost, or no worker is left.
        """
        chunks = [list(params[first : first + CHUNK]) for first in range(0, len(params), CHUNK)]
        found = self._results(task, chunks, metrics, part)
        for number, outcome in enumerate(found):
            if outcome is None:
                found[number] = self._results(task, [chunks[number]], metrics, part)[0]
        return concatenate(
            [
                lost(chunk, metrics, KILLED, part.blocks) if outcome is None else outcome
                for chunk, outcome in zip(chunks, found, strict=True)
            ]
        )

    def _results(
        self, task: Task, chunks: Sequence[Sequence[Params]], metrics: Sequence[str], part: Part
    ) -> list[Outcome | None]:
        """The outcome of each chunk; None where it ended every worker that Dask tried it on."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        from strategies import registry

        reference, broker = registry.reference(task.strategy), Schemes.of(task.broker)
        futures: list[Any] = []
        try:
            bars = self._sent(task)
            futures += [
                self._client.submit(
                    _run,
                    bars,
                    reference,
                    broker,
                    tuple(task.resample),
                    chunk,
                    tuple(metrics),
                    part,
                    pure=False,
                )
                for chunk in chunks
            ]
            self._wait(futures)
            failed = [future.exception() if future.status == "error" else None for future in futures]
            for error in failed:
                if error is not None and not isinstance(error, KilledWorker):
                    raise error
            done = [future for future, error in zip(futures, failed, strict=True) if error is None]
            outcomes = iter(self._client.gather(done))
            return [next(outcomes) if error is None else None for error in failed]
        except (OSError, CancelledError) as error:
            raise UserError(f"the cluster {self._address} was lost", hint=GO_ON) from error
        except BaseException:
            self._client.cancel(futures)
            raise

    def _sent(self, task: Task) -> Any:
        """The bars, as the result of a task: where they are lost with their worker, Dask makes them again."""
        if self._bars is None or self._bars[0] is not task:
            frames = {symbol: pd.DataFrame(frame) for symbol, frame in task.frames.items()}
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", UserWarning
                )  # of a large graph: the bars are all there is in it
                self._bars = task, self._client.submit(_bars, frames, pure=False)
        return self._bars[1]

    def _wait(self, futures: Sequence[Any]) -> None:
        """Until all have ended. Raises UserError when there is nobody left to run them."""
        import distributed

        wait: Any = distributed.wait  # it has no types
        seen = time.monotonic()
        while True:
            try:
                with self._client.as_current():
                    wait(futures, timeout=LOOK_SECONDS)
                return
            except TimeoutError:
                pass
            if self._workers():
                seen = time.monotonic()
            elif time.monotonic() - seen > ALONE_SECONDS:
                raise UserError(
                    f"the cluster {self._address} has no workers left",
                    hint=f"start one (dask worker {self._address}) and the same command again: it goes on",
                )

    def _workers(self) -> int:
        return len(self._client.scheduler_info()["workers"])


def _bars(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return frames


def _run(
    frames: dict[str, pd.DataFrame],
    reference: str,
    broker: Schemes,
    resample: tuple[str, ...],
    params: Sequence[Params],
    metrics: Sequence[str],
    part: Part,
) -> Outcome:
    """What a worker does."""
    from strategies import registry

    task = Task(registry.load(reference), {}, part.of(frames), broker.broker(), resample)
    return run_each(task, params, metrics, part.measured, blocks=part.blocks)


__all__ = ["Cluster"]

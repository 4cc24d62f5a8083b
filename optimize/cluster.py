"""Trials on a Dask cluster: the bars are sent once to each worker, the trials of a worker that dies run elsewhere.

dask scheduler                                     # on one machine, prints tcp://host:8786
dask worker tcp://host:8786                        # on each machine, with this program and the strategy installed
python -m optimize.walkforward my_strategy.py:Mine --cluster tcp://host:8786
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import pandas as pd

from core.errors import ConfigError, UserError
from engine.account import Schemes
from engine.choose import Task
from optimize.pool import CHUNK, Part
from optimize.runs import run_each
from optimize.trials import Outcome, Params, concatenate

CONNECT_SECONDS = 10


class Cluster:
    """A client of a running scheduler. Raises UserError where none answers, or Dask is not installed."""

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise ConfigError(
                "a cluster needs Dask, which is not installed",
                hint="run: pip install 'tradewright[distributed]'",
            ) from error
        try:
            connect: Any = Client
            self._client: Any = connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(
                f"the cluster {address} cannot be reached",
                hint="start `dask scheduler` and `dask worker`, or leave --cluster out",
            ) from error
        if not self._client.scheduler_info()["workers"]:
            self.close()
            raise UserError(f"the cluster {address} has no workers", hint=f"start one: dask worker {address}")
        self._bars: dict[int, Any] = {}

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
        """Run every parameter set; the outcome is in their order. Raises UserError when the cluster is lost."""
        from distributed import KilledWorker

        from strategies import registry

        if id(task) not in self._bars:
            frames = {symbol: pd.DataFrame(frame) for symbol, frame in task.frames.items()}
            self._bars = {id(task): self._client.scatter(frames, broadcast=True, hash=False)}
        reference, broker = registry.reference(task.strategy), Schemes.of(task.broker)
        futures = [
            self._client.submit(
                _run, self._bars[id(task)], reference, broker, tuple(task.resample),
                list(params[first : first + CHUNK]), tuple(metrics), part, pure=False,
            )
            for first in range(0, len(params), CHUNK)
        ]  # fmt: skip
        try:
            return concatenate(self._client.gather(futures))
        except (OSError, KilledWorker) as error:
            raise UserError(
                f"the cluster was lost: {error}", hint="start the same command again: it goes on"
            ) from error
        except BaseException:
            self._client.cancel(futures)
            raise


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
    return run_each(task, params, metrics, part.measured)


__all__ = ["Cluster"]

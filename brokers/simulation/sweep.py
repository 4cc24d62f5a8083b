"""Many seeds on several processes, and what they came to together."""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from brokers.simulation.bench import Bench
from brokers.simulation.scenario import Outcome

BATCH = 25
OBJECTS_UNTIL_COLLECTED = 50_000

_bench: list[Bench] = []


@dataclass(slots=True)
class Summary:
    """All seeds together. failures: seed and violation of those that failed. struck: faults by name."""

    seeds: int = 0
    lives: int = 0
    orders: int = 0
    fills: int = 0
    longest_bare: float = 0.0
    struck: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.lives += outcome.lives
        self.orders += outcome.orders
        self.fills += outcome.fills
        self.longest_bare = max(self.longest_bare, outcome.longest_bare)
        self.struck.update(outcome.struck)
        if outcome.violation:
            self.failures.append((outcome.seed, outcome.violation))


def sweep(
    seeds: Sequence[int],
    jobs: int,
    *,
    on_failure: Callable[[int, str], None] = lambda seed, violation: None,
    on_seeds: Callable[[int], None] = lambda done: None,
) -> Summary:
    """Run all seeds. on_failure: called with each seed that failed, as it is found; on_seeds: with how many are done."""
    summary = Summary()
    for outcomes in _batches(seeds, jobs):
        for outcome in outcomes:
            summary.add(outcome)
            if outcome.violation:
                on_failure(outcome.seed, outcome.violation)
        on_seeds(summary.seeds)
    summary.failures.sort()
    return summary


def _batches(seeds: Sequence[int], jobs: int) -> Iterator[list[Outcome]]:
    batches = [seeds[start : start + BATCH] for start in range(0, len(seeds), BATCH)]
    if jobs == 1:
        yield from map(run_batch, batches)
        return
    # Forking would copy threads of whoever calls; a fresh process also proves that nothing depends on this one.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        try:
            for done in as_completed([pool.submit(run_batch, batch) for batch in batches]):
                yield done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def run_batch(seeds: Sequence[int]) -> list[Outcome]:
    """Some seeds in this process, without their traces: a seed gives its trace again."""
    if not _bench:
        gc.set_threshold(OBJECTS_UNTIL_COLLECTED)
        _bench.append(Bench())
    outcomes = [_bench[0].run(seed) for seed in seeds]
    for outcome in outcomes:
        outcome.trace.clear()
    return outcomes

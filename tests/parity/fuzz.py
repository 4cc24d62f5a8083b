"""Random strategies on stock Backtrader and the fast engines until two answers part.

    python -m tests.parity.fuzz --strategies 500 --seed 1 --jobs 2
    python -m tests.parity.fuzz --replay runs/fuzz/seed-1-template-37-draw-4.py

What is counted: a source is one generated class; a strategy is a source with its own draw of parameters, market,
account and broker settings. Exit code 1 at the first difference, which is made smaller and saved.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import backtrader as bt

from core.cli import CommandParser, print_json, run_command
from tests.parity.engines import FAST, Answer, Case, difference, on_fast, on_stock, traces_differ
from tests.parity.grammar import Draw, Template, draw, load_class, template

DRAW_MARK = "# draw: "
SHRINKING_STEPS = 60
MOST_REFUSALS = 5
"""An engine that refused so many draws of a class and took none is not asked about it again: what stands in its way
is the class, and finding that out takes longer than a run."""
TASKS_A_PROCESS = 40
"""A process keeps the machine code of all it compiled; after so many templates it is replaced."""


@dataclass
class Tally:
    """What was run and compared. refused: by engine, then the reasons. ran: runs an engine took."""

    sources: int = 0
    strategies: int = 0
    bars: int = 0
    notifications: int = 0
    orders: int = 0
    fills: int = 0
    raised: int = 0
    compiled_sources: int = 0
    ran: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        for name in vars(self):
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            else:
                setattr(self, name, mine + theirs)

    def __str__(self) -> str:
        engines = ", ".join(f"{name} ran {count:,}" for name, count in sorted(self.ran.items()))
        return (
            f"{self.strategies:,} strategies of {self.sources:,} sources ({self.compiled_sources:,} compiled), "
            f"{self.bars:,} bars, {self.orders:,} orders, {self.fills:,} fills, "
            f"{self.notifications:,} notifications, {self.raised:,} raised; {engines or 'no engine ran'}"
        )


@dataclass(frozen=True)
class Failure:
    """A difference, its engine, and what reproduces it."""

    template: int
    number: int
    engine: str
    text: str
    source: str
    drawn: Draw

    def save(self, folder: Path, seed: int) -> Path:
        """One file that holds the source and the draw; `--replay` takes it."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"seed-{seed}-template-{self.template}-draw-{self.number}.py"
        about = json.dumps({"engine": self.engine, **self.drawn.as_dict()})
        remark = "".join(f"# {line}\n" for line in self.text.splitlines())
        path.write_text(f"{remark}{DRAW_MARK}{about}\n{self.source}")
        return path


def parts(engine: str, stock: Answer, fast: Answer) -> str | None:
    """Where the engine's answer parts from stock's."""
    found = difference(stock, fast)
    return traces_differ(stock, fast) if found is None and engine == "lean" else found


def parts_on(case: Case, engine: str) -> str | None:
    """The same for a case that is run here; None also where the engine refuses."""
    fast = on_fast(engine, case)
    return None if fast.refusal is not None else parts(engine, on_stock(case), fast)


def check(
    made: Template, numbers: Iterable[int], engines: Sequence[str], folder: Path
) -> tuple[Tally, Failure | None]:
    """Run a template on draws; stops at the first difference."""
    tally = Tally(sources=1)
    refusals: Counter[str] = Counter()
    strategy = made.load(folder)
    try:
        for number in numbers:
            drawn = draw(made, number)
            case = drawn.case(strategy)
            stock = on_stock(case)
            _count(tally, case, stock)
            for engine in engines:
                if refusals[engine] >= MOST_REFUSALS and not tally.ran[engine]:
                    continue
                fast = on_fast(engine, case)
                if fast.refusal is not None:
                    refusals[engine] += 1
                    tally.refused[f"{engine}: {fast.refusal.reason}"] += 1
                    continue
                tally.ran[engine] += 1
                found = parts(engine, stock, fast)
                if found is not None:
                    drawn, found = _shrink(strategy, drawn, engine, found)
                    return tally, Failure(made.seed, number, engine, found, made.source, drawn)
        tally.compiled_sources = int(tally.ran["compiled"] > 0)
        return tally, None
    finally:
        sys.modules.pop(strategy.__module__, None)


def _count(tally: Tally, case: Case, stock: Answer) -> None:
    tally.strategies += 1
    tally.notifications += stock.notifications
    if stock.recording is None:
        tally.raised += 1
        return
    tally.bars += len(stock.recording.equity)
    tally.orders += len(stock.recording.orders)
    tally.fills += len(stock.recording.fills)


def _shrink(strategy: type[bt.Strategy], drawn: Draw, engine: str, found: str) -> tuple[Draw, str]:
    """The smallest draw found that still differs: fewer bars, fewer datas."""
    steps, going = 0, True
    while going and steps < SHRINKING_STEPS:
        going = False
        for smaller in drawn.smaller():
            steps += 1
            still = parts_on(smaller.case(strategy), engine)
            if still is not None:
                drawn, found, going = smaller, still, True
                break
    return drawn, found


def replay(path: Path) -> str | None:
    """The difference a saved file shows now, or None."""
    text = path.read_text()
    start = text.index(DRAW_MARK)
    about, _, source = text[start + len(DRAW_MARK) :].partition("\n")
    values = json.loads(about)
    engine = values.pop("engine")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        case = Draw.from_dict(values).case(load_class(source, Path(folder) / f"replayed_{path.stem}.py"))
        return parts_on(case, engine)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(
    seed: int, first: int, count: int, engines: tuple[str, ...], folder: str
) -> tuple[Tally, Failure | None]:
    return check(template(seed), range(first, first + count), engines, Path(folder))


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_leave_interrupts_to_the_parent,
        max_tasks_per_child=TASKS_A_PROCESS,
    )
    try:
        yield pool
    except BaseException:  # interrupted, or a difference was found: what still runs is of no use
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_many(
    strategies: int, per_source: int, seed: int, jobs: int, engines: tuple[str, ...], tally: Tally
) -> Iterator[Failure | None]:
    """Yields after each template: None, or the failure that ends it. `tally` is kept up to date."""
    templates = -(-strategies // per_source)
    # Far from one another, so that the seeds 1 and 2 have no templates in common.
    seeds = iter(range(seed * 1_000_000, seed * 1_000_000 + templates))
    left = strategies
    running: set[Future[tuple[Tally, Failure | None]]] = set()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, _pool(jobs) as pool:
        while running or left:
            while left and len(running) < 2 * jobs:
                count = min(per_source, left)
                running.add(pool.submit(_work, next(seeds), 0, count, engines, folder))
                left -= count
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                part, failure = future.result()
                tally.add(part)
                yield failure


def parser() -> CommandParser:
    command = CommandParser(
        prog="python -m tests.parity.fuzz",
        description="Compare random strategies on stock Backtrader and the fast engines.",
        example="python -m tests.parity.fuzz --strategies 500 --seed 1 --jobs 2",
    )
    command.add_argument("--strategies", type=int, default=2000, help="how many draws to run")
    command.add_argument(
        "--per-source",
        type=int,
        default=100,
        help="draws of one generated class; each class is compiled once",
    )
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--jobs", type=int, default=2, help="processes")
    command.add_argument("--engines", nargs="+", choices=sorted(FAST), default=sorted(FAST))
    command.add_argument("--folder", type=Path, default=Path("runs/fuzz"), help="where a difference is saved")
    command.add_argument("--replay", type=Path, help="a saved difference to run again")
    return command


def main(args: argparse.Namespace) -> int:
    """Run, print what was compared, and save the first difference."""
    if args.replay is not None:
        found = replay(args.replay)
        print(found or "no difference any more")
        return int(found is not None)
    os.environ.setdefault("TRADEWRIGHT_KERNELS", str(Path(args.folder) / "kernels"))
    tally, began, shown = Tally(), time.monotonic(), 0.0
    failure: Failure | None = None
    try:
        for failure in run_many(
            args.strategies, args.per_source, args.seed, args.jobs, tuple(args.engines), tally
        ):
            if failure is not None:
                break
            if time.monotonic() - shown > 5.0:
                shown = time.monotonic()
                print(f"{shown - began:6.0f} s  {tally}", file=sys.stderr)
    finally:
        _report(tally, time.monotonic() - began, as_json=args.json)
    if failure is None:
        return 0
    path = failure.save(args.folder, args.seed)
    print(f"{failure.engine} differs: {failure.text}\nsaved as {path}", file=sys.stderr)
    return 1


def _report(tally: Tally, seconds: float, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {**vars(tally), "ran": dict(tally.ran), "refused": dict(tally.refused), "seconds": seconds}
        )
        return
    print(f"{tally} in {seconds:.0f} s")
    for reason, count in tally.refused.most_common(15):
        print(f"  {count:6,} refused by {reason}")


if __name__ == "__main__":
    run_command(parser(), main)

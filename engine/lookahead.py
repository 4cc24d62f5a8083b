"""Does a strategy use bars that have not come yet, and do its indicators get the bars they need?

    python -m engine.lookahead momentum --data sample:goog

The strategy runs on all bars, on bars that end early, and on bars that go another way after some moment. Up to there
every indicator, order and position must be the same. Then it runs on data that begin later: an indicator whose
values depend on that needs a longer warm-up than it declares.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from core.cli import CommandParser, print_json, progress, run_command

if TYPE_CHECKING:
    import backtrader as bt
    import pandas as pd

    from core.config import DataSettings
    from engine.lookahead_cuts import Finding, Variation
    from engine.lookahead_source import Suspect
    from engine.lookahead_warmup import Started, WarmUp
    from engine.lookahead_watch import Job, Watched
    from engine.setup import Sizer
    from feeds.market import Market, Source

CUTS = 6
TOLERANCE = 0.001
RUNS_BESIDES = 8
"""The run on all bars, the same again, and two for each of three later starts."""
PROGRESS_BARS = 200


@dataclass(frozen=True, slots=True)
class Lookahead:
    """What was found. bars: of the run. cuts, perturbed: how many runs of each kind could be compared.

    findings: what depends on bars that had not come yet. warm_ups: indicators that need more bars than they declare,
    within `tolerance` (a fraction). starts: runs on data that begin later. notes: what a reader has to know besides.
    """

    bars: int
    cuts: int
    perturbed: int
    findings: tuple[Finding, ...]
    warm_ups: tuple[WarmUp, ...]
    starts: tuple[Started, ...]
    notes: tuple[str, ...]
    tolerance: float

    @property
    def clean(self) -> bool:
        """Whether nothing was found that depends on the future."""
        return not self.findings

    def __str__(self) -> str:
        from engine.lookahead_report import lines

        return "\n".join(lines(self))


def lookahead(
    strategy: type[bt.Strategy] | str,
    data: Source | Market,
    params: Mapping[str, Any] | None = None,
    *,
    cash: float = 100_000.0,
    commission: float = 0.001,
    broker: bt.brokers.BackBroker | None = None,
    sizer: Sizer | None = None,
    cheat_on_open: bool = False,
    resample: Sequence[str] = (),
    settings: DataSettings | None = None,
    cuts: int = CUTS,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    on_bar: Callable[[int], None] | None = None,
) -> Lookahead:
    """Look for look-ahead, and for indicators that need a longer warm-up. Same seed, same answer.

    strategy, data, params, broker, sizer, cheat_on_open, resample, settings: as `engine.backtest.backtest` takes
    them. cuts: how many runs on bars that end early, and as many on bars that go another way. tolerance: within
    which, as a fraction, a value no longer depends on where the data begins. on_bar: called with the bars so far.

    Raises UserError for what cannot be used; StrategyError when the strategy fails on all bars, or when it does not
    do the same twice on the same bars, so that nothing can be compared.
    """
    from core.errors import ConfigError
    from engine import preflight
    from engine.account import copied
    from engine.cerebro import stock_broker
    from engine.lookahead_watch import Job, timeframes_of
    from engine.probe import probe
    from feeds.market import Market, load
    from strategies import registry

    if cuts < 1:
        raise ConfigError(f"cuts is {cuts}", hint="ask for 1 or more")
    if not 0 < tolerance < 1:
        raise ConfigError(f"tolerance is {tolerance:g}", hint="give a fraction such as 0.001 for 0.1%")
    if broker is None:
        preflight.check_money(cash, commission)
    cls = registry.load(strategy)
    resolved = registry.resolve_params(cls, params or {})
    market = data if isinstance(data, Market) else load(data, settings=settings)
    preflight.check_frames(market.frames)
    preflight.check_names(market.frames, resample)
    probe(cls, resolved, market.frames, resample=resample)
    bars = count(1)
    job = Job(
        cls,
        resolved,
        stock_broker(cash, commission) if broker is None else copied(broker),
        timeframes_of(market.frames),
        tuple(resample),
        sizer,
        cheat_on_open,
        seed,
        None if on_bar is None else lambda: on_bar(next(bars)),
    )
    return _look(job, market.frames, cuts, tolerance)


def _look(job: Job, frames: Mapping[str, pd.DataFrame], cuts: int, tolerance: float) -> Lookahead:
    from engine.lookahead_cuts import CHART, CUT, FAILURE, merged
    from engine.lookahead_data import unfinished_bars
    from engine.lookahead_source import suspects
    from engine.lookahead_warmup import WarmUps, warm_ups
    from engine.lookahead_watch import watch

    whole = watch(job, frames)
    _require_repeatable(job, frames, whole)
    compared = {True: 0, False: 0}
    findings = list(unfinished_bars(frames, job.timeframes))
    notes = [_CHEATS[name] for name in whole.cheats]
    sources = suspects(job.strategy)
    for variation, other, found in _varied(job, frames, whole, cuts, sources):
        if other.error is not None and not found:
            notes.append(f"not compared {variation}: {other.error.message}")
        else:
            compared[variation.kind == CUT] += 1
        findings += [finding for finding in found if finding.kind != CHART]
        notes += [
            f"{finding.subject} shows later bars, to be drawn; no order depends on it"
            for finding in found
            if finding.kind == CHART
        ]
    if whole.error is not None and not any(finding.kind == FAILURE for finding in findings):
        raise whole.error
    later = warm_ups(job, frames, whole, tolerance=tolerance) if whole.error is None else WarmUps()
    return Lookahead(
        len(whole.times),
        compared[True],
        compared[False],
        merged(findings),
        later.indicators,
        later.starts,
        (*dict.fromkeys(notes), *later.notes),
        tolerance,
    )


_CHEATS = {
    "cheat-on-close": "cheat-on-close is on: orders fill at the close they were decided on; that is the broker's doing, "
    "and not counted as look-ahead of the strategy",
    "cheat-on-open": "cheat-on-open is on: next_open runs with its bar already there, and may read its close; "
    "that is asked for, and not counted as look-ahead of the strategy",
}


def _varied(
    job: Job, frames: Mapping[str, pd.DataFrame], whole: Watched, cuts: int, sources: Sequence[Suspect]
) -> Iterator[tuple[Variation, Watched, list[Finding]]]:
    """Every run on varied bars, with where it parts from the run on all of them."""
    from engine.lookahead_cuts import CHANGED, CUT, Variation, choose_bars, cut, differences, moments, perturb
    from engine.lookahead_watch import watch

    random = np.random.default_rng(job.seed)
    times = moments(whole)
    for kind in (CUT, CHANGED):
        for bar in choose_bars(whole, cuts, random):
            variation = Variation(kind, bar, times[bar])
            varied = cut(frames, times[bar]) if kind == CUT else perturb(frames, times[bar], random)
            if not all(map(len, varied.values())):
                continue  # a data that had not begun
            other = watch(job, varied, until=None if kind == CUT else bar + 1)
            yield variation, other, list(differences(whole, other, variation, sources))


def _require_repeatable(job: Job, frames: Mapping[str, pd.DataFrame], whole: Watched) -> None:
    """Raise what the strategy raised, unless on its last bar; StrategyError where it does otherwise a second time."""
    from core.errors import StrategyError
    from engine.lookahead_cuts import CUT, Variation, clock, differences, moments
    from engine.lookahead_watch import watch

    if whole.error is not None and not whole.at_end:
        raise whole.error
    again = watch(job, frames)
    bars = len(whole.times)
    variation = Variation(CUT, bars - 1, moments(whole)[-1])
    found = next(iter(differences(whole, again, variation, ())), None)
    if found is not None:
        when = "" if found.time is None else f" on {clock(found.time)}"
        raise StrategyError(
            f"{job.strategy.__name__} does not do the same twice on the same bars{when}: nothing can be compared",
            hint="seed its random numbers in __init__, and keep nothing on the class or the module",
        )


def parser() -> CommandParser:
    """The command line of `python -m engine.lookahead`."""
    from engine.command import add_run_arguments

    command = CommandParser(
        prog="python -m engine.lookahead",
        description="Find look-ahead in a strategy, and indicators that need a longer warm-up.",
        example="python -m engine.lookahead momentum --data sample:goog --param fast=10",
    )
    add_run_arguments(command)
    command.add_argument(
        "--cuts",
        type=int,
        default=CUTS,
        metavar="N",
        help=f"runs on bars that end early, and as many on bars that go another way (default: {CUTS})",
    )
    command.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="FRACTION",
        help=f"within which an indicator agrees wherever the data begins (default: {TOLERANCE})",
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the bars chosen and the prices made (default: 0)"
    )
    return command


def main(args: argparse.Namespace) -> int:
    """Print what was found; exit code 1 when something depends on bars that had not come yet."""
    from engine import command

    plan = command.prepare(args)
    if not args.json:
        print(command.headline("LOOK-AHEAD", plan), flush=True)
    total = command.bars_of(plan.market.frames) * (RUNS_BESIDES + args.cuts)
    with progress("bars", total, enabled=not args.json) as done:
        found = lookahead(
            plan.strategy,
            plan.market,
            plan.params,
            cash=plan.settings.broker.cash,
            commission=plan.settings.broker.commission,
            resample=plan.resample,
            cuts=args.cuts,
            tolerance=args.tolerance,
            seed=args.seed,
            on_bar=command.every(done, PROGRESS_BARS),
        )
    if args.json:
        print_json({"strategy": plan.reference, "clean": found.clean, **asdict(found)})
    else:
        print(found)
    return 0 if found.clean else 1


if __name__ == "__main__":
    run_command(parser(), main)

"""What an optimisation is worth, in plain words, with the figures that say so."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analyzers.overfitting import Interval

NONE, OVERFIT, SOME, STRONG = "no evidence", "likely overfit", "some evidence", "strong evidence"
SURE = 0.95
FEW_TRADES = 20
LOW_OVERFITTING = 0.25


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an optimisation; NaN where something could not be calculated.

    trials, effective: how many were tried, and as how many independent ones they count. in_sample, out_of_sample:
    annual Sharpe ratios, of the chosen parameters where they were chosen, and of the bars after that. interval: of the
    latter. probability: that the true one out of sample is above zero. overfitting: probability of backtest
    overfitting. deflated: deflated Sharpe ratio of the best trial over all bars. efficiency: yearly return out of
    sample over that in sample. permutation: share of shuffled markets on which the same search does as well. ratio:
    what the best trial's neighbours keep of its value. trades: closed out of sample. years: of all bars; enough:
    the years that so many trials need. entries: share of random moments of entry that earn as much out of sample.
    """

    trials: int
    effective: float
    in_sample: float
    out_of_sample: float
    interval: Interval | None
    probability: float
    overfitting: float
    deflated: float
    efficiency: float
    permutation: float
    ratio: float
    trades: int
    years: float
    enough: float
    entries: float = math.nan


@dataclass(frozen=True, slots=True)
class Verdict:
    """label: one of the four. reason: why, in one sentence. notes: the other findings, each a sentence."""

    label: str
    reason: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.label}: {self.reason}"


def verdict(evidence: Evidence) -> Verdict:
    """Weigh the figures: out of sample first, then how much of the choice was luck."""
    label, reason = _judged(evidence)
    return Verdict(label, reason, tuple(note for note in _notes(evidence) if note))


def _judged(e: Evidence) -> tuple[str, str]:
    split = f"{e.overfitting:.0%} of splits rank the in-sample winner below the median out of sample"
    worse = not math.isnan(e.overfitting) and e.overfitting > 0.5
    if e.trades < FEW_TRADES:
        return NONE, f"{e.trades} trades out of sample are too few to tell skill from luck"
    if worse:
        return OVERFIT, split
    if not e.out_of_sample > 0:
        if e.in_sample > 0:
            return OVERFIT, (
                f"a Sharpe ratio of {e.in_sample:.2f} where the parameters were chosen became "
                f"{e.out_of_sample:.2f} on the bars after"
            )
        return NONE, f"the Sharpe ratio out of sample is {e.out_of_sample:.2f}"
    if not e.probability >= SURE:
        return NONE, (
            f"a Sharpe ratio of {e.out_of_sample:.2f} out of sample is above zero with a probability of "
            f"{e.probability:.0%}, less than {SURE:.0%}"
        )
    doubts = list(_doubts(e))
    if doubts:
        return SOME, f"it holds out of sample ({_sharpe(e)}), but {doubts[0]}"
    return STRONG, f"it holds out of sample ({_sharpe(e)}), and {split}"


def _doubts(e: Evidence) -> list[str]:
    found = []
    if e.interval is not None and not e.interval.low > 0:
        found.append(f"its Sharpe ratio may as well be {e.interval.low:.2f}, the low end of the interval")
    if not e.overfitting <= LOW_OVERFITTING:
        found.append(
            "the probability of overfitting is unknown"
            if math.isnan(e.overfitting)
            else f"{e.overfitting:.0%} of splits rank the in-sample winner below the median"
        )
    if not e.deflated >= SURE:
        found.append(
            f"counting {e.effective:.0f} independent trial{'' if round(e.effective) == 1 else 's'}, luck explains it at {1 - e.deflated:.0%}"
        )
    if e.permutation > 1 - SURE:
        found.append(f"the same search does as well on {e.permutation:.0%} of shuffled markets")
    if e.entries > 1 - SURE:
        found.append(f"entries at random moments, held as long, earn as much in {e.entries:.0%} of draws")
    if e.ratio < 0.5:
        found.append("its parameters stand on a spike: their neighbours keep less than half of its value")
    return found


def _notes(e: Evidence) -> list[str]:
    notes = list(_doubts(e))[1:] if e.probability >= SURE and e.out_of_sample > 0 else list(_doubts(e))
    if e.years < e.enough:
        notes.append(
            f"{e.years:.1f} years are fewer than the {e.enough:.1f} below which so many trials show a Sharpe "
            "ratio of 1 without any skill"
        )
    if e.in_sample > 0 and 0 < e.efficiency < 0.5:
        notes.append(f"out of sample it earns {e.efficiency:.0%} of what it earned in sample")
    return [note[0].upper() + note[1:] + "." for note in notes]


def _sharpe(e: Evidence) -> str:
    if e.interval is None:
        return f"Sharpe {e.out_of_sample:.2f}"
    return f"Sharpe {e.out_of_sample:.2f}, {e.interval.level:.0%} between {e.interval.low:.2f} and {e.interval.high:.2f}"


__all__ = ["NONE", "OVERFIT", "SOME", "STRONG", "Evidence", "Verdict", "verdict"]

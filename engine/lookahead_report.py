"""What was found, as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from engine.lookahead_cuts import clock

if TYPE_CHECKING:
    from engine.lookahead import Lookahead
    from engine.lookahead_cuts import Finding


def lines(found: Lookahead) -> Iterator[str]:
    """The report for people."""
    compared = f"{found.cuts} cuts, {found.perturbed} perturbed, {found.bars:,} bars"
    number = len(found.findings)
    said = (
        "no look-ahead found" if found.clean else f"look-ahead: {number} finding{'s' if number > 1 else ''}"
    )
    yield f"{said}: {compared}"
    for finding in found.findings:
        yield from _finding_lines(finding)
    yield from _warm_up_lines(found)
    yield from (f"note: {note}" for note in found.notes)


def _finding_lines(finding: Finding) -> Iterator[str]:
    when = "" if finding.time is None else f"{clock(finding.time)}  "
    often = f" (on {finding.runs} runs)" if finding.runs > 1 else ""
    yield f"  {when}{finding.subject}: {finding.what}{often}"
    yield from (f"    {place}" for place in finding.source)
    yield f"    {finding.advice}"


def _warm_up_lines(found: Lookahead) -> Iterator[str]:
    if not found.starts:
        return
    within, starts = f"{found.tolerance * 100:g}%", len(found.starts)
    if not found.warm_ups:
        yield f"warm-up: every indicator agrees within {within} from its first value on, on {starts} later starts"
        return
    for one in found.warm_ups:
        of = f"; it comes from {one.because}" if one.because else ""
        off = f"off by {one.off:.2%}" if np.isfinite(one.off) else "missing"
        if one.needed is None:
            yield f"warm-up: {one.indicator} depends on where the data begins, however many bars it has{of}"
        else:
            yield (
                f"warm-up: {one.indicator} has its first value after {one.declared} bars, {off}; "
                f"it agrees within {within} after {one.needed} bars{of}"
            )
    yield from _order_lines(found)


def _order_lines(found: Lookahead) -> Iterator[str]:
    """Whether orders differ because of the warm-up."""
    differing = [start for start in found.starts if start.orders_differ]
    compared = sum(start.compared > 0 for start in found.starts)
    if not compared:
        return
    if not differing:
        yield f"  no order differs because of it, on {compared} later starts"
        return
    first = next((start.first_order for start in differing if start.first_order is not None), None)
    when = "" if first is None else f", the first on {clock(first)}"
    needed = max((one.needed or 0 for one in found.warm_ups), default=0)
    advice = (
        f"load {needed} bars before the first one that counts" if needed else "begin the data far earlier"
    )
    yield f"  orders differ because of it on {len(differing)} of {compared} later starts{when}: {advice}"

"""Where the time of a run goes: Python's own profiler around it, its figures in the run's folder.

python -m engine.backtest momentum --data sample:goog --engine cerebro --profile
"""

from __future__ import annotations

import cProfile
import io
import pstats
from pathlib import Path

STATISTICS, TEXT = "profile.pstats", "profile.txt"
LINES = 20


def write_profile(profile: cProfile.Profile, folder: Path) -> Path:
    """Write `profile.pstats` (for `pstats` and its viewers) and the 20 dearest functions as `profile.txt`.

    Returns the path of the text. Both orders are given: time in the function itself, and with what it calls.
    """
    text = io.StringIO()
    statistics = pstats.Stats(profile, stream=text)
    statistics.dump_stats(folder / STATISTICS)
    for order in ("tottime", "cumulative"):
        statistics.sort_stats(order).print_stats(LINES)
    path = folder / TEXT
    path.write_text(text.getvalue())
    return path

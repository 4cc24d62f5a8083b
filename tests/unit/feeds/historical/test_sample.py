from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from core.errors import UnknownNameError
from feeds.historical.sample import read_sample, sample_path


def test_the_sample_needs_no_adjustment() -> None:
    """The adjusted close equals the close throughout, and no night moves the price like a split would."""
    with np.load(sample_path()) as archive:
        rows = archive["price_data"]
    assert (rows["adj_close"] == rows["close"]).all()
    overnight = rows["open"][1:] / rows["close"][:-1]
    assert overnight.min() > 0.8
    assert overnight.max() < 1.25


def test_the_sample_is_read_without_importing_matplotlib() -> None:
    code = "import sys, feeds; feeds.load('sample:goog'); print('matplotlib' in sys.modules, 'ccxt' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.split() == ["False", "False"]


def test_importing_feeds_is_light() -> None:
    code = "import sys, feeds; print(any(m in sys.modules for m in ('pandas', 'numpy', 'pydantic')))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == "False"


def test_another_sample_is_unknown() -> None:
    with pytest.raises(UnknownNameError, match="did you mean goog"):
        read_sample("gog")

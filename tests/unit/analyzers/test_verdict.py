"""What is said of an optimisation."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from analyzers.overfitting import Interval
from analyzers.verdict import Evidence, verdict

GOOD = Evidence(
    trials=500,
    effective=40.0,
    in_sample=2.0,
    out_of_sample=1.6,
    interval=Interval(1.6, 0.6, 2.5, 0.95),
    probability=0.99,
    overfitting=0.08,
    deflated=0.97,
    efficiency=0.8,
    permutation=0.01,
    ratio=0.9,
    trades=140,
    years=10.0,
    enough=4.0,
)


@pytest.mark.parametrize(
    ("changes", "label", "words"),
    [
        ({}, "strong evidence", "Sharpe 1.60, 95% between 0.60 and 2.50"),
        ({"trades": 7}, "no evidence", "7 trades out of sample are too few"),
        (
            {"overfitting": 0.71},
            "likely overfit",
            "71% of splits rank the in-sample winner below the median out of sample",
        ),
        ({"out_of_sample": -0.2}, "likely overfit", "2.00 where the parameters were chosen became -0.20"),
        ({"out_of_sample": -0.2, "in_sample": -0.1}, "no evidence", "out of sample is -0.20"),
        ({"out_of_sample": math.nan, "in_sample": math.nan}, "no evidence", "nan"),
        ({"probability": 0.8}, "no evidence", "a probability of 80%, less than 95%"),
        ({"probability": math.nan}, "no evidence", "less than 95%"),
        ({"overfitting": 0.4}, "some evidence", "40% of splits"),
        ({"overfitting": math.nan}, "some evidence", "overfitting is unknown"),
        ({"deflated": 0.7}, "some evidence", "counting 40 independent trials, luck explains it at 30%"),
        ({"permutation": 0.2}, "some evidence", "on 20% of shuffled markets"),
        ({"permutation": math.nan}, "strong evidence", "holds out of sample"),
        ({"entries": 0.2}, "some evidence", "random moments, held as long, earn as much in 20% of draws"),
        ({"entries": 0.03}, "strong evidence", "holds out of sample"),
        ({"ratio": 0.2}, "some evidence", "on a spike"),
        ({"interval": Interval(1.6, -0.4, 3.5, 0.95)}, "some evidence", "may as well be -0.40"),
        ({"interval": None}, "strong evidence", "(Sharpe 1.60)"),
    ],
)
def test_the_label_and_its_reason(changes: dict[str, object], label: str, words: str) -> None:
    found = verdict(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert found.label == label
    assert words in found.reason
    assert str(found) == f"{label}: {found.reason}"


def test_what_else_was_found_is_noted() -> None:
    found = verdict(
        replace(GOOD, overfitting=0.8, deflated=0.6, ratio=0.1, years=2.0, enough=5.0, efficiency=0.3)
    )
    assert found.label == "likely overfit"
    text = " ".join(found.notes)
    for words in ("luck explains it at 40%", "on a spike", "2.0 years are fewer than the 5.0", "earns 30%"):
        assert words in text
    assert verdict(GOOD).notes == ()
    assert all(note.endswith(".") and not note[0].islower() for note in found.notes)

"""The corpus of plain strategies on every engine against stock Backtrader, to the last bit."""

from __future__ import annotations

from collections import Counter

import pytest

from engine.parity import compare
from tests.parity.corpus.manifest import CORPUS, FOLDER, Entry
from tests.parity.engines import Answer, Case, difference, on_fast, on_stock, traces_differ
from tests.parity.markets import frames

COMPILES: frozenset[str] = frozenset()
"""Files of strategies that must run compiled, and not merely on the lean engine."""


def cases(entry: Entry) -> list[Case]:
    return [
        Case(
            entry.load(),
            entry.params,
            frames(kind, seed, entry.bars, entry.starts, entry.holes),
            resample=entry.resample,
            cash=entry.cash,
            commission=entry.commission,
            cheat_on_open=entry.cheat_on_open,
        )
        for seed, kind in enumerate(entry.kinds, 1)
    ]


def names() -> list[str]:
    seen: Counter[str] = Counter()
    labels = []
    for entry in CORPUS:
        seen[entry.name] += 1
        labels.append(entry.name if seen[entry.name] == 1 else f"{entry.name}-{seen[entry.name]}")
    return labels


@pytest.mark.parametrize("number", range(len(CORPUS)), ids=names())
def test_engines_give_stocks_answer(number: int) -> None:
    """Each strategy runs on a fast engine, and every engine that takes it keeps stock's answer."""
    entry = CORPUS[number]
    refusals: dict[str, Answer] = {}
    orders = 0
    for case in cases(entry):
        stock = on_stock(case)
        assert stock.recording is not None, stock.error
        orders += len(stock.recording.orders)
        for engine in ("lean", "compiled"):
            fast = on_fast(engine, case)
            if fast.refusal is not None:
                refusals[engine] = fast
                continue
            assert difference(stock, fast) is None, engine
            assert fast.recording is not None
            assert compare(stock.recording, fast.recording).identical
            if engine == "lean":
                assert traces_differ(stock, fast) is None
    assert orders >= entry.orders
    assert len(refusals) < 2, {engine: str(answer.error) for engine, answer in refusals.items()}
    if entry.name in COMPILES:
        assert "compiled" not in refusals, str(refusals["compiled"].error)


def test_the_corpus_is_what_it_says() -> None:
    """Every file is in the manifest, each on at least three markets; the names that must compile exist."""
    files = {path.name for path in FOLDER.glob("*.py")} - {"manifest.py"}
    assert {entry.file for entry in CORPUS} == files
    assert len(files) >= 66
    assert all(len(entry.kinds) >= 3 for entry in CORPUS)
    assert frozenset(entry.name for entry in CORPUS) >= COMPILES

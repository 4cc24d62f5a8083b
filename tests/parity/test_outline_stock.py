"""Kernels whose blocks are functions, against stock Backtrader: here every block is one, as in very long kernels."""

from __future__ import annotations

import pytest

from engine.compiled import outline, warm
from tests.parity.corpus.manifest import CORPUS
from tests.parity.engines import difference, on_fast, on_stock
from tests.parity.test_corpus import cases

STRATEGIES = ("base_classes", "stop_trail_percent")


@pytest.mark.parametrize("name", STRATEGIES)
def test_equal_stock(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = []

    def outlined(source: str) -> str:
        sources.append(made := real(source))
        return made

    real = outline.outlined
    monkeypatch.setattr("engine.compiled.translate.outlined", outlined)
    monkeypatch.setattr(outline, "LONGEST", 0)
    monkeypatch.setattr(outline, "PART", 4)
    monkeypatch.setattr(warm, "_recipes", type(warm._recipes)())
    case = cases(next(entry for entry in CORPUS if entry.name == name))[0]
    fast = on_fast("compiled", case)
    assert fast.refusal is None, fast.error
    assert difference(on_stock(case), fast) is None
    assert sources[0].count("@lengthy.part") > 1

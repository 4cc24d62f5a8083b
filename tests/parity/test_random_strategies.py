"""Random strategies on every engine against stock Backtrader, to the last bit."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from tests.parity import fuzz
from tests.parity.fuzz import Failure, Tally, check, replay
from tests.parity.grammar import Draw, Template, draw, template

ENGINES = ("lean", "compiled")
GROUPS, TEMPLATES_A_GROUP, DRAWS = 10, 2, 50
"""A thousand strategies here, twenty classes on fifty draws each; as many in `test_random_strategies_more.py`, so that
two workers share them."""
AT_THE_OPEN = 4
"""One class in so many also meets an account that cheats on open, which makes a kernel of its own."""


def draws_of(made: Template) -> list[int]:
    """The first draws of a class; those whose kernel only they would need, for some classes alone."""
    seeds = (
        seed
        for seed in itertools.count()
        if made.seed % AT_THE_OPEN == 0 or draw(made, seed).cheat_on_open == made.at_open
    )
    return list(itertools.islice(seeds, DRAWS))


def compare_group(group: int, folder: Path) -> None:
    tally = Tally()
    for seed in range(group * TEMPLATES_A_GROUP, (group + 1) * TEMPLATES_A_GROUP):
        made = template(seed)
        part, failure = check(made, draws_of(made), ENGINES, folder)
        tally.add(part)
        assert failure is None, f"{failure.engine}: {failure.text}\n{failure.source}\n{failure.drawn}"
    assert tally.strategies == TEMPLATES_A_GROUP * DRAWS
    assert tally.fills > 100
    assert tally.ran["lean"] + tally.ran["compiled"] >= tally.strategies


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_strategies_equal_stock(group: int, tmp_path: Path) -> None:
    """Orders, fills, trades, equity and cash of generated strategies, exactly; what an engine refuses is counted."""
    compare_group(group, tmp_path)


def test_a_template_and_its_draws_follow_from_their_seeds() -> None:
    """The same seeds give the same source and draws, others give others."""
    assert template(3) == template(3)
    assert len({template(seed).source for seed in range(40)}) == 40
    made = template(3)
    assert draw(made, 1) == draw(made, 1)
    assert len({json.dumps(draw(made, number).as_dict()) for number in range(20)}) == 20


def test_a_difference_is_found_made_smaller_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that pays another commission is caught; the saved file shows the same difference again."""
    real = fuzz.on_fast

    def dearer(engine: str, case: fuzz.Case) -> fuzz.Answer:
        return real(engine, dataclasses.replace(case, commission=case.commission + 0.0001))

    monkeypatch.setattr(fuzz, "on_fast", dearer)
    failure = None
    for seed in range(5):
        _, failure = check(template(seed), range(3), ("lean",), tmp_path / "modules")
        if failure is not None:
            break
    assert isinstance(failure, Failure)
    assert "commission" in failure.text or "cash" in failure.text
    assert failure.drawn.keep is not None
    saved = failure.save(tmp_path, seed=0)
    command = fuzz.parser().parse_args(["--replay", str(saved)])
    assert replay(saved) == failure.text
    assert fuzz.main(command) == 1
    monkeypatch.undo()
    assert replay(saved) is None
    assert fuzz.main(command) == 0


def test_draws_survive_being_saved() -> None:
    drawn = draw(template(11), 2)
    assert Draw.from_dict(json.loads(json.dumps(drawn.as_dict()))) == drawn

"""The page of an optimisation and the files beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.errors import UserError
from core.jsontext import jsonable
from reports.optimization import optimization_page, write_optimization
from tests.unit.reports.optimizations import document, with_second_objective

LARGEST_PAGE = 2_000_000


def page(**changes: Any) -> str:
    return optimization_page(jsonable(document(**changes)))


def tables() -> dict[str, pd.DataFrame]:
    index = pd.date_range("2020-01-01", periods=3, tz="UTC", name="time")
    return {
        "trials": pd.DataFrame({"trial": [0, 1], "params_fast": [3, 4], "score_sharpe": [0.1, float("nan")]}),
        "windows": pd.DataFrame(
            {"number": [1], "test_from": [index[0]], "out_of_sample_sharpe": [float("nan")]}
        ),
        "equity": pd.DataFrame({"equity": [1.0, 2.0, 3.0]}, index=index),
    }


def embedded(text: str) -> dict[str, Any]:
    """The data of the charts."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_verdict_comes_first_and_the_figures_behind_it_follow():
    """O13"""
    text = page()
    places = [
        text.index(part)
        for part in (
            "Some evidence",
            "Sharpe out of sample",
            "95% between 0.11 and 1.61",
            "31.0%",
            'id="equity"',
        )
    ]
    assert places == sorted(places)
    for part in ("88.0%", "52.0%", "3.30 years", ">42<", "a plateau"):
        assert part in text


def test_what_is_not_known_is_said_and_not_judged():
    text = page()
    card = text[text.index("Permutation test") : text.index("Random entries")]
    assert "not known" in card
    assert "speaks" not in card


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "earned as much in 2.1% of 5,000 draws: 2.0% of the account on average, against 31.0%"),
        (
            {"probability": None, "earned": None, "random": None, "entries": 6, "draws": 0},
            "entered 6 times: too few",
        ),
        ({"probability": 1.0, "entries": 1, "draws": 0}, "always held the same side"),
    ],
)
def test_entries_are_compared_with_random_ones_in_words(entries: dict[str, Any], words: str):
    text = page(entries=document()["entries"] | entries)
    assert words in text[text.index('id="entries"') :]


@pytest.mark.parametrize(
    "place", ["strategy", "notes", "settings", "verdict", "windows", "errors", "choices"]
)
def test_what_users_wrote_is_escaped(place: str):
    evil = "</script><img src=x onerror=alert(1)>"
    made = document()
    if place == "strategy":
        made["strategy"] = evil
    elif place == "notes":
        made["notes"] = [evil]
    elif place == "settings":
        made["settings"] = {evil: evil}
    elif place == "verdict":
        made["verdict"] = {"label": evil, "reason": evil, "notes": [evil]}
    elif place == "windows":
        made["windows"][0]["params"] = {"mode": evil}
    elif place == "errors":
        made["trials"]["errors"] = [{"error": evil, "trials": 1}]
    else:
        made["trials"]["params"]["mode"] = [evil] * made["trials"]["total"]
        made["chosen"]["mode"] = evil
    text = optimization_page(jsonable(made))
    assert "<img" not in text
    assert text.count("</script>") == 2
    assert embedded(text)


def test_secrets_are_hidden_in_the_page_and_in_the_files(tmp_path: Path):
    made = jsonable(
        document(settings={"storage": "postgresql://me:hunter2secret@host/db", "password": "pw1234"})
    )
    write_optimization(made, tables(), tmp_path)
    for name in ("optimization.html", "result.json"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "hunter2secret" not in text
        assert "pw1234" not in text


def test_writes_every_file(tmp_path: Path):
    """O13"""
    made = jsonable(document())
    found = write_optimization(made, tables(), tmp_path / "runs" / "one")
    assert found == tmp_path / "runs" / "one" / "optimization.html"
    assert {path.name for path in found.parent.iterdir()} == {
        "optimization.html",
        "result.json",
        "windows.json",
        "trials.parquet",
        "equity.parquet",
    }
    assert json.loads((found.parent / "result.json").read_text(encoding="utf-8")) == made
    windows = json.loads((found.parent / "windows.json").read_text(encoding="utf-8"))
    assert windows == [{"number": 1, "test_from": "2020-01-01T00:00:00+00:00", "out_of_sample_sharpe": None}]
    pd.testing.assert_frame_equal(pd.read_parquet(found.parent / "trials.parquet"), tables()["trials"])
    pd.testing.assert_frame_equal(
        pd.read_parquet(found.parent / "equity.parquet"), tables()["equity"], check_freq=False
    )
    assert found.read_text(encoding="utf-8") == optimization_page(made)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    taken = tmp_path / "file"
    taken.write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        write_optimization(jsonable(document()), tables(), taken / "run")


def test_ten_thousand_trials_stay_a_light_page():
    assert len(page(trials=10_000).encode()) < LARGEST_PAGE


def test_several_objectives_have_their_trade_off():
    made = with_second_objective(document())
    text = optimization_page(jsonable(made))
    assert 'id="front-table"' in text
    assert "less is better" in text
    assert 'id="front-table"' not in page()


def test_one_parameter_one_window_and_no_splits_make_a_page():
    made = document()
    only = made["trials"]["params"]["fast"]
    nothing = {"edges": [-1.0, 0.0, 1.0], "counts": [0, 0]}
    made |= {
        "names": ["fast"],
        "chosen": {"fast": only[0]},
        "windows": made["windows"][:1],
        "importance": {},
        "intervals": {},
        "equity": {"time": [], "value": []},
        "trials": made["trials"] | {"params": {"fast": only}},
        "overfitting": made["overfitting"]
        | {"splits": 0, "logits": nothing, "in_sample": [], "out_of_sample": []},
    }
    made["evidence"]["interval"] = None
    text = optimization_page(jsonable(made))
    assert 'id="across"' not in text
    assert "nothing to rank" in text
    assert "too few bars for an interval" in text

"""Where a search keeps its trials, on SQLite and on a real PostgreSQL server: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sqlalchemy import update

from core.errors import ConfigError, UserError
from core.space import Choice, Float, Int
from optimize import parts
from optimize import study as studies
from optimize.objective import Objective
from optimize.parts import packed, unpacked
from optimize.search import Settings, search
from optimize.space import SearchSpace
from optimize.study import StudyStore
from optimize.trial_tables import TrialTables
from optimize.trials import BLOCKS, Outcome, Params, Span
from tests.database_servers import postgresql_database, postgresql_server

SPACE = SearchSpace({"fast": Int(1, 30, 2), "stop": Float(0.1, 0.9), "mode": Choice(["a", None, (1, 2)])})
OBJECTIVES = (Objective("sharpe"),)
FACTS = {"strategy": "abc", "data": "def"}


def evaluate(params: Sequence[Params], span: Span | None = None) -> Outcome:
    sharpe = np.array([each["fast"] / 10 - each["stop"] for each in params])
    errors = ["it raised" if each["fast"] == 1 else "" for each in params]
    metrics = {
        "sharpe": np.where([bool(error) for error in errors], np.nan, sharpe),
        "trades": np.full(len(params), 9.0),
    }
    moments = np.tile(sharpe[:, None, None], (1, BLOCKS, 3))
    return Outcome(metrics, errors, moments, {k: "Traceback" for k, error in enumerate(errors) if error})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql_server() as address:
        yield address


@pytest.fixture
def postgresql(server: str) -> Iterator[str]:
    with postgresql_database(server) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    found: str = request.getfixturevalue("postgresql")
    return found


@pytest.fixture
def store(url: str) -> Iterator[StudyStore]:
    made = StudyStore.open(url, "run", FACTS)
    yield made
    made.close()


@pytest.mark.parametrize(("slow", "kept"), [(True, [64, 64, 64, 8]), (False, [64, 136])])
def test_slow_trials_are_kept_as_they_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: bool, kept: list[int]
) -> None:
    """One process's own study: what a kill can cost is 64 trials, or a second; quick ones run all together."""
    monkeypatch.setattr(studies, "SECONDS", 0.0 if slow else 60.0)
    ran: list[int] = []

    def run(params: Sequence[Params]) -> Outcome:
        if limit and len(ran) == limit:
            raise KeyboardInterrupt
        ran.append(len(params))
        return evaluate(params)

    params = [{"fast": 1 + 2 * (k % 15), "stop": k / 1000, "mode": "a"} for k in range(200)]
    limit = len(kept) - 1
    store = StudyStore.open(f"sqlite:///{tmp_path / 'own.db'}", "run", FACTS)
    with pytest.raises(KeyboardInterrupt):
        store.log("w1", SPACE, OBJECTIVES).outcome("0", params, run)
    limit = 0
    log = store.log("w1", SPACE, OBJECTIVES)
    found = log.outcome("0", params, run)
    log.flush()
    again = store.log("w1", SPACE, OBJECTIVES).outcome("0", params, run)
    store.close()
    assert ran == (kept if slow else [64, 64, 136]), "quick ones were not yet written down when it ended"
    whole = evaluate(params)
    for each in (found, again):
        assert np.array_equal(each.metrics["sharpe"], whole.metrics["sharpe"], equal_nan=True)
        assert (each.errors, each.tracebacks) == (whole.errors, whole.tracebacks)
    study = optuna.load_study(study_name="run/w1", storage=f"sqlite:///{tmp_path / 'own.db'}")
    assert len(study.trials) == 200


def test_what_was_kept_is_not_run_again(store: StudyStore, url: str) -> None:
    settings = Settings(trials=150, sampler="qmc", seed=2)
    first = search(SPACE, evaluate, Span(0, 100), settings, log=store.log("w1", SPACE, OBJECTIVES))

    def never(params: Sequence[Params], span: Span) -> Outcome:
        raise AssertionError("it is kept")

    other = StudyStore.open(url, "run", FACTS)
    again = search(SPACE, never, Span(0, 100), settings, log=other.log("w1", SPACE, OBJECTIVES))
    other.close()
    assert np.array_equal(first.points, again.points)
    assert np.array_equal(first.outcome.moments, again.outcome.moments)
    assert first.outcome.errors == again.outcome.errors
    assert first.outcome.tracebacks == again.outcome.tracebacks


def test_optuna_reads_it(store: StudyStore, url: str) -> None:
    found = search(
        SPACE, evaluate, Span(0, 100), Settings(trials=100, seed=3), log=store.log("w1", SPACE, OBJECTIVES)
    )
    study = optuna.load_study(
        study_name="run/w1", storage=studies.parse_url(url).render_as_string(hide_password=False)
    )
    trials = study.get_trials()
    assert [trial.number for trial in trials] == list(range(100))
    assert study.best_value == pytest.approx(found.scores[found.best, 0])
    assert study.best_params["fast"] == found.params[found.best]["fast"]
    for trial, params, error in zip(trials, found.params, found.outcome.errors, strict=True):
        assert trial.params["fast"] == params["fast"]
        assert trial.params["stop"] == pytest.approx(params["stop"])
        mode = params["mode"]
        assert trial.params["mode"] == (mode if mode in ("a", None) else repr(mode))
        assert (trial.state is optuna.trial.TrialState.FAIL) == bool(error)
    assert study.metric_names == ["sharpe"]


def test_a_part_is_there_whole_or_not_at_all(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    log = store.log("w1", SPACE, OBJECTIVES)
    params = SPACE.decode(np.random.default_rng(1).random((10, 3)))

    def broken(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrialTables, "add", broken)
        with pytest.raises(KeyboardInterrupt):
            _kept_at_once(log, params)
    assert log.parts.kept("0/0") is None
    ran: list[int] = []

    def counted(some: Sequence[Params]) -> Outcome:
        ran.append(len(some))
        return evaluate(some)

    monkeypatch.setattr(parts, "LEASE", 0.0)
    log = store.log("w1", SPACE, OBJECTIVES)
    if store._shared:
        log.database.write(update(parts.PARTS).values(until=0.0), {})
    assert len(log.outcome("0", params, counted)) == 10
    assert ran == [10]


def _kept_at_once(log: Any, params: Sequence[Params]) -> None:
    log.outcome("0", params, evaluate)
    log.flush()


def test_small_batches_share_a_transaction_and_none_is_left_waiting(tmp_path: Path) -> None:
    store = StudyStore.open(f"sqlite:///{tmp_path / 'study.db'}", "run", FACTS)
    log = store.log("w1", SPACE, OBJECTIVES)
    params = SPACE.decode(np.random.default_rng(1).random((60, 3)))
    for number in range(6):
        log.outcome(str(number), params[number * 10 : number * 10 + 10], evaluate)
    assert log.parts.kept("0/0") is None
    log.flush()
    assert [log.parts.kept(f"{number}/0") is None for number in range(7)] == [False] * 6 + [True]

    def stopped(some: Sequence[Params], span: Span) -> Outcome:
        if len(ran) == 3:
            raise KeyboardInterrupt
        ran.append(len(some))
        return evaluate(some)

    ran: list[int] = []
    settings = Settings(trials=200, sampler="cmaes", seed=2)
    with pytest.raises(KeyboardInterrupt):
        search(SPACE, stopped, Span(0, 100), settings, log=store.log("w2", SPACE, OBJECTIVES))
    again = store.log("w2", SPACE, OBJECTIVES)
    assert [again.parts.kept(f"{number}/0") is None for number in range(4)] == [False] * 3 + [True]
    store.close()


def test_other_facts_are_refused(store: StudyStore, url: str) -> None:
    store.log("w1", SPACE, OBJECTIVES)
    for facts, space, words in (
        (FACTS | {"data": "other"}, SPACE, "another data"),
        (FACTS, SearchSpace({"fast": Int(1, 5)}), "another space"),
    ):
        other = StudyStore.open(url, "run", facts)
        with pytest.raises(ConfigError, match=words):
            other.log("w1", space, OBJECTIVES)
        other.close()


def test_several_objectives_keep_their_directions(store: StudyStore, url: str) -> None:
    objectives = (Objective("sharpe"), Objective("trades", largest=False))
    found = search(
        SPACE,
        evaluate,
        Span(0, 100),
        Settings(trials=40, sampler="nsga2", objectives=objectives),
        log=store.log("w1", SPACE, objectives),
    )
    study = optuna.load_study(
        study_name="run/w1", storage=studies.parse_url(url).render_as_string(hide_password=False)
    )
    whole = [trial for trial in study.trials if trial.state is optuna.trial.TrialState.COMPLETE]
    assert {trial.values[1] for trial in whole} == {9.0}
    assert len(whole) == int(np.isfinite(found.scores[:, 0]).sum())


def test_an_outcome_survives_the_file() -> None:
    outcome = evaluate(SPACE.decode(np.random.default_rng(1).random((50, 3))))
    again = unpacked(packed(outcome))
    assert np.array_equal(outcome.moments, again.moments)
    assert np.array_equal(outcome.metrics["sharpe"], again.metrics["sharpe"], equal_nan=True)
    assert (outcome.errors, outcome.tracebacks) == (again.errors, again.tracebacks)


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "mysql://x/y", "sqlite:////proc/nowhere/study.db"]
)
def test_a_storage_that_cannot_be_used_is_one_line(url: str) -> None:
    with pytest.raises(UserError) as raised:
        StudyStore.open(url, "run", FACTS)
    assert "\n" not in str(raised.value)


class TestSeveralProcesses:
    """Searches at the same time on one server."""

    @staticmethod
    def start(
        url: str, ran: list[tuple[Any, ...]], results: list[Any], run: Callable[..., Outcome] = evaluate
    ) -> threading.Thread:
        def work() -> None:
            store = StudyStore.open(url, "run", FACTS)

            def counted(params: Sequence[Params], span: Span) -> Outcome:
                ran.extend(tuple(each.values()) for each in params)
                time.sleep(0.02)
                return run(params, span)

            settings = Settings(trials=512, sampler="random", seed=9)
            results.append(
                search(SPACE, counted, Span(0, 50), settings, log=store.log("w", SPACE, OBJECTIVES))
            )
            store.close()

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def test_they_share_the_trials_and_end_alike(self, postgresql: str) -> None:
        StudyStore.open(postgresql, "run", FACTS).close()
        ran: list[list[tuple[Any, ...]]] = [[], [], []]
        results: list[Any] = []
        for thread in [self.start(postgresql, mine, results) for mine in ran]:
            thread.join(timeout=120)
            assert not thread.is_alive()
        assert len(results) == 3
        together = [each for mine in ran for each in mine]
        assert len(together) == len(set(together)) == 512
        assert sum(bool(mine) for mine in ran) >= 2
        for found in results[1:]:
            assert np.array_equal(found.scores, results[0].scores, equal_nan=True)
        study = optuna.load_study(
            study_name="run/w", storage=studies.parse_url(postgresql).render_as_string(hide_password=False)
        )
        assert [trial.number for trial in study.trials] == list(range(512))

    def test_a_part_that_is_given_up_or_whose_process_died_is_free_at_once(self, url: str) -> None:
        store = StudyStore.open(url, "run", FACTS, shared=True)
        log = store.log("w", SPACE, OBJECTIVES)
        name = log.parts.claim("0/0")
        assert name is not None
        assert log.parts.claim("0/0") is None

        def stopped() -> None:
            with log.parts.renewed("0/0", name):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            stopped()
        again = log.parts.claim("0/0")
        assert again is not None
        with subprocess.Popen(["true"]) as ended:
            pass
        gone = again.replace(f" {os.getpid()} ", f" {ended.pid} ")
        log.database.write(update(parts.PARTS).values(owner=gone), {})
        assert log.parts.claim("0/0") is not None
        far = again.replace(again.split()[0], "elsewhere")
        log.database.write(update(parts.PARTS).values(owner=far), {})
        assert log.parts.claim("0/0") is None
        store.close()

    def test_a_killed_process_leaves_its_part_to_another(
        self, postgresql: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        script = f"""
import sys, time
sys.path[:0] = {[str(Path.cwd())]!r}
from tests.contract import test_study_contract as t
store = t.StudyStore.open({postgresql!r}, "run", t.FACTS)
def stuck(params, span):
    open({str(tmp_path / "claimed")!r}, "w").close()
    time.sleep(600)
t.search(t.SPACE, stuck, t.Span(0, 50), t.Settings(trials=512, sampler="random", seed=9),
         log=store.log("w", t.SPACE, t.OBJECTIVES))
"""
        script = script.replace("from tests.contract import test_study_contract as t", _as_module())
        process = subprocess.Popen([sys.executable, "-c", script])
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "claimed").exists() and time.monotonic() < deadline:
                assert process.poll() is None
                time.sleep(0.05)
            assert (tmp_path / "claimed").exists()
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        store = StudyStore.open(postgresql, "run", FACTS)
        log = store.log("w", SPACE, OBJECTIVES)
        # Its claim has not run out; as if the lease had passed:
        log.database.write(update(parts.PARTS).values(until=0.0), {})
        found = search(SPACE, evaluate, Span(0, 50), Settings(trials=512, sampler="random", seed=9), log=log)
        store.close()
        assert len(found) == 512


def _as_module() -> str:
    return (
        "import importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('study_contract', {__file__!r})\n"
        "t = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(t)"
    )

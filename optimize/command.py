"""What `python -m optimize.walkforward` does: the run's folder, resuming, the search, and what is left of it."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import print_json
from core.errors import ConfigError, UserError
from core.telemetry import LOG_FILE, close_logging, configure_logging
from optimize.arguments import make_plan, restated
from optimize.limits import MemoryLimitError, within_limit
from optimize.requests import DONE, FAILED, Request, plain
from optimize.search import NoTrialRan
from optimize.terminal import headline, listening, print_result

if TYPE_CHECKING:
    from core.config import Settings as Configuration
    from optimize.cluster import Cluster
    from optimize.plan import Plan
    from optimize.result import WalkForward
    from optimize.study import StudyStore

STUDY, FACTS, RESULT = "study.db", "optimization.json", "result.json"
CACHE = "results.db"


def main(args: argparse.Namespace) -> int:
    """Check everything, search and judge, write the run's folder, print; the report's path is the last line."""
    with within_limit():
        return _main(args)


def _main(args: argparse.Namespace) -> int:
    from engine.command import settings_from
    from optimize.cluster import Cluster
    from optimize.plan import check
    from optimize.study import StudyStore

    configuration = settings_from(args)
    plan, reference = make_plan(args, configuration)
    cuts = check(plan)
    if args.jobs is not None and args.jobs < 1:
        raise ConfigError(f"--jobs is {args.jobs}", hint="use at least 1 core")
    facts, study, store = plain(plan.facts()), args.study or reference, None
    with ExitStack() as held:
        # What cannot be reached, or is another's, is said before anything is written.
        cluster = held.enter_context(Cluster(args.cluster)) if args.cluster else None
        if args.storage:
            store = held.enter_context(closing(StudyStore.open(args.storage, study, facts, shared=True)))
            store.requests.check(study, facts)
        folder, resumed = run_folder(configuration.reports.directory, reference, facts)
        if not args.json:
            print(headline(plan, reference, len(cuts)), flush=True)
            if resumed:
                print(f"note: going on with {folder}, which was not finished", flush=True)
        configure_logging(configuration.log.model_copy(update={"console": "off"}), run_dir=folder)
        held.callback(close_logging)
        if store is None:
            own = StudyStore.open(f"sqlite:///{folder / STUDY}", study, facts, shared=False)
            store = held.enter_context(closing(own))
        store.requests.begin(_request(args, configuration, study, facts, folder))
        with _ending(store, folder, quiet=args.json):
            result = _searched(args, plan, folder, store, cluster)
    page = _write(result, folder)
    if args.json:
        print_json({**_summary(result), "folder": folder, "report": page})
    else:
        print_result(result, page)
    return 0


def _request(
    args: argparse.Namespace, configuration: Configuration, study: str, facts: Mapping[str, Any], folder: Path
) -> Request:
    """What is written down for workers that join."""
    from reports.optimization import PAGE

    file = args.space_file if args.space_file and not args.space else None
    return Request(
        study=study,
        arguments=restated(args, configuration),
        folder=str(Path.cwd()),
        report=str((folder / PAGE).absolute()),
        facts=facts,
        shared=bool(args.storage),
        space_file="" if file is None else file.read_text(encoding="utf-8"),
    )


@contextmanager
def _ending(store: StudyStore, folder: Path, *, quiet: bool) -> Iterator[None]:
    """Write down how it ended, for workers that joined, and say how to go on or where the log is."""
    try:
        yield
        store.requests.end(store.name, DONE)
    except KeyboardInterrupt:
        if not quiet:
            print(f"stopped; the same command goes on where it is: {folder}", flush=True)
        raise
    except MemoryLimitError:
        raise
    except UserError as error:
        store.requests.end(store.name, FAILED, error.message)
        if isinstance(error, NoTrialRan):
            hint = f"mend the strategy, or search elsewhere; {folder / LOG_FILE} has every traceback"
            raise NoTrialRan(error.message, hint=hint) from error
        raise


def run_folder(base: Path, reference: str, facts: Mapping[str, Any]) -> tuple[Path, bool]:
    """The folder of this optimisation: that of an unfinished one of the same facts, else a new one; and which."""
    from engine.command import new_run_folder, require_writable

    require_writable(base)
    text = json.dumps(facts, sort_keys=True, default=str)
    mark = hashlib.sha256(text.encode()).hexdigest()
    for known in sorted(base.glob(f"*/{FACTS}"), reverse=True):
        try:
            same = json.loads(known.read_text(encoding="utf-8")).get("mark") == mark
        except (OSError, ValueError):
            continue
        if same and not (known.parent / RESULT).exists():
            return known.parent, True
    folder = new_run_folder(base, reference, mark)
    folder.mkdir(parents=True)
    (folder / FACTS).write_text(
        json.dumps({"mark": mark, "facts": json.loads(text)}, indent=2), encoding="utf-8"
    )
    return folder, False


def _searched(
    args: argparse.Namespace, plan: Plan, folder: Path, store: StudyStore, cluster: Cluster | None
) -> WalkForward:
    from optimize.cache import ResultCache
    from optimize.evaluate import facts_of
    from optimize.judging import log_failures, logged_failures
    from optimize.runs import functions_of
    from optimize.walkforward import run

    cache, logged = None, logged_failures(folder)
    if not args.no_cache:
        known = {**facts_of(plan.strategy, plan.broker), **functions_of(plan.objective_names)}
        cache = ResultCache(folder.parent / ".cache" / CACHE, plan.market, known)
    try:
        with listening(args, plan) as listen:
            return run(
                plan,
                jobs=args.jobs,
                store=store,
                cache=cache,
                cluster=cluster,
                listen=listen,
                on_searched=lambda name, found: log_failures(name, found, logged),
            )
    finally:
        if cache is not None:
            cache.close()


def _write(result: WalkForward, folder: Path) -> Path:
    from optimize.document import document_of, tables_of
    from reports.optimization import write_optimization

    return write_optimization(document_of(result), tables_of(result), folder)


def _summary(result: WalkForward) -> dict[str, Any]:
    from optimize.document import document_of

    document = dict(document_of(result))
    for name in ("trials", "equity", "in_sample_equity"):
        document.pop(name, None)
    return document


__all__ = ["main", "run_folder"]

"""What `python -m optimize.walkforward` does: the run's folder, resuming, the search, and what is left of it."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import print_json
from core.errors import ConfigError, UserError
from core.telemetry import close_logging, configure_logging
from optimize.arguments import make_plan, restated
from optimize.limits import MemoryLimitError, within_limit
from optimize.requests import DONE, FAILED, Request, plain
from optimize.terminal import headline, listening, print_result

if TYPE_CHECKING:
    from optimize.plan import Plan
    from optimize.result import WalkForward

STUDY, FACTS, RESULT = "study.db", "optimization.json", "result.json"
CACHE = "results.db"


def main(args: argparse.Namespace) -> int:
    """Check everything, search and judge, write the run's folder, print; the report's path is the last line."""
    with within_limit():
        return _main(args)


def _main(args: argparse.Namespace) -> int:
    from engine.command import settings_from
    from optimize.plan import check
    from reports.optimization import PAGE

    configuration = settings_from(args)
    plan, reference = make_plan(args, configuration)
    cuts = check(plan)
    if args.jobs is not None and args.jobs < 1:
        raise ConfigError(f"--jobs is {args.jobs}", hint="use at least 1 core")
    facts = plan.facts()
    folder, resumed = run_folder(configuration.reports.directory, reference, facts)
    if not args.json:
        print(headline(plan, reference, len(cuts)), flush=True)
    configure_logging(configuration.log.model_copy(update={"console": "off"}), run_dir=folder)
    try:
        request = Request(
            study=args.study or reference,
            arguments=restated(args, configuration),
            folder=str(Path.cwd()),
            report=str((folder / PAGE).absolute()),
            facts=plain(facts),
            shared=bool(args.storage),
            space_file=args.space_file.read_text(encoding="utf-8") if args.space_file else "",
        )
        result = _searched(args, plan, request, folder, resumed)
    finally:
        close_logging()
    page = _write(result, folder)
    if args.json:
        print_json({**_summary(result), "folder": folder, "report": page})
    else:
        print_result(result, page)
    return 0


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
    args: argparse.Namespace,
    plan: Plan,
    request: Request,
    folder: Path,
    resumed: bool,
) -> WalkForward:
    from optimize.cache import ResultCache
    from optimize.cluster import Cluster
    from optimize.evaluate import facts_of
    from optimize.runs import functions_of
    from optimize.study import StudyStore
    from optimize.walkforward import run

    cluster = Cluster(args.cluster) if args.cluster else None
    store = cache = None
    begun = False
    try:
        url = args.storage or f"sqlite:///{folder / STUDY}"
        store = StudyStore.open(url, request.study, request.facts, shared=request.shared)
        store.requests.begin(request)
        begun = True
        if not args.no_cache:
            known = {**facts_of(plan.strategy, plan.broker), **functions_of(plan.objective_names)}
            cache = ResultCache(folder.parent / ".cache" / CACHE, plan.market, known)
        if resumed and not args.json:
            print(f"note: going on with {folder}, which was not finished", flush=True)
        with listening(args, plan) as listen:
            result = run(plan, jobs=args.jobs, store=store, cache=cache, cluster=cluster, listen=listen)
        store.requests.end(request.study, DONE)
        return result
    except KeyboardInterrupt:
        if not args.json:
            print(f"stopped; the same command goes on where it is: {folder}", flush=True)
        raise
    except UserError as error:
        if store is not None and begun and not isinstance(error, MemoryLimitError):
            store.requests.end(request.study, FAILED, error.message)
        raise
    finally:
        for each in (store, cache, cluster):
            if each is not None:
                each.close()


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

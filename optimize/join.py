"""Takes part in a walk-forward that is under way: what `python -m optimize.worker --join` starts, within its limits.

The request in the storage says what is searched. It is made out in this folder, or in that of the walk-forward where
that is on this machine and this one lacks what it names; and refused where source, bars or anything else differ.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.cli import print_json, run_command
from core.errors import ConfigError, UnknownNameError, UserError
from optimize.limits import THREADS, within_limit
from optimize.plan import Plan, check
from optimize.requests import DONE, FAILED, RUNNING, Request, Requests, changed, plain
from store.database import Database, build_engine, parse_url, shown

SECONDS = 1.0
"""Between two looks at whether the walk-forward has ended."""


def main(args: argparse.Namespace) -> int:
    """Take part until every search is done; print what was done here."""
    with within_limit():
        return _main(args)


def _main(args: argparse.Namespace) -> int:
    from optimize.searches import take_part
    from optimize.study import StudyStore
    from optimize.terminal import joined_line, listening

    address = absolute(args.join)
    args.config = args.config and args.config.absolute()
    with opened(address) as requests:
        request = chosen(requests.all(), args.study, requests.database.name)
        if request.state == DONE and args.study:
            return _end(args, request, 0, 0)
        plan = plan_here(request, args)
        windows = len(check(plan))
    # Processes of the pool have one thread each: there are as many of them as there may be threads.
    os.environ.update({name: "1" for name in THREADS[1:] if args.cpus is not None})
    if not args.json:
        print(joined_line(request, plan, windows), flush=True)
    store = StudyStore.open(address, request.study, plan.facts(), shared=True)
    try:
        with listening(args, plan) as listen:
            listen("joined", {"study": request.study, "host": request.host, "folder": request.folder})

            def over() -> bool:
                now = store.requests.get(request.study)
                return now is None or now.state == FAILED

            trials, here = take_part(plan, store, jobs=args.cpus, listen=listen, over=over)
        return _end(args, store.requests.get(request.study) or request, trials, here)
    except KeyboardInterrupt:
        if not args.json:
            print("stopped; the trials under way here go back to the study", flush=True)
        raise
    finally:
        store.close()


def _end(args: argparse.Namespace, request: Request, trials: int, here: int) -> int:
    """Say what was done, and where the report is."""
    facts = {
        "study": request.study, "state": request.state, "reason": request.reason, "trials": trials,
        "trials_here": here, "host": request.host, "folder": request.folder, "report": request.report,
    }  # fmt: skip
    if args.json:
        print_json(facts)
        return 0
    if trials:
        print(f"all searches done: {trials:,} trials, {here:,} of them run here")
    if request.state == FAILED:
        print(f"the walk-forward ended without a result: {request.reason}")
    elif request.state == DONE:
        print(f"the study {request.study} is done; its report on {request.host}: {request.report}")
    else:
        print(f"the walk-forward judges them and writes its report on {request.host}: {request.report}")
    return 0


def absolute(address: str) -> str:
    """An address that means the same in another folder. Raises ConfigError for one that is none."""
    url = parse_url(address, "--join")
    if url.get_backend_name() == "sqlite":
        url = url.set(database=str(Path(str(url.database)).absolute()))
    return url.render_as_string(hide_password=False)


@contextmanager
def opened(address: str) -> Iterator[Requests]:
    """The requests of a storage, which is not changed. Raises UserError where there is none."""
    from sqlalchemy.exc import SQLAlchemyError

    from store.database import said

    url = parse_url(address, "--join")
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise UserError(
            f"there is no storage at {url.database}",
            hint="give the --storage of the walk-forward, or start that first",
        )
    database = Database(build_engine(url, pool_size=1))
    try:
        requests = Requests(database)
        try:
            requests.all()
        except SQLAlchemyError as error:
            raise UserError(
                f"the storage {shown(url)} cannot be used: {said(error)}",
                hint="check that it runs and that this machine may use it",
            ) from error
        yield requests
    finally:
        database.close()


def chosen(requests: list[Request], study: str | None, where: str) -> Request:
    """The one that is meant: by its name, else the only one under way. Raises UserError."""
    known = {request.study: request for request in requests}
    running = [request for request in requests if request.state == RUNNING]
    start = f"start it: python -m optimize.walkforward STRATEGY --storage {where}"
    if study is not None and study not in known:
        raise UnknownNameError("study", study, known, hint="" if known else start)
    if study is None and len(running) != 1:
        if running:
            names = ", ".join(request.study for request in running)
            raise UserError(
                f"{len(running)} optimisations are under way in {where}", hint=f"give --study: {names}"
            )
        ended = "".join(f"; {request.study} is {request.state}" for request in requests)
        raise UserError(f"no optimisation is under way in {where}{ended}", hint=start)
    request = running[0] if study is None else known[study]
    if request.state == FAILED:
        raise UserError(f"the study {request.study} has ended: {request.reason}", hint=start)
    if not request.shared:
        raise UserError(
            f"the study {request.study} in {where} is one process's own",
            hint="start its walk-forward with --storage sqlite:///PATH or postgresql://..., and join that",
        )
    return request


def plan_here(request: Request, args: argparse.Namespace) -> Plan:
    """The plan of a request, made of what is on this machine. Raises UserError where that lacks or differs."""
    here, there = Path.cwd(), Path(request.folder)
    try:
        plan = _plan(request, args)
    except UserError as error:
        if there == here or not there.is_dir():
            raise _not_here(request, error) from error
        os.chdir(there)
        sys.path.insert(0, str(there))
        try:
            plan = _plan(request, args)
        except UserError as again:
            raise _not_here(request, again) from again
    _refuse(request, plan)
    return plan


def _plan(request: Request, args: argparse.Namespace) -> Plan:
    from core.config import load_settings, parse_assignments
    from engine.command import assignments
    from optimize.arguments import make_plan, parser

    with tempfile.TemporaryDirectory(prefix="tradewright-") as folder:
        arguments = list(request.arguments)
        if request.space_file:
            file = Path(folder) / "space.yaml"
            file.write_text(request.space_file, encoding="utf-8")
            arguments.append(f"--space-file={file}")
        asked = parser().parse_args(arguments)
        given = assignments(asked)
        settings = load_settings(file=args.config, cli={**parse_assignments(args.set), **given})
        # This machine's own settings may name parameters of another strategy.
        wanted = {name.rpartition(".")[2] for name in given if name.startswith("strategy.params.")}
        params = {name: value for name, value in settings.strategy.params.items() if name in wanted}
        strategy = settings.strategy.model_copy(update={"params": params})
        return make_plan(asked, settings.model_copy(update={"strategy": strategy}))[0]


def _not_here(request: Request, error: UserError) -> UserError:
    hint = f"start the worker where strategy and data are found as in {request.folder} on {request.host}"
    return UserError(f"the study {request.study} cannot be joined here: {error.message}", hint=hint)


def _refuse(request: Request, plan: Plan) -> None:
    """Raise ConfigError unless source, bars and everything else are those of the study."""
    facts = plain(plan.facts())
    different = changed(request.facts, facts)
    if not different:
        return
    reference, place = request.arguments[0], f"{request.folder} on {request.host}"
    says: Mapping[str, tuple[str, str]] = {
        "version": (
            f"tradewright is {facts['version']}, the study's {request.facts.get('version')}",
            "install that",
        ),
        "strategy": (f"the source of {reference} differs from the study's", f"copy it from {place}"),
        "data": ("the bars differ from the study's", f"copy them from {place}, or load them again"),
    }
    for name, (text, hint) in says.items():
        if name in different:
            raise ConfigError(
                f"the study {request.study} cannot be joined here: {text}",
                hint=f"{hint}; or begin another study with --study NAME",
            )
    raise ConfigError(
        f"the study {request.study} cannot be joined here: another {', '.join(different)}",
        hint=f"have what is in {place}",
    )


__all__ = ["chosen", "main", "opened", "plan_here"]

if __name__ == "__main__":
    from optimize.worker import parser

    run_command(parser(), main)

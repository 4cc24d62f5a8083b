"""The journal of a session: in the database, and in the run's folder while that takes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from brokers.bookkeeping import Bookkeeper
from brokers.spooled import SpooledJournal
from core.errors import StoreUnavailable
from store.spool import SPOOL_FILE, Spool, waiting

if TYPE_CHECKING:
    from store import RunRecord, Store


def open_journal(store: Store, run: RunRecord) -> SpooledJournal:
    """The run's journal, with what an earlier session could not write into it. Raises StoreError."""
    books = Bookkeeper(store.trades(run.run_id), store.positions(run.run_id))
    journal = SpooledJournal(store.journal(run.run_id), Spool(Path(run.folder) / SPOOL_FILE), books)
    journal.open()
    return journal


def take_over(store: Store, run: RunRecord) -> None:
    """Bring a run that nobody trades now up to what its last session had to spool."""
    if waiting(Path(run.folder)):
        open_journal(store, run).close()


def check_taken_over(journal: SpooledJournal, run: RunRecord) -> None:
    """Raise StoreUnavailable where the database did not come back before the end."""
    if left := journal.close():
        raise StoreUnavailable(
            f"the session has ended, and its database takes nothing: {left} entries wait in {journal.file}",
            hint=f"when it does again, go on: python -m live.run {run.strategy} --resume {run.run_id}",
        )

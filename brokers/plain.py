"""Brokers for a plain Cerebro script, by Backtrader's own conventions.

broker = brokers.PaperBroker(cash=10_000)
broker.setcommission(commission=0.001)
cerebro.setbroker(broker)
"""

from __future__ import annotations

import atexit
import tempfile
from pathlib import Path
from typing import Any

import store
from brokers.bridge import VenueBroker
from brokers.executor import Executor
from brokers.gateway import Gateway
from brokers.paper import PaperVenue
from core.errors import StrategyError
from core.types import to_decimal

RUN = "plain-script"


class PaperBroker(VenueBroker):
    """Paper trading with the journal and the venue of a live session.

    cash: what the account holds at the start. file: where the journal is kept (the venue's own state stands
    beside it); a script that was killed and starts again with the same file goes on where it stopped. Without
    a file nothing outlives the script.
    """

    params: Any = (("file", None),)

    def setcash(self, cash: float) -> None:
        """Set the starting cash, before the run."""
        self._refuse_while_running("setcash")
        super(VenueBroker, self).set_cash(cash)

    set_cash = setcash

    def start(self) -> None:
        """Open the journal and connect, before the first bar."""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if self.p.file is None:
            self._folder = tempfile.TemporaryDirectory(prefix="tradewright-paper-")
            file = Path(self._folder.name) / "journal.db"
        else:
            file = Path(self.p.file)
        self._store = store.open_store(f"sqlite:///{file}")
        self.p.gateway = Gateway(lambda: self._executor(file))
        # Backtrader does not stop its broker when a strategy fails.
        atexit.register(self.p.gateway.stop)
        super().start()

    def stop(self) -> None:
        """Close the session and the journal."""
        super().stop()
        atexit.unregister(self.p.gateway.stop)
        self._store.close()
        self.p.gateway = None
        if self._folder is not None:
            self._folder.cleanup()

    def _executor(self, file: Path) -> Executor:
        scheme = self.comminfo[None]
        if not scheme.stocklike or scheme._commtype != scheme.COMM_PERC:
            raise StrategyError(
                "the paper venue charges a fraction of the value traded",
                hint="use broker.setcommission(commission=0.001), without margin or commtype",
            )
        venue = PaperVenue(self.p.cash, scheme.p.commission, state=file.with_suffix(".venue.db"))
        return Executor(venue, self._store.journal(RUN), cash=to_decimal(float(self.p.cash)))

    def _refuse_while_running(self, name: str) -> None:
        if self.p.gateway is not None:
            raise StrategyError(
                f"broker.{name} was called during the run", hint="call it before cerebro.run()"
            )

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

import backtrader as bt

import store
from brokers.base import Venue
from brokers.binance import BinanceVenue
from brokers.bridge import VenueBroker
from brokers.executor import Executor
from brokers.gateway import Gateway
from brokers.ibkr import IBKRVenue
from brokers.ibkr_link import IBKRSettings
from brokers.paper import PaperVenue
from brokers.risk import Limits, RiskGate
from brokers.working import WorkingVenue
from core.errors import ConfigError, StrategyError
from core.types import to_decimal

RUN = "plain-script"


class _ScriptBroker(VenueBroker):
    """A venue with the journal and the risk checks of a live session.

    cash: what of the account is the script's when it first begins. file: where the journal is kept (the venue's own
    state stands beside it); a script that was killed and starts again with the same file, bars and cash goes on where
    it stopped. limits: `brokers.Limits`.
    """

    params: Any = (("file", None), ("limits", None))

    def setcash(self, cash: float) -> None:
        """Set the starting cash, before the run."""
        self._refuse_while_running("setcash")
        bt.brokers.BackBroker.set_cash(self, cash)

    set_cash = setcash

    def start(self) -> None:
        """Open the journal and connect, before the first bar."""
        file = self._file()
        self._store = store.open_store(f"sqlite:///{file}")
        self.p.gateway = Gateway(lambda: self._executor(file))
        # Backtrader does not stop its broker when a strategy fails.
        atexit.register(self.p.gateway.stop)
        super().start()

    def stop(self) -> None:
        """Close the session and the journal; orders that rest at the venue stay there."""
        super().stop()
        atexit.unregister(self.p.gateway.stop)
        self._store.close()
        self.p.gateway = None

    def _file(self) -> Path:
        if self.p.file is None:
            raise ConfigError(
                f"{type(self).__name__} needs a file that outlives the script",
                hint="give it file=..., so that a script that starts again knows what it has sent",
            )
        return Path(self.p.file)

    def _executor(self, file: Path) -> Executor:
        venue, journal = self._venue(file.with_suffix(".venue.db")), self._store.journal(RUN)
        entries = getattr(self.p, "entries", None)
        return Executor(
            venue if entries is None else WorkingVenue(venue, entries, journal),
            journal,
            RiskGate(self.p.limits or Limits()),
            cash=to_decimal(float(self.p.cash)),
        )

    def _venue(self, state: Path) -> Venue:
        raise StrategyError("a broker of no venue", hint="take one of this module")

    def _symbols(self) -> list[str]:
        return [data._name for data in self._traded]

    def _refuse_while_running(self, name: str) -> None:
        if self.p.gateway is not None:
            raise StrategyError(
                f"broker.{name} was called during the run", hint="call it before cerebro.run()"
            )


class PaperBroker(_ScriptBroker):
    """Paper trading. Without a file nothing outlives the script. costs: a `brokers.Costs`; None charges commission alone."""

    params: Any = (("costs", None),)

    def stop(self) -> None:
        """As every broker; what was kept for the run alone goes."""
        super().stop()
        if self._folder is not None:
            self._folder.cleanup()

    def _file(self) -> Path:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if self.p.file is not None:
            return Path(self.p.file)
        self._folder = tempfile.TemporaryDirectory(prefix="tradewright-paper-")
        return Path(self._folder.name) / "journal.db"

    def _venue(self, state: Path) -> Venue:
        scheme = self.comminfo[None]
        if not scheme.stocklike or scheme._commtype != scheme.COMM_PERC:
            raise StrategyError(
                "the paper venue charges a fraction of the value traded",
                hint="use broker.setcommission(commission=0.001), without margin or commtype",
            )
        return PaperVenue(self.p.cash, scheme.p.commission, state=state, costs=self.p.costs)


class BinanceBroker(_ScriptBroker):
    """Binance Spot. settings: a `brokers.BinanceSettings` with your key; datas are named BASE/QUOTE.

    cerebro.setbroker(brokers.BinanceBroker(settings=settings, cash=1_000, file="mine.db"))

    Entries are made on bars that come as they close; on bars of the past they are refused. entries: a
    `brokers.Entries`, for those at the market to go as limits.
    """

    params: Any = (("settings", None), ("entries", None))

    def _venue(self, state: Path) -> Venue:
        if self.p.settings is None:
            raise ConfigError(
                "BinanceBroker needs settings with a key",
                hint="BinanceSettings(key=..., secret=...); read them from the environment, not from your script",
            )
        return BinanceVenue(self.p.settings, symbols=self._symbols(), state=state)


class IBKRBroker(_ScriptBroker):
    """IBKR over TWS or IB Gateway. settings: a `brokers.IBKRSettings`; its client id is the broker's alone.

    cerebro.setbroker(brokers.IBKRBroker(settings=settings, cash=10_000, file="mine.db"))

    Entries are made on bars that come as they close; on bars of the past they are refused. entries: a
    `brokers.Entries`, for those at the market to go as limits; IBKR has none that are post-only.
    """

    params: Any = (("settings", None), ("entries", None))

    def _venue(self, state: Path) -> Venue:
        if self.p.entries is not None and self.p.entries.post_only:
            raise ConfigError(
                "IBKR has no post-only orders for what is traded here", hint="leave post_only out"
            )
        return IBKRVenue(self.p.settings or IBKRSettings(), symbols=self._symbols(), state=state)

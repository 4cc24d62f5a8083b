"""The account of a session, watched: a snapshot a bar and by the clock, to log, store and Prometheus, and alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from time import monotonic
from typing import TYPE_CHECKING

from brokers.account import AccountSnapshot, Alarm, changed, snapshot
from brokers.executor import Executor
from brokers.risk import Account
from core.clock import WallClock
from core.errors import StoreError, TradewrightError, UserError
from core.instruments import BUSINESS, TRADING
from core.telemetry import get_logger
from core.types import to_decimal

if TYPE_CHECKING:
    from core.config.account import AccountSettings
    from store import MetricRepository

SERIES = "account."
"""What the names of its series in the store begin with."""

STORE_PAUSE_SECONDS = 60.0

log = get_logger("live.account")


class AccountMonitor:
    """Takes snapshots where it is told the account, and alarms. Called on the session's own thread.

    bot: label of the gauges. series: where snapshots are kept. emits: whether there is more than alarms, as of a replay
    at full speed there is not. quiet: whether the run repeats what it did before; then nothing is told.
    """

    def __init__(
        self,
        settings: AccountSettings,
        bot: str,
        series: MetricRepository,
        *,
        emits: bool = True,
        quiet: Callable[[], bool] = lambda: False,
    ) -> None:
        self.quiet = quiet
        self._settings, self._bot, self._series, self._emits = settings, bot, series, emits
        self._peak, self._store_from = Decimal(0), 0.0
        self.alarms = alarms_of(settings)
        self.last: AccountSnapshot | None = None

    def take(self, time: datetime, account: Account) -> None:
        """A snapshot of the account as it is at `time`."""
        maintenance = to_decimal(self._settings.maintenance_margin)
        self.last = taken = snapshot(time, account, peak=self._peak, maintenance=maintenance)
        self._peak = max(self._peak, taken.equity)
        if self.quiet():
            return
        figures = taken.figures()
        self._alert(figures)
        if self._emits:
            log.info("account.snapshot", at=time.isoformat(), **figures)
            for name, value in figures.items():
                of_account = TRADING.gauge(f"account_{name}", f"{name} of a session's account", "bot")
                of_account.labels(self._bot).set(value)
            self._keep(time, figures)

    async def by_the_clock(self, executor: Executor) -> None:
        """A snapshot at the venue's own quotes every `seconds`, for as long as the session lasts."""
        while self._emits:
            await asyncio.sleep(self._settings.seconds)
            try:
                account = await executor.account()
            except TradewrightError as error:
                log.warning("account.unknown", code=error.code, reason=error.message)
                continue
            if self.last is not None and not self.quiet():
                self.take(WallClock().now(), account)

    def _alert(self, figures: dict[str, float]) -> None:
        self.alarms, new = changed(self.alarms, figures)
        for alarm in new:
            say = log.warning if alarm.on else log.info
            say(
                "account.alert" if alarm.on else "account.alert_over",
                figure=alarm.figure,
                value=figures[alarm.figure],
                threshold=alarm.threshold,
            )

    def _keep(self, time: datetime, figures: dict[str, float]) -> None:
        """Into the store; one that fails is left alone for a while: it would keep orders waiting."""
        if monotonic() < self._store_from:
            return
        try:
            self._series.record_all({SERIES + name: value for name, value in figures.items()}, time)
        except StoreError as error:
            self._store_from = monotonic() + STORE_PAUSE_SECONDS
            log.warning("account.not_kept", reason=error.message)


def alarms_of(settings: AccountSettings) -> list[Alarm]:
    """Alarms as configured."""
    wanted = {
        "leverage": settings.alert_leverage,
        "margin_use": settings.alert_margin_use,
        "drawdown": settings.alert_drawdown,
    }
    found = [Alarm(name, at, settings.hysteresis) for name, at in wanted.items() if at is not None]
    if settings.alert_equity is not None:
        found.append(Alarm("equity", settings.alert_equity, settings.hysteresis, below=True))
    return found


@contextmanager
def metrics_served(port: int | None) -> Iterator[None]:
    """Metrics for Prometheus at http://127.0.0.1:`port`/metrics; None serves none. Raises UserError for a port in use."""
    if port is None:
        yield
        return
    from prometheus_client import start_http_server

    BUSINESS.gauge("session_started_seconds", "when the session began, Unix time").set_to_current_time()
    try:
        server, thread = start_http_server(port, addr="127.0.0.1")
    except OSError as error:
        raise UserError(
            f"port {port} cannot be listened on: {error.strerror}",
            hint="choose another live.account.metrics_port",
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A live session whose wire is recorded: everything that it says to its venue, and is told, through a relay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from brokers.binance_link import BinanceSettings
from engine.plan import Plan
from feeds.live.binance import StreamSettings
from feeds.spacing import parse_timeframe
from live.plan import LivePlan


@contextmanager
def on_record(plan: Plan | LivePlan, file: Path | None) -> Iterator[Plan | LivePlan]:
    """The plan, with a connection that leads through the relay. Raises ConfigError for a file that cannot be written."""
    if file is None or not isinstance(plan, LivePlan):
        yield plan
        return
    from brokers.wire.recorder import recorded

    plan = replace(plan, since=plan.since or _begin(plan))
    said = {
        "venue": plan.connection.venue,
        "strategy": plan.reference,
        "bot": plan.settings.live.bot,
        "symbols": list(plan.symbols),
        "timeframe": plan.timeframe,
        "since": plan.since.isoformat() if plan.since else None,
    }
    with recorded(plan.connection.broker, file, said) as broker:
        feed = plan.connection.feed
        if isinstance(broker, BinanceSettings) and isinstance(feed, StreamSettings):
            feed = replace(feed, rest=broker.rest, streams=broker.streams)
        elif not isinstance(broker, BinanceSettings) and not isinstance(feed, StreamSettings):
            feed = replace(feed, host=broker.host, port=broker.port)
        yield replace(plan, connection=replace(plan.connection, broker=broker, feed=feed))


def _begin(plan: LivePlan) -> datetime:
    """The first bar, as a session asks for it that is not told."""
    backfill = plan.settings.live.backfill
    bars = plan.warm_up if backfill is None else backfill + 1
    return datetime.now(UTC) - bars * timedelta(microseconds=parse_timeframe(plan.timeframe) // 1000)

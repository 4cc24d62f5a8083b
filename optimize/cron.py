"""When a job by a schedule is due: lines of five fields, read by huey, and the minutes that passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from core.errors import ConfigError

CRON_FIELDS = ("minute", "hour", "day", "month", "day_of_week")


def parse_cron(line: str) -> Callable[[datetime], bool]:
    """What a line of five fields (minute, hour, day, month, weekday; Sunday is 0) says of a minute."""
    from huey import crontab

    hint = 'write five fields, such as "0 2 * * *" for every night at two, UTC'
    fields = line.split()
    if len(fields) != len(CRON_FIELDS):
        raise ConfigError(f"--cron {line!r} has {len(fields)} fields", hint=hint)
    try:
        due: Callable[[datetime], bool] = crontab(**dict(zip(CRON_FIELDS, fields, strict=True)), strict=True)
    except ValueError as error:
        raise ConfigError(f"--cron {line!r}: {error}", hint=hint) from error
    return due


def minutes(since: datetime, until: datetime) -> Iterator[datetime]:
    """The whole minutes after `since`, up to `until`."""
    minute = since.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while minute <= until:
        yield minute
        minute += timedelta(minutes=1)


__all__ = ["minutes", "parse_cron"]

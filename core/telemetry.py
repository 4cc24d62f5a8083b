"""Structured logs: JSON lines in the run's folder, plain lines for people on stderr, no secrets in either.

    configure_logging(settings.log, run_dir=run_dir)
    log = get_logger("live.session")
    with correlation(client_id):
        log.info("order sent", symbol="GOOG", size=Decimal(10))

Every record has time (UTC, ISO 8601, microseconds), level, logger, event and correlation_id (null outside
`correlation`), and the caller's own fields beside them; a field of one of those five names gets a trailing `_`.
Loggers of other libraries go to the same places from WARNING up. Figures for Prometheus: see `core.instruments`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import structlog
from structlog.stdlib import BoundLogger, LoggerFactory, PositionalArgumentsFormatter, ProcessorFormatter

from core.errors import ConfigError
from core.jsontext import to_json
from core.redact import redact, redact_text

if TYPE_CHECKING:
    from core.config import LogSettings

__all__ = [
    "Logger",
    "close_logging",
    "configure_logging",
    "correlation",
    "current_correlation",
    "get_logger",
    "redact",
]

LOG_FILE = "log.jsonl"
ROOT = "tradewright"
_KEY = "correlation_id"
_LEVELS = {"warn": "warning", "exception": "error", "fatal": "critical"}
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}
_DIM, _RESET = "\x1b[2m", "\x1b[0m"

Event = MutableMapping[str, Any]

_installed: list[logging.Handler] = []


class Logger(BoundLogger):
    """A structlog logger whose filtered-out `debug` and `info` cost one comparison."""

    def debug(self, event: str | None = None, *args: Any, **fields: Any) -> None:
        """Log at DEBUG."""
        if self._logger.isEnabledFor(logging.DEBUG):
            super().debug(event, *args, **fields)

    def info(self, event: str | None = None, *args: Any, **fields: Any) -> None:
        """Log at INFO."""
        if self._logger.isEnabledFor(logging.INFO):
            super().info(event, *args, **fields)

    def exception(self, event: str | None = None, *args: Any, **fields: Any) -> None:
        """Log at ERROR with the exception being handled, as redacted text that no handler can see otherwise."""
        fields.setdefault("exc_info", True)
        self.error(event, *args, **fields)


class _LogFile(RotatingFileHandler):
    """Rotates once the file has reached its size; the standard class formats each record twice to foresee it."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say once that a file takes no more, its disk being full; the session goes on without its lines."""
        if isinstance(sys.exc_info()[1], OSError):
            if not self._failed:
                self._failed = True
                print(f"{self.baseFilename} cannot be written: {sys.exc_info()[1]}", file=sys.stderr)
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file, though its disk may be too full for what is left to write."""
        with suppress(OSError):
            super().close()

    def shouldRollover(self, record: logging.LogRecord) -> int:  # noqa: N802
        """1 when the file is full, 0 otherwise."""
        if self.maxBytes <= 0 or self.stream is None or self._failed:
            return 0
        return int(os.fstat(self.stream.fileno()).st_size >= self.maxBytes)


def get_logger(name: str) -> Logger:
    """The logger `name`, a module's name such as "live.session"; usable before `configure_logging`."""
    return cast(Logger, structlog.get_logger(f"{ROOT}.{name}").bind())


@contextmanager
def correlation(identifier: str) -> Iterator[str]:
    """Everything logged inside bears this correlation id, in this task or thread; the outer one comes back."""
    with structlog.contextvars.bound_contextvars(correlation_id=identifier):
        yield identifier


def current_correlation() -> str | None:
    """The correlation id in force here, or None."""
    found = structlog.contextvars.get_contextvars().get(_KEY)
    return None if found is None else str(found)


def configure_logging(settings: LogSettings, *, run_dir: Path | None, stream: TextIO | None = None) -> None:
    """Send records to `run_dir`/log.jsonl and to the console, as `settings` says; replaces what was set before.

    run_dir: None writes no file. stream: the console; standard error if None.
    Raises ConfigError when the file cannot be written; the earlier configuration then stands.
    """
    handlers: list[logging.Handler] = []
    if run_dir is not None and settings.json_file:
        handlers.append(_file_handler(settings, run_dir))
    if settings.console != "off":
        handlers.append(_console_handler(settings, stream))
    close_logging()
    logging.getLogger(ROOT).setLevel(settings.level)
    for handler in handlers:
        logging.getLogger().addHandler(handler)
        _installed.append(handler)


def close_logging() -> None:
    """Flush and close what `configure_logging` opened; handlers of others stay."""
    while _installed:
        handler = _installed.pop()
        logging.getLogger().removeHandler(handler)
        handler.close()
    logging.getLogger(ROOT).setLevel(logging.NOTSET)


def _file_handler(settings: LogSettings, run_dir: Path) -> logging.Handler:
    path = run_dir / LOG_FILE
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        handler = _LogFile(path, maxBytes=settings.max_bytes, backupCount=settings.backups, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror or error}",
            hint="choose another folder with reports.directory, or switch the file off with log.json_file",
            path=str(path),
        ) from error
    handler.setLevel(settings.level)
    handler.setFormatter(_formatter(_render_json))
    return handler


def _console_handler(settings: LogSettings, stream: TextIO | None) -> logging.Handler:
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setLevel(settings.console_level)
    if settings.console == "json":
        handler.setFormatter(_formatter(_render_json))
    else:
        colour = settings.console == "auto" and handler.stream.isatty()
        handler.setFormatter(_formatter(_render_colour if colour else _render_plain))
    return handler


def _formatter(render: Any) -> ProcessorFormatter:
    return ProcessorFormatter(
        foreign_pre_chain=[_exception_text, _arrange, _hide],
        processors=[ProcessorFormatter.remove_processors_meta, render],
        use_get_message=True,
        keep_exc_info=False,
    )


def _exception_text(logger: Any, method: str, event: Event) -> Event:
    """Turn exc_info into text here, so that it is redacted with the rest; frames show no local variables."""
    return structlog.processors.format_exc_info(logger, method, event)


def _arrange(logger: Any, method: str, event: Event) -> Event:
    """The five fixed fields first, then the caller's."""
    record = event.pop("_record", None)
    from_structlog = event.pop("_from_structlog", None)
    name = record.name if record is not None else getattr(logger, "name", "")
    level = record.levelname.lower() if record is not None else method
    moment = datetime.fromtimestamp(record.created, UTC) if record is not None else datetime.now(UTC)
    context = structlog.contextvars.get_contextvars()
    arranged: dict[str, Any] = {
        "time": moment.isoformat(timespec="microseconds"),
        "level": _LEVELS.get(level, level),
        "logger": name.removeprefix(f"{ROOT}."),
        "event": event.pop("event", None),
        _KEY: event.pop(_KEY, context.get(_KEY)),
    }
    fields = {**{key: item for key, item in context.items() if key != _KEY}, **event}
    for key, item in fields.items():
        arranged[f"{key}_" if key in arranged else key] = item
    if record is not None:
        arranged["_record"], arranged["_from_structlog"] = record, from_structlog
    return arranged


def _hide(logger: Any, method: str, event: Event) -> Event:
    """Redact every field. `_record` belongs to the standard library and never reaches the output."""
    kept = {key: event.pop(key) for key in ("_record", "_from_structlog") if key in event}
    hidden: Event = redact(event)
    hidden.update(kept)
    return hidden


def _render_json(logger: Any, method: str, event: Event) -> str:
    return to_json(event, as_text=_as_text)


def _render_plain(logger: Any, method: str, event: Event, *, colour: bool = False) -> str:
    time = str(event.pop("time"))[11:19]
    level, name, message = event.pop("level"), event.pop("logger"), event.pop("event")
    if event.get(_KEY) is None:
        event.pop(_KEY, None)
    trace = event.pop("exception", None)
    fields = " ".join(f"{key}={_one_line(item)}" for key, item in event.items())
    shown = f"{_COLOURS.get(level, '')}{level}{_RESET}" if colour else level
    where = f"{_DIM}{name}{_RESET}" if colour else name
    line = " ".join(
        part for part in (time, shown, f"{where}:", _one_line(message, quote=False), fields) if part
    )
    return f"{line}\n{trace}" if trace else line


def _render_colour(logger: Any, method: str, event: Event) -> str:
    return _render_plain(logger, method, event, colour=True)


def _as_text(item: object) -> str:
    """What only its `str` describes becomes text here, late, and may show a secret in it."""
    return redact_text(str(item))


def _one_line(item: Any, *, quote: bool = True) -> str:
    """One field on the console: control characters escaped, so that a value cannot fake a line."""
    text = _as_text(item)
    if not text.isprintable():
        return repr(text) if quote else repr(text)[1:-1]
    return repr(text) if quote and (" " in text or not text) else text


structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        PositionalArgumentsFormatter(),
        _exception_text,
        _arrange,
        _hide,
        ProcessorFormatter.wrap_for_formatter,
    ],
    wrapper_class=Logger,
    logger_factory=LoggerFactory(),
    cache_logger_on_first_use=True,
)

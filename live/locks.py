"""Files that a process holds locked while it trades. A lock ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from brokers.binance_link import BinanceSettings
from core.errors import ConfigError, UserError
from live.plan import LivePlan
from live.profiles import Connection

DIGITS = 16


class AlreadyTrading(UserError):
    """Another process trades as this bot on this account. Handler: the command line; nothing was sent or written."""

    code = "already-trading"


@contextmanager
def locked(path: Path, refuse: Callable[[str], UserError], *, tidy: bool = False) -> Iterator[None]:
    """Hold the file locked, with our process id in it; raises `refuse(id of the holder)` where another holds it.

    tidy: remove it afterwards.
    """
    descriptor = _locked_descriptor(path, refuse)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        if tidy:
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked_descriptor(path: Path, refuse: Callable[[str], UserError]) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise refuse(found or "unknown") from None
        # Whoever held it may have removed it between our two steps: then ours is a file nobody else will find.
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def holder(path: Path) -> int | None:
    """The process that holds the file locked, 0 where it has not said; None where nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return None


def folder() -> Path:
    """Where locks of bots are kept, for all sessions of this user on this machine."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "tradewright" / "bots"


def lock_of(found: Connection, bot: str) -> Path:
    """The file that a bot holds while it trades on this account: its venue, its name, and a hash of the account."""
    if isinstance(found.broker, BinanceSettings):
        account: tuple[str, ...] = (found.broker.rest, found.broker.key)
    else:
        account = (found.where, found.broker.account)
    digest = hashlib.sha256("\x1f".join((found.venue, *account, bot)).encode()).hexdigest()
    return folder() / f"{found.venue}-{bot}-{digest[:DIGITS]}.lock"


@contextmanager
def alone(plan: object) -> Iterator[None]:
    """Keep every other session of this bot away from its account. A replay has an account of its own.

    Raises AlreadyTrading, and ConfigError where no lock can be made.
    """
    if not isinstance(plan, LivePlan) or plan.rehearsed:
        yield
        return
    bot, venue = plan.settings.live.bot, plan.connection.name

    def refuse(process: str) -> AlreadyTrading:
        return AlreadyTrading(
            f"bot {bot} is trading at {venue} already, in process {process}",
            hint=f"end that first (kill {process}), or name this one with --bot NAME",
        )

    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock_of(plan.connection, bot), refuse, tidy=True))
        except OSError as error:
            raise ConfigError(
                f"cannot lock {folder()}: {error.strerror}", hint="set XDG_STATE_HOME to a folder of yours"
            ) from error
        yield

"""Before any order can reach a real venue: `--live`, and a name that is typed or configured."""

from __future__ import annotations

import sys

from core.errors import UserError
from live.profiles import Connection


class NotConfirmed(UserError):
    """Nobody has said that orders may be real. Handler: the command line; nothing was connected."""

    code = "not-confirmed"


class NotPaper(UserError):
    """The account is real, and nobody said that it may be. Handler: the command line; no order was sent."""

    code = "not-paper"


def require(found: Connection, *, live: bool, confirm: str | None, ask: bool) -> None:
    """Raise NotConfirmed unless the connection is simulated, or a person allows what is real.

    live: `--live` was given. confirm: the name that the configuration allows. ask: whether to ask on the terminal.
    """
    if found.simulated:
        if live:
            raise UserError(
                f"--live was given, but {found.venue} at {found.where} is a simulator",
                hint="leave --live out",
            )
        return
    if not live:
        raise NotConfirmed(
            f"orders to {found.name} would be real ({found.venue} at {found.where})",
            hint=f"add --live to trade there, or try --rehearse {found.venue}",
        )
    if confirm is not None:
        given, how = confirm, "live.confirm is"
    elif ask and sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write(f"Orders will be real. Type {found.name} to trade there: ")
        sys.stderr.flush()
        given, how = sys.stdin.readline().strip(), "you typed"
    else:
        raise NotConfirmed(
            f"nobody is at a terminal to confirm that orders to {found.name} are real",
            hint=f"run it on a terminal, or set live.confirm={found.name}",
        )
    if given != found.name:
        raise NotConfirmed(f"{how} {given!r}, not {found.name!r}", hint="nothing was connected or sent")

"""`python -m store.migrate`: bring a database to the shape of this or of another version."""

from __future__ import annotations

import argparse

from core.cli import CommandParser, print_json, run_command
from core.errors import UserError


def parser() -> CommandParser:
    """The command line of `python -m store.migrate`."""
    command = CommandParser(
        prog="python -m store.migrate",
        description="Bring the database to the shape this version knows. Every command that opens the database "
        "does so by itself; you need this one to go back, or to do it ahead of time.",
        example="python -m store.migrate --url sqlite:///runs/tradewright.db",
    )
    command.add_argument(
        "--url", help="sqlite:///PATH or postgresql://...; default: store.url of the settings"
    )
    command.add_argument("--to", default="head", metavar="REV", help="a revision, head (default) or base")
    command.add_argument("--yes", action="store_true", help="go back although it deletes what is stored")
    return command


def main(args: argparse.Namespace) -> int:
    """Move the database and say from where to where."""
    from store.database import backup_hint, shown
    from store.revisions import migrate, order, resolve
    from store.session import open_engine

    wanted = resolve(args.to)
    engine, found = open_engine(args.url or configured_url(), create=wanted is not None)
    try:
        if order(wanted) < order(found) and not args.yes:
            raise UserError(
                f"going back from revision {found} to {args.to} deletes what is stored",
                hint=f"make a copy first ({backup_hint(engine.url)}), then add --yes",
            )
        before, after = migrate(engine, args.to)
        name = shown(engine.url)
    finally:
        engine.dispose()
    if args.json:
        print_json({"database": name, "before": before, "after": after})
    elif before == after:
        print(f"{name} is at revision {after or 'base'} already")
    else:
        print(f"{name}: revision {before or 'base'} -> {after or 'base'}")
    return 0


def configured_url() -> str:
    """`store.url` of the settings."""
    from core.config import load_settings

    return load_settings().store.url


if __name__ == "__main__":
    run_command(parser(), main)

"""See, make and check configuration: `python -m core.config list|show|new|check`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser, print_json, run_command

if TYPE_CHECKING:
    from core.config.schema import Settings

PROG = "python -m core.config"


def build_parser() -> CommandParser:
    """The command line of this module."""
    parser = CommandParser(
        prog=PROG,
        description="See, make and check the configuration.",
        example=f"{PROG} new --template crypto-momentum --out tradewright.toml",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|new|check")
    listed = actions.add_parser(
        "list",
        help="every setting with type, default and meaning, and the templates",
        description="Print every setting and every template.",
        example=f"{PROG} list broker",
    )
    listed.add_argument("section", nargs="?", help="one section only, such as broker")
    show = actions.add_parser(
        "show",
        help="the settings in force here, and where each value comes from",
        description="Print the settings in force and their sources; secrets are hidden.",
        example=f"{PROG} show --set broker.cash=5000",
    )
    show.add_argument(
        "--config", type=Path, metavar="FILE", help="instead of tradewright.toml in this folder"
    )
    show.add_argument("--environment", metavar="NAME", help="dev, paper or production")
    show.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    new = actions.add_parser(
        "new",
        help="write a configuration that works",
        description="Write a template as a configuration file.",
        example=f"{PROG} new --template stock-momentum",
    )
    new.add_argument("--template", required=True, metavar="NAME", help=f"see {PROG} list")
    new.add_argument(
        "--out", type=Path, default=Path("tradewright.toml"), metavar="FILE", help="default: %(default)s"
    )
    new.add_argument("--force", action="store_true", help="overwrite the file if it exists")
    check = actions.add_parser(
        "check",
        help="say whether a file is valid, with its overlay",
        description="Check a configuration file by itself: without the environment and .env.",
        example=f"{PROG} check tradewright.toml --environment production",
    )
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--environment", metavar="NAME", help="dev, paper or production")
    return parser


def main(args: argparse.Namespace) -> int:
    """Run one action; returns the exit code."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list,
        "show": _show,
        "new": _new,
        "check": _check,
    }
    return actions[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from core.config.catalogue import entries, sections, templates
    from core.errors import UnknownNameError

    if args.section is not None and args.section not in sections():
        raise UnknownNameError("section", args.section, sections())
    chosen = [
        entry
        for entry in entries().values()
        if not args.section or f"{entry.section}.".startswith(f"{args.section}.")
    ]
    if args.json:
        settings = [
            {
                "key": entry.key,
                "section": entry.section,
                "allowed": entry.allowed,
                "default": entry.default,
                "variable": entry.variable,
                "description": entry.description,
            }
            for entry in chosen
        ]
        shown = [{"name": item.name, "description": item.description} for item in templates().values()]
        print_json({"sections": sections(), "settings": settings, "templates": shown})
        return 0
    section = None
    for entry in chosen:
        if entry.section != section:
            section = entry.section
            print(f"\n[{section}] {sections()[section]}" if section else "At the top of the file")
        print(f"  {entry.key} = {_shown(entry.default)}")
        print(f"      {entry.description}")
        print(f"      {entry.allowed}; {entry.variable}")
    if args.section is None:
        print("\nTemplates")
        for item in templates().values():
            print(f"  {item.name:<20}{item.description}")
        print(f"\nStart from one: {PROG} new --template stock-momentum")
    return 0


def _show(args: argparse.Namespace) -> int:
    from core.config.sources import explain_settings, parse_assignments

    settings, origins = explain_settings(
        environment=args.environment, file=args.config, cli=parse_assignments(args.set)
    )
    values = _flat(settings)
    if args.json:
        print_json({key: {"value": values[key], "source": origin} for key, origin in origins.items()})
        return 0
    width = max(len(key) + len(_shown(values[key])) for key in origins) + 3
    for key, origin in origins.items():
        line = f"{key} = {_shown(values[key])}"
        print(line if origin == "default" else f"{line:<{width}}  # {origin}")
    return 0


def _new(args: argparse.Namespace) -> int:
    from core.config.catalogue import read_template
    from core.config.sources import load_settings
    from core.errors import ConfigError

    template = read_template(args.template)
    if args.out.suffix != ".toml":
        raise ConfigError(f"{args.out} does not end in .toml", hint="templates are TOML: choose another name")
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w" if args.force else "x", encoding="utf-8") as file:
            file.write(template.text)
    except FileExistsError:
        raise ConfigError(f"{args.out} exists already", hint="add --force to overwrite it") from None
    except OSError as error:
        raise ConfigError(
            f"cannot write {args.out}: {error.strerror}", hint="choose another --out"
        ) from error
    settings = load_settings(file=args.out, env={}, dotenv=None)
    command = f"python -m live.run {settings.strategy.name}"
    if args.out != Path("tradewright.toml"):
        command += f" --config {args.out}"
    if args.json:
        print_json({"file": args.out, "template": template.name, "next": command})
    else:
        print(f"wrote {args.out} from template {template.name}; try: {command}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from core.config.sources import load_settings

    settings = load_settings(environment=args.environment, file=args.file, env={}, dotenv=None)
    if args.json:
        print_json({"file": args.file, "valid": True, "environment": settings.environment})
    else:
        print(f"{args.file}: valid, environment {settings.environment}")
    return 0


def _flat(settings: Settings) -> dict[str, Any]:
    """All values by dotted key, secrets hidden."""
    from core.config.catalogue import dotted

    return dotted(settings.public())


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    run_command(build_parser(), main)

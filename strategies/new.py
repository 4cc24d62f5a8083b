"""`python -m strategies.new NAME`: writes a strategy to start from, and a passing test for it."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from pathlib import Path

from core.cli import CommandParser, print_json, run_command
from core.errors import StrategyError
from strategies import templates

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def scaffold(name: str, folder: Path) -> tuple[Path, Path, str]:
    """Write `NAME.py` and `test_NAME.py` into `folder`; returns both paths and the class's name.

    Raises StrategyError, and writes nothing, for a name that is no module name or a file that is there.
    """
    _check_name(name)
    class_name = "".join(part.capitalize() for part in name.split("_"))
    files = {folder / f"{name}.py": templates.STRATEGY, folder / f"test_{name}.py": templates.TEST}
    for path in files:
        if path.exists():
            raise StrategyError(
                f"{path} exists already", hint="choose another name, or another folder with --dir"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, template in files.items():
            text = template.replace("CLASS_NAME", class_name).replace("MODULE_NAME", name)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StrategyError(
            f"cannot write to {folder}: {error.strerror}", hint="choose a folder you may write to with --dir"
        ) from error
    strategy, test = files
    return strategy, test, class_name


def _check_name(name: str) -> None:
    if NAME.fullmatch(name) and not keyword.iskeyword(name) and name not in sys.stdlib_module_names:
        return
    words = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip(
        "_0123456789"
    )
    bad = not NAME.fullmatch(words) or keyword.iskeyword(words) or words in sys.stdlib_module_names
    # A suggestion must not be refused in its turn.
    suggestion = f"{words}_strategy" if words and bad else words or "my_strategy"
    raise StrategyError(
        f"{name!r} cannot name a strategy",
        hint=f"use lower-case words joined by underscores, such as {suggestion}",
    )


def main(args: argparse.Namespace) -> int:
    """Write the files and say what to try next."""
    strategy, test, class_name = scaffold(args.name, Path(args.dir))
    command = f"python -m live.run {strategy}:{class_name}"
    if args.json:
        print_json({"strategy": str(strategy), "test": str(test), "class": class_name, "next": command})
        return 0
    print(f"wrote {strategy}\nwrote {test}\ntest it: python -m pytest {test}\nrun it:  {command}")
    return 0


def build_parser() -> CommandParser:
    """The command's options."""
    parser = CommandParser(
        prog="python -m strategies.new",
        description="Write a strategy to start from, and a passing test for it.",
        example="python -m strategies.new golden_cross --dir my_strategies",
    )
    parser.add_argument("name", help="lower-case words joined by underscores; names the file and the class")
    parser.add_argument("--dir", default=".", help="folder to write to, made if needed (default: here)")
    return parser


if __name__ == "__main__":
    run_command(build_parser(), main)

"""Calls that are being written out, and the ways out of them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from engine.compiled.emit import Tree
from engine.compiled.values import Value
from engine.refusal import Refused

NEVER: Any = object()
"""In place of a value: computing it always raises."""


class Never(Exception):
    """What is being walked raises in Python whenever it is reached."""


DEPTH_LIMIT = 24


def class_entry(cls: type, name: str) -> Any:
    """What a class and those it inherits from have under a name, as it stands there; None if nothing."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


@lru_cache(maxsize=2048)
def parsed(function: Any) -> tuple[ast.FunctionDef | ast.Lambda, str]:
    """The syntax tree of a function, with the line numbers of its file, and the file."""
    try:
        lines, first = inspect.getsourcelines(function)
        file = inspect.getsourcefile(function) or "?"
    except (OSError, TypeError) as error:
        raise Refused(
            f"the source of {getattr(function, '__qualname__', function)} is not to be had"
        ) from error
    tree = ast.parse(textwrap.dedent("".join(lines)))
    ast.increment_lineno(tree, first - 1)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            return node, file
    raise Refused(f"no function in the source of {function}")


@dataclass(slots=True)
class Jump:
    """A way out of a loop or call: the names as they stood, and where their values can still be stored."""

    env: dict[str, Value]
    place: Tree


@dataclass(slots=True)
class Context:
    """Something a statement can jump out of: a call, a loop of the kernel, one turn of a loop written out."""

    kind: str  # "call", "loop", "turn"
    flag: str = ""  # the variable that tells outer contexts to go on jumping
    jumped: bool = False  # whether a jump through this context was written
    breaks: list[Jump] = field(default_factory=list)
    continues: list[Jump] = field(default_factory=list)


@dataclass(slots=True)
class Frame:
    """One call that is being written out in place."""

    name: str
    path: tuple[Hashable, ...]
    file: str
    env: dict[str, Value]
    scope: dict[str, Any]
    owner: type | None = None  # the class the function was found in
    first: Value = None  # what its first parameter is bound to
    returns: list[Value] = field(default_factory=list)
    context: Context | None = None
    assigned: frozenset[str] = frozenset()
    outer: Frame | None = None
    own: bool = True  # whether it is the user's code, not Backtrader's

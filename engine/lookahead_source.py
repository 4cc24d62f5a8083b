"""Where a strategy's source reads bars that have not come yet, found without running it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LINES = frozenset({"open", "high", "low", "close", "volume", "openinterest", "datetime", "lines"})
WHOLE = frozenset({"array", "buflen"})
"""What shows all bars of a line, or how many there will be."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One expression that may see the future. text: the expression as it is written.

    back: how many bars back it reads; on a bar with fewer before it Backtrader hands out the last bars instead.
    0 for one that looks ahead on every bar.
    """

    file: str
    line: int
    text: str
    back: int = 0

    def on(self, bar: int) -> bool:
        """Whether it can see the future on this bar, the first of which is 0."""
        return not self.back or bar < self.back

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def suspects(strategy: type[Any]) -> tuple[Suspect, ...]:
    """Positive indices into lines, `get(ago=1)`, `line(1)`, `.array` and `.buflen()` in the author's classes.

    Negative indices too, which are harmless once there are bars enough before.
    """
    found: dict[tuple[str, int, str], Suspect] = {}
    for cls in strategy.__mro__:
        if cls is object or cls.__module__.partition(".")[0] == "backtrader":
            continue
        for suspect in _in_class(cls):
            found.setdefault((suspect.file, suspect.line, suspect.text), suspect)
    return tuple(found.values())


def _in_class(cls: type[Any]) -> Iterator[Suspect]:
    try:
        file, (lines, first) = inspect.getsourcefile(cls) or "", inspect.getsourcelines(cls)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return  # made without a source file
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr):
            continue
        back = _reads_back(node)
        if back or _looks_ahead(node):
            yield Suspect(file, first + node.lineno - 1, ast.unparse(node), back)


def _reads_back(node: ast.expr) -> int:
    """How many bars back an index into a line reads, 0 for any other expression."""
    if not (isinstance(node, ast.Subscript) and _is_line(node.value)):
        return 0
    index = node.slice
    if not (isinstance(index, ast.UnaryOp) and isinstance(index.op, ast.USub)):
        return 0
    constant = index.operand
    return constant.value if isinstance(constant, ast.Constant) and type(constant.value) is int else 0


def _looks_ahead(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return _positive(node.slice) and _is_line(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr in WHOLE and _is_line(node.value)
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr == "get" and _is_line(node.func.value):
        ago = node.args[0] if node.args else None
        named = [keyword.value for keyword in node.keywords if keyword.arg == "ago"]
        return any(_positive(value) for value in (ago, *named) if value is not None)
    return len(node.args) == 1 and _positive(node.args[0]) and _is_line(node.func)


def _positive(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
        return _positive(node.operand)
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value > 0


def _is_line(node: ast.expr) -> bool:
    """Whether an expression reads like a data or one of its lines: `self.data.close`, `d.high`, `self.data1`."""
    if isinstance(node, ast.Attribute):
        return node.attr in LINES or (node.attr.startswith("data") and node.attr != "datas")
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Attribute) and node.value.attr == "datas"
    return isinstance(node, ast.Name) and (node.id in LINES or node.id.startswith("data"))

"""How a block of a kernel becomes the text of a function that others like it can share."""

from __future__ import annotations

import ast
from collections.abc import Sequence

BROKER = {"submit": "_submit", "cancel": "_cancel", "data_value": "_data_value", "touch": "_touch"}
"""What calls the broker with a whole book, and with the address of its desk: a part is given that alone."""


def first_seen(node: ast.AST) -> dict[str, int]:
    """Names by the order in which they first appear."""
    found: dict[str, int] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.setdefault(part.id, len(found))
    return found


def function_text(
    node: ast.stmt,
    arguments: Sequence[str],
    starts: Sequence[str],
    results: Sequence[str],
    inner: dict[str, str],
    returns: bool,
) -> str:
    """A function that does what a block does; a `return` in it gives its number first, its end a zero."""
    values = ", ".join(results)
    text = ast.unparse(Renamed(inner, results).visit(node))
    end = f"return {', '.join(['0', *results])}" if returns else f"return {values}" if values else ""
    lines = [f"    {line}" for line in [*starts, *text.splitlines(), end] if line]
    return "\n".join([f"def part({', '.join(arguments)}):", *lines])


def copy_of(node: ast.stmt) -> ast.AST:
    """A copy that may be changed."""
    return ast.parse(ast.unparse(node)).body[0]


class AtDesk(ast.NodeTransformer):
    """Calls the broker by the address of its desk."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """A call of the broker, or any other."""
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in BROKER:
            node.func.id, node.args[0] = BROKER[node.func.id], ast.Name("desk", ast.Load())
        return node


class Opened(ast.NodeTransformer):
    """Makes arguments of the constants in which blocks mostly differ: sides, reasons of orders, strings in objects."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.values: list[str] = []

    def argument(self, value: str) -> ast.expr:
        """A new argument."""
        self.names.append(f"c{len(self.names)}")
        self.values.append(value)
        return ast.Name(self.names[-1], ast.Load())

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        """A number that becomes part of an object."""
        self.generic_visit(node)
        target = node.targets[0]
        if isinstance(target, ast.Subscript) and ast.unparse(target.value) == "heap" and is_whole(node.value):
            node.value = self.argument(f"np.int64({ast.unparse(node.value)})")
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.BinOp:
        """A side as a factor."""
        self.generic_visit(node)
        if isinstance(node.op, ast.Mult) and ast.unparse(node.right) in ("1.0", "-1.0"):
            node.right = self.argument(ast.unparse(node.right))
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """What is ordered, and what an argument of a part already is."""
        function = ast.unparse(node.func)
        if function == "np.int64" and is_whole(node.args[0]):
            return self.argument(ast.unparse(node))
        self.generic_visit(node)
        if function in ("new_list", "new_object") and is_whole(node.args[2]):
            node.args[2] = self.argument(f"np.int64({ast.unparse(node.args[2])})")
        if function == BROKER["submit"]:
            if is_whole(node.args[-1]):
                node.args[-1] = self.argument(f"np.int64({ast.unparse(node.args[-1])})")
            side = {"abs": "1.0", "-abs": "-1.0"}.get(ast.unparse(node.args[3]).partition("(")[0])
            if side is not None:
                size = node.args[3]
                size = size.operand if isinstance(size, ast.UnaryOp) else size
                node.args[3] = ast.BinOp(self.argument(side), ast.Mult(), size)
        elif function.startswith("part_"):
            node.args = [
                self.argument(ast.unparse(value)) if ast.unparse(value) in ("1.0", "-1.0") else value
                for value in node.args
            ]
        return node


def is_whole(value: ast.expr) -> bool:
    """Whether an expression is a whole number."""
    return ast.unparse(value).strip("()").lstrip("-").isdigit()


class Renamed(ast.NodeTransformer):
    """Gives variables the names they have in the function, and results to its `return`."""

    def __init__(self, names: dict[str, str], results: Sequence[str]) -> None:
        self.names, self.results = names, results

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """A variable."""
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_Return(self, node: ast.Return) -> ast.Return:
        """A return in a part: its own number, and the results as they stand."""
        assert node.value is not None
        node.value = self.visit(node.value)
        if not self.results:
            return node
        return ast.Return(
            ast.Tuple([node.value, *(ast.Name(name, ast.Load()) for name in self.results)], ast.Load())
        )


def typed(value: ast.expr) -> ast.expr:
    """A constant as numba takes it for a number of its type: it compiles a function anew for each literal."""
    code = ast.unparse(value)
    if code in ("True", "False"):
        code = f"np.bool_({code})"
    elif code.lstrip("-").isdigit():
        code = f"np.int64({code})"
    return ast.parse(code, mode="eval").body


def is_first_value(node: ast.Assign) -> bool:
    """Whether a statement gives a variable its first value, which depends on nothing."""
    value = node.value
    if isinstance(value, ast.UnaryOp):
        value = value.operand
    return isinstance(value, ast.Constant) or (
        isinstance(value, ast.Call) and ast.unparse(value.func) == "np.empty"
    )


__all__ = ["BROKER", "AtDesk", "Opened", "copy_of", "first_seen", "function_text", "is_first_value", "typed"]

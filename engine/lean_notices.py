"""On which statuses a strategy's `notify_order` does nothing, read off its source.

Most people's begins `if order.status in [order.Submitted, order.Accepted]: return`, or does nothing but
`if order.status == order.Completed: ...`. Telling such a method of the other statuses has no effect.
"""

from __future__ import annotations

import ast
import functools
import inspect
import operator
import textwrap
from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any

import backtrader as bt
from backtrader.order import Order

STATUSES = frozenset(range(len(Order.Status)))
ALIVE = frozenset((Order.Created, Order.Submitted, Order.Accepted, Order.Partial))
NONE: frozenset[int] = frozenset()
COMPARISONS = {ast.Eq: operator.eq, ast.NotEq: operator.ne}


@functools.lru_cache(maxsize=256)
def ignored_statuses(method: Any) -> frozenset[int]:
    """Statuses on which `notify_order` returns without having done anything; none where that is not certain."""
    if type(method) is not FunctionType or method.__code__.co_argcount != 2:
        return NONE
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(method))).body
    except (OSError, SyntaxError, ValueError):
        return NONE
    if not isinstance(definition, ast.FunctionDef) or not _is_source_of(definition, method.__code__):
        return NONE
    order = definition.args.args[1].arg
    known = {order: Order}
    for name in ("bt", "backtrader", "Order"):
        value = method.__globals__.get(name)
        if value is bt or value is Order:
            known[name] = value
    return frozenset(
        status for status in STATUSES if _Status(status, order, known).ends(definition.body) is not None
    )


def _is_source_of(definition: ast.FunctionDef, code: CodeType) -> bool:
    """Whether the text found is that of the method that runs: files change, decorators hide what they wrap."""
    if definition.decorator_list:
        return False
    module = compile(ast.Module([definition], []), code.co_filename, "exec")
    return any(
        made.co_code == code.co_code and made.co_names == code.co_names and _values(made) == _values(code)
        for made in module.co_consts
        if isinstance(made, CodeType)
    )


def _values(code: CodeType) -> list[str]:
    return [repr(value) for value in code.co_consts if not isinstance(value, CodeType)]


class _Status:
    """Follows the statements of a method that is given an order of one status.

    order: the name of its parameter. known: what names stand for.
    """

    def __init__(self, status: int, order: str, known: dict[str, Any]) -> None:
        self.status, self.order, self.known = status, order, known

    def ends(self, statements: Iterable[ast.stmt]) -> bool | None:
        """Whether they return (True) or come to their end (False), having done nothing; else None."""
        for statement in statements:
            if isinstance(statement, ast.Return):
                literal = statement.value is None or isinstance(statement.value, ast.Constant)
                return True if literal else None
            if isinstance(statement, ast.Pass):
                continue
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue
            if not isinstance(statement, ast.If):
                return None
            holds = self.holds(statement.test)
            if holds is None:
                return None
            inner = self.ends(statement.body if holds else statement.orelse)
            if inner is not False:
                return inner
        return False

    def holds(self, test: ast.expr) -> bool | None:
        """Whether a condition on the status alone holds; None for any other."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.holds(test.operand)
            return None if inner is None else not inner
        if isinstance(test, ast.BoolOp):
            decisive = isinstance(test.op, ast.Or)
            for value in test.values:
                inner = self.holds(value)
                if inner is None or inner is decisive:
                    return inner
            return not decisive
        if ast.unparse(test) == f"{self.order}.alive()":
            return self.status in ALIVE
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return None
        if ast.unparse(test.left) != f"{self.order}.status":
            return None
        return self.compares(test.ops[0], test.comparators[0])

    def compares(self, sign: ast.cmpop, right: ast.expr) -> bool | None:
        """Whether the status compares so with one status, or with a list of them."""
        if type(sign) in COMPARISONS:
            other = self.named(right)
            return None if other is None else bool(COMPARISONS[type(sign)](self.status, other))
        if not isinstance(sign, ast.In | ast.NotIn) or not isinstance(right, ast.List | ast.Tuple | ast.Set):
            return None
        others = [self.named(element) for element in right.elts]
        return None if None in others else (self.status in others) is isinstance(sign, ast.In)

    def named(self, element: ast.expr) -> int | None:
        """The status that `order.Completed`, `Order.Completed` or `bt.Order.Completed` names, None for other text."""
        owner, *words = ast.unparse(element).split(".")
        found: Any = self.known.get(owner)
        if found is bt and words[:1] == ["Order"]:
            found, words = Order, words[1:]
        if found is not Order or len(words) != 1 or words[0] not in (*Order.Status, "Cancelled"):
            return None
        return int(getattr(Order, words[0]))

"""From plain Python functions over numbers and records to LLVM, in one step.

numba infers the type of every value first, which for the broker takes seconds. Here every parameter and result says
its type, a local variable has the type of what it is first given, and a function is written down as it stands.
Known are whole numbers (64 bits), floats, truths, records by address (`Reader`), tuples as results; `if`, `while`,
`for ... in range`, arithmetic, comparisons, `abs`, `float`, `math.floor` and `math.isnan`. Whatever else a function says
raises `NotLowered`.

Arithmetic is Python's as long as whole numbers fit into 64 bits; a division by zero gives infinity or NaN. Nothing is
checked, nothing raises.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]

from engine.compiled.lowered_expressions import LoweredExpressions
from engine.compiled.lowered_types import (
    INT,
    NOTHING,
    Signature,
    Value,
)


def lowered(
    module: ir.Module, functions: Sequence[Callable[..., Any]], entries: Mapping[str, Callable[..., Any]]
) -> None:
    """Write functions into a module: `entries` under their names, the others for them alone. Raises NotLowered."""
    names = {id(function): name for name, function in entries.items()}
    known: dict[int, tuple[Signature, ir.Function]] = {}
    for number, function in enumerate(functions):
        name = names.get(id(function))
        signature = Signature(function, name or f"{function.__name__}.{number}")
        made = ir.Function(module, signature.type, signature.name)
        made.attributes.add("nounwind")
        if name is None:
            made.linkage = "internal"
        known[id(function)] = signature, made
    for signature, made in known.values():
        _Body(signature, made, known).write()


class _Body(LoweredExpressions):
    """Writes one function."""

    def write(self) -> None:
        """The whole function."""
        body = self.builder.block
        for argument, code in zip(self.signature.tree.args.args, self.made.args, strict=True):
            self.store(argument.arg, Value(code))
        self.block(self.signature.tree.body)
        if not self.builder.block.is_terminated:
            if self.signature.result is not NOTHING:
                self.builder.unreachable()
            else:
                self.builder.ret_void()
        with self.builder.goto_block(self.first):
            self.builder.branch(body)

    # -- statements

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Statements, up to the first that leaves."""
        for statement in body:
            if self.builder.block.is_terminated:
                return
            write = getattr(self, f"_{type(statement).__name__.lower()}", None)
            if write is None:
                raise self.problem(statement)
            write(statement)

    def _pass(self, node: ast.Pass) -> None:
        return

    def _expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.value(node.value)

    def _assign(self, node: ast.Assign) -> None:
        value = self.parts(node.value)
        for target in node.targets:
            self.assign(target, value)

    def _augassign(self, node: ast.AugAssign) -> None:
        value = self.arithmetic(node, node.op, self.value(node.target), self.value(node.value))
        self.assign(node.target, [value])

    def _return(self, node: ast.Return) -> None:
        result = self.signature.result
        if node.value is None:
            self.builder.ret_void()
            return
        values = self.parts(node.value)
        if not isinstance(result, ir.LiteralStructType):
            self.builder.ret(self.converted(values[0], result, node))
            return
        whole = ir.Constant(result, ir.Undefined)
        for number, (value, kind) in enumerate(zip(values, result.elements, strict=True)):
            whole = self.builder.insert_value(whole, self.converted(value, kind, node), number)
        self.builder.ret(whole)

    def _if(self, node: ast.If) -> None:
        yes, no, after = (self.made.append_basic_block(name) for name in ("then", "else", "after"))
        self.builder.cbranch(self.truth(node.test), yes, no)
        self.branch(yes, node.body, after)
        self.branch(no, node.orelse, after)
        self.builder.position_at_end(after)

    def _while(self, node: ast.While) -> None:
        test, body, after = (self.made.append_basic_block(name) for name in ("test", "loop", "after"))
        if node.orelse:
            raise self.problem(node)
        self.builder.branch(test)
        self.builder.position_at_end(test)
        self.builder.cbranch(self.truth(node.test), body, after)
        self.loops.append((test, after))
        self.branch(body, node.body, test)
        self.loops.pop()
        self.builder.position_at_end(after)

    def _for(self, node: ast.For) -> None:
        call = node.iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise self.problem(node)
        if node.orelse or len(call.args) > 2 or not isinstance(node.target, ast.Name):
            raise self.problem(node)
        bounds = [self.converted(self.value(argument), INT, node) for argument in call.args]
        first, last = bounds if len(bounds) == 2 else (ir.Constant(INT, 0), bounds[0])
        counter = self.slot(INT, "counter")
        self.builder.store(first, counter)
        names = ("test", "loop", "next", "after")
        test, body, following, after = (self.made.append_basic_block(name) for name in names)
        self.builder.branch(test)
        self.builder.position_at_end(test)
        at = self.builder.load(counter)
        self.builder.cbranch(self.builder.icmp_signed("<", at, last), body, after)
        self.builder.position_at_end(body)
        self.store(node.target.id, Value(at))
        self.loops.append((following, after))
        self.branch(body, node.body, following)
        self.loops.pop()
        self.builder.position_at_end(following)
        self.builder.store(self.builder.add(self.builder.load(counter), ir.Constant(INT, 1)), counter)
        self.builder.branch(test)
        self.builder.position_at_end(after)

    def _break(self, node: ast.Break) -> None:
        self.builder.branch(self.loops[-1][1])

    def _continue(self, node: ast.Continue) -> None:
        self.builder.branch(self.loops[-1][0])

    def branch(self, block: Any, body: Sequence[ast.stmt], after: Any) -> None:
        """Statements in a block of their own, which goes on at `after`."""
        self.builder.position_at_end(block)
        self.block(body)
        if not self.builder.block.is_terminated:
            self.builder.branch(after)

    # -- variables

    def assign(self, target: ast.expr, values: Sequence[Value]) -> None:
        """Give a variable, a field, or several of them their values."""
        if isinstance(target, ast.Tuple):
            for part, value in zip(target.elts, values, strict=True):
                self.assign(part, [value])
            return
        if len(values) != 1:
            raise self.problem(target)
        if isinstance(target, ast.Name):
            self.store(target.id, values[0], target)
        elif isinstance(target, ast.Attribute):
            place = self.place(target)
            self.builder.store(self.converted(values[0], place.type.pointee, target), place)
        else:
            raise self.problem(target)

    # -- expressions


__all__ = ["lowered"]

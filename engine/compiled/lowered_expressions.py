"""Expressions of a function that is lowered."""

from __future__ import annotations

import ast
import inspect
import math
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]

from engine.compiled.lowered_types import (
    BOOL,
    FLOAT,
    INT,
    TYPES,
    Copier,
    NotLowered,
    Reader,
    Signature,
    Value,
    Writer,
)

ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}
COMPARISONS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


class LoweredExpressions:
    """Writes expressions and keeps the variables they read."""

    def __init__(
        self, signature: Signature, made: ir.Function, known: Mapping[int, tuple[Signature, ir.Function]]
    ) -> None:
        self.signature, self.made, self.known = signature, made, known
        self.space: dict[str, Any] = signature.function.__globals__
        self.locals: dict[str, Value] = {}
        self.loops: list[tuple[Any, Any]] = []
        self.first = made.append_basic_block("entry")
        self.builder = ir.IRBuilder(made.append_basic_block("body"))

    def problem(self, node: ast.AST) -> NotLowered:
        """What is wrong, and where."""
        code = self.signature.function.__code__
        line = code.co_firstlineno + getattr(node, "lineno", 1) - 1
        return NotLowered(f"{code.co_filename}:{line}: {ast.unparse(node)}")

    def slot(self, kind: Any, name: str) -> Any:
        """Memory for a local variable."""
        with self.builder.goto_block(self.first):
            return self.builder.alloca(kind, name=name)

    def store(self, name: str, value: Value, node: ast.AST | None = None) -> None:
        """Give a local variable its value; the first one decides its type."""
        if name not in self.locals:
            self.locals[name] = Value(self.slot(value.type, name), value.record)
        slot = self.locals[name]
        if slot.record != value.record:
            raise self.problem(node or self.signature.tree)
        self.builder.store(self.converted(value, slot.type.pointee, node or self.signature.tree), slot.code)

    def place(self, node: ast.Attribute) -> Any:
        """Where a field of a record is."""
        record = self.value(node.value)
        if record.record is None or record.record.fields is None or node.attr not in record.record.fields:
            raise self.problem(node)
        dtype, offset = record.record.fields[node.attr][:2]
        return self.memory(self.builder.add(record.code, ir.Constant(INT, offset)), dtype)

    def memory(self, address: Any, dtype: np.dtype[Any]) -> Any:
        """A pointer to a number."""
        kind = {"i8": INT, "f8": FLOAT}.get(f"{dtype.kind}{dtype.itemsize}")
        if kind is None:
            raise NotLowered(f"numbers of {dtype}")
        return self.builder.inttoptr(address, kind.as_pointer())

    def parts(self, node: ast.expr) -> list[Value]:
        """The values of a tuple, or of a call that returns one; of anything else the one value."""
        if isinstance(node, ast.Tuple):
            return [self.value(part) for part in node.elts]
        value = self.value(node)
        if not isinstance(value.type, ir.LiteralStructType):
            return [value]
        return [
            Value(self.builder.extract_value(value.code, number))
            for number in range(len(value.type.elements))
        ]

    def value(self, node: ast.expr) -> Value:
        """What an expression is at run time."""
        constant = self.static(node)
        if constant is not None and isinstance(constant, (bool, int, float)):
            kind = TYPES[type(constant).__name__]
            return Value(ir.Constant(kind, constant))
        read = getattr(self, f"_value_{type(node).__name__.lower()}", None)
        if read is None:
            raise self.problem(node)
        found: Value = read(node)
        return found

    def static(self, node: ast.expr) -> Any:
        """What is known before the run: a literal, a global, an attribute of a module; None for all else."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name) and node.id not in self.locals:
            return self.space.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.static(node.value)
            return getattr(owner, node.attr, None) if isinstance(owner, types.ModuleType) else None
        return None

    def _value_name(self, node: ast.Name) -> Value:
        if node.id not in self.locals:
            raise self.problem(node)
        slot = self.locals[node.id]
        return Value(self.builder.load(slot.code), slot.record)

    def _value_attribute(self, node: ast.Attribute) -> Value:
        return Value(self.builder.load(self.place(node)))

    def _value_subscript(self, node: ast.Subscript) -> Value:
        parts = self.parts(node.value)
        if not isinstance(node.slice, ast.Constant) or not isinstance(node.slice.value, int):
            raise self.problem(node)
        return parts[node.slice.value]

    def _value_binop(self, node: ast.BinOp) -> Value:
        return self.arithmetic(node, node.op, self.value(node.left), self.value(node.right))

    def arithmetic(self, node: ast.AST, operation: ast.operator, left: Value, right: Value) -> Value:
        """An operation on two numbers; on whole ones alone it stays whole."""
        whole = left.type == right.type == INT
        if isinstance(operation, ast.BitAnd) and whole:
            return Value(self.builder.and_(left.code, right.code))
        name = ARITHMETIC.get(type(operation))
        if name is not None and whole:
            return Value(getattr(self.builder, name)(left.code, right.code))
        name = "fdiv" if isinstance(operation, ast.Div) else f"f{name}" if name else None
        if name is None:
            raise self.problem(node)
        a, b = self.converted(left, FLOAT, node), self.converted(right, FLOAT, node)
        return Value(getattr(self.builder, name)(a, b))

    def _value_unaryop(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return Value(self.builder.not_(self.truth(node.operand)))
        value = self.value(node.operand)
        if isinstance(node.op, ast.USub) and value.type == FLOAT:
            return Value(self.builder.fneg(value.code))
        if isinstance(node.op, ast.USub) and value.type == INT:
            return Value(self.builder.neg(value.code))
        raise self.problem(node)

    def _value_compare(self, node: ast.Compare) -> Value:
        if len(node.ops) != 1:
            raise self.problem(node)
        left, other = self.value(node.left), node.comparators[0]
        if not isinstance(node.ops[0], ast.In):
            return self.compared(node, COMPARISONS.get(type(node.ops[0])), left, self.value(other))
        if not isinstance(other, ast.Tuple):
            raise self.problem(node)
        found: Any = ir.Constant(BOOL, False)
        for part in other.elts:
            found = self.builder.or_(found, self.compared(node, "==", left, self.value(part)).code)
        return Value(found)

    def compared(self, node: ast.AST, operator: str | None, left: Value, right: Value) -> Value:
        """Two numbers compared; NaN is unequal to everything."""
        if operator is None:
            raise self.problem(node)
        if left.type == right.type == INT:
            return Value(self.builder.icmp_signed(operator, left.code, right.code))
        a, b = self.converted(left, FLOAT, node), self.converted(right, FLOAT, node)
        compare = self.builder.fcmp_unordered if operator == "!=" else self.builder.fcmp_ordered
        return Value(compare(operator, a, b))

    def _value_boolop(self, node: ast.BoolOp) -> Value:
        slot = self.slot(BOOL, "truth")
        after = self.made.append_basic_block("after")
        for number, part in enumerate(node.values):
            self.builder.store(self.truth(part), slot)
            if number == len(node.values) - 1:
                self.builder.branch(after)
                break
            following = self.made.append_basic_block("following")
            so_far = self.builder.load(slot)
            yes, no = (following, after) if isinstance(node.op, ast.And) else (after, following)
            self.builder.cbranch(so_far, yes, no)
            self.builder.position_at_end(following)
        self.builder.position_at_end(after)
        return Value(self.builder.load(slot))

    def _value_ifexp(self, node: ast.IfExp) -> Value:
        yes, no, after = (self.made.append_basic_block(name) for name in ("yes", "no", "after"))
        self.builder.cbranch(self.truth(node.test), yes, no)
        ends = []
        for block, part in ((yes, node.body), (no, node.orelse)):
            self.builder.position_at_end(block)
            ends.append((self.value(part), self.builder.block))
        kinds = [value.type for value, _ in ends]
        kind = kinds[0] if kinds[0] == kinds[1] else FLOAT
        codes = []
        for value, block in ends:
            self.builder.position_at_end(block)
            codes.append(self.converted(value, kind, node))
            self.builder.branch(after)
        self.builder.position_at_end(after)
        found = self.builder.phi(kind)
        for code, (_, block) in zip(codes, ends, strict=True):
            found.add_incoming(code, block)
        return Value(found)

    def _value_call(self, node: ast.Call) -> Value:
        if node.keywords:
            raise self.problem(node)
        callee = self.static(node.func)
        if callee is None and isinstance(node.func, ast.Name):
            callee = {"abs": abs, "float": float}.get(node.func.id)
        values = [self.value(argument) for argument in node.args]
        if isinstance(callee, Reader):
            return self.read(callee, *values)
        if isinstance(callee, Writer):
            address, index, number = values
            place = self.element(address, index, callee.dtype)
            self.builder.store(self.converted(number, place.type.pointee, node), place)
            return Value(ir.Constant(INT, 0))
        if isinstance(callee, Copier):
            self.copy(callee, *values)
            return Value(ir.Constant(INT, 0))
        if callee in (abs, float, math.floor, math.isnan):
            return self.mathematics(node, callee, *values)
        known = self.known.get(id(inspect.unwrap(callee))) if callable(callee) else None
        if known is None:
            raise self.problem(node)
        signature, function = known
        arguments = [
            self.converted(value, kind, node)
            for value, kind in zip(values, signature.parameters, strict=True)
        ]
        return Value(self.builder.call(function, arguments))

    def read(self, reader: Reader, address: Value, index: Value) -> Value:
        """The record or the number at a place of an array."""
        if reader.dtype.fields is None:
            return Value(self.builder.load(self.element(address, index, reader.dtype)))
        size = ir.Constant(INT, reader.dtype.itemsize)
        place = self.builder.add(address.code, self.builder.mul(index.code, size))
        return Value(place, reader.dtype)

    def element(self, address: Value, index: Value, dtype: np.dtype[Any]) -> Any:
        """A pointer to a number of an array, in the form that loops are vectorised in."""
        return self.builder.gep(self.memory(address.code, dtype), [index.code])

    def copy(self, copier: Copier, target: Value, source: Value) -> None:
        """Copy a record field by field."""
        for name in copier.dtype.names or ():
            dtype, offset = copier.dtype.fields[name][:2]  # type: ignore[index]
            there, here = (
                self.memory(self.builder.add(record.code, ir.Constant(INT, offset)), dtype)
                for record in (target, source)
            )
            self.builder.store(self.builder.load(here), there)

    def mathematics(self, node: ast.Call, function: Any, value: Value) -> Value:
        """A function of one float."""
        number = self.converted(value, FLOAT, node)
        if function is float:
            return Value(number)
        if function is math.isnan:
            return Value(self.builder.fcmp_unordered("uno", number, number))
        name = "llvm.fabs" if function is abs else "llvm.floor"
        found = self.builder.call(self.made.module.declare_intrinsic(name, [FLOAT]), [number])
        return Value(self.builder.fptosi(found, INT) if function is math.floor else found)

    def truth(self, node: ast.expr) -> Any:
        """A condition."""
        value = self.value(node)
        if value.type != BOOL:
            raise self.problem(node)
        return value.code

    def converted(self, value: Value, kind: Any, node: ast.AST) -> Any:
        """A value as that type: whole numbers become floats, truths are not numbers."""
        if value.type == kind:
            return value.code
        if value.type == INT and kind == FLOAT:
            return self.builder.sitofp(value.code, FLOAT)
        raise self.problem(node)

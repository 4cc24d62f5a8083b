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
import inspect
import math
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]

INT, FLOAT, BOOL = ir.IntType(64), ir.DoubleType(), ir.IntType(1)
ADDRESS = INT
ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul"}
COMPARISONS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
TYPES = {"int": INT, "float": FLOAT, "bool": BOOL}
NOTHING = ir.VoidType()


class NotLowered(TypeError):
    """A function says something that is not known here."""


@dataclass(frozen=True)
class Reader:
    """`reader(address, index)`: the record at that place of an array, or the number when `dtype` has no fields."""

    dtype: np.dtype[Any]

    def __call__(self, address: int, index: int) -> Any:
        """What it looks like where it is used."""
        raise NotImplementedError("only compiled functions read memory")


@dataclass(frozen=True)
class Writer:
    """`writer(address, index, number)`: store a number at that place of an array."""

    dtype: np.dtype[Any]

    def __call__(self, address: int, index: int, number: float) -> None:
        """What it looks like where it is used."""
        raise NotImplementedError("only compiled functions write memory")


@dataclass(frozen=True)
class Copier:
    """`copier(target, source)`: copy one record of `dtype` over another."""

    dtype: np.dtype[Any]

    def __call__(self, target: Any, source: Any) -> None:
        """What it looks like where it is used."""
        raise NotImplementedError("only compiled functions write memory")


@dataclass(frozen=True, slots=True)
class Value:
    """A value at run time. record: what is at this address, if it is a record's."""

    code: Any
    record: np.dtype[Any] | None = None

    @property
    def type(self) -> Any:
        """Its LLVM type."""
        return self.code.type


@dataclass
class Signature:
    """A function to be lowered, by what it is called in LLVM."""

    function: Callable[..., Any]
    name: str
    tree: ast.FunctionDef = field(init=False)
    parameters: list[Any] = field(init=False)
    result: Any = field(init=False)

    def __post_init__(self) -> None:
        module = ast.parse(textwrap.dedent(inspect.getsource(self.function)))
        assert isinstance(module.body[0], ast.FunctionDef)
        self.tree = module.body[0]
        self.parameters = [type_of(argument.annotation) for argument in self.tree.args.args]
        self.result = type_of(self.tree.returns)

    @property
    def type(self) -> Any:
        """Its LLVM type."""
        return ir.FunctionType(self.result, self.parameters)


def type_of(annotation: ast.expr | None) -> Any:
    """The LLVM type that an annotation means."""
    if isinstance(annotation, ast.Constant) and annotation.value is None:
        return NOTHING
    if isinstance(annotation, ast.Name) and annotation.id in TYPES:
        return TYPES[annotation.id]
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple):
        return ir.LiteralStructType([type_of(part) for part in annotation.slice.elts])
    raise NotLowered(f"the type {ast.unparse(annotation) if annotation else 'missing'}")


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


class _Body:
    """Writes one function."""

    def __init__(
        self, signature: Signature, made: ir.Function, known: Mapping[int, tuple[Signature, ir.Function]]
    ) -> None:
        self.signature, self.made, self.known = signature, made, known
        self.space: dict[str, Any] = signature.function.__globals__
        self.locals: dict[str, Value] = {}
        self.loops: list[tuple[Any, Any]] = []
        self.first = made.append_basic_block("entry")
        self.builder = ir.IRBuilder(made.append_basic_block("body"))

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

    def problem(self, node: ast.AST) -> NotLowered:
        """What is wrong, and where."""
        code = self.signature.function.__code__
        line = code.co_firstlineno + getattr(node, "lineno", 1) - 1
        return NotLowered(f"{code.co_filename}:{line}: {ast.unparse(node)}")

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

    def slot(self, kind: Any, name: str) -> Any:
        """Memory for a local variable."""
        with self.builder.goto_block(self.first):
            return self.builder.alloca(kind, name=name)

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

    # -- expressions

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


__all__ = ["Copier", "NotLowered", "Reader", "Signature", "Writer", "lowered"]

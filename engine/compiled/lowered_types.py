"""What lowered functions are made of: types, memory, values, signatures."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]

INT, FLOAT, BOOL = ir.IntType(64), ir.DoubleType(), ir.IntType(1)


ADDRESS = INT


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

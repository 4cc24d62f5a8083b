"""Numbers that remember how they follow from the parameters of a strategy.

A strategy's `__init__` runs once with its numeric parameters replaced by `Traced` numbers. Arithmetic on one yields
another, which knows the expression it came from; whatever needs the plain number (a comparison, a length, a C
function) gets it and leaves a guard on the trace. What `__init__` made then holds for every combination of
parameters for which all guards hold, and each number in it can be evaluated for all combinations at once:

    trace = Trace({"fast": 10, "slow": 30})
    alpha = 2.0 / (1.0 + trace.numbers["fast"])
    evaluation = Evaluation({"fast": np.array([5, 10])}, rows=2)
    holds(trace, evaluation)            # which combinations take the same way through __init__
    evaluation.values(expression(alpha))

`Traced` is no subclass of int or float: C code would read such a number without asking. It says it is one to
`isinstance`, as stock code tests parameters that way.
"""

from __future__ import annotations

import dis
import operator
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import numpy as np
from backtrader import linebuffer, lineiterator, lineroot, strategy
from backtrader.indicators import basicops
from numpy.typing import NDArray

from engine.compiled.formulas import (
    COMPARISONS,
    OPERATIONS,
    Expression,
    Kind,
    Number,
    _combined,
    _kind,
    constant,
    traceable,
)
from engine.compiled.values import COMPENSATES

LARGEST = 100
"""Operations in the largest expression that is recorded; a larger one is cut by a guard."""

CAN_FAIL = frozenset({"/", "//", "%", "**", "divmod", "round", "floor", "ceil", "trunc"})


def expression(value: Traced | Number) -> Expression:
    """How a number of a traced strategy follows from its parameters; a plain number is a constant."""
    return value.expression if isinstance(value, Traced) else constant(value)


def plain(value: Any) -> Any:
    """The plain number of a traced one, which leaves a guard; anything else as it is."""
    return value.concrete() if type(value) is Traced else value


def _bare(value: Any) -> Any:
    return value.value if type(value) is Traced else value


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition under which the trace holds.

    comparison: a key of `COMPARISONS`, "is" (`left` is bit for bit the constant `right`), or "known" (`left` can be
    computed at all). outcome: what it was.
    """

    comparison: str
    left: Expression
    right: Expression
    outcome: bool = True

    def __str__(self) -> str:
        text = f"{self.left} can be computed" if self.comparison == "known" else ""
        text = text or f"{self.left} {self.comparison} {self.right}"
        return text if self.outcome else f"not {text}"


class Trace:
    """One run of code over traced parameters: the numbers it started with, and the guards it left, in order."""

    def __init__(self, parameters: Mapping[str, Number]) -> None:
        """parameters: values by name; only what `traceable` says may be traced."""
        self.guards: list[Guard] = []
        self._known: set[Guard] = set()
        self.numbers = {
            name: Traced(value, Expression("parameter", (name,), _kind(value)), self)
            for name, value in parameters.items()
        }

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Kind of each parameter: the trace holds for values of the same kinds only."""
        return {name: number.expression.kind for name, number in self.numbers.items()}

    def guard(self, comparison: str, left: Expression, right: Expression, outcome: bool = True) -> None:
        """Note that the trace holds only where this comparison has this outcome."""
        guard = Guard(comparison, left, right, outcome)
        if guard not in self._known:
            self._known.add(guard)
            self.guards.append(guard)


def trace_parameters(
    params: Mapping[str, Any], names: Iterable[str] | None = None
) -> tuple[Trace, dict[str, Any]]:
    """A trace, and `params` with the traceable ones of `names` (of all, when None) replaced by traced numbers."""
    wanted = set(params if names is None else names)
    trace = Trace({name: value for name, value in params.items() if name in wanted and traceable(value)})
    return trace, {**params, **trace.numbers}


# -- the number


def _binary(symbol: str, reflected: bool) -> Callable[[Traced, Any], Any]:
    apply = OPERATIONS[symbol]

    def method(self: Traced, other: Any) -> Any:
        if isinstance(other, bt.LineRoot):
            return NotImplemented  # the line takes the number as it is
        operand = _operand(other)
        if operand is None:
            number = self.concrete()
            return apply(other, number) if reflected else apply(number, other)
        left, right = (other, self) if reflected else (self, other)
        found = self._record(symbol, left, right)
        if (
            COMPENSATES
            and symbol == "+"
            and type(_bare(found)) is float
            and not _by_operator(sys._getframe(1))
        ):
            # Perhaps by `sum`, which would add floats in another way; the guard is for code that catches the error.
            self.trace.guard("!=", constant(0), constant(0))
            raise TypeError("sum() adds floats otherwise than it would add traced numbers")
        return found

    return method


def _by_operator(frame: Any) -> bool:
    """Whether a frame stands at an operator, not at the call of something that adds."""
    return bool(frame.f_code.co_code[frame.f_lasti] == dis.opmap["BINARY_OP"])


def _compare(symbol: str) -> Callable[[Traced, Any], Any]:
    apply = COMPARISONS[symbol]

    def method(self: Traced, other: Any) -> Any:
        if isinstance(other, bt.LineRoot):
            return NotImplemented
        operand = _operand(other)
        if operand is None:
            # Never equal to text or None, whatever the number: no guard for those.
            return (
                NotImplemented if other is None or isinstance(other, str) else apply(self.concrete(), other)
            )
        if type(other) is Traced and other.trace is not self.trace:
            return apply(self.concrete(), other.concrete())
        outcome = bool(apply(self.value, _bare(other)))
        self.trace.guard(symbol, self.expression, operand, outcome)
        return outcome

    return method


def _concrete(apply: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Traced, *args: Any) -> Any:
        return apply(self.concrete(), *args)

    return method


def _concrete_reflected(apply: Callable[[Any, Any], Any]) -> Callable[[Traced, Any], Any]:
    def method(self: Traced, other: Any) -> Any:
        return apply(other, self.concrete())

    return method


def _rounded(symbol: str) -> Callable[[Traced], Any]:
    def method(self: Traced) -> Any:
        return self._record(symbol, self)

    return method


def _operand(other: Any) -> Expression | None:
    """The other operand, if it is a number that arithmetic can be recorded with."""
    if type(other) is Traced:
        return other.expression
    if type(other) is bool:
        return constant(int(other))
    return constant(other) if traceable(other) else None


class Traced:
    """A number, the expression it came from, and the trace that gets the guards."""

    __slots__ = ("expression", "trace", "value")

    def __init__(self, value: Number, expression: Expression, trace: Trace) -> None:
        self.value = value
        self.expression = expression
        self.trace = trace

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # the answer isinstance() gets
        return type(self.value)

    def concrete(self) -> Number:
        """The plain number; from now on the trace holds only for combinations that give just this one."""
        if self.expression.operation != "constant":
            self.trace.guard("is", self.expression, constant(self.value))
        return self.value

    def _record(self, symbol: str, *operands: Any) -> Any:
        numbers = [_bare(operand) for operand in operands]
        result = OPERATIONS[symbol](*numbers)
        mine = all(type(operand) is not Traced or operand.trace is self.trace for operand in operands)
        expressions = tuple(expression(operand) for operand in operands)
        made = _combined(symbol, expressions, _kind(result)) if mine and traceable(result) else None
        if made is None or made.size > LARGEST:
            for operand in operands:
                if type(operand) is Traced:
                    operand.concrete()
            return result
        if symbol in CAN_FAIL:
            self.trace.guard("known", made, made)
        return Traced(result, made, self.trace)

    __add__, __radd__ = _binary("+", False), _binary("+", True)
    __sub__, __rsub__ = _binary("-", False), _binary("-", True)
    __mul__, __rmul__ = _binary("*", False), _binary("*", True)
    __truediv__, __rtruediv__ = _binary("/", False), _binary("/", True)
    __floordiv__, __rfloordiv__ = _binary("//", False), _binary("//", True)
    __mod__, __rmod__ = _binary("%", False), _binary("%", True)
    __rpow__ = _binary("**", True)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            return pow(self.concrete(), _concrete_of(other), _concrete_of(modulus))
        return _POWER(self, other)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    __neg__, __abs__ = _rounded("neg"), _rounded("abs")

    def __pos__(self) -> Traced:
        return self

    __floor__, __ceil__, __trunc__ = _rounded("floor"), _rounded("ceil"), _rounded("trunc")

    def __round__(self, digits: Any = None) -> Any:
        if digits is None:
            return self._record("round", self)
        places = _concrete_of(digits)
        return self._record("round", self, places) if type(places) is int else round(self.concrete(), places)

    __lt__, __le__, __gt__, __ge__ = _compare("<"), _compare("<="), _compare(">"), _compare(">=")
    __eq__, __ne__ = _compare("=="), _compare("!=")

    def __bool__(self) -> bool:
        outcome = bool(self.value)
        self.trace.guard("!=", self.expression, constant(0), outcome)
        return outcome

    def __int__(self) -> int:
        # Python wants a true int here; all numbers that are cut to the same one share it.
        whole = self._record("trunc", self)
        return int(whole.concrete()) if type(whole) is Traced else int(whole)

    def __index__(self) -> int:
        if type(self.value) is not int:
            raise TypeError("'float' object cannot be interpreted as an integer")
        return int(self.concrete())

    def __float__(self) -> float:
        return float(self.concrete())

    def __complex__(self) -> complex:
        return complex(self.concrete())

    __hash__ = _concrete(hash)
    __str__, __repr__, __format__ = _concrete(str), _concrete(repr), _concrete(format)

    __and__, __rand__ = _concrete(operator.and_), _concrete_reflected(operator.and_)
    __or__, __ror__ = _concrete(operator.or_), _concrete_reflected(operator.or_)
    __xor__, __rxor__ = _concrete(operator.xor), _concrete_reflected(operator.xor)
    __lshift__, __rlshift__ = _concrete(operator.lshift), _concrete_reflected(operator.lshift)
    __rshift__, __rrshift__ = _concrete(operator.rshift), _concrete_reflected(operator.rshift)
    __invert__ = _concrete(operator.invert)

    def __copy__(self) -> Traced:
        return self

    def __deepcopy__(self, memo: object) -> Traced:
        return self

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return type(self.value), (self.concrete(),)

    def __getattr__(self, name: str) -> Any:
        # What else an int or float has: is_integer(), real, bit_length() ...
        if not hasattr(type(self.value), name):
            raise AttributeError(f"{type(self.value).__name__!r} object has no attribute {name!r}")
        return getattr(self.concrete(), name)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        return np.asarray(self.concrete(), dtype=dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(
            *map(_concrete_of, inputs), **{k: _concrete_of(v) for k, v in options.items()}
        )

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*_concrete_in(args), **_concrete_in(kwargs))


_POWER = _binary("**", False)


def _concrete_of(value: Any) -> Any:
    return value.concrete() if type(value) is Traced else value


def _concrete_in(value: Any) -> Any:
    """The same arguments with plain numbers, within tuples, lists and dicts too."""
    if type(value) in (tuple, list):
        return type(value)(_concrete_in(each) for each in value)
    if type(value) is dict:
        return {_concrete_of(key): _concrete_in(each) for key, each in value.items()}
    return _concrete_of(value)


# -- the largest of several, without a guard for each pair


def _largest(*args: Any, **options: Any) -> Any:
    """The builtin `max`, except that the largest of traced numbers is traced instead of guarded."""
    values = list(args[0]) if len(args) == 1 else list(args)
    first = next((value for value in values if type(value) is Traced), None)
    if options or first is None or any(_operand(value) is None for value in values):
        return max(values, **options) if values else max(*args, **options)
    kind = first.expression.kind
    if kind != "i" or any(expression(value).kind != kind for value in values):
        return max(values)
    largest = values[0]
    for value in values[1:]:
        if expression(value) != expression(largest):
            largest = first._record("max", largest, value)
    return largest


_PATCHED = (lineroot, linebuffer, lineiterator, strategy, basicops)
_patching = threading.RLock()


@contextmanager
def tracing() -> Iterator[None]:
    """Within, Backtrader takes the largest of traced warm-up lengths as one expression.

    Only its name `max` is set in the modules that compare warm-ups, to a function that is the builtin for plain
    numbers; other threads' runs are not affected.
    """
    with _patching:
        already = vars(lineroot).get("max") is _largest
        for module in _PATCHED:
            vars(module)["max"] = _largest
        try:
            yield
        finally:
            if not already:
                for module in _PATCHED:
                    del vars(module)["max"]


# -- all combinations at once

"""What a search may vary: read from a strategy class, a file or the command line, and mapped to the unit cube.

space = space_of(Momentum)                                     # what the class declares
space = space_of(Cross, ["fast=5:50", "slow=20:200:5"], constraint="fast < slow")
space.decode(np.array([[0.0, 1.0]]))                           # [{"fast": 5, "slow": 200}]
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError, UnknownNameError
from core.space import Choice, Constraint, Dimension, Float, Int

Points = NDArray[np.float64]

STEPS = 10
"""Values a grid takes of a real-valued dimension."""
LARGEST_GRID = 10_000_000
PROBES = 4096
"""Points that are tried before a space is called contradictory."""


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Dimensions by parameter, in order, what they must satisfy together, and parameters that stay as they are.

    rules: texts of those constraints that were given as one.

    Points are rows of the unit cube, (n, d): each dimension is cut into equal shares for its values.
    """

    dimensions: Mapping[str, Dimension]
    constraints: tuple[Constraint, ...] = ()
    fixed: Mapping[str, Any] | None = None
    rules: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that vary."""
        return tuple(self.dimensions)

    def facts(self) -> dict[str, Any]:
        """What tells it from another space, as plain values."""
        found: dict[str, Any] = {name: repr(dimension) for name, dimension in self.dimensions.items()}
        found["fixed"] = repr(sorted((self.fixed or {}).items()))
        return found | ({"rules": list(self.rules)} if self.rules else {})

    def sizes(self, steps: int = STEPS) -> tuple[int, ...]:
        """How many values a grid takes of each dimension."""
        return tuple(_size(dimension) or steps for dimension in self.dimensions.values())

    @property
    def size(self) -> float:
        """Distinct points without constraints; infinite with a real-valued dimension."""
        sizes = [_size(dimension) for dimension in self.dimensions.values()]
        return math.inf if None in sizes else math.prod(size for size in sizes if size)

    def decode(self, points: Points) -> list[dict[str, Any]]:
        """The parameters of points, with the fixed ones."""
        columns = [
            _decoded(dimension, points[:, place]) for place, dimension in enumerate(self.dimensions.values())
        ]
        base = dict(self.fixed or {})
        return [base | dict(zip(self.names, values, strict=True)) for values in zip(*columns, strict=True)]

    def encode(self, params: Sequence[Mapping[str, Any]]) -> Points:
        """The points of parameters, each in the middle of its value's share, (n, d)."""
        columns = [
            [_encoded(dimension, each[name]) for each in params]
            for name, dimension in self.dimensions.items()
        ]
        return np.array(columns, dtype=np.float64).T.reshape(len(params), len(columns))

    def snap(self, points: Points) -> Points:
        """The same points in the middle of their values' shares: equal parameters are equal rows."""
        snapped = np.clip(points, 0.0, 1.0)
        for place, dimension in enumerate(self.dimensions.values()):
            size = _size(dimension)
            if size is not None:
                snapped[:, place] = (_share(snapped[:, place], size) + 0.5) / size
        return snapped

    def allows(self, params: Mapping[str, Any]) -> bool:
        """Whether every constraint holds."""
        return all(constraint(params) for constraint in self.constraints)

    def allowed(self, points: Points) -> NDArray[np.bool_]:
        """`allows` of points, (n,)."""
        if not self.constraints:
            return np.ones(len(points), np.bool_)
        return np.array([self.allows(params) for params in self.decode(points)], dtype=np.bool_)

    def grid(self, steps: int = STEPS) -> Points:
        """Every allowed point of the grid, the last parameter varying fastest. Raises ConfigError when too many."""
        sizes = self.sizes(steps)
        if math.prod(sizes) > LARGEST_GRID:
            raise ConfigError(
                f"the grid has {math.prod(sizes):,} points",
                hint="use another --sampler, such as qmc, or wider steps",
            )
        axes = [
            (np.arange(size) + 0.5) / size if _size(dimension) else np.linspace(0.0, 1.0, size)
            for size, dimension in zip(sizes, self.dimensions.values(), strict=True)
        ]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(sizes))
        return points[self.allowed(points)]

    def check(self) -> None:
        """Raise ConfigError when the constraints leave nothing, as far as `PROBES` points can tell."""
        if not self.constraints:
            return
        if math.prod(self.sizes()) <= PROBES:
            probes = self.grid()
        else:
            probes = self.snap(np.random.default_rng(0).random((PROBES, len(self.names))))
            probes = probes[self.allowed(probes)]
        if not len(probes):
            raise ConfigError(
                "no combination satisfies the constraints",
                hint=f"widen the space of {', '.join(self.names)}, or loosen the constraint",
            )


def _size(dimension: Dimension) -> int | None:
    if isinstance(dimension, Int):
        return (dimension.high - dimension.low) // dimension.step + 1
    if isinstance(dimension, Choice):
        return len(dimension.options)
    return 1 if dimension.low == dimension.high else None


def _share(column: Points, size: int) -> NDArray[np.int64]:
    return np.minimum((column * size).astype(np.int64), size - 1)


def _decoded(dimension: Dimension, column: Points) -> list[Any]:
    if isinstance(dimension, Float):
        low, high = float(dimension.low), float(dimension.high)
        if dimension.log:
            values = np.exp(math.log(low) + column * (math.log(high) - math.log(low)))
        else:
            values = low + column * (high - low)
        return list(np.clip(values, low, high).tolist())
    size = _size(dimension)
    places = _share(column, size or 1).tolist()
    if isinstance(dimension, Int):
        return [dimension.low + place * dimension.step for place in places]
    return [dimension.options[place] for place in places]


def _encoded(dimension: Dimension, value: Any) -> float:
    if isinstance(dimension, Int):
        return float(((value - dimension.low) // dimension.step + 0.5) / (_size(dimension) or 1))
    if isinstance(dimension, Choice):
        return (list(dimension.options).index(value) + 0.5) / len(dimension.options)
    low, high = float(dimension.low), float(dimension.high)
    if low == high:
        return 0.5
    if dimension.log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return float((value - low) / (high - low))


# -- where a space comes from


def space_of(
    strategy: type[Any],
    given: Sequence[str] | Mapping[str, Dimension] = (),
    *,
    file: Path | None = None,
    constraint: str = "",
    fixed: Mapping[str, Any] | None = None,
) -> SearchSpace:
    """The space of a strategy: `given` if any, else that of `file`, else the one the class declares.

    given: dimensions by name, or texts such as "fast=5:50", "slow=20:200:5", "stop=0.01:0.1", "rate=1e-4:1e-1:log",
    "mode=a,b". file: YAML with `space` (the same texts by name) and `constraint`. constraint: an expression over
    parameters, such as "fast < slow"; the class's own holds as well. fixed: parameters that do not vary.
    Raises ConfigError for an empty or contradictory space, UnknownNameError for a parameter the strategy lacks.
    """
    rules = [constraint] if constraint else []
    if given:
        dimensions = dict(given) if isinstance(given, Mapping) else parse_space(given)
    elif file is not None:
        dimensions, more = read_space(file)
        rules += more
    else:
        dimensions = dict(getattr(strategy, "space", None) or {})
    defaults = dict(strategy.params._getitems())
    for name in (*dimensions, *(fixed or {})):
        if name not in defaults:
            raise UnknownNameError("parameter", name, defaults)
    dimensions = {name: each for name, each in dimensions.items() if name not in (fixed or {})}
    if not dimensions:
        numbers = [name for name, value in defaults.items() if type(value) in (int, float)]
        example = f"--space {numbers[0]}=LOW:HIGH" if numbers else "a space with parameters of the strategy"
        raise ConfigError(f"{strategy.__name__} has no space to search", hint=f"give {example}")
    rest = defaults | dict(fixed or {})
    constraints = [_with(rest, compile_constraint(rule, defaults)) for rule in rules]
    own = getattr(strategy, "constraint", None)
    if own is not None:
        constraints.append(_with(rest, own))
    space = SearchSpace(dimensions, tuple(constraints), dict(fixed or {}), tuple(rules))
    space.check()
    return space


def _with(rest: Mapping[str, Any], constraint: Constraint) -> Constraint:
    return lambda params: bool(constraint({**rest, **params}))


def parse_space(texts: Sequence[str]) -> dict[str, Dimension]:
    """Dimensions from texts such as "fast=5:50:5". Raises ConfigError."""
    found: dict[str, Dimension] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ConfigError(
                f"--space {text} is not NAME=VALUES",
                hint="write --space fast=5:50:5, --space stop=0.01:0.1, or --space mode=a,b",
            )
        found[name.strip()] = parse_dimension(name.strip(), value.strip())
    return found


def parse_dimension(name: str, text: str) -> Dimension:
    """`low:high[:step]` of whole numbers, `low:high[:log]` of others, or values with commas. Raises ConfigError."""
    if ":" not in text:
        return Choice([_value(part.strip()) for part in text.split(",") if part.strip()])
    parts = [_value(part.strip()) for part in text.split(":")]
    low, high, *more = parts
    numbers = all(type(end) in (int, float) and math.isfinite(end) for end in (low, high))
    if len(more) > 1 or not numbers:
        raise ConfigError(f"{name}={text} is no range", hint="write low:high, low:high:step or low:high:log")
    if not low <= high:
        raise ConfigError(f"{name}={text} is empty", hint="the lower end stands first")
    step = more[0] if more else 1
    try:
        if step == "log":
            return Float(float(low), float(high), log=True)
        if isinstance(low, int) and isinstance(high, int) and isinstance(step, int):
            return Int(low, high, step)
        if more and type(step) in (int, float) and step > 0:
            count = math.floor((high - low) / step + 1e-9) + 1
            return Choice([round(low + step * place, 12) for place in range(count)])
        if not more:
            return Float(float(low), float(high))
    except ValueError as error:
        raise ConfigError(f"{name}={text} cannot be searched", hint=str(error)) from error
    raise ConfigError(f"{name}={text} has no step {step}", hint="give a step above zero, or log")


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None, "null": None}.get(text.lower(), text)


def read_space(path: Path) -> tuple[dict[str, Dimension], list[str]]:
    """Dimensions and constraints of a YAML file. Raises ConfigError."""
    import yaml

    try:
        # Text alone: YAML 1.1 takes 5:50 for five minutes and fifty seconds.
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path} cannot be read as a space: {' '.join(str(error).split())}", hint="see docs/optimise.md"
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("space"), dict):
        raise ConfigError(f"{path} has no space", hint="write `space:` and below it `  fast: 5:50`")
    unknown = set(document) - {"space", "constraint"}
    if unknown:
        raise UnknownNameError("key of a space", sorted(map(str, unknown))[0], ("space", "constraint"))
    found = {str(name): _dimension_of(str(name), value) for name, value in document["space"].items()}
    rules = document.get("constraint") or []
    return found, [rules] if isinstance(rules, str) else [str(rule) for rule in rules]


def _dimension_of(name: str, value: Any) -> Dimension:
    """A dimension as a file has it: a text as on the command line, or a list of values."""
    if isinstance(value, list) and value:
        return Choice([_value(part) for part in value])
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name} has no values", hint=f"write `{name}: 5:50` or `{name}: [a, b]`")
    return parse_dimension(name, value)


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.USub: operator.neg, ast.Not: operator.not_,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip


class _UnknownConstruct(Exception):
    """A constraint uses what it may not. Handler: `compile_constraint`."""


def compile_constraint(text: str, known: Mapping[str, Any]) -> Constraint:
    """An expression over parameters: arithmetic, comparisons, and, or, not. Raises ConfigError, UnknownNameError."""
    try:
        body = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ConfigError(
            f"the constraint {text!r} cannot be read", hint="write it as fast < slow"
        ) from error
    for node in ast.walk(body):
        if isinstance(node, ast.Name) and node.id not in known:
            raise UnknownNameError("parameter", node.id, known)
    try:
        _evaluated(body, dict(known))
    except _UnknownConstruct as error:
        raise ConfigError(
            f"the constraint {text!r} uses {error}", hint="use parameters, numbers, + - * / < > and or not"
        ) from error
    except (ArithmeticError, TypeError):
        pass  # of the defaults; a combination for which it cannot be calculated is not allowed
    return lambda params: _holds(body, params)


def _holds(body: ast.expr, params: Mapping[str, Any]) -> bool:
    try:
        return bool(_evaluated(body, params))
    except (ArithmeticError, TypeError):
        return False


def _evaluated(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.BoolOp):
        parts = [_evaluated(part, names) for part in node.values]
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_evaluated(node.operand, names))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_evaluated(node.left, names), _evaluated(node.right, names))
    if isinstance(node, ast.Compare) and all(type(op) in _OPERATORS for op in node.ops):
        ends = [_evaluated(part, names) for part in (node.left, *node.comparators)]
        return all(_OPERATORS[type(op)](a, b) for op, a, b in zip(node.ops, ends[:-1], ends[1:], strict=True))
    raise _UnknownConstruct(type(node).__name__.lower())


__all__ = ["SearchSpace", "compile_constraint", "parse_dimension", "parse_space", "read_space", "space_of"]

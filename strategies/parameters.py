"""Turns what a user gave for a strategy's parameters into the values it runs with."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from typing import Any

from core.errors import StrategyError, UnknownNameError
from core.space import Float, Int

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def resolve_params(cls: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The class's defaults with `given` over them, every value of its default's type.

    Text, as from a command line, is read as the default's type (or the type its `space` names). Raises
    UnknownNameError for a parameter the class does not have, StrategyError for a value that cannot be read,
    lies outside `cls.space`, or breaks `cls.constraint`.
    """
    defaults = dict(cls.params._getitems())
    space: Mapping[str, Any] = getattr(cls, "space", None) or {}
    resolved = dict(defaults)
    for name, value in given.items():
        if name not in defaults:
            raise UnknownNameError("parameter", name, defaults)
        resolved[name] = _coerced(name, value, defaults[name], space.get(name))
        dimension = space.get(name)
        if dimension is not None and not dimension.contains(resolved[name]):
            raise StrategyError(
                f"parameter {name}={resolved[name]} is out of range",
                hint=f"{name} must be {dimension.describe()}",
                parameter=name,
                value=resolved[name],
            )
    _check_constraint(cls, resolved, given)
    return resolved


def _coerced(name: str, value: Any, default: Any, dimension: Any) -> Any:
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    kind: type[Any] | None = None if default is None else type(default)
    if isinstance(dimension, Int | Float) and kind in (None, int, float):
        kind = int if isinstance(dimension, Int) else float
    if isinstance(value, str):
        return _parsed(name, value.strip(), kind)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is not None and kind in (int, float) and not isinstance(value, int | float):
        raise _unreadable(name, value, kind)
    return value


def _parsed(name: str, text: str, kind: type[Any] | None) -> Any:
    if kind is str:
        return text
    if kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise _unreadable(name, text, bool)
    if kind is not None and kind in (int, float):
        try:
            return kind(text)
        except ValueError as error:
            raise _unreadable(name, text, kind) from error
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        if kind is None:
            return {"true": True, "false": False, "none": None}.get(text.lower(), text)
        raise _unreadable(name, text, kind) from error


def _unreadable(name: str, value: Any, kind: type[Any]) -> StrategyError:
    wanted = {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, f"a {kind.__name__}")
    return StrategyError(
        f"parameter {name}={value} cannot be used",
        hint=f"{name} must be {wanted}",
        parameter=name,
        value=value,
    )


def _check_constraint(cls: type[Any], resolved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    constraint = getattr(cls, "constraint", None)
    if constraint is None or constraint(resolved):
        return
    named = ", ".join(f"{name}={resolved[name]}" for name in given) or "the defaults"
    rule = inspect.getdoc(constraint) or f"see the constraint of {cls.__name__}"
    raise StrategyError(f"these parameters do not go together: {named}", hint=rule, values=dict(resolved))

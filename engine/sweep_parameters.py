"""The parameters of a sweep's combinations, one by one and as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from engine.compiled.formulas import EXACT, traceable

Refusal = Callable[[int, UserError], None]
"""Told the number of a combination, and what is wrong with it."""


class Parameters:
    """Of each combination all of the strategy's parameters; `{}` where what was given is refused."""

    def __init__(self, cls: type[Any], given: Sequence[Mapping[str, Any]], refuse: Refusal) -> None:
        self._columns: dict[str, list[Any]] = {}
        self._arrays: dict[str, NDArray[Any] | None] = {}
        self.each: list[dict[str, Any]] = self._alike(cls, given) or []
        if self.each:
            return
        self._columns.clear()
        resolve = _resolver(cls)
        for number, each in enumerate(given):
            try:
                self.each.append(resolve(each))
            except UserError as error:
                self.each.append({})
                refuse(number, error)

    def _alike(self, cls: type[Any], given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
        """At once, where all give the same names, and every value is a number of its default's kind."""
        defaults = dict(cls.params._getitems())
        kinds = _kinds(cls, defaults)
        names = given[0].keys() if given else set()
        if not all(each.keys() == names for each in given):
            return None
        for name in names:
            column = self._columns[name] = [each[name] for each in given]
            if set(map(type, column)) != {kinds.get(name)}:
                return None
        for name in defaults.keys() - names:
            self._columns[name] = [defaults[name]] * len(given)
        return [{**defaults, **each} for each in given]

    def column(self, name: str) -> list[Any]:
        """A parameter of all combinations."""
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = [each.get(name) for each in self.each]
        return found

    def array(self, name: str) -> NDArray[Any] | None:
        """A parameter of all combinations, int64 or float64; None unless all are floats, or ints of moderate size."""
        if name not in self._arrays:
            column = self.column(name)
            kinds = set(map(type, column))
            whole = kinds == {int} and min(column) >= -EXACT and max(column) <= EXACT
            self._arrays[name] = np.array(column) if whole or kinds == {float} else None
        return self._arrays[name]

    def numbers(self, name: str, combinations: NDArray[np.int64]) -> NDArray[Any]:
        """A parameter of some combinations that all have a number of one kind there."""
        array = self.array(name)
        if array is not None:
            return array if len(combinations) == len(array) else array[combinations]
        return np.array([self.each[number][name] for number in combinations.tolist()])

    def same(self, name: str, combinations: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these combinations have what the first of them has."""
        array = self.array(name)
        if array is not None:
            own = array[combinations]
            return np.asarray(own == own[0])
        values = [self.each[number][name] for number in combinations.tolist()]
        return np.array([bool(value == values[0]) for value in values])

    def groups(self, combinations: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Combinations that may be traced together: alike in every parameter that is no number, and in kinds."""
        if not len(combinations):
            return []
        keys = []
        for name in self.each[int(combinations[0])]:
            if self.array(name) is None:
                column = [self.each[number][name] for number in combinations.tolist()]
                keys.append([(type(value), "" if traceable(value) else repr(value)) for value in column])
        if not keys:
            return [combinations]
        groups: dict[Any, list[int]] = {}
        for number, *key in zip(combinations.tolist(), *keys, strict=True):
            groups.setdefault(tuple(key), []).append(number)
        return [np.array(group) for group in groups.values()]


def _resolver(cls: type[Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """`registry.resolve_params` of one class; at once where every value is a number of its default's kind."""
    from strategies import registry

    defaults = dict(cls.params._getitems())
    kinds = _kinds(cls, defaults)

    def resolve(given: Mapping[str, Any]) -> dict[str, Any]:
        if all(kinds.get(name) is type(value) for name, value in given.items()):
            return {**defaults, **given}
        return registry.resolve_params(cls, given)

    return resolve


def _kinds(cls: type[Any], defaults: Mapping[str, Any]) -> dict[str, type]:
    """Of which kind a parameter's values need no check, by name."""
    free = getattr(cls, "space", None) is None and getattr(cls, "constraint", None) is None
    return {name: type(value) for name, value in defaults.items() if free and type(value) in (int, float)}

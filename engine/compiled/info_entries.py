"""What is read of `order.info`, a dict that makes an empty dict of whatever it is asked for."""

from __future__ import annotations

import ast
import enum
from typing import Any

from engine.compiled.frames import Never
from engine.compiled.lines import Lines
from engine.compiled.values import BOOL, NONE, Arguments, Entry, Info, Items, Number, Static, Value, is_handle

PLAIN = (bool, int, float, str, enum.Enum)

RECORDED = "exit_reason"
"""The one name that a run's tables show."""


class Computed:
    """In place of a number of the run that an order was given: it may be given, and not be read again."""


class InfoEntries(Lines):
    """Reads entries of what an order was given besides Backtrader's own arguments."""

    infos: list[dict[str, Any]]
    awaited: set[Any]
    asked: set[str]
    """Names that the strategy asks for without making an entry, by `in` and `get()`."""

    def info_entry(self, owner: Info, name: str) -> Value:
        """`order.info.name` and `order.info["name"]`, which make an entry where there is none."""
        found = self.info_or(owner, name, NONE)
        missing = f"(not {self.given_code(owner, name)})"
        if name in self.asked or name == RECORDED:  # which would see the entry made
            self.out.line(f"if {missing}: fault(error)")
            return found
        return Entry(name, found, missing)

    def info_get(self, owner: Info, arguments: Arguments) -> Value:
        """`order.info.get(name)` and `order.info.get(name, default)`, which make none."""
        name = self.known(arguments[0], "a key")
        self.ask(name)
        return self.info_or(owner, name, self.held(arguments[1]) if len(arguments) > 1 else NONE)

    def ask(self, name: str) -> None:
        """Note that the strategy sees whether there is an entry."""
        if name not in self.asked:
            self.asked.add(name)
            self.out.changed = True

    def info_or(self, owner: Info, name: str, default: Value) -> Value:
        """What an order was given, `default` where that is nothing."""
        if name not in self.awaited and not any(name in entry for entry in self.infos):
            self.awaited.add(name)
            self.out.changed = True
            raise Never(
                f"no order has been given {name} yet"
            )  # one may be, further down; the next pass knows
        found = default
        handle = self.handle_of(owner)
        self.path.append(("info", name))  # choices of their own, however many entries there are by now
        for code in range(len(self.infos) - 1, 0, -1):
            if name not in self.infos[code] and not is_none(default):
                continue
            value = self.infos[code].get(name)
            if value is Computed:
                raise self.refuse(f"reads {name} of an order's info, which was computed in the run")
            test = Number(f"(orders[{handle}].info == {code})", BOOL)
            first, second = Static(value), found
            found = self.choose(test, (lambda first=first: first, []), (lambda second=second: second, []))  # type: ignore[misc]
        self.path.pop()
        return found

    def has_info(self, owner: Info, name: str) -> Value:
        """Whether an order was given something of this name."""
        self.ask(name)
        code = self.given_code(owner, name)
        return Static(False) if code == "False" else Number(code, BOOL)

    def given_code(self, owner: Info, name: str) -> str:
        """An expression that is true where an order was given something of this name."""
        codes = [str(code) for code, entry in enumerate(self.infos) if name in entry]
        handle = self.handle_of(owner)
        return (
            "(" + " or ".join(f"orders[{handle}].info == {code}" for code in codes) + ")"
            if codes
            else "False"
        )

    @staticmethod
    def handle_of(owner: Info) -> str:
        """The order's number; None has no info."""
        order = owner.order
        return order.code if order.none == "False" else f"known_order({order.code}, error)"

    def settled(self, entry: Entry) -> Value:
        """The value of an entry; a run in which an empty dict would be taken is left to another engine."""
        if entry.missing == "(not False)":
            raise self.refuse(f"takes {entry.name} of an order's info, which no order is given")
        self.out.line(f"if {entry.missing}: fault(error)")
        return entry.value

    def compare_entries(self, op: ast.cmpop, left: Value, right: Value) -> Value:
        """A comparison with an entry: an empty dict is not None, and equals no text or number."""
        for entry, other in ((left, right), (right, left)):
            if not isinstance(entry, Entry) or isinstance(other, Entry):
                continue
            if isinstance(op, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)) and is_none(other):
                return self.negated(self.is_given_none(entry), isinstance(op, (ast.IsNot, ast.NotEq)))
            equality = isinstance(op, (ast.Eq, ast.NotEq)) and is_something(other)
            among = isinstance(op, (ast.In, ast.NotIn)) and entry is left and are_somethings(other)
            if equality or among:
                sides = (entry.value, other) if entry is left else (other, entry.value)
                return self.compare(op, *sides)
        first, second = (self.settled(side) if isinstance(side, Entry) else side for side in (left, right))
        return self.compare(op, first, second)

    def is_given_none(self, entry: Entry) -> Value:
        """Whether an order was given None under this name."""
        if not any(info.get(entry.name, entry) is None for info in self.infos):
            return Static(False)
        none = self.same(entry.value, NONE)
        if isinstance(none, Static):
            return Number(f"(not {entry.missing})", BOOL) if none.value else none
        return Number(f"({none.code} and not {entry.missing})", BOOL)


def is_none(value: Value) -> bool:
    """Whether a value is None, for certain."""
    return isinstance(value, Static) and value.value is None


def is_something(value: Value) -> bool:
    """Whether a value is a number, a text or a member of an enumeration, and never None."""
    if isinstance(value, Number):
        return value.none is None and not is_handle(value.type)
    return isinstance(value, Static) and isinstance(value.value, PLAIN)


def are_somethings(value: Value) -> bool:
    """Whether a value is a tuple of such."""
    if isinstance(value, Items):
        return all(map(is_something, value.values))
    return (
        isinstance(value, Static)
        and type(value.value) is tuple
        and all(isinstance(part, PLAIN) for part in value.value)
    )


__all__ = ["RECORDED", "Computed", "InfoEntries"]

"""What orders are given besides Backtrader's own arguments: by keyword when they are made, and by `addinfo`."""

from __future__ import annotations

from typing import Any

from engine.compiled.info_entries import RECORDED, Computed
from engine.compiled.text_keys import TextKeys
from engine.compiled.values import (
    NONE,
    NUMERIC,
    STR,
    UNKNOWN,
    Keywords,
    Number,
    Value,
    is_enum,
)

MOST_INFOS = 64
"""Different things orders may be given; each combination is one."""


class Infos(TextKeys):
    """Keeps what orders are given as numbers of entries known now."""

    def info_code(self, names: Keywords) -> str:
        """Whatever else an order was given, by number: one for each of the values it may have."""
        if not names:
            return "0"
        known: dict[str, Any] = {}
        moving: list[tuple[str, Number]] = []
        for name, value in names.items():
            if (
                isinstance(value, Number)
                and (is_enum(value.type) or value.type == STR)
                and value.known is UNKNOWN
            ):
                moving.append((name, value))
            else:
                known[name] = self.info_value(name, value)
        if not moving:
            return str(self.info_number(known))
        if len(moving) > 1:
            raise self.refuse("gives an order several things computed in the run")
        name, value = moving[0]
        value = self.held(value)
        if value.type == STR:
            values: dict[Any, int] = dict(self.out.strings)
        else:
            values = {member: number for number, member in enumerate(self.out.enum_in(value.type))}
        code = self.out.temporary("0")
        for thing, number in values.items():
            self.out.line(f"if {value.code} == {number}: {code} = {self.info_number({**known, name: thing})}")
        if value.none not in (None, "False"):
            self.out.line(f"if {value.none}: {code} = {self.info_number({**known, name: None})}")
        return code

    def info_value(self, name: str, value: Value) -> Any:
        """What an order is given, as far as it is known now."""
        if (
            name != RECORDED
            and isinstance(value, Number)
            and value.known is UNKNOWN
            and value.type in NUMERIC
            and value.none in (None, "False")
        ):
            return Computed
        return self.known(value, f"{name} of an order")

    def info_number(self, entry: dict[str, Any]) -> int:
        """The number of what an order was given."""
        for number, known in enumerate(self.infos):
            if known == entry and all(type(known[name]) is type(entry[name]) for name in entry):
                return number
        if len(self.infos) >= MOST_INFOS:
            raise self.refuse(f"gives orders more than {MOST_INFOS} different things")
        self.infos.append(entry)
        self.out.changed = True
        return len(self.infos) - 1

    def add_info(self, owner: Number, names: Keywords) -> Value:
        """`order.addinfo(...)`: every entry the order may have so far becomes one that has these things too."""
        self.effects += 1
        if RECORDED in names:
            raise self.refuse(f"adds {RECORDED} to an order that is made already")
        given = {name: self.info_value(name, value) for name, value in names.items()}
        handle = owner.code if owner.none == "False" else f"known_order({owner.code}, error)"
        order = self.out.temporary(handle)
        before = self.out.temporary(f"orders[{order}].info")
        for number, entry in enumerate(list(self.infos)):
            after = self.info_number({**entry, **given})
            if after != number:
                self.out.line(f"if {before} == {number}: orders[{order}].info = {after}")
        return NONE

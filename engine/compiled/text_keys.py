"""Dicts whose keys are known strings, looked into by a string of the run."""

from __future__ import annotations

from typing import Any

from engine.compiled.dicts import Dicts
from engine.compiled.values import BOOL, STR, UNKNOWN, Number, Static, Value


class TextKeys(Dicts):
    """Reads and sets the entry whose key turns out to be asked for."""

    @staticmethod
    def is_text_of_run(index: Any) -> bool:
        """Whether a key is a string that only the run knows."""
        return isinstance(index, Number) and index.type == STR and index.known is UNKNOWN

    def text_item(self, owner: Static, index: Number) -> Value:
        """`owner[text]`: an error where no key is that text, as in Python."""
        keys, index = self.text_keys(owner.value), self.known_key(owner.value, index)
        values = [self.static_item(owner, Static(key)) for key in keys]
        found = values[-1]
        self.path.append(("by text", len(keys)))  # choices of their own, however many others there are by now
        for key, value in zip(keys[-2::-1], values[-2::-1], strict=True):
            test = Number(f"({index.code} == {self.out.string(key)})", BOOL)
            found = self.choose(test, (lambda v=value: v, []), (lambda v=found: v, []))  # type: ignore[misc]
        self.path.pop()
        return found

    def store_text_item(self, owner: Static, index: Number, value: Value) -> None:
        """`owner[text] = value`, for a key that is there; a new one is left to another engine."""
        keys, index = self.text_keys(owner.value), self.known_key(owner.value, index)
        value = self.held(value)
        for key in keys:
            with self.writing(self.out.block(f"if {index.code} == {self.out.string(key)}:")):
                self.store_item(owner, Static(key), value)

    def text_keys(self, thing: dict[Any, Any]) -> list[str]:
        """The keys of a dict that none is added to and none taken from."""
        slots = [self.out.slots.get(self.entry_key(thing, key)) for key in thing]
        added = {
            key[2]
            for key, slot in self.out.slots.items()
            if isinstance(key, tuple) and key[:2] == ("entry", id(thing)) and slot.written
        }
        if (
            type(thing) is not dict
            or not thing
            or not all(type(key) is str for key in thing)
            or added - set(thing)
            or any(slot is not None and slot.missing for slot in slots)
        ):
            raise self.refuse("a key is computed in the run")
        return list(thing)

    def known_key(self, thing: dict[str, Any], index: Number) -> Number:
        """The key in a variable, once it is sure that the dict has it."""
        held = self.held(self.present(index))
        assert isinstance(held, Number)
        tests = " or ".join(f"{held.code} == {self.out.string(key)}" for key in thing)
        self.out.line(f"if not ({tests}): fault(error)")
        return held

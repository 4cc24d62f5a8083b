"""Instances of the classes of a strategy's author."""

from __future__ import annotations

import dataclasses
import inspect
import types
from typing import Any

from engine.compiled.boxes import is_generated
from engine.compiled.emit import LIST, RECORD
from engine.compiled.frames import class_entry
from engine.compiled.objects import Objects
from engine.compiled.values import Arguments, Items, Keywords, Number, Static, Value, describe, is_heap


class Classes(Objects):
    """Makes instances."""

    def make(self, cls: type, arguments: Arguments, keywords: Keywords) -> Value:
        """An instance of a class of the strategy's author."""
        if not self.is_record_class(cls):
            raise self.refuse(f"makes a {cls.__name__}")
        if dataclasses.is_dataclass(cls) and is_generated(class_entry(cls, "__init__")):
            return self.make_dataclass(cls, arguments, keywords)
        made = self.new_object(cls, {})
        function = class_entry(cls, "__init__")
        if isinstance(function, types.FunctionType):
            self.inline(function, [made, *arguments], keywords)
        elif arguments or keywords:
            raise self.refuse(f"TypeError: {cls.__name__}() takes no arguments")
        return made

    def make_dataclass(self, cls: Any, arguments: Arguments, keywords: Keywords) -> Value:
        """What a dataclass's own `__init__` does."""
        if any(
            item._field_type is dataclasses._FIELD_INITVAR  # type: ignore[attr-defined]
            for item in cls.__dataclass_fields__.values()
        ):
            raise self.refuse(f"makes a {cls.__name__}, which has an InitVar")
        try:
            bound = inspect.signature(cls).bind(*arguments, **keywords).arguments
        except TypeError as error:
            raise self.refuse(f"TypeError: {cls.__name__}: {error}") from error
        values: dict[str, Value] = {}
        for item in dataclasses.fields(cls):
            if item.name in bound:
                values[item.name] = bound[item.name]
            elif item.default is not dataclasses.MISSING:
                values[item.name] = Static(item.default)
            elif item.default_factory is not dataclasses.MISSING:
                factory = item.default_factory
                values[item.name] = (
                    Items((), ("default", cls, item.name))
                    if factory is list
                    else self.invoke(Static(factory), [], {})
                )
        made = self.new_object(cls, values)
        after = class_entry(cls, "__post_init__")
        if isinstance(after, types.FunctionType):
            self.inline(after, [made], {})
        return made

    def replaced(self, arguments: Arguments, keywords: Keywords) -> Value:
        """`dataclasses.replace()`."""
        owner = arguments[0]
        cls = type(owner.value) if isinstance(owner, Static) else self.class_of(owner)
        if cls is None or not dataclasses.is_dataclass(cls):
            raise self.refuse(f"replaces fields of {describe(owner)}")
        given = dict(keywords)
        for item in dataclasses.fields(cls):
            if not item.init:
                raise self.refuse("replaces fields of an object with fields made in its __init__")
            if item.name not in given:
                given[item.name] = self.attribute(owner, item.name)
        return self.make(cls, [], given)

    def class_of(self, value: Value) -> type | None:
        """The class of an object of the run."""
        if isinstance(value, Number) and is_heap(value.type):
            shape = self.out.shape_in(value.type)
            return shape.cls if shape.kind == RECORD else list if shape.kind == LIST else tuple
        return None

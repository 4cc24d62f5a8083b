"""Calls of what is built into Python."""

from __future__ import annotations

import builtins
import collections
import enum
from collections.abc import Callable, Hashable
from typing import Any

from engine.compiled.emit import LIST
from engine.compiled.frames import Never
from engine.compiled.known_functions import KINDS
from engine.compiled.numpy_calls import NumpyCalls
from engine.compiled.values import (
    BOOL,
    FLOAT,
    INT,
    NONE,
    NUMERIC,
    ORDER,
    STR,
    TIMEDELTA,
    Arguments,
    Items,
    Keywords,
    Mapping,
    Method,
    Number,
    Record,
    Sequence,
    Static,
    Text,
    Value,
    Vector,
    Window,
    describe,
    is_enum,
    is_handle,
    is_heap,
)


class BuiltinCalls(NumpyCalls):
    """Calls of built-in functions."""

    invoke: Callable[[Value, Arguments, Keywords], Value]
    is_plain: Callable[[Value], bool]
    compute: Callable[[Any, Arguments, Keywords], Value]

    def call_len(self, arguments: Arguments, keywords: Keywords) -> Value:
        """len()."""
        (value,) = arguments
        if isinstance(value, Static):
            if value.value is None:
                raise Never("asks for the length of None")
            found = self.market_call(value.value, "__len__", [], {})
            if found is not None:
                return found
            if isinstance(value.value, dict) and self.entry_slots(value.value):
                raise self.refuse("asks for the length of a dict the run changes")
            return Static(len(value.value))
        if isinstance(value, (Items, Mapping)):
            return Static(len(value.values))
        if isinstance(value, Number) and is_heap(value.type):
            shape = self.out.shape_in(value.type)
            if shape.kind == LIST:
                return Number(self.count_of(value), INT)
            parts = self.elements(value)
            if parts is None:
                raise self.refuse(f"asks for the length of a {shape.cls.__name__}")
            return Static(len(parts))
        if isinstance(value, Sequence):
            return Number(value.count, INT)
        if isinstance(value, Window):
            return Number(f"({value.stop} - {value.start})", INT)
        if isinstance(value, Vector):
            return Number(f"len({value.code})", INT)
        raise self.refuse(f"asks for the length of {describe(value)}")

    def call_isinstance(self, arguments: Arguments, keywords: Keywords) -> Value:
        """isinstance()."""
        value, kinds = arguments
        classes = self.known(kinds, "a class")
        if isinstance(value, Static):
            return Static(isinstance(value.value, classes))
        if isinstance(value, Number):
            kind = self.kind_of(value)
            if kind is not None:
                found = issubclass(kind, classes)
                if value.none not in (None, "False") or (is_handle(value.type) and value.none is None):
                    test = f"({value.code} >= 0)" if is_handle(value.type) else f"(not {value.none})"
                    return Number(test, BOOL) if found else Static(issubclass(type(None), classes))
                return Static(found)
        if isinstance(value, Items):
            return Static(issubclass(list, classes) or issubclass(tuple, classes))
        if isinstance(value, Record):
            return Static(issubclass(value.cls, classes))
        if isinstance(value, (Sequence, Window)):
            return Static(issubclass(list, classes))
        if isinstance(value, Mapping):
            return Static(issubclass(dict, classes))
        raise self.refuse(f"asks for the class of {describe(value)}")

    def kind_of(self, value: Number) -> Any:
        """The Python class of a number's values; None where that is not known."""
        if value.type == ORDER:
            return self.order_class
        if is_enum(value.type):
            return self.out.enum_in(value.type)
        return self.class_of(value) or KINDS.get(value.type)

    def call_hasattr(self, arguments: Arguments, keywords: Keywords) -> Value:
        """hasattr()."""
        owner, name = arguments[0], self.known(arguments[1], "an attribute's name")
        if isinstance(owner, Static):
            slot = self.out.slots.get(("cell", id(owner.value), name))
            if slot is not None and slot.written and slot.missing:
                return Number(f"(not {slot.name}_missing)", BOOL)
        return Static(self.has_attribute(owner, name))

    def call_getattr(self, arguments: Arguments, keywords: Keywords) -> Value:
        """getattr(), with and without a default."""
        owner, name = arguments[0], self.known(arguments[1], "an attribute's name")
        if len(arguments) == 3 and not self.has_attribute(owner, name):
            return arguments[2]
        return self.attribute(owner, name)

    def call_setattr(self, arguments: Arguments, keywords: Keywords) -> Value:
        """setattr()."""
        self.store_attribute(arguments[0], self.known(arguments[1], "an attribute's name"), arguments[2])
        return NONE

    def call_abs(self, arguments: Arguments, keywords: Keywords) -> Value:
        """abs()."""
        number = self.present(arguments[0])
        if number.type not in NUMERIC and number.type != TIMEDELTA:
            raise self.refuse(f"takes the size of a {number.type}")
        kind = INT if number.type == BOOL else number.type
        return Number(f"abs({self.out.coerced(number, kind)[0]})", kind, exact=number.exact)

    def call_int(self, arguments: Arguments, keywords: Keywords) -> Value:
        """int()."""
        number = self.present(arguments[0])
        if number.type in (INT, BOOL):
            return Number(self.out.coerced(number, INT)[0], INT)
        return Number(f"whole({self.floating(number)}, error)", INT)

    def call_float(self, arguments: Arguments, keywords: Keywords) -> Value:
        """float()."""
        return Number(self.floating(arguments[0]), FLOAT, exact=True)

    def call_bool(self, arguments: Arguments, keywords: Keywords) -> Value:
        """bool()."""
        return self.truth(arguments[0])

    def call_str(self, arguments: Arguments, keywords: Keywords) -> Value:
        """str(): text to be printed, or the string itself."""
        value = arguments[0] if arguments else Static("")
        if len(arguments) == 1 and isinstance(value, Number):
            if is_enum(value.type) and issubclass(self.out.enum_in(value.type), enum.StrEnum):
                value = self.enum_value(value)
            if value.type == STR and value.none in (None, "False"):
                return value
            if value.type == STR:
                return Number(f"({self.out.string('None')} if {value.none} else {value.code})", STR)
        return Text()

    def call_repr(self, arguments: Arguments, keywords: Keywords) -> Value:
        """repr() and format(): text to be printed."""
        return Text()

    call_format = call_repr

    def call_round(self, arguments: Arguments, keywords: Keywords) -> Value:
        """round(), with and without digits."""
        number = self.present(arguments[0])
        digits = arguments[1] if len(arguments) > 1 else keywords.get("ndigits", NONE)
        if number.type in (INT, BOOL):
            return Number(self.out.coerced(number, INT)[0], INT)
        if isinstance(digits, Static) and digits.value is None:
            return Number(f"nearest({number.code}, error)", INT)
        code = f"rounded({number.code}, {self.whole_number(digits)}, error)"
        return Number(code, FLOAT, exact=number.exact)

    def call_range(self, arguments: Arguments, keywords: Keywords) -> Value:
        """range() over numbers of the run."""
        codes = [self.whole_number(value) for value in arguments]
        return Method(tuple(arguments), "range", tuple(codes))

    def call_map(self, arguments: Arguments, keywords: Keywords) -> Value:
        """map() over things whose parts are at hand."""
        lists = [self.elements(value) for value in arguments[1:]]
        if any(parts is None for parts in lists):
            raise self.refuse("maps over something of unknown length")
        return Items(
            tuple(
                self.held(self.invoke(arguments[0], list(parts), {})) for parts in zip(*lists, strict=False)
            )
        )

    def call_filter(self, arguments: Arguments, keywords: Keywords) -> Value:
        """filter() over things whose parts are at hand."""
        parts = self.elements(arguments[1])
        if parts is None:
            raise self.refuse("filters something of unknown length")
        return self.kept(
            [(part, self.truth(self.invoke(arguments[0], [part], {}))) for part in parts],
            ("filter", *self.site()),
        )

    def kept(self, pairs: list[tuple[Value, Value]], site: Hashable) -> Value:
        """The values whose truth holds; an object where that list outlives the call."""
        known = all(isinstance(wanted, Static) for _, wanted in pairs)
        if known and site not in self.heap_sites:
            return Items(tuple(value for value, wanted in pairs if wanted.value), site)
        return self.filtered(pairs, site)

    def call_sorted(self, arguments: Arguments, keywords: Keywords) -> Value:
        """sorted() of datas by a number of the run."""
        parts = self.elements(arguments[0])
        key = keywords.get("key")
        backwards = bool(self.known(keywords.get("reverse", Static(False)), "sorted's reverse"))
        if (
            parts is None
            or key is None
            or not all(isinstance(part, Static) and self.is_data(part.value) for part in parts)
        ):
            raise self.refuse("sorts something other than datas by a key")
        return self.sorted_datas(parts, [self.invoke(key, [part], {}) for part in parts], backwards)

    def parts(self, arguments: Arguments) -> list[Value] | None:
        """The values min, max and sum go over, where they can be written out."""
        return arguments if len(arguments) > 1 else self.elements(arguments[0])

    def extreme(self, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """min() and max()."""
        if set(keywords) - {"default"}:
            raise self.refuse(f"{name}() with {', '.join(keywords)}")
        parts = self.parts(arguments)
        if parts is None:
            values, kind = self.array(arguments[0])
            function = "largest" if name == "max" else "smallest"
            if "default" in keywords:
                default = self.floating(keywords["default"])
                return Number(f"({function}({values}, error) if len({values}) else {default})", FLOAT)
            return Number(f"{function}({values}, error)", kind, exact=self.elements_exact(arguments[0]))
        if not parts:
            if "default" in keywords:
                return keywords["default"]
            raise self.refuse(f"{name}() of nothing")
        if all(self.is_plain(part) for part in parts):
            return self.compute(getattr(builtins, name), parts, {})
        numbers = [self.present(part) for part in parts]
        kinds = {number.type for number in numbers}
        if len(kinds) == 1 and not kinds <= NUMERIC:
            kind = kinds.pop()
        elif kinds <= NUMERIC:
            kind = FLOAT if FLOAT in kinds else INT
        else:
            raise self.refuse(f"{name}() over {', '.join(sorted(kinds))}")
        function = "larger" if name == "max" else "smaller"
        code = self.out.coerced(numbers[0], kind)[0]
        for number in numbers[1:]:
            code = f"{function}({code}, {self.out.coerced(number, kind)[0]})"
        return Number(code, kind, exact=all(number.exact and number.type == FLOAT for number in numbers))

    def call_min(self, arguments: Arguments, keywords: Keywords) -> Value:
        """min()."""
        return self.extreme("min", arguments, keywords)

    def call_max(self, arguments: Arguments, keywords: Keywords) -> Value:
        """max()."""
        return self.extreme("max", arguments, keywords)

    def call_any(self, arguments: Arguments, keywords: Keywords) -> Value:
        """any()."""
        return self.all_or_any(arguments, "or", stop=True)

    def call_all(self, arguments: Arguments, keywords: Keywords) -> Value:
        """all()."""
        return self.all_or_any(arguments, "and", stop=False)

    def all_or_any(self, arguments: Arguments, word: str, *, stop: bool) -> Value:
        """Every part's truth joined."""
        parts = self.elements(arguments[0])
        if parts is None:
            values, _ = self.array(arguments[0])
            return Number(f"np.{'any' if stop else 'all'}({values} != 0)", BOOL)
        tests = [self.truth(part) for part in parts]
        if any(isinstance(test, Static) and bool(test.value) is stop for test in tests):
            return Static(stop)
        codes = [test.code for test in tests if isinstance(test, Number)]
        return Number("(" + f" {word} ".join(codes) + ")", BOOL) if codes else Static(not stop)

    def call_list(self, arguments: Arguments, keywords: Keywords) -> Value:
        """list() and tuple() of something whose parts are at hand, or a copy of a list."""
        site = ("list()", *self.site())
        if not arguments:
            return self.kept([], site)
        if (
            isinstance(arguments[0], Number)
            and is_heap(arguments[0].type)
            and self.elements(arguments[0]) is None
        ):
            return self.list_of(site, arguments[0])
        parts = self.elements(arguments[0])
        if parts is not None:
            return self.kept([(part, Static(True)) for part in parts], site)
        if isinstance(arguments[0], Sequence):
            return self.copied(arguments[0])
        if isinstance(arguments[0], Window):
            return arguments[0]
        raise self.refuse(f"makes a list of {describe(arguments[0])}")

    call_set = call_list

    def call_tuple(self, arguments: Arguments, keywords: Keywords) -> Value:
        """tuple() of something whose parts are at hand."""
        parts = self.elements(arguments[0]) if arguments else []
        return self.call_list(arguments, keywords) if parts is None else Items(tuple(parts))

    def call_deque(self, arguments: Arguments, keywords: Keywords) -> Value:
        """collections.deque() made in the run."""
        raise self.refuse("makes a deque in the run")

    def call_dict(self, arguments: Arguments, keywords: Keywords) -> Value:
        """dict(), with entries or keywords."""
        found = Mapping({}, self.here())
        for value in arguments:
            found.values.update(self.known_mapping(value))
        found.values.update(keywords)
        return found

    def call_enumerate(self, arguments: Arguments, keywords: Keywords) -> Value:
        """enumerate() of something whose parts are at hand."""
        parts = self.elements(arguments[0])
        if parts is None:
            return Method(
                (arguments[0], arguments[1] if len(arguments) > 1 else keywords.get("start", Static(0))),
                "enumerate",
            )
        start = self.known(
            arguments[1] if len(arguments) > 1 else keywords.get("start", Static(0)), "enumerate's start"
        )
        return Items(tuple(Items((Static(start + i), part)) for i, part in enumerate(parts)))

    def call_zip(self, arguments: Arguments, keywords: Keywords) -> Value:
        """zip() of things whose parts are at hand."""
        lists = [self.elements(value) for value in arguments]
        if any(parts is None for parts in lists):
            strict = self.known(keywords.get("strict", Static(False)), "zip's strict")
            return Method((tuple(arguments), bool(strict)), "zip")
        return Items(tuple(Items(parts) for parts in zip(*lists, strict=False)))

    def call_reversed(self, arguments: Arguments, keywords: Keywords) -> Value:
        """reversed() of something whose parts are at hand."""
        parts = self.elements(arguments[0])
        if parts is None:
            raise self.refuse(f"reverses {describe(arguments[0])}")
        return Items(tuple(reversed(parts)))


_BUILT_IN = frozenset(
    {abs, int, float, bool, str, repr, format, round, range, min, max, sum, any, all, list, tuple, set, dict}
    | {enumerate, zip, reversed, map, filter, sorted, collections.deque}
)

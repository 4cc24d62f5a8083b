"""Lists the kernel keeps: in the state, or while a call lasts."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from engine.compiled.cells import LISTS, Cells
from engine.compiled.emit import Slot
from engine.compiled.frames import Never
from engine.compiled.values import (
    BOOL,
    DATA,
    FLOAT,
    INT,
    NONE,
    NUMERIC,
    ORDER,
    Arguments,
    Items,
    Keywords,
    Method,
    Number,
    Sequence,
    Static,
    Value,
    Window,
    describe,
    is_handle,
    is_heap,
)


class Lists(Cells):
    """Lists that change in the run."""

    defaults: dict[Hashable, Any]

    def sequence(self, slot: Slot) -> Sequence:
        """A list's slot as a value."""
        if slot.element is None:
            slot.element, self.out.changed = "empty", True
        return Sequence(slot.name, f"{slot.name}_n", slot.element, slot)

    def new_sequence(self, key: Hashable, name: str, value: Items) -> Value:
        """A list local to a call that grows in it."""
        if value.site in self.heap_sites:
            return self.new_list(value.site, list(value.values))
        slot = self.out.slot(("sequence", key), name)
        slot.written = True
        slot.extra["live"] = []
        if value.site not in (None, "list"):
            slot.extra["site"] = value.site
        sequence = self.sequence(slot)
        self.out.line(f"{sequence.count} = 0")
        for part in value.values:
            self.append(sequence, part)
        return Sequence(slot.name, f"{slot.name}_n", slot.element or "empty", slot)

    def new_type(self, sequence: Sequence) -> Value:
        """The list with the type of element it has by now."""
        return Sequence(sequence.array, sequence.count, sequence.slot.element or "empty", sequence.slot)

    def element(self, slot: Slot, value: Value) -> Number:
        """A value as an element of this list; widens the list's type."""
        scalar = self.boxed(value) if self.boxable(value) else None
        if isinstance(scalar, Static) and scalar.value is None and is_handle(slot.element):
            return Number("-1", str(slot.element))
        if scalar is None or (isinstance(scalar, Static) and scalar.value is None):
            raise self.refuse(f"keeps {describe(value)} in a list")
        number = (
            self.present(self.out.number(scalar)) if not isinstance(scalar, Number) else self.present(scalar)
        )
        kind = INT if number.type == BOOL else number.type
        before = slot.element
        if before in (None, "empty"):
            joined: str | None = kind
        else:
            joined = FLOAT if {before, kind} <= NUMERIC and before != kind else self.out.join(before, kind)
        if joined is None:
            raise self.refuse(f"keeps a {before} and a {kind} in one list")
        if joined != before:
            slot.element = joined
            self.out.changed = True
        self.out.note_exactness(slot, number, joined)
        return number

    def element_code(self, sequence: Sequence, value: Value) -> str:
        """A value as something to compare a list's elements with."""
        number = self.element(sequence.slot, value)
        kind = sequence.slot.element
        return self.out.coerced(number, kind)[0] if kind in NUMERIC else number.code

    def append(self, sequence: Sequence, value: Value) -> None:
        """`list.append(value)`; a deque with a length drops its first."""
        if isinstance(value, Number) and value.type == ORDER and value.snap is not None:
            raise self.refuse("keeps the order of a notification in a list")
        if sequence.slot.extra.get("state"):
            self.effects += 1
        code = self.element_code(sequence, value)
        sequence = Sequence(sequence.array, sequence.count, sequence.slot.element or "empty", sequence.slot)
        limit = self.longest(sequence.slot)
        if limit is not None:
            self.out.line(
                f"if {sequence.count} == {limit}: {sequence.count} = drop({sequence.array}, {sequence.count}, 0, error)"
            )
        self.out.line(f"{sequence.array} = appended({sequence.array}, {sequence.count}, {code})")
        self.out.line(f"{sequence.count} += 1")

    def longest(self, slot: Slot) -> str | None:
        """The most elements a deque keeps: an argument of the kernel, as any number of the strategy."""
        limit = getattr(slot.extra.get("live"), "maxlen", None)
        return None if limit is None else self.scalar_argument(limit, ("maxlen", slot.name)).code

    def store_element(self, sequence: Sequence, index: Value, value: Value) -> None:
        """`list[index] = value`."""
        self.effects += 1
        code = self.element_code(sequence, value)
        self.out.line(f"put({sequence.array}, {sequence.count}, {self.whole_number(index)}, {code}, error)")

    def list_method(self, owner: Static, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """A method of a list that was there after `__init__`; one that changes it makes the kernel keep it."""
        slot = self.out.slots.get(owner.cell) if owner.cell is not None else None
        if slot is None or not slot.written:
            if name in ("index", "count", "copy"):
                return self.compute(getattr(owner.value, name), arguments, keywords)
            if owner.cell is None or not (self.belongs(owner.value) or owner.cell in self.defaults):
                raise self.refuse("changes a list that outlives the run")
            slot = self.cell(owner.cell, "list", owner.value)
        return self.sequence_method(self.sequence(slot), name, arguments, keywords)

    def sequence_method(self, owner: Sequence, name: str, arguments: Arguments, keywords: Keywords) -> Value:
        """Methods of a list the kernel keeps."""
        array, count = owner.array, owner.count
        self.effects += 1
        if name == "append":
            self.append(owner, arguments[0])
            return NONE
        if name == "extend":
            parts = self.elements(arguments[0])
            if parts is None:
                raise self.refuse("extends a list by another of unknown length")
            for part in parts:
                self.append(owner, part)
            return NONE
        if name in ("pop", "popleft"):
            index = "0" if name == "popleft" else self.whole_number(arguments[0]) if arguments else "-1"
            if owner.type == "empty":
                raise Never("IndexError")
            found = self.out.temporary(f"item({array}, {count}, {index}, error)")
            self.out.line(f"{count} = drop({array}, {count}, {index}, error)")
            return Number(found, owner.type, exact=owner.exact)
        if name == "remove":
            place = self.out.temporary(f"find({array}, {count}, {self.element_code(owner, arguments[0])})")
            self.out.line(f"if {place} < 0: fault(error)")
            self.out.line(f"else: {count} = drop({array}, {count}, {place}, error)")
            return NONE
        if name == "clear":
            self.out.line(f"{count} = 0")
            return NONE
        if name in ("insert", "appendleft"):
            position = Static(0) if name == "appendleft" else arguments[0]
            if not (isinstance(position, Static) and position.value == 0):
                raise self.refuse("inserts into the middle of a list")
            code = self.element_code(owner, arguments[-1])
            limit = self.longest(owner.slot)
            if limit is not None:
                self.out.line(f"if {count} == {limit}: {count} -= 1")
            self.out.line(f"{array} = insert_first({array}, {count}, {code})")
            self.out.line(f"{count} += 1")
            return NONE
        if name == "count":
            return Number(f"np.sum({array}[:{count}] == {self.element_code(owner, arguments[0])})", INT)
        raise self.refuse(f"calls {name}() of a list")

    def slice(self, owner: Value, parts: list[Value | None]) -> Value:
        """`owner[a:b]`."""
        lower, upper, step = parts
        if isinstance(owner, Number) and is_heap(owner.type) and self.elements(owner) is None:
            if step is not None:
                raise self.refuse("takes a part of a list in steps")
            first = "0" if lower is None else self.whole_number(lower)
            end = "" if upper is None else self.whole_number(upper)
            return self.list_of(("slice", *self.site()), owner, first, end)
        if isinstance(owner, Static) and isinstance(owner.value, LISTS) and owner.cell is not None:
            slot = self.out.slots.get(owner.cell)
            if slot is not None and slot.written:
                owner = self.sequence(slot)
        known = self.elements(owner)
        if known is not None:
            bounds = [None if part is None else int(self.known(part, "a slice")) for part in parts]
            site = "list" if not isinstance(owner, Items) or owner.site else None
            return Items(tuple(known[slice(*bounds)]), site)
        if isinstance(owner, (Sequence, Window)) and step is None:
            base, start0 = owner.array, "0" if isinstance(owner, Sequence) else owner.start
            length = owner.count if isinstance(owner, Sequence) else f"({owner.stop} - {owner.start})"
            start = "0" if lower is None else self.bound(self.whole_number(lower), length)
            stop = length if upper is None else self.bound(self.whole_number(upper), length)
            first = self.out.temporary(f"{start0} + {start}")
            last = self.out.temporary(f"max({first}, {start0} + {stop})")
            if isinstance(owner, Sequence):
                copy = self.out.temporary(f"{base}[{first}:{last}].copy()")
                return Window(copy, "0", f"len({copy})", owner.type, owner.exact)
            return Window(base, first, last, owner.type, owner.exact)
        raise self.refuse(f"takes a part of {describe(owner)}")

    def copied(self, owner: Sequence) -> Value:
        """`list(values)`: what the list holds now."""
        copy = self.out.temporary(f"{owner.array}[:{owner.count}].copy()")
        return Window(copy, "0", f"len({copy})", owner.type, owner.exact)

    @staticmethod
    def bound(code: str, length: str) -> str:
        """A slice's bound within 0 and the length."""
        return f"min({length}, max(0, {code} + ({length} if {code} < 0 else 0)))"

    def counting(self, iterable: Value, node: Any) -> tuple[str, list[str], Callable[[], Value]] | None:
        """A loop of the kernel over a range, a list it keeps, or values of a line."""
        if isinstance(iterable, Method) and iterable.name == "range" and isinstance(iterable.owner, tuple):
            counter = f"x{self.unique()}"
            return (
                f"for {counter} in range({', '.join(iterable.function)}):",
                [],
                lambda: Number(counter, INT),
            )
        if isinstance(iterable, Static) and isinstance(iterable.value, LISTS) and iterable.cell is not None:
            slot = self.out.slots.get(iterable.cell)
            if slot is not None and slot.written:
                iterable = self.sequence(slot)
        if isinstance(iterable, Sequence):
            if iterable.slot is not None:
                self.active.append(iterable.slot)
            counter = f"x{self.unique()}"

            def element() -> Value:
                self.out.line(f"if {counter} >= {iterable.count}: break")
                if iterable.type == "empty":
                    return NONE
                return Number(f"{iterable.array}[{counter}]", iterable.type, exact=iterable.exact)

            return f"for {counter} in range({2**31}):", [], element
        if isinstance(iterable, Number) and is_heap(iterable.type):
            counter, base = f"x{self.unique()}", self.sure(iterable)
            owner = Number(base, iterable.type, none="False")

            def part() -> Value:
                self.out.line(f"if {counter} >= heap[{base} + 1]: break")
                return self.element_at(owner, f"heap[{base} + 3] + {counter}")

            return f"for {counter} in range({2**31}):", [], part
        if isinstance(iterable, Method) and iterable.name == "enumerate":
            return self.counting_pairs(iterable, node)
        if isinstance(iterable, Method) and iterable.name == "zip":
            return self.counting_together(iterable)
        if isinstance(iterable, Window):
            counter = f"x{self.unique()}"
            return (
                f"for {counter} in range({iterable.start}, {iterable.stop}):",
                [],
                lambda: Number(f"{iterable.array}[{counter}]", iterable.type, exact=iterable.exact),
            )
        return None

    def counting_pairs(
        self, iterable: Method, node: Any
    ) -> tuple[str, list[str], Callable[[], Value]] | None:
        """A loop over `enumerate(values)`."""
        values, start = iterable.owner
        loop = self.counting(values, node)
        if loop is None:
            return None
        header, setup, item = loop
        counter = header.split()[1]
        first = self.out.temporary(f"{self.whole_number(start)}")
        if header.startswith("for") and isinstance(values, Window):
            first = self.out.temporary(f"{first} - {values.start}")
        return header, setup, lambda: Items((Number(f"({counter} + {first})", INT), item()))

    def counting_together(self, iterable: Method) -> tuple[str, list[str], Callable[[], Value]]:
        """A loop over `zip(...)` of lists; one of another length is an error where zip is strict."""
        values, strict = iterable.owner
        counts, readers = [], []
        counter = f"x{self.unique()}"
        for value in values:
            count, reader = self.reader(value, counter)
            counts.append(self.out.temporary(count))
            readers.append(reader)
        shortest = counts[0]
        for count in counts[1:]:
            shortest = self.out.temporary(f"min({shortest}, {count})")
        if strict:
            for count in counts:
                self.out.line(f"if {count} != {shortest}: fault(error)")
        return (
            f"for {counter} in range({shortest}):",
            [],
            lambda: Items(tuple(self.held(reader()) for reader in readers)),
        )

    def reader(self, value: Value, counter: str) -> tuple[str, Callable[[], Value]]:
        """The length of a list that nobody changes meanwhile, and what gives one element of it."""
        if isinstance(value, Static) and isinstance(value.value, LISTS) and value.cell is not None:
            slot = self.out.slots.get(value.cell)
            if slot is not None and slot.written:
                value = self.sequence(slot)
        parts = self.elements(value)
        if parts is not None:
            value = self.new_list(("zipped", *self.site()), parts)
        if isinstance(value, Number) and is_heap(value.type):
            owner = Number(self.sure(value), value.type, none="False")
            return f"heap[{owner.code} + 1]", lambda: self.element_at(
                owner, self.out.temporary(f"place(heap, {owner.code}, {counter}, error)")
            )
        if isinstance(value, Sequence):
            kind = value.type if value.type != "empty" else INT
            return value.count, lambda: Number(f"item({value.array}, {value.count}, {counter}, error)", kind)
        if isinstance(value, Window):
            return f"{value.stop} - {value.start}", lambda: Number(
                f"{value.array}[{value.start} + {counter}]", value.type
            )
        raise self.refuse(f"zips {describe(value)}")

    def for_data(self, code: str, walk: Callable[[Value], None]) -> None:
        """Walk once a data, each where the number of the run is that data's."""
        for number, data in enumerate(self.datas):
            with self.writing(self.out.block(f"if {code} == {number}:")):
                self.path.append(("data", number))
                walk(Static(data))
                self.path.pop()

    def filtered(self, known: list[tuple[Value, Value]], site: Hashable) -> Value:
        """A list of the values whose truths hold, kept by the kernel."""
        made = self.new_list(site, []) if site in self.heap_sites else None
        slot = self.out.slot(("filtered", site), "kept")
        slot.written = True
        slot.extra["live"], slot.extra["site"] = [], site
        sequence = self.sequence(slot)
        if made is None:
            self.out.line(f"{sequence.count} = 0")
        for value, wanted in known:
            tree = (
                self.out.block(f"if {wanted.code}:")
                if isinstance(wanted, Number)
                else self.out.place()
                if wanted.value
                else []
            )
            with self.writing(tree):
                if made is None:
                    self.append(sequence, value)
                else:
                    self.push(made, value)
        if made is not None:
            return made
        return Sequence(slot.name, f"{slot.name}_n", slot.element or "empty", slot)

    def sorted_datas(self, parts: list[Value], keys: list[Value], backwards: bool) -> Value:
        """`sorted(datas, key=...)`: the numbers of the datas, in order."""
        codes = ", ".join(self.floating(key) for key in keys)
        places = self.out.temporary(f"ranked(np.array([{codes}]), {backwards}, error)")
        numbers = ", ".join(str(self.number_of_data(part)) for part in parts)
        found = self.out.temporary(f"np.array([{numbers}])[{places}]")
        return Window(found, "0", str(len(parts)), DATA)

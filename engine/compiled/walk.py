"""Statements: what each does to the names in scope, and what the kernel has to do for it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from engine.compiled.emit import Emitter, Slot, Tree, is_atom
from engine.compiled.values import (
    DATA,
    FLOAT,
    Items,
    Mapping,
    Method,
    Number,
    Record,
    Sequence,
    Static,
    Text,
    Undefined,
    Value,
    Window,
)
from engine.refusal import Refused

NEVER: Any = object()
"""In place of a value: computing it always raises."""


class Never(Exception):
    """What is being walked raises in Python whenever it is reached."""


UNROLL_LIMIT = 400
"""Most turns of a loop over known things that are written out one by one."""
DEPTH_LIMIT = 24


@lru_cache(maxsize=2048)
def parsed(function: Any) -> tuple[ast.FunctionDef | ast.Lambda, str]:
    """The syntax tree of a function, with the line numbers of its file, and the file."""
    try:
        lines, first = inspect.getsourcelines(function)
        file = inspect.getsourcefile(function) or "?"
    except (OSError, TypeError) as error:
        raise Refused(
            f"the source of {getattr(function, '__qualname__', function)} is not to be had"
        ) from error
    tree = ast.parse(textwrap.dedent("".join(lines)))
    ast.increment_lineno(tree, first - 1)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            return node, file
    raise Refused(f"no function in the source of {function}")


@dataclass(slots=True)
class Jump:
    """A way out of a loop or call: the names as they stood, and where their values can still be stored."""

    env: dict[str, Value]
    place: Tree


@dataclass(slots=True)
class Context:
    """Something a statement can jump out of: a call, a loop of the kernel, one turn of a loop written out."""

    kind: str  # "call", "loop", "turn"
    flag: str = ""  # the variable that tells outer contexts to go on jumping
    jumped: bool = False  # whether a jump through this context was written
    breaks: list[Jump] = field(default_factory=list)
    continues: list[Jump] = field(default_factory=list)


@dataclass(slots=True)
class Frame:
    """One call that is being written out in place."""

    name: str
    path: tuple[Hashable, ...]
    file: str
    env: dict[str, Value]
    scope: dict[str, Any]
    owner: type | None = None  # the class the function was found in
    first: Value = None  # what its first parameter is bound to
    returns: list[Value] = field(default_factory=list)
    context: Context | None = None
    assigned: frozenset[str] = frozenset()
    outer: Frame | None = None
    own: bool = True  # whether it is the user's code, not Backtrader's


class Walk:
    """Walks statements; the other parts of the translator supply `evaluate`, `truth` and `call`."""

    out: Emitter
    frames: list[Frame]
    contexts: list[Context]
    path: list[Hashable]
    dead: bool
    problems: list[tuple[str, int, str]]
    lenient: bool

    # supplied by the other parts
    evaluate: Callable[[ast.expr], Value]
    truth: Callable[[Value], Value]
    condition: Callable[[ast.expr], Value]
    store_attribute: Callable[[Value, str, Value], None]
    store_item: Callable[[Value, Value, Value], None]
    delete_item: Callable[[Value, Value], None]
    elements: Callable[[Value], list[Value] | None]
    binary: Callable[[type, Value, Value], Value]
    check_storable: Callable[[Value], None]

    @property
    def frame(self) -> Frame:
        """The call being walked."""
        return self.frames[-1]

    def refuse(self, reason: str, node: Any = None) -> Refused:
        """A refusal at `node`, or at the line of the user's code that led here."""
        for frame in reversed(self.frames):
            if frame.own:
                line = self.lines.get(id(frame), getattr(node, "lineno", None))
                return Refused(reason, file=frame.file, line=line)
        return Refused(reason)

    lines: dict[int, int]
    blocks: list[int]
    active: list[Slot]  # lists that loops under way go over

    # -- blocks

    def walk(self, body: list[ast.stmt]) -> None:
        """One statement after the other, until one jumps."""
        for node in body:
            if self.dead:
                return
            self.lines[id(self.frame)] = node.lineno
            method = getattr(self, f"do_{type(node).__name__.lower()}", None)
            try:
                if method is None:
                    raise self.refuse(f"uses {type(node).__name__.lower()}", node)
                method(node)
            except Never:
                self.do_raise(node)
            except Refused as refused:
                if refused.file is None:
                    refused = self.refuse(refused.reason, node)
                if not self.lenient or not self.frame.own:
                    raise refused from None
                self.problems.append((refused.file or "", refused.line or 0, refused.reason))

    @contextmanager
    def writing(self, tree: Tree) -> Iterator[None]:
        """Write into `tree` for a while."""
        before, self.out.tree = self.out.tree, tree
        self.blocks.append(self.unique())
        try:
            yield
        finally:
            self.blocks.pop()
            self.out.tree = before

    def here(self) -> tuple[Hashable, ...]:
        """The block being written: what is done in it is done whenever what was made in it was made."""
        leaving = next(
            (number for number, frame in enumerate(self.frames) if frame.context is not None),
            len(self.frames),
        )
        return (*self.blocks, *(id(frame) for frame in self.frames[leaving:]))

    def check_place(self, where: Any) -> None:
        """A dict or object made in a call may only be changed where it was made: not under a condition of the run."""
        if where != self.here():
            raise self.refuse("changes a dict or object under a condition of the run")

    def branch(self, body: Callable[[], None], tree: Tree) -> tuple[dict[str, Value], Tree, bool]:
        """Walk one branch with its own names; returns them, a place at its end, and whether it jumped away."""
        before = self.frame.env
        self.frame.env = dict(before)
        self.dead = False
        with self.writing(tree):
            body()
            place = self.out.place()
        env, dead = self.frame.env, self.dead
        self.frame.env, self.dead = before, False
        return env, place, dead

    def merge(self, ends: list[Jump]) -> dict[str, Value]:
        """The names after several ways came together."""
        if not ends:
            return {}
        names = {name: None for end in ends for name in end.env}
        return {name: self.merged(name, [end.env.get(name) for end in ends], ends) for name in names}

    def merged(self, name: str, values: list[Value], ends: list[Jump]) -> Value:
        """One value for a name that has one in each of `ends`."""
        first = values[0]
        if all(value is first or (value == first and type(value) is type(first)) for value in values[1:]):
            return first
        if any(value is None or isinstance(value, Undefined) for value in values):
            return Undefined(f"{name} is not set on every way here")
        if any(map(self.is_object, values)) and all(map(self.boxable, values)):
            return self.merged_objects(name, values, ends)
        if all(isinstance(value, Items) and len(value.values) == len(first.values) for value in values):
            parts = zip(*(value.values for value in values), strict=True)
            return Items(tuple(self.merged(f"{name}_{i}", list(part), ends) for i, part in enumerate(parts)))
        if all(
            isinstance(value, Text) or (isinstance(value, Static) and isinstance(value.value, str))
            for value in values
        ) and any(isinstance(value, Text) for value in values):
            return Text()
        if all(isinstance(value, (Items, Sequence)) for value in values):
            self.want_sequence(name)
            return Undefined(f"{name} is a list of changing length")
        if not all(isinstance(value, (Number, Static)) for value in values):
            return Undefined(f"{name} is not the same thing on every way here")
        slot = self.local_slot(name)
        try:
            for value in values:
                self.out.widen(slot, value)
            for value, end in zip(values, ends, strict=True):
                self.out.assign(slot, value, end.place)
        except Refused as refused:
            return Undefined(f"{name}: {refused.reason}")
        return slot.number()

    def merged_objects(self, name: str, values: list[Value], ends: list[Jump]) -> Value:
        """One variable for objects of the run."""
        slot = self.local_slot(name)
        try:
            for value, end in zip(values, ends, strict=True):
                with self.writing(end.place):
                    self.out.assign(slot, self.boxed(value))
        except Refused as refused:
            return Undefined(f"{name}: {refused.reason}")
        return slot.number()

    is_object: Callable[[Value], bool]
    boxable: Callable[[Value], bool]
    boxed: Callable[[Value], Number | Static]
    boxed_returns: set[Hashable]
    effects: int

    def want_sequence(self, name: str) -> None:
        """From the next pass on, an empty list given to this name is one the kernel keeps."""
        key = ("list", self.frame.path, name)
        if key not in self.out.slots:
            self.out.slot(key, name)

    def local_slot(self, name: str) -> Slot:
        """The variable of a local name of this call."""
        return self.out.slot(("local", self.frame.path, name), name)

    # -- names

    def frozen(self, value: Value, name: str) -> Value:
        """The value as it stands now, safe from what is assigned later."""
        if isinstance(value, Number):
            if value.known is not None and is_atom(value.code) and not value.code.startswith("s"):
                return value
            slot = self.local_slot(name)
            self.out.assign(slot, value)
            number = slot.number()
            return Number(number.code, number.type, number.none, number.snap, exact=number.exact)
        if isinstance(value, Items):
            return Items(
                tuple(self.frozen(part, f"{name}_{i}") for i, part in enumerate(value.values)), value.site
            )
        return value

    def bind(self, name: str, value: Value) -> None:
        """Give a local name a value."""
        self.lookup_nonlocal(name)
        if isinstance(value, Items) and ("list", self.frame.path, name) in self.out.slots:
            site = value.site or ("local", self.frame.path, name)
            self.frame.env[name] = self.new_sequence(
                ("local", self.frame.path, name), name, Items(value.values, site)
            )
            return
        self.frame.env[name] = self.frozen(value, name)

    new_sequence: Callable[[Hashable, str, Items], Value]

    def lookup_nonlocal(self, name: str) -> None:
        """Names of outer calls cannot be assigned from inner ones."""

    def assign(self, target: ast.expr, value: Value) -> None:
        """An assignment to whatever stands on its left."""
        if isinstance(target, ast.Name):
            self.bind(target.id, value)
        elif isinstance(target, ast.Attribute):
            self.store_attribute(self.evaluate(target.value), target.attr, value)
        elif isinstance(target, ast.Subscript):
            owner = self.evaluate(target.value)
            self.store_item(owner, self.evaluate(target.slice), value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            if isinstance(value, Static) and value.value is None:
                raise Never("unpacks None")
            parts = self.elements(value)
            if parts is None or len(parts) != len(target.elts):
                raise self.refuse("unpacks something of unknown length", target)
            held = [self.held(part) for part in parts]
            for one, part in zip(target.elts, held, strict=True):
                self.assign(one, part)
        else:
            raise self.refuse("assigns to something unusual", target)

    def held(self, value: Value) -> Value:
        """The value in a variable of its own."""
        if not isinstance(value, Number) or (is_atom(value.code) and value.code[0] not in "s-"):
            return value
        none = None if value.none is None else self.out.temporary(value.none)
        snap = None if value.snap is None else self.out.temporary(value.snap)
        return Number(self.out.temporary(value.code), value.type, none, snap, exact=value.exact)

    # -- statements

    def do_pass(self, node: ast.Pass) -> None:
        """Nothing."""

    def do_expr(self, node: ast.Expr) -> None:
        """A call for its effect; a value nobody uses costs nothing."""
        if not isinstance(node.value, ast.Constant):
            self.discard(self.evaluate(node.value))

    discard: Callable[[Value], None]

    def do_import(self, node: ast.Import) -> None:
        """A module imported inside a method."""
        for name in node.names:
            self.bind(
                name.asname or name.name.partition(".")[0],
                Static(__import__(name.name, fromlist=["_"] if name.asname else [])),
            )

    def do_importfrom(self, node: ast.ImportFrom) -> None:
        """Names imported inside a method."""
        module = __import__(node.module or "", self.frame.scope, fromlist=["_"], level=node.level)
        for name in node.names:
            self.bind(name.asname or name.name, Static(getattr(module, name.name)))

    def do_assign(self, node: ast.Assign) -> None:
        """`a = b = value`."""
        value = self.evaluate(node.value)
        if len(node.targets) > 1:
            value = self.held(value)
        for target in node.targets:
            self.assign(target, value)

    def do_annassign(self, node: ast.AnnAssign) -> None:
        """`a: int = value`."""
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value))

    def do_augassign(self, node: ast.AugAssign) -> None:
        """`a += value`."""
        read = ast.copy_location(ast.parse(ast.unparse(node.target), mode="eval").body, node)
        ast.fix_missing_locations(read)
        before = self.evaluate(read)
        self.assign(node.target, self.binary(type(node.op), before, self.evaluate(node.value)))

    def do_delete(self, node: ast.Delete) -> None:
        """`del d[key]`, `del name`."""
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self.delete_item(self.evaluate(target.value), self.evaluate(target.slice))
            elif isinstance(target, ast.Name):
                self.frame.env[target.id] = Undefined(f"{target.id} was deleted")
            else:
                raise self.refuse("deletes an attribute", node)

    def do_if(self, node: ast.If) -> None:
        """Both ways where the condition is not known, the one taken where it is."""
        condition = self.condition(node.test)
        if isinstance(condition, Static):
            self.walk(node.body if condition.value else node.orelse)
            return
        env1, place1, dead1 = self.branch(
            lambda: self.walk(node.body), self.out.block(f"if {condition.code}:")
        )
        env2, place2, dead2 = self.branch(lambda: self.walk(node.orelse), self.out.block("else:"))
        ends = [
            Jump(env, place)
            for env, place, dead in ((env1, place1, dead1), (env2, place2, dead2))
            if not dead
        ]
        self.dead = not ends
        if ends:
            self.frame.env = self.merge(ends)

    def do_assert(self, node: ast.Assert) -> None:
        """A failed one ends the run, as an exception does."""
        condition = self.condition(node.test)
        if isinstance(condition, Static):
            if not condition.value:
                self.do_raise(node)
            return
        self.out.line(f"if not ({condition.code}): fault(error)")

    def do_raise(self, node: Any) -> None:
        """The run ends here and is repeated where the exception appears as it should."""
        self.out.line("fault(error)")
        self.out.line("return 1")
        self.dead = True

    def do_try(self, node: ast.Try) -> None:
        """What could raise ends the kernel, so that a handler is never reached in it."""
        if node.finalbody and any(
            isinstance(part, (ast.Return, ast.Break, ast.Continue))
            for each in [*node.body, *node.orelse]
            for part in ast.walk(each)
        ):
            raise self.refuse("leaves a try that has a finally", node)
        self.walk([*node.body, *node.orelse, *node.finalbody])

    def do_functiondef(self, node: ast.FunctionDef) -> None:
        """A function inside a function."""
        from engine.compiled.values import Closure

        self.frame.env[node.name] = Closure(node, self.frame)

    # -- ways out

    def jump(self, target: Context, record: list[Jump] | None) -> None:
        """Leave every context up to `target`, which is left by a `break` of the innermost one."""
        place = self.out.place()
        if record is not None:
            record.append(Jump(dict(self.frame.env), place))
        inner = self.contexts[self.contexts.index(target) + 1 :]
        if inner:
            self.out.line(f"{target.flag} = True")
            for context in inner:
                context.jumped = True
            target.jumped = True
        self.out.line("break")
        self.dead = True

    def do_return(self, node: ast.Return) -> None:
        """The value goes into the call's own variable, unless this is its only way out."""
        value = Static(None) if node.value is None else self.evaluate(node.value)
        frame = self.frame
        context = frame.context
        if context is None:
            frame.returns.append(value)
            self.dead = True
            return
        if isinstance(value, Items) and ("return items", frame.path) not in self.out.slots:
            self.out.slot(("return items", frame.path), "items").extra["n"] = len(value.values)
        self.store_return(value)
        self.jump(context, None)

    def store_return(self, value: Value) -> None:
        """Keep a call's result where its caller finds it."""
        frame = self.frame
        if frame.path in self.boxed_returns:
            value = self.boxed(value)
        if isinstance(value, Items):
            for i, part in enumerate(value.values):
                if not isinstance(part, (Number, Static)) or self.scalar(part) is None:
                    continue
                self.out.assign(self.out.slot(("return", frame.path, i), f"{frame.name}_{i}"), part)
            frame.returns.append(value)
            return
        if not isinstance(value, (Number, Static)):
            frame.returns.append(value)
            return
        frame.returns.append(value)
        scalar = self.scalar(value)
        if scalar is not None:
            self.out.assign(self.out.slot(("return", frame.path), frame.name), scalar)

    scalar: Callable[[Value], Number | Static | None]

    def do_break(self, node: ast.Break) -> None:
        """Out of the loop."""
        loop = self.loop_context()
        self.jump(loop, loop.breaks)

    def do_continue(self, node: ast.Continue) -> None:
        """On to the next turn."""
        for context in reversed(self.contexts):
            if context.kind == "turn":
                self.jump(context, context.continues)
                return
            if context.kind == "loop":
                if context is not self.contexts[-1]:
                    raise self.refuse("continues a loop from inside another", node)
                context.continues.append(Jump(dict(self.frame.env), self.out.place()))
                self.out.line("continue")
                self.dead = True
                return

    def loop_context(self) -> Context:
        """The innermost loop."""
        for context in reversed(self.contexts):
            if context.kind in ("loop", "turns"):
                return context
        raise self.refuse("breaks out of no loop")

    def leave(self) -> None:
        """After a loop: go on jumping when a return aimed further out."""
        for outer in self.contexts:
            if outer.kind == "call" and outer.jumped:
                self.out.line(f"if {outer.flag}: break")

    # -- loops

    def do_for(self, node: ast.For) -> None:
        """Written out over things known now, a loop of the kernel over numbers."""
        if node.orelse:
            raise self.refuse("uses for ... else", node)
        iterable = self.evaluate(node.iter)
        known = self.elements(iterable)
        if known is not None:
            if len(known) > UNROLL_LIMIT:
                raise self.refuse(f"loops over {len(known)} things, more than {UNROLL_LIMIT}", node)
            self.turns(node, known)
            return
        outer = len(self.active)
        if getattr(iterable, "type", None) == DATA:
            self.loop_over_datas(node, iterable)
            del self.active[outer:]
            return
        if isinstance(iterable, Static) and iterable.value is None:
            raise Never("loops over None")
        loop = self.counting(iterable, node)
        if loop is None:
            raise self.refuse(f"loops over {describe(iterable)}", node)
        header, setup, item = loop
        for line in setup:
            self.out.line(line)
        self.loop(
            node,
            header,
            lambda: self.assign(node.target, item()),
            self.stored_names([node.target, *node.body]),
        )
        del self.active[outer:]

    def loop_over_datas(self, node: ast.For, iterable: Value) -> None:
        """A loop over datas in an order of the run: one copy of the body a data."""
        if any(isinstance(part, (ast.Break, ast.Continue)) for part in own_nodes(node.body)):
            raise self.refuse("leaves a loop over datas known only in the run", node)
        loop = self.counting(iterable, node)
        assert loop is not None
        header, _, item = loop
        names = self.stored_names(list(node.body))
        stand_in = ast.copy_location(ast.For(target=node.target, iter=node.iter, body=[], orelse=[]), node)

        def start() -> None:
            code = item().code
            before = dict(self.frame.env)

            def walk(data: Value) -> None:
                self.frame.env = dict(before)
                self.assign(node.target, data)
                self.walk(node.body)
                for name in names:
                    value = self.frame.env.get(name)
                    if isinstance(value, (Number, Static)) and isinstance(before.get(name), Number):
                        self.out.assign(self.local_slot(name), value)

            self.for_data(code, walk)
            self.frame.env = before

        self.loop(stand_in, header, start, names)

    for_data: Callable[[str, Callable[[Value], None]], None]
    counting: Callable[[Value, ast.AST], tuple[str, list[str], Callable[[], Value]] | None]

    def turns(self, node: ast.For, known: list[Value]) -> None:
        """One copy of the body a known thing."""
        jumps = any(isinstance(part, (ast.Break, ast.Continue)) for part in own_nodes(node.body))
        if not jumps:
            for number, value in enumerate(known):
                if self.dead:
                    return
                self.turn(node, number, value)
            return
        outer = Context("turns", flag=f"k{self.unique()}")
        self.out.line(f"{outer.flag} = False")
        self.contexts.append(outer)
        for number, value in enumerate(known):
            if self.dead:
                break
            with self.writing(self.out.block(f"if not {outer.flag}:") if number else self.out.place()):
                self.turn_with_jumps(node, number, value)
        self.contexts.pop()
        ends = list(outer.breaks)
        if not self.dead:
            ends.append(Jump(dict(self.frame.env), self.out.block(f"if not {outer.flag}:")))
        self.dead = not ends
        if ends:
            self.frame.env = self.merge(ends)

    def turn_with_jumps(self, node: ast.For, number: int, value: Value) -> None:
        """One turn as a loop that runs once, so that `continue` and `break` can leave it."""
        context = Context("turn", flag=f"c{self.unique()}")
        self.contexts.append(context)
        with self.writing(self.out.block("while True:")):
            self.turn(node, number, value)
            ends = list(context.continues)
            if not self.dead:
                ends.append(Jump(dict(self.frame.env), self.out.place()))
                self.out.line("break")
        self.contexts.pop()
        self.dead = not ends
        if ends:
            self.frame.env = self.merge(ends)
        self.leave()

    def turn(self, node: ast.For, number: int, value: Value) -> None:
        """The body once, with its own variables for what is called in it."""
        self.path.append(("turn", node.lineno, node.col_offset, number))
        self.assign(node.target, value)
        self.walk(node.body)
        self.path.pop()

    def do_while(self, node: ast.While) -> None:
        """A loop of the kernel."""
        if node.orelse:
            raise self.refuse("uses while ... else", node)

        def test() -> None:
            condition = self.condition(node.test)
            code = str(bool(condition.value)) if isinstance(condition, Static) else condition.code
            if code != "True":
                self.out.line(f"if not ({code}): break")

        self.loop(node, "while error[0] == 0:", test, self.stored_names([node.test, *node.body]))

    def stored_names(self, nodes: list[Any]) -> list[str]:
        """Names these statements assign."""
        names: dict[str, None] = {}
        for node in nodes:
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    names[part.id] = None
                if (
                    (
                        isinstance(part, ast.Call)
                        and isinstance(part.func, ast.Attribute)
                        and isinstance(part.func.value, ast.Name)
                    )
                    and (
                        part.func.attr in ("append", "pop", "remove", "insert", "extend", "clear")
                        and part.func.value.id in self.frame.env
                    )
                    and isinstance(self.frame.env[part.func.value.id], Items)
                ):
                    self.want_sequence(part.func.value.id)
        return list(names)

    def loop(self, node: Any, header: str, start: Callable[[], None], names: list[str]) -> None:
        """A loop of the kernel; what its body assigns lives in variables before, during and after it."""
        entering: dict[str, Value] = {}
        for name in names:
            value = self.frame.env.get(name)
            scalar = (
                self.boxed(value) if self.is_object(value) and self.boxable(value) else self.scalar(value)
            )
            if scalar is not None:
                slot = self.local_slot(name)
                self.out.assign(slot, scalar)
                number = slot.number()
                self.frame.env[name] = Number(
                    number.code, number.type, number.none, number.snap, exact=number.exact
                )
            entering[name] = self.frame.env.get(name)
        before = dict(self.frame.env)
        context = Context("loop", flag=f"b{self.unique()}")
        body = self.out.block(header)
        self.contexts.append(context)
        with self.writing(body):
            try:
                start()
                self.walk(node.body)
            except Never:
                self.do_raise(node)
            ends = list(context.continues)
            if not self.dead:
                ends.append(Jump(dict(self.frame.env), self.out.place()))
        self.contexts.pop()
        self.dead = False
        env = dict(before)
        for name in names:
            for end in [*ends, *context.breaks]:
                value = end.env.get(name)
                if not isinstance(before.get(name), Number):
                    continue
                if not self.boxable(value):
                    raise self.refuse(f"{name} changes its kind in a loop", node)
                with self.writing(end.place):
                    self.out.assign(self.local_slot(name), self.boxed(value))
            if isinstance(before.get(name), Number):
                env[name] = self.local_slot(name).number()
            elif name in before:
                if any(end.env.get(name) != before[name] for end in [*ends, *context.breaks]):
                    env[name] = Undefined(f"{name} changes in a loop")
            else:
                env[name] = Undefined(f"{name} is set only in a loop")
        self.frame.env = env
        self.leave()

    def unique(self) -> int:
        """A new number."""
        self.out.temporaries += 1
        return self.out.temporaries


def own_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The nodes of a loop's body, without those of loops and functions inside it."""
    for node in body:
        yield node
        if isinstance(node, (ast.For, ast.While, ast.FunctionDef, ast.Lambda)):
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.stmt, ast.excepthandler)):
                yield from own_nodes([child])  # type: ignore[list-item]


def describe(value: Value) -> str:
    """A value in a few words, for a refusal."""
    if isinstance(value, Static):
        return f"a {type(value.value).__name__}"
    if isinstance(value, Number):
        return f"a {value.type}"
    if isinstance(value, Method):
        return f"the method {value.name}"
    names = {
        Items: "a tuple",
        Mapping: "a dict",
        Sequence: "a list",
        Window: "values of a line",
        Text: "a string",
        Record: "an object",
    }
    return names.get(type(value), type(value).__name__.lower())


__all__ = ["FLOAT", "Context", "Frame", "Jump", "Walk", "describe", "parsed"]

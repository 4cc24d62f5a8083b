"""Loops: written out over things known now, loops of the kernel over numbers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from engine.compiled.frames import Context, Jump, Never
from engine.compiled.statements import Statements
from engine.compiled.values import DATA, Items, Number, Static, Undefined, Value, describe

UNROLL_LIMIT = 400
"""Most turns of a loop over known things that are written out one by one."""


class Loops(Statements):
    """Walks loops."""

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


def own_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The nodes of a loop's body, without those of loops and functions inside it."""
    for node in body:
        yield node
        if isinstance(node, (ast.For, ast.While, ast.FunctionDef, ast.Lambda)):
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.stmt, ast.excepthandler)):
                yield from own_nodes([child])  # type: ignore[list-item]

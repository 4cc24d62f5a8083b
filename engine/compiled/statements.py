"""Statements: what each does to the names in scope, and what the kernel has to do for it."""

from __future__ import annotations

import ast
from typing import Any

from engine.compiled.frames import Context, Jump
from engine.compiled.values import Items, Number, Static, Undefined, Value
from engine.compiled.walk import Walk


class Statements(Walk):
    """Walks every statement but loops."""

    def do_pass(self, node: ast.Pass) -> None:
        """Nothing."""

    def do_expr(self, node: ast.Expr) -> None:
        """A call for its effect; a value nobody uses costs nothing."""
        if not isinstance(node.value, ast.Constant):
            self.discard(self.evaluate_open(node.value))

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
        to_name = len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        value = (self.evaluate_open if to_name else self.evaluate)(node.value)
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

"""From one long kernel to a short one that calls functions: what machine code costs grows faster than its length.

The translator writes every call out in place, so that the same method may stand in a kernel many times. Here whole
statements (`while`, `if`, `for`) are moved into functions of their own, innermost first; statements that are the same
but for the names of their variables share one. A function is given what it reads or may leave unchanged, and returns
what is read after it: the answers stay the same to the last bit.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from engine.compiled.parts import (
    BROKER,
    AtDesk,
    Opened,
    copy_of,
    first_seen,
    function_text,
    is_first_value,
    typed,
)
from engine.refusal import Refused

LONGEST = 1500
"""Statements of a kernel that is left whole."""
MOST = 2200
"""Statements of the longest kernel that is worth compiling, with its functions."""
PART = 25
"""Statements from which on a block becomes a function."""
SHARED = frozenset(
    (
        "book",
        "desk",
        "account",
        "positions",
        "orders",
        "notes",
        "trades",
        "memory",
        "heap",
        "reals",
        "error",
        "t",
    )
)
"""Names that mean the same wherever they stand."""

Names = frozenset[str]
NONE: Names = frozenset()


@dataclass(slots=True)
class Flow:
    """Names that may be read before they are set again: where a statement ends, and where a jump leads."""

    after: dict[int, Names] = field(default_factory=dict)

    def block(self, body: Sequence[ast.stmt], out: Names, leave: Names, again: Names) -> Names:
        """Names live before these statements. leave, again: live where `break` and `continue` lead."""
        for node in reversed(body):
            self.after[id(node)] = out
            out = self.statement(node, out, leave, again)
        return out

    def statement(self, node: ast.stmt, out: Names, leave: Names, again: Names) -> Names:
        """Names live before one statement."""
        match node:
            case ast.Break():
                return leave
            case ast.Continue():
                return again
            case ast.Return():
                return read(node)
            case ast.If():
                taken = self.block(node.body, out, leave, again)
                return taken | self.block(node.orelse, out, leave, again) | read(node.test)
            case ast.While():
                endless = isinstance(node.test, ast.Constant) and node.test.value is True
                ends = NONE if endless else out | read(node.test)
                return self.loop(node.body, out, ends, NONE, turns=falls_through(node.body))
            case ast.For():
                return read(node.iter) | self.loop(node.body, out, out, stored(node.target), turns=True)
        return (out - stored(node)) | read(node)

    def loop(self, body: Sequence[ast.stmt], out: Names, ends: Names, target: Names, *, turns: bool) -> Names:
        """Names live before a loop. ends: live where it ends by itself. target: what each turn sets."""
        head = ends
        while True:
            found = ends | (self.block(body, head, out, head) - target)
            if found == head or not turns:
                return found
            head = found


def falls_through(body: Sequence[ast.stmt]) -> bool:
    """Whether a loop's body may be run twice."""
    last = body[-1]
    return not isinstance(last, (ast.Break, ast.Return)) or any(
        isinstance(node, ast.Continue) for node in jumps(body)
    )


def jumps(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The `break` and `continue` that lead out of these statements."""
    for node in body:
        if isinstance(node, (ast.Break, ast.Continue)):
            yield node
        elif isinstance(node, ast.If):
            yield from jumps([*node.body, *node.orelse])


def read(node: ast.AST) -> Names:
    """Names that a statement, with all it holds, or an expression reads."""
    return used(node)[0]


def stored(node: ast.AST) -> Names:
    """Names that are set."""
    return used(node)[1]


def used(node: ast.AST) -> tuple[Names, Names]:
    """Names that are read, and those that are set; noted on what never changes, simple statements and expressions."""
    if isinstance(node, (ast.FunctionDef, ast.If, ast.While, ast.For)):
        parts = [used(part) for part in held(node)]
        parts += [used(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
        return union(part[0] for part in parts), union(part[1] for part in parts)
    noted: tuple[Names, Names] | None = getattr(node, "used", None)
    if noted is None:
        loads: set[str] = set()
        stores: set[str] = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                (stores if isinstance(part.ctx, ast.Store) else loads).add(part.id)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            loads.add(node.target.id)
        noted = node.used = frozenset(loads), frozenset(stores)  # type: ignore[attr-defined]
    return noted


def union(parts: Iterable[Names]) -> Names:
    """All names of several sets."""
    return NONE.union(*parts)


def held(node: ast.AST) -> Sequence[ast.stmt]:
    """The statements directly inside one."""
    return [*getattr(node, "body", ()), *getattr(node, "orelse", ())]


def all_held(node: ast.stmt) -> Iterator[ast.stmt]:
    """A statement, and all that are inside it."""
    yield node
    for part in held(node):
        yield from all_held(part)


def statements(node: ast.stmt) -> int:
    """How many statements a statement holds, itself included."""
    return sum(1 for _ in all_held(node))


def outlined(source: str) -> str:
    """A kernel's source with its longer blocks as functions; as it is when it is short."""
    module = ast.parse(source)
    kernel = module.body[-1]
    assert isinstance(kernel, ast.FunctionDef)
    if statements(kernel) <= LONGEST:
        return source
    written = Outliner(kernel).written(source)
    if sum(map(statements, ast.parse(written).body)) > MOST:
        raise Refused(f"would be a kernel of more than {MOST:,} statements, which takes too long to compile")
    return written


class Outliner:
    """Moves blocks of a kernel into functions."""

    def __init__(self, kernel: ast.FunctionDef) -> None:
        self.kernel = AtDesk().visit(kernel)
        kernel.body.insert(1, ast.parse("desk = book.desk[0].here").body[0])
        self.locals = stored(kernel) | {argument.arg for argument in kernel.args.args}
        self.parts: dict[str, str] = {}
        self.results = 0
        self.flow = Flow()
        self.flow.block(kernel.body, NONE, NONE, NONE)
        self.first = {
            node.targets[0].id: node.value
            for node in kernel.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and is_first_value(node)
        }

    def written(self, source: str) -> str:
        """The module: the parts, then the kernel that calls them."""
        for node in self.kernel.body:
            if isinstance(node, ast.For):
                node.body = self.block(node.body)
        self.drop_unread()
        header = (
            source[: source.index("@nb.njit")]
            + f"from engine.compiled import lengthy\nfrom engine.compiled.broker import {', '.join(BROKER.values())}\n\n\n"
        )
        self.kernel.decorator_list = [ast.parse("lengthy.kernel", mode="eval").body]
        parts = "".join(
            f"@lengthy.part\n{text.replace('def part(', f'def {name}(', 1)}\n\n\n"
            for text, name in self.parts.items()
        )
        return f"{header}{parts}{ast.unparse(self.kernel)}\n"

    def drop_unread(self) -> None:
        """Leave out the first values of variables that only parts have."""
        needed = union(read(node) for node in self.kernel.body)
        kept: list[ast.stmt] = []
        for node in self.kernel.body:
            if isinstance(node, ast.Assign) and is_first_value(node):
                if not stored(node) & needed:
                    continue
                node.value = typed(node.value)
            kept.append(node)
        self.kernel.body = kept

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Statements with what is inside them outlined, innermost first."""
        found: list[ast.stmt] = []
        for node in body:
            after = self.flow.after[id(node)]
            if isinstance(node, (ast.If, ast.While, ast.For)):
                node.body = self.block(node.body)
                node.orelse = self.block(node.orelse)
                found += self.call(node, after)
            else:
                found.append(node)
        return found

    def call(self, node: ast.stmt, after: Names) -> list[ast.stmt]:
        """A block, or the call of its function."""
        if statements(node) < PART or (isinstance(node, ast.If) and any(jumps([node]))):
            return [node]
        returns = [part for part in all_held(node) if isinstance(part, ast.Return)]
        if not all(isinstance(part.value, (ast.Constant, ast.Name)) for part in returns):
            return [node]
        written = Flow()
        before = written.block([node], after, NONE, NONE)
        names = stored(node)
        results = names & after
        given = (before & self.locals) & (names | read(node))
        if returns and not results - given <= self.first.keys():
            return [node]
        return self.replaced(node, given, results, bool(returns))

    def replaced(self, node: ast.stmt, given: Names, results: Names, returns: bool) -> list[ast.stmt]:
        """The call of the function of a block, which is written when there is none like it."""
        opened = Opened()
        node = opened.visit(copy_of(node))
        order = first_seen(node)
        arguments = sorted(given, key=order.__getitem__)
        outcome = sorted(results, key=order.__getitem__)
        inner = {
            name: name if name in SHARED else f"v{number}"
            for name, number in order.items()
            if name in self.locals
        }
        starts = [
            f"{inner[name]} = {ast.unparse(typed(self.first[name]))}"
            for name in outcome
            if returns and name not in given
        ]
        text = function_text(
            node,
            [*(inner[name] for name in arguments), *opened.names],
            starts,
            [inner[name] for name in outcome],
            inner,
            returns,
        )
        name = self.parts.setdefault(text, f"part_{len(self.parts)}")
        if returns:
            self.results += 1
            outcome = [f"r{self.results}", *outcome]
            self.locals |= {outcome[0]}
        call = f"{name}({', '.join([*arguments, *opened.values])})"
        if outcome:
            call = f"{', '.join(outcome)} = {call}"
        if returns:
            call = f"{call}\nif {outcome[0]} != 0:\n    return {outcome[0]}"
        return ast.parse(call).body


__all__ = ["outlined"]

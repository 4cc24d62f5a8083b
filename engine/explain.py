"""What compiles of a strategy, line by line, and which engine would run it.

python -m engine.explain momentum
python -m engine.explain crossing.py:Crossing --param fast=5 --kernel
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser, print_json, run_command

if TYPE_CHECKING:
    from engine.compiled.explanation import Explanation, MethodReport
    from engine.plan import Plan

FINE, PROBLEM, DROPPED = " ", "!", "-"
LEGEND = f"{PROBLEM} does not compile   {DROPPED} left out: it has no effect on the run"


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine `auto` takes, and why it, or why none of the faster ones."""

    engine: str
    reason: str


@dataclass(frozen=True, slots=True)
class Indicators:
    """Names of a strategy's indicators: computed by kernels, and by Backtrader's own code, once a run."""

    fast: Sequence[str] = ()
    stock: Sequence[str] = ()


def explanation_of(plan: Plan) -> Explanation:
    """What the translator says of this strategy with these parameters over these bars."""
    from engine.compiled.translate import explain

    return explain(plan.strategy, plan.params, plan.market.frames, plan.resample)


def indicators_of(plan: Plan) -> Indicators:
    """How each indicator would be computed: bar by bar where bars are resampled and doing it at once may differ."""
    from engine.cerebro import stock_broker
    from engine.compiled.delivery import check_indicators, deliver
    from engine.once import evaluate
    from engine.refusal import Refused
    from engine.setup import prepare

    broker = stock_broker(plan.settings.broker.cash, plan.settings.broker.commission)
    setup = prepare(plan.strategy, plan.params, plan.market.frames, broker, resample=plan.resample)
    if not setup.once:
        try:
            check_indicators(setup)
        except Refused:
            return Indicators(stock=[type(one).__name__ for one in setup.strategy.getindicators()])
        deliver(setup)
    report = evaluate(setup.strategy)
    return Indicators(tuple(report.fast), tuple(report.stock))


def choice_of(plan: Plan) -> Choice:
    """The engine `auto` takes, found out by letting it choose and run over these bars."""
    from engine.cerebro import stock_broker
    from engine.choose import Task, execute

    broker = stock_broker(plan.settings.broker.cash, plan.settings.broker.commission)
    task = Task(plan.strategy, plan.params, plan.market.frames, broker, resample=plan.resample)
    with redirect_stdout(StringIO()):  # what the strategy prints is no part of the answer
        outcome = execute(task)
    return Choice(outcome.engine, outcome.reason)


def render(
    title: str, explanation: Explanation, indicators: Indicators, choice: Choice, *, kernel: bool = False
) -> str:
    """The whole answer as text. kernel: with the generated source, where there is one."""
    refusal = explanation.refusal
    blocks = [[f"{title}: {'compiles' if refusal is None else 'does not compile'}"]]
    if refusal is not None:
        blocks[0].append(f"  {_at(refusal.file, refusal.line)}{refusal.reason}")
    blocks += [list(_method_lines(method, explanation)) for method in explanation.methods]
    if any(method.problems for method in explanation.methods) or explanation.dropped:
        blocks.append([LEGEND])
    blocks.append(list(_summary(indicators, choice)))
    if kernel:
        blocks.append(list(_kernel(explanation.source)))
    return "\n\n".join("\n".join(block) for block in blocks)


def _method_lines(method: MethodReport, explanation: Explanation) -> Iterator[str]:
    problems: dict[int, list[str]] = {}
    for line, reason in method.problems:
        problems.setdefault(line, []).append(reason)
    dropped = {line for file, line, _ in explanation.dropped if file == method.file}
    yield f"{method.name}  {_short(method.file)}:{method.first_line}  {_verdict(len(method.problems))}"
    width = len(str(method.first_line + len(method.lines)))
    for number, text in enumerate(method.lines, start=method.first_line):
        mark = PROBLEM if number in problems else DROPPED if number in dropped else FINE
        yield f"  {mark} {number:{width}}  {text}".rstrip()
        indent = " " * (len(text) - len(text.lstrip()))
        yield from (f"    {'':{width}}  {indent}^ {reason}" for reason in problems.get(number, ()))


def _verdict(problems: int) -> str:
    return "compiles" if not problems else f"{problems} problem{'s' if problems > 1 else ''}"


def _summary(indicators: Indicators, choice: Choice) -> Iterator[str]:
    yield f"indicators  computed by kernels: {_counted(indicators.fast) or 'none'}"
    if indicators.stock:
        yield f"            by Backtrader's own code, once: {_counted(indicators.stock)}"
    yield f"engine      auto takes {choice.engine}"
    yield f"            {choice.reason}"


def _counted(names: Sequence[str]) -> str:
    """Each name once, with how often it occurs."""
    counts = Counter(names)
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())


def _kernel(source: str | None) -> Iterator[str]:
    if source is None:
        yield "kernel      none was generated"
        return
    yield "kernel"
    yield from (f"  {line}".rstrip() for line in source.splitlines())


def _at(file: str | None, line: int | None) -> str:
    return "" if file is None else f"{_short(file)}:{line}: "


def _short(file: str) -> str:
    """The path as seen from here, where that is shorter."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def document(
    title: str, explanation: Explanation, indicators: Indicators, choice: Choice, *, kernel: bool = False
) -> Mapping[str, Any]:
    """The whole answer for `--json`; `kernel` is null unless asked for."""
    return {
        "strategy": title,
        **explanation.public(),
        "indicators": {"fast": list(indicators.fast), "stock": list(indicators.stock)},
        "engine": choice.engine,
        "engine_reason": choice.reason,
        "kernel": explanation.source if kernel else None,
    }


def parser() -> CommandParser:
    """The command line of `python -m engine.explain`."""
    from engine.command import add_run_arguments

    command = CommandParser(
        prog="python -m engine.explain",
        description="Show what compiles of a strategy, line by line, and which engine would run it.",
        example="python -m engine.explain momentum --data sample:goog --param fast=10 --kernel",
    )
    add_run_arguments(command)
    command.add_argument("--kernel", action="store_true", help="show the generated kernel as well")
    return command


def main(args: argparse.Namespace) -> int:
    """Print what there is to say; exit code 0 whether the strategy compiles or not."""
    from engine.command import prepare

    plan = prepare(args)
    explanation = explanation_of(plan)
    answer = (plan.reference, explanation, indicators_of(plan), choice_of(plan))
    if args.json:
        print_json(document(*answer, kernel=args.kernel))
    else:
        print(render(*answer, kernel=args.kernel))
    return 0


if __name__ == "__main__":
    run_command(parser(), main)

"""`engine.compiled.traced`: no use of a traced number loses where it came from without leaving a guard."""

import array
import datetime
import itertools
import json
import math
import operator
import pickle
from collections import deque
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compiled.evaluation import Evaluation, holds
from engine.compiled.formulas import traceable
from engine.compiled.traced import Trace, Traced, expression, plain, trace_parameters
from engine.compiled.values import COMPENSATES

CONCRETE = {
    "range": lambda a, b: list(range(a)),
    "index": lambda a, b: list(range(20))[a],
    "slice": lambda a, b: list(range(20))[a:],
    "repeat": lambda a, b: [1] * a,
    "percent d": lambda a, b: "%d" % a,  # noqa: UP031
    "format": lambda a, b: f"{b:.1f}",
    "text": lambda a, b: str(a) + repr(b),
    "float": lambda a, b: float(a),
    "sqrt": lambda a, b: math.sqrt(a),
    "fsum": lambda a, b: math.fsum([a, b]),
    "hash": lambda a, b: hash(a),
    "dict": lambda a, b: {7: "x"}[a],
    "islice": lambda a, b: list(itertools.islice(range(99), a)),
    "array": lambda a, b: array.array("d", [a]).tolist(),
    "pickle": lambda a, b: pickle.loads(pickle.dumps(a)),
    "numpy function": lambda a, b: float(np.sqrt(a)),
    "numpy array": lambda a, b: (np.arange(3) * a).tolist(),
    "numpy scalar": lambda a, b: float(np.float64(2.0) * a),
    "numpy list": lambda a, b: float(np.mean([a, b])),
    "numpy index": lambda a, b: int(np.arange(20)[a]),
    "numpy zeros": lambda a, b: np.zeros(a).tolist(),
    "numpy clip": lambda a, b: int(np.clip(a, 0, 5)),
    "timedelta": lambda a, b: a * datetime.timedelta(days=1),
    "and": lambda a, b: a & 3,
    "bit_length": lambda a, b: a.bit_length(),
    "is_integer": lambda a, b: b.is_integer(),
    "int": lambda a, b: int(b * a / 3),
    "sorted": lambda a, b: [float(each) for each in sorted([a, b])],
    "max": lambda a, b: "a" if max(a, b) is a else "b",
    "complex": lambda a, b: (-a) ** 0.5,
    "if": lambda a, b: "yes" if a > b else "no",
    "bool": lambda a, b: bool(a),
}


@pytest.mark.parametrize("use", CONCRETE.values(), ids=CONCRETE.keys())
def test_what_is_plain_left_a_guard(use):
    trace = Trace({"a": 7, "b": 2.5})
    found = use(trace.numbers["a"], trace.numbers["b"])
    assert type(found) is not Traced
    assert found == use(7, 2.5)
    assert trace.guards
    # Wherever the guards hold, the answer is the same.
    pairs = [(a, b) for a in range(-2, 12) for b in (-1.5, 0.0, 2.5, 2.75, 9.0)]
    evaluation = Evaluation(
        {"a": np.array([a for a, _ in pairs]), "b": np.array([b for _, b in pairs])}, len(pairs)
    )
    held = holds(trace, evaluation)
    assert held[pairs.index((7, 2.5))]
    assert not held.all()
    for (a, b), same in zip(pairs, held, strict=True):
        assert not same or use(a, b) == found


@pytest.mark.parametrize(
    "use",
    [
        lambda a: datetime.timedelta(days=a),
        lambda a: deque(maxlen=a),
        lambda a: json.dumps(a),
        lambda a: Decimal(a),
    ],
)
def test_code_that_wants_true_numbers_says_so(use):
    with pytest.raises(TypeError):
        use(Trace({"a": 7}).numbers["a"])


def test_it_answers_isinstance_as_the_number_would():
    numbers = Trace({"a": 7, "b": 2.5}).numbers
    assert isinstance(numbers["a"], int)
    assert not isinstance(numbers["a"], float)
    assert isinstance(numbers["b"], float)
    assert not issubclass(Traced, (int, float))


def test_only_pythons_own_numbers_are_traced():
    assert [traceable(value) for value in (1, 1.0, True, np.int64(1), np.float64(1), "1", None, 2**60)] == [
        True,
        True,
        *[False] * 6,
    ]
    trace, params = trace_parameters({"n": 3, "on": True, "name": "x"})
    assert list(trace.numbers) == ["n"]
    assert params["on"] is True


ARITHMETIC = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
]
UNARY = [operator.neg, abs, math.floor, math.ceil, math.trunc, round, lambda x: round(x, 1)]
numbers = st.one_of(st.integers(-30, 30), st.floats(-30, 30, allow_nan=False).map(lambda x: round(x, 2)))


@given(
    st.lists(st.tuples(numbers, numbers), min_size=2, max_size=12),
    st.sampled_from(ARITHMETIC),
    st.sampled_from(UNARY),
)
def test_all_combinations_at_once_are_pythons_arithmetic(pairs, binary, unary):
    kinds = [(type(a), type(b)) for a, b in pairs]
    pairs = [pair for pair, kind in zip(pairs, kinds, strict=True) if kind == kinds[0]]

    def compute(a, b):
        return unary(binary(a, b + 1) * 3 - a)

    trace = Trace({"a": pairs[0][0], "b": pairs[0][1]})
    try:
        traced = compute(trace.numbers["a"], trace.numbers["b"])
    except (ArithmeticError, TypeError, ValueError):
        return
    if type(traced) is not Traced:
        return
    evaluation = Evaluation(
        {"a": np.array([a for a, _ in pairs]), "b": np.array([b for _, b in pairs])}, len(pairs)
    )
    held = holds(trace, evaluation)
    values, known = evaluation.values(expression(traced))
    assert held[0]
    for (a, b), value, sure in zip(pairs, values.tolist(), held & known, strict=True):
        if sure:
            wanted = compute(a, b)
            assert type(value) is type(wanted)
            assert repr(value) == repr(wanted)


def test_plain_leaves_a_guard():
    trace = Trace({"a": 7})
    assert plain(trace.numbers["a"]) == 7
    assert [str(guard) for guard in trace.guards] == ["a is 7"]


def test_the_builtin_sum_of_floats_is_traced_only_where_it_adds_as_the_operator_does():
    trace = Trace({"a": 0.1, "n": 3})
    a, n = trace.numbers["a"], trace.numbers["n"]
    assert sum([n, n, 2]) == 8
    assert type(a + 0.1 + a) is Traced
    if COMPENSATES:
        for numbers in ([a] * 10, [0.1, 0.2, a], [n, 0.5, a]):
            with pytest.raises(TypeError, match=r"sum\(\)"):
                sum(numbers)
        assert not holds(trace, Evaluation({"a": np.array([0.1]), "n": np.array([3])}, 1)).any()
    else:
        assert plain(sum([a] * 10)) == sum([0.1] * 10)


def test_a_long_sum_is_cut_by_a_guard():
    trace = Trace({"a": 7})
    total = trace.numbers["a"]
    for _ in range(200):
        total = total * total % 1000
    assert trace.guards
    assert expression(total).size <= 100

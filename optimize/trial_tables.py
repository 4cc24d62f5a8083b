"""Writes trials into Optuna's own tables, many in a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Table, func, select

from core.space import Choice, Dimension, Int
from optimize.objective import Objective, scores_of
from optimize.space import SearchSpace
from optimize.trials import Outcome, Params


@dataclass(frozen=True, slots=True)
class TrialTables:
    """Where the trials of one study go. tables: Optuna's, by name."""

    tables: Mapping[str, Table]
    study: int
    space: SearchSpace
    objectives: tuple[Objective, ...]
    min_trades: int

    def add(self, connection: Any, params: Sequence[Params], outcome: Outcome) -> None:
        """Write trials that ended, in this transaction."""
        trials, values = self.tables["trials"], self.tables["trial_values"]
        studies = self.tables["studies"]
        # Trials of one study are numbered without gaps: whoever adds some holds its row until it is done.
        connection.execute(
            select(studies.c.study_id).where(studies.c.study_id == self.study).with_for_update()
        )
        count = connection.execute(
            select(func.count()).select_from(trials).where(trials.c.study_id == self.study)
        ).scalar_one()
        scores = scores_of(outcome, self.objectives, self.min_trades)
        usable: NDArray[np.bool_] = np.asarray(np.isfinite(scores).all(axis=1))
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
        keys = self._new_keys(connection, len(params))
        _insert(
            connection,
            trials,
            trial_id=keys,
            number=range(count, count + len(keys)),
            study_id=repeat(self.study),
            state=["COMPLETE" if fine else "FAIL" for fine in usable.tolist()],
            datetime_start=repeat(now),
            datetime_complete=repeat(now),
        )
        for name, dimension in self.space.dimensions.items():
            internal = _internal(dimension)
            _insert(
                connection,
                self.tables["trial_params"],
                trial_id=keys,
                param_name=repeat(name),
                distribution_json=repeat(_distribution(dimension)),
                param_value=[internal(each[name]) for each in params],
            )
        complete = np.flatnonzero(usable).tolist()
        for place, objective in enumerate(self.objectives):
            sign = 1.0 if objective.largest else -1.0
            _insert(
                connection,
                values,
                trial_id=[keys[number] for number in complete],
                objective=repeat(place),
                value=(sign * scores[complete, place]).tolist(),
                value_type=repeat("FINITE"),
            )

    def _new_keys(self, connection: Any, count: int) -> Sequence[int]:
        """Keys for trials, so that a batch need not ask for each. The transaction has the write lock already."""
        if connection.dialect.name == "sqlite":
            last = connection.execute(select(func.max(self.tables["trials"].c.trial_id))).scalar_one() or 0
            return range(last + 1, last + 1 + count)
        sequence = func.nextval(func.pg_get_serial_sequence("trials", "trial_id"))
        drawn = select(sequence).select_from(func.generate_series(1, count).table_valued("number"))
        keys: Sequence[int] = connection.execute(drawn).scalars().all()
        return keys


def _insert(connection: Any, table: Table, **columns: Iterable[Any]) -> None:
    """Insert rows by columns; the first says how many. They go to the driver as they are, which takes a third as long.

    Times and states as text: every database reads them in that form.
    """
    first, *others = columns.values()
    rows = [(key, *rest) for key, *rest in zip(first, *others, strict=False)]
    if not rows:
        return
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    names = ", ".join(map(connection.dialect.identifier_preparer.quote, columns))
    marks = ", ".join([mark] * len(columns))
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)


def _distribution(dimension: Dimension) -> str:
    """A dimension as Optuna writes it down."""
    from optuna import distributions

    if isinstance(dimension, Int):
        high = dimension.low + (dimension.high - dimension.low) // dimension.step * dimension.step
        made: Any = distributions.IntDistribution(dimension.low, high, step=dimension.step)
    elif isinstance(dimension, Choice):
        plain = (type(None), bool, int, float, str)
        made = distributions.CategoricalDistribution(
            [option if isinstance(option, plain) else repr(option) for option in dimension.options]
        )
    else:
        made = distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return str(distributions.distribution_to_json(made))


def _internal(dimension: Dimension) -> Callable[[Any], float]:
    """Makes of a value what Optuna stores: the place of a choice, else the number."""
    if isinstance(dimension, Choice):
        return lambda value: float(list(dimension.options).index(value))
    return float


__all__ = ["TrialTables"]

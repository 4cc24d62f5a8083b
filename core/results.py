"""What every run yields, whatever engine or venue it ran on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from core.types import DataInfo

T = TypeVar("T")

TRADE_COLUMNS = (
    "symbol",
    "entry_time",
    "exit_time",
    "size",
    "entry_price",
    "exit_price",
    "pnl",
    "pnl_net",
    "commission",
    "exit_reason",
    "bars",
)
ORDER_COLUMNS = (
    "order_id",
    "time",
    "symbol",
    "type",
    "side",
    "size",
    "price",
    "limit",
    "status",
    "filled",
    "average_price",
    "commission",
    "closed_time",
    "exit_reason",
)
FILL_COLUMNS = ("time", "symbol", "size", "price", "commission", "order_id")


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of text: `words[codes]`. words: the distinct texts; codes: (n,) int64."""

    words: Sequence[str]
    codes: NDArray[np.int64]

    def series(self) -> pd.Series:
        """The text, as pandas keeps text."""
        import numpy as np
        import pandas as pd

        return pd.Series(np.array(self.words, dtype=object)[self.codes], dtype="str")


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a table that nobody has looked at yet; a DataFrame costs more than most runs do.

    columns: each (n,): float64, int64, datetime64[ns] (UTC), or `Coded` text.
    """

    columns: Mapping[str, NDArray[Any] | Coded]

    def frame(self) -> pd.DataFrame:
        """The table as a new DataFrame; times are aware."""
        import pandas as pd

        made: dict[str, Any] = {}
        for name, column in self.columns.items():
            if isinstance(column, Coded):
                made[name] = column.series()
            elif column.dtype.kind == "M":
                made[name] = pd.Series(pd.DatetimeIndex(column, tz="UTC"))
            else:
                made[name] = column
        return pd.DataFrame(made, columns=list(self.columns))


class TableField:
    """A field of a frozen dataclass that holds a DataFrame, and may be given a `Table`, made on first access."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> pd.DataFrame:
        if instance is None:
            raise AttributeError(self._name)  # a class has no table
        kept = vars(instance)[self._name]
        if isinstance(kept, Table):
            kept = vars(instance)[self._name] = kept.frame()
        frame: pd.DataFrame = kept
        return frame

    def __set__(self, instance: object, value: pd.DataFrame | Table) -> None:
        vars(instance)[self._name] = value


class Tabled:
    """A frozen dataclass some of whose DataFrames may be given as a `Table`; its pickle holds DataFrames alone."""

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value.frame() if isinstance(value, Table) else value for name, value in vars(self).items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def unread(self, name: str) -> Table | pd.DataFrame:
        """The table of that name as it was given, without making a DataFrame of it."""
        kept: Table | pd.DataFrame = vars(self)[name]
        return kept


def made_on_access(*names: str) -> Callable[[type[T]], type[T]]:
    """Let these fields of a `Tabled` dataclass be given as a `Table`. Goes above `@dataclass`."""

    def decorate(cls: type[T]) -> type[T]:
        for name in names:
            setattr(cls, name, TableField(name))
        return cls

    return decorate


@made_on_access("trades", "orders", "fills")
@dataclass(frozen=True)
class RunResult(Tabled):
    """One finished run.

    equity, cash: Series, one value a bar, aware UTC index, in account currency.
    trades: closed trades, columns `TRADE_COLUMNS`; size is signed (negative for a short), pnl before and
    pnl_net after commission. orders: columns `ORDER_COLUMNS`; order_id counts from 1 in order of submission.
    fills: columns `FILL_COLUMNS`; size is signed. metrics: from `analyzers.metrics`, fractions, not percent.
    prices: the OHLCV frames the run saw, by symbol. costs: cash, commission and whatever else was charged.
    engine_reason: why this engine ran it, and not a faster one.
    """

    kind: str
    strategy: str
    params: Mapping[str, Any]
    data: DataInfo
    equity: pd.Series
    cash: pd.Series
    trades: pd.DataFrame
    orders: pd.DataFrame
    fills: pd.DataFrame
    metrics: Mapping[str, float]
    engine: str
    engine_reason: str
    prices: Mapping[str, pd.DataFrame]
    costs: Mapping[str, float]
    notes: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    # `reports` sets it when it is imported, as whatever makes a run does: this package may import nothing of ours.
    renderer: ClassVar[Callable[[RunResult], str] | None] = None

    def _repr_html_(self) -> str | None:
        """What a notebook shows for the run; None, for its text, where no renderer is known."""
        renderer = type(self).renderer
        return None if renderer is None else renderer(self)

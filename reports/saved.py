"""A finished run, read again from the folder that `write_run` left."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import UserError
from core.results import FILL_COLUMNS, ORDER_COLUMNS, TRADE_COLUMNS, RunResult
from core.types import DataInfo

RESULT, CONFIG, EQUITY, PRICES = "result.json", "config.json", "equity.parquet", "prices.parquet"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "trades": TRADE_COLUMNS,
    "orders": ORDER_COLUMNS,
    "fills": FILL_COLUMNS,
}
TIMES = ("time", "closed_time", "entry_time", "exit_time")
WHOLE = ("order_id", "bars")
TEXTS = ("symbol", "type", "side", "status", "exit_reason")
"""Types of the tables' columns; every other column is a float."""
WITHOUT_PRICES = "this folder has no prices.parquet, as an older version wrote it: charts of prices and what needs prices are left out"
RUNS = "name the folder of a run, such as runs/20240131T120000Z-momentum-1a2b3c"


def read_run(folder: Path | str) -> RunResult:
    """The run whose files `reports.write_run` left in `folder`, as it was when it was written.

    Parameters and `meta` come back as JSON holds them (a tuple as a list); secrets were hidden when they were
    written. A folder without prices.parquet gives a run without prices, and a note that says so. Raises
    UserError when the folder is no run's, or a file of it is missing or damaged.
    """
    place = Path(folder)
    facts = _facts(place)
    equity = _parquet(place / EQUITY)
    prices, notes = _prices(place)
    with _readable(place / RESULT):
        data = facts["data"]
        return RunResult(
            kind=str(facts["kind"]),
            strategy=str(facts["strategy"]),
            params=dict(facts["params"]),
            data=DataInfo(
                source=str(data["source"]),
                symbols=tuple(data["symbols"]),
                start=_moment(data["start"]),
                end=_moment(data["end"]),
                bars=int(data["bars"]),
                timeframe=str(data["timeframe"]),
                quality=dict(data["quality"]),
                notes=tuple(data["notes"]),
            ),
            equity=_series(place, equity, "equity"),
            cash=_series(place, equity, "cash"),
            **{name: _table(place / f"{name}.csv", columns) for name, columns in COLUMNS.items()},
            metrics=_numbers(facts["metrics"]),
            engine=str(facts["engine"]),
            engine_reason=str(facts["engine_reason"]),
            prices=prices,
            costs=_numbers(facts["costs"]),
            notes=tuple(dict.fromkeys((*facts["notes"], *notes))),
            meta=_meta(place, facts),
        )


def price_table(prices: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All symbols' bars below each other, as prices.parquet holds them; `attrs` says what each one is made of."""
    rows = [frame.rename_axis("time").assign(symbol=name) for name, frame in prices.items()]
    empty = pd.DataFrame({"symbol": []}, index=pd.DatetimeIndex([], tz="UTC", name="time"))
    table = pd.concat(rows or [empty])
    table["symbol"] = pd.Categorical(table["symbol"], categories=list(prices))
    table.attrs = {
        "symbols": {
            name: {
                "unit": pd.DatetimeIndex(frame.index).unit,
                "columns": {column: str(dtype) for column, dtype in frame.dtypes.items()},
            }
            for name, frame in prices.items()
        }
    }
    return table


def prices_of(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The inverse of `price_table`; each index is named "time"."""
    symbols: Mapping[str, Mapping[str, Any]] = table.attrs["symbols"]
    place = table["symbol"].to_numpy()
    found = {}
    for name, made_of in symbols.items():
        frame = table.loc[place == name, list(made_of["columns"])].astype(made_of["columns"])
        frame.index = pd.DatetimeIndex(frame.index).as_unit(made_of["unit"])
        frame.attrs = {}
        found[name] = frame
    return found


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / RESULT
    if not path.is_file():
        what = "holds no result.json" if folder.is_dir() else "is no folder"
        raise UserError(f"{folder} {what}, so there is no run to read", hint=RUNS, path=str(folder))
    facts = _json(path)
    if "windows" in facts:
        raise UserError(
            f"{folder} holds an optimisation, not a run",
            hint=f"open {folder / 'optimization.html'}, or name the folder of a run",
            path=str(folder),
        )
    return facts


def _json(path: Path) -> dict[str, Any]:
    with _readable(path):
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
        return found


def _parquet(path: Path) -> pd.DataFrame:
    with _readable(path):
        return pd.read_parquet(path)


def _prices(folder: Path) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    path = folder / PRICES
    if not path.exists():
        return {}, (WITHOUT_PRICES,)
    table = _parquet(path)
    with _readable(path):
        return prices_of(table), ()


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table of the run with its types, also when it has no rows."""
    with _readable(path):
        # As text first: "NA" is a symbol, and an empty cell of text is no NaN.
        raw = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        lacking = [name for name in columns if name not in raw.columns]
        if lacking:
            raise ValueError(f"it lacks the column {lacking[0]}")
        return pd.DataFrame({name: _column(raw[name]) for name in columns}, columns=list(columns))


def _column(text: pd.Series) -> pd.Series:
    if text.name in TEXTS:
        return text
    if text.name in TIMES:
        return pd.to_datetime(text.where(text != ""), utc=True, format="ISO8601").astype(
            "datetime64[ns, UTC]"
        )
    if text.name in WHOLE:
        return text.astype("int64")
    return text.where(text != "", "nan").astype("float64")


def _series(folder: Path, table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table.columns or not isinstance(table.index, pd.DatetimeIndex):
        raise _damaged(folder / EQUITY, f"it lacks the column {name}, or its times")
    return table[name].astype("float64")


def _meta(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    meta = dict(facts.get("meta", {}))
    if "entries" in facts:
        meta["entries"] = facts["entries"]
    config = _json(folder / CONFIG) if (folder / CONFIG).exists() else {}
    return {**meta, **({"config": config} if config else {})}


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in values.items()}


def _moment(text: str | None) -> Any:
    return pd.NaT if text is None else datetime.fromisoformat(text)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns whatever goes wrong with a file's contents into a UserError that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is missing",
            hint="run the strategy again, or restore the file: a run's files belong together",
            path=str(path),
        ) from error
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror or error}", hint="see its permissions", path=str(path)
        ) from error
    except KeyError as error:
        raise _damaged(path, f"it lacks {error}") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise _damaged(path, " ".join(str(error).split())[:200]) from error


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} cannot be read: {why}",
        hint="run the strategy again, or restore the file from a copy",
        path=str(path),
    )


__all__ = ["PRICES", "read_run"]

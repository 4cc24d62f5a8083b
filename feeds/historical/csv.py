"""Bars from delimited text: any separator, any common header, plain or compressed."""

from __future__ import annotations

import csv
import gzip
import io
import re
from pathlib import Path

import pandas as pd

from core.errors import DataError, DataQualityError
from feeds.layout import HEADERLESS

SEPARATORS = (",", ";", "\t", "|")
SAMPLE_LINES = 20


def read_csv(path: Path) -> pd.DataFrame:
    """The table as found: columns under the file's own names, cells as pandas reads them.

    Without a header the columns are taken to be time, open, high, low, close, volume, in that order.
    """
    text = _text(path)
    lines = [line for line in text.splitlines()[:SAMPLE_LINES] if line.strip()]
    if not lines:
        raise DataQualityError("empty", f"{path.name} is empty", hint="name a file that has bars in it")
    separator = max(SEPARATORS, key=lines[0].count)
    if separator not in lines[0]:
        raise DataError(
            f"{path.name} is not a table of bars",
            hint="the first line should read time,open,high,low,close,volume",
        )
    body = lines[1:] or lines
    decimal = "," if separator != "," and re.search(r"\d,\d", "".join(body)) else "."
    header = not _is_data(lines[0], separator)
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            decimal=decimal,
            header=0 if header else None,
            skipinitialspace=True,
            index_col=False,
            low_memory=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise DataError(
            f"{path.name} is not a table of bars: {' '.join(str(error).split())}",
            hint="every line needs the same number of fields",
        ) from error
    return table if header else _name_columns(table, path)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        text = raw.decode(encoding)
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise DataError(
            f"{path.name} is not a text file", hint="name a CSV, Parquet or Feather file"
        ) from error
    if "\0" in text[:4096]:
        raise DataError(f"{path.name} is not a text file", hint="name a CSV, Parquet or Feather file")
    return text


def _is_data(line: str, separator: str) -> bool:
    """True when the first line holds a bar rather than names: a digit starts its first three fields."""
    fields = [field.strip(" \"'") for field in line.split(separator)]
    return len(fields) >= 4 and all(re.match(r"[-+]?\d", field) for field in fields[:3])


def _name_columns(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if table.shape[1] < 5:
        raise DataQualityError(
            "missing-column",
            f"{path.name} has no header and only {table.shape[1]} columns",
            hint="add a first line such as time,open,high,low,close,volume",
        )
    names = [*HEADERLESS[: table.shape[1]], *(f"extra{i}" for i in range(len(HEADERLESS), table.shape[1]))]
    table.columns = pd.Index(names)
    return table

"""Read a feed reference such as `sample:goog`, `csv:PATH`, `yahoo:AAPL:1d` or `binance:BTC/USDT:1h`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from core.connect import is_exchange
from core.errors import DataError, UnknownNameError

FILE_SUFFIXES = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".feather": "feather",
}
SCHEMES = ("sample", "csv", "parquet", "feather", "yahoo", "ibkr")
COMMON_EXCHANGES = ("binance", "binanceus", "bitstamp", "bybit", "coinbase", "kraken", "kucoin", "okx")
TIMEFRAME = re.compile(r"[1-9]\d*[smhdwM]")
TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Reference:
    """One series to load.

    scheme: sample, csv, parquet, feather, yahoo, or an exchange's id. target: a path, a sample's name or a
    symbol. timeframe: as written in the reference, or None. adjust: apply the adjusted close.
    """

    scheme: str
    target: str
    timeframe: str | None = None
    adjust: bool = False

    @property
    def is_file(self) -> bool:
        """True when the target is a path."""
        return self.scheme in {"csv", "parquet", "feather"}

    @property
    def is_remote(self) -> bool:
        """True when the bars come over the network."""
        return not self.is_file and self.scheme != "sample"

    def __str__(self) -> str:
        return f"{self.scheme}:{self.target}" + (f":{self.timeframe}" if self.timeframe else "")


def parse_references(text: str) -> list[Reference]:
    """One reference, or several joined by commas. A path that exists is never taken apart."""
    if not text.strip():
        raise DataError("no data was named", hint="name a source such as sample:goog or csv:PATH")
    if Path(text).is_file():
        return [parse_reference(text)]
    return [parse_reference(part.strip()) for part in text.split(",") if part.strip()]


def parse_reference(text: str) -> Reference:
    """One reference. Raises UnknownNameError for an unknown scheme, DataError for a path that does not exist."""
    if Path(text).is_file():
        return file_reference(Path(text))
    scheme, colon, rest = text.partition(":")
    if not colon or len(scheme) == 1:
        return _bare(text)
    if scheme not in SCHEMES and not is_exchange(scheme):
        known = (*SCHEMES, *COMMON_EXCHANGES)
        raise UnknownNameError("data source", scheme, known)
    rest, adjust = _options(rest)
    if not rest:
        raise DataError(f"{text!r} names no data", hint=f"write {_example(scheme)}")
    if scheme in {"csv", "parquet", "feather"}:
        require_file(Path(rest).expanduser())
        return Reference(scheme, rest, adjust=adjust)
    if scheme == "sample":
        return Reference(scheme, rest.lower())
    symbol, _, last = rest.rpartition(":")
    if symbol and TIMEFRAME.fullmatch(last):
        return Reference(scheme, symbol, last, adjust)
    return Reference(scheme, rest, None, adjust)


def file_reference(path: Path) -> Reference:
    """The reference to a file, its format told by its suffix (text when there is none to tell)."""
    path = path.expanduser()
    require_file(path)
    name = path.name.lower()
    kind = next((kind for suffix, kind in FILE_SUFFIXES.items() if name.endswith(suffix)), None)
    if kind is None:
        raise DataError(
            f"{path.name} has no known kind of file name",
            hint=f"use one of {', '.join(FILE_SUFFIXES)}, or say csv:{path}",
        )
    return Reference(kind, str(path))


def require_file(path: Path) -> None:
    """Refuse a path that is missing, a folder or empty; offers the nearest file of that folder."""
    if path.is_dir():
        raise DataError(f"{path} is a folder", hint="name one file in it")
    if not path.exists():
        raise DataError(f"no file {path}", hint=_nearest_file(path))
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", hint="name a file that has bars in it")


def file_symbol(path: Path) -> str:
    """What to call the series of a file: its name without suffixes, in capitals."""
    name = path.name
    for suffix in sorted(FILE_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)].upper() or name.upper()
    return path.stem.upper()


def _bare(text: str) -> Reference:
    path = Path(text).expanduser()
    looks_like_path = "/" in text or "\\" in text or any(text.lower().endswith(s) for s in FILE_SUFFIXES)
    if looks_like_path or path.exists():
        return file_reference(path)
    raise DataError(
        f"{text!r} is neither a file nor a source",
        hint="write sample:goog, csv:PATH, yahoo:AAPL or binance:BTC/USDT:1h",
    )


def _options(rest: str) -> tuple[str, bool]:
    """Take `?adjust=1` off the end. A path that exists keeps its question mark."""
    target, mark, query = rest.partition("?")
    if not mark or Path(rest).exists():
        return rest, False
    key, _, value = query.partition("=")
    if key != "adjust":
        raise UnknownNameError("option", key, ["adjust"])
    return target, value.lower() in TRUE


def _example(scheme: str) -> str:
    return {
        "sample": "sample:goog",
        "yahoo": "yahoo:AAPL or yahoo:AAPL:1d",
        "ibkr": "ibkr:AAPL or ibkr:ES:FUT:CME:USD:202612:1h",
        "csv": "csv:PATH",
        "parquet": "parquet:PATH",
        "feather": "feather:PATH",
    }.get(scheme, f"{scheme}:BTC/USDT:1h")


def _nearest_file(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder} either"
    place = "this folder" if folder == Path() else str(folder)
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    found = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    if found:
        return f"did you mean {folder / found[0]}?"
    tables = sorted(n for n in names if any(n.lower().endswith(suffix) for suffix in FILE_SUFFIXES))
    return f"{place} has {', '.join(tables[:5])}" if tables else f"{place} holds no data files"

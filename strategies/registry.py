"""Finds strategy classes: by name, `package.module:Class`, `path/to/file.py:Class`, or from other distributions.

Other distributions register theirs with an entry point in the group `tradewright.strategies`. Importing this
module, and `names()`, do not import Backtrader: a command's `--help` lists names.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from core.errors import StrategyError, UnknownNameError, nearest
from strategies.parameters import resolve_params

__all__ = ["BUILTIN", "ENTRY_POINT_GROUP", "load", "names", "reference", "resolve_params"]

ENTRY_POINT_GROUP = "tradewright.strategies"

BUILTIN = {
    "level_based": "strategies.level_based:LevelBased",
    "momentum": "strategies.momentum:Momentum",
    "range_bound": "strategies.range_bound:RangeBound",
}

# What a user's file may raise while it is imported: anything but the interrupts that must pass through.
_IMPORT_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemExit,
    TypeError,
    ValueError,
)

_loaded_files: dict[Path, tuple[int, int, ModuleType]] = {}


def names() -> list[str]:
    """Every name `load` knows, sorted: ours and those other distributions registered."""
    return sorted({*BUILTIN, *_entry_points()})


def load(ref: str | Path | type[Any]) -> type[Any]:
    """The strategy class `ref` names; a class is checked and returned as it is.

    ref: a name, `package.module:Class`, `path/to/file.py:Class`, or `path/to/file.py` when the file defines
    exactly one strategy. Raises UnknownNameError for an unknown name, StrategyError for a file, module or
    class that is missing or cannot be imported. A file that has not changed gives the same class again.
    """
    if isinstance(ref, type):
        return _checked(ref, ref.__qualname__)
    text = str(ref)
    place, separator, class_name = text.rpartition(":")
    if text.endswith(".py"):
        return _only_strategy(_load_file(Path(text)), text)
    if separator and place.endswith(".py"):
        return _class_in(_load_file(Path(place)), class_name, place)
    if separator:
        return _class_in(_import(place), class_name, place)
    if text in BUILTIN:
        return load(BUILTIN[text])
    found = _entry_points().get(text)
    if found is None:
        raise UnknownNameError("strategy", text, names(), hint=_hint_for(text))
    return _load_entry_point(found)


def reference(cls: type[Any]) -> str:
    """The reference that loads `cls` again: a built-in name, a file, or a module.

    Raises StrategyError for a class made inside a function, which nothing can load again.
    """
    place = f"{cls.__module__}:{cls.__qualname__}"
    if "<locals>" in cls.__qualname__:
        raise StrategyError(
            f"{cls.__qualname__} is defined inside a function and cannot be loaded again",
            hint="move the class to the top level of its file",
        )
    for name, home in BUILTIN.items():
        if home == place:
            return name
    for path, (_, _, module) in _loaded_files.items():
        if module.__name__ == cls.__module__:
            return f"{path}:{cls.__qualname__}"
    if cls.__module__ == "__main__" and getattr(sys.modules["__main__"], "__file__", None):
        return f"{Path(str(sys.modules['__main__'].__file__)).resolve()}:{cls.__qualname__}"
    return place


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _hint_for(text: str) -> str:
    near = nearest(text.lower().replace("-", "_"), names())
    if near:
        return f"did you mean {near}?"
    return f"known: {', '.join(names())}; or give path/to/file.py:Class or package.module:Class"


def _load_entry_point(point: EntryPoint) -> type[Any]:
    place, _, class_name = point.value.partition(":")
    return _class_in(_import(place.strip()), class_name.strip(), f"entry point {point.name!r}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise StrategyError(
                f"no module named {error.name!r}",
                hint="run from the folder that holds it, or give the path: path/to/file.py:Class",
            ) from error
        raise _broken(name, error) from error
    except _IMPORT_FAILURES as error:
        raise _broken(name, error) from error


def _load_file(given: Path) -> ModuleType:
    path = given.expanduser().resolve()
    if not path.is_file():
        near = (
            nearest(path.name, [f.name for f in path.parent.glob("*.py")]) if path.parent.is_dir() else None
        )
        raise StrategyError(
            f"no such file: {given}",
            hint=f"did you mean {given.parent / near}?" if near else "check the path of the strategy's file",
        )
    stat = path.stat()
    known = _loaded_files.get(path)
    if known is not None and known[:2] == (stat.st_mtime_ns, stat.st_size):
        return known[2]
    module = _execute(path)
    _loaded_files[path] = (stat.st_mtime_ns, stat.st_size, module)
    return module


def _execute(path: Path) -> ModuleType:
    """Run the file as a module that pickle and inspect can find, its folder importable after everything else."""
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"tradewright_file_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise StrategyError(f"{path} cannot be imported", hint="give a Python file")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except _IMPORT_FAILURES as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise _broken(str(path), error) from error
    return module


def _broken(place: str, error: BaseException) -> StrategyError:
    """One line: where in the user's code the import failed, and with what."""
    if isinstance(error, SyntaxError) and error.filename:
        return StrategyError(f"{error.filename}:{error.lineno}: {error.msg}", hint="mend the syntax")
    outside = (str(Path(importlib.__file__).parent), "<frozen")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(outside)]
    ours = str(Path(__file__).resolve())
    frames = [f for f in frames if str(Path(f.filename).resolve()) != ours]
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else place
    if isinstance(error, SystemExit):
        hint = "put what runs under `if __name__ == '__main__':`"
        return StrategyError(f"{where}: the file ends the program while it is imported", hint=hint)
    return StrategyError(
        f"{where}: {type(error).__name__}: {error}",
        hint="mend the error; the strategy's code could not be imported",
    )


def _strategies_in(module: ModuleType) -> dict[str, type[Any]]:
    """The strategy classes that `module` itself defines."""
    import backtrader as bt

    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, bt.Strategy)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }


def _only_strategy(module: ModuleType, place: str) -> type[Any]:
    found = _strategies_in(module)
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise StrategyError(
            f"{place} defines no backtrader.Strategy", hint="derive your class from bt.Strategy"
        )
    first = next(iter(found))
    raise StrategyError(
        f"{place} defines {len(found)} strategies: {', '.join(found)}", hint=f"name one: {place}:{first}"
    )


def _class_in(module: ModuleType, class_name: str, place: str) -> type[Any]:
    found: Any = module
    for part in class_name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type):
        return _checked(found, f"{place}:{class_name}")
    known = list(_strategies_in(module))
    near = nearest(class_name, known)
    if near:
        hint = f"did you mean {near}?"
    else:
        hint = f"it has: {', '.join(known)}" if known else "it defines no backtrader.Strategy"
    raise StrategyError(f"no class {class_name!r} in {place}", hint=hint, known=known)


def _checked(cls: type[Any], place: str) -> type[Any]:
    import backtrader as bt

    if not issubclass(cls, bt.Strategy):
        raise StrategyError(
            f"{place} is not a backtrader.Strategy", hint="derive your class from bt.Strategy"
        )
    return cls

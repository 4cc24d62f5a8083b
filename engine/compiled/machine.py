"""Machine code of functions that `engine.compiled.lowering` writes down, kept on disk beside the kernels."""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import llvmlite  # type: ignore[import-untyped]
import numba
from llvmlite import ir
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from engine.compiled.kernel import folder
from engine.compiled.lowering import lowered

HERE = Path(__file__).parent
LOWERING = ("lowering.py", "lowered_expressions.py", "lowered_types.py")
DIGEST = hashlib.sha256().digest_size


def compile_functions(
    name: str, functions: Sequence[Callable[..., Any]], entries: Mapping[str, Callable[..., Any]]
) -> dict[str, int]:
    """The address of each entry, from disk or compiled now. name: of the file; what it holds follows from the sources."""
    with global_compiler_lock:
        codegen: Any = cpu_target.target_context.codegen()
        path = folder() / f"{name}-{_made_of(functions, codegen)}.machine"
        library = _loaded(path, codegen)
        if library is None:
            library = _compiled(name, functions, entries, codegen)
            _keep(path, library.serialize_using_object_code())
        _libraries.append(library)
        return {symbol: int(library.get_pointer_to_function(symbol)) for symbol in entries}


_libraries: list[Any] = []
"""Machine code is gone with the library it belongs to."""


def _made_of(functions: Sequence[Callable[..., Any]], codegen: Any) -> str:
    """Hash of everything the machine code follows from: sources, layouts, compilers, the processor."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {codegen.magic_tuple()}".encode())
    files = {Path(function.__code__.co_filename) for function in functions}
    own = {HERE / name for name in ("records.py", *LOWERING)}
    for file in sorted(files | own | {Path(__file__)}):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:24]


def _compiled(
    name: str,
    functions: Sequence[Callable[..., Any]],
    entries: Mapping[str, Callable[..., Any]],
    codegen: Any,
) -> Any:
    library = codegen.create_library(name)
    library.enable_object_caching()
    module = library.create_ir_module(name)
    assert isinstance(module, ir.Module)
    lowered(module, functions, entries)
    library.add_ir_module(module)
    library.finalize()
    return library


def _loaded(path: Path, codegen: Any) -> Any:
    """What a file holds; None when there is none, or it is not whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
        return None
    return codegen.unserialize_library(pickle.loads(data[DIGEST:]))


def _keep(path: Path, state: Any) -> None:
    """Atomically: whoever reads finds all of it or nothing."""
    data = pickle.dumps(state)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False, suffix=".new") as file:
        file.write(hashlib.sha256(data).digest() + data)
    os.replace(file.name, path)

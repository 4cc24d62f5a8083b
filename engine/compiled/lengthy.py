"""How numba compiles a long kernel that is made of parts: every part is written down once and optimised once.

By itself numba optimises a function on its own, again in each function that calls it, and makes machine code and
wrappers for Python of each. The parts of a kernel are called by nothing else: `part` leaves them as they are, and
`kernel` optimises all of them together, without the passes that look for loops to vectorise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numba as nb
from llvmlite.binding import Linkage  # type: ignore[import-untyped]
from numba.core import codegen, compiler, compiler_machinery, lowering, typed_passes

# Of what numba keeps to itself; it has no types of its own.
Library: Any = codegen.JITCodeLibrary
Lowering: Any = typed_passes.BaseNativeLowering
Compiler: Any = compiler.CompilerBase
Passes: Any = compiler.DefaultPassBuilder
Result: Any = compiler._LowerResult
registered: Any = compiler_machinery.register_pass

LEVEL = 2
"""Of optimisation: numba's own third mostly looks for loops to widen, of which a strategy has none."""


class PartLibrary(Library):
    """A function that is only ever linked into a kernel: neither optimised nor linked with what it calls itself."""

    def _optimize_functions(self, ll_module: Any) -> None:
        """The kernel does it."""

    def finalize(self) -> None:
        """Nothing can be added from here on."""
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def needed(self) -> Iterator[Any]:
        """This library and those it needs, which come first."""
        for library in self._linking_libraries:
            if isinstance(library, PartLibrary):
                yield from library.needed()
            else:
                yield library
        yield self


class KernelLibrary(Library):
    """A kernel with all its parts."""

    def _optimize_functions(self, ll_module: Any) -> None:
        """Together with the parts."""

    def finalize(self) -> None:
        """Link everything that is needed, once, and compile it; users first, since LLVM takes only what is called."""
        self._linking_libraries = list(dict.fromkeys(PartLibrary.needed(self)))[-2::-1]
        super().finalize()

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        make = self._codegen._module_pass_manager
        first, first_builder = make(loop_vectorize=False, slp_vectorize=False, opt=0, cost="cheap")
        first.run(self._final_module, first_builder)
        full, full_builder = make(loop_vectorize=False, slp_vectorize=False, opt=LEVEL)
        full.run(self._final_module, full_builder)
        self._keep_to_itself()

    def _keep_to_itself(self) -> None:
        """Give the functions inside names of this kernel alone.

        They may have lost arguments that nobody uses, and the linker finds even internal functions by their names:
        another kernel that calls the function they were made of would be given these.
        """
        own = hashlib.sha256(self._kernel_name().encode()).hexdigest()[:24]
        inside = [each for each in self._final_module.functions if each.linkage == Linkage.internal]
        for number, function in enumerate(inside):
            function.name = f"within_{own}_{number}"

    def _kernel_name(self) -> str:
        """The name that others call the kernel by, which no other kernel has."""
        return "\n".join(
            sorted(
                each.name
                for each in self._final_module.functions
                if each.linkage == Linkage.external and not each.is_declaration
            )
        )


@registered(mutates_CFG=True, analysis_only=False)
class PartLowering(Lowering):
    """numba's lowering without machine code and wrappers."""

    _name = "part_lowering"
    lowering_class = lowering.Lower

    def run_pass(self, state: Any) -> bool:
        """Write a part down and make it known to its callers."""
        state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = state.flags.no_compile = True
        state.library = library_of(PartLibrary, state)
        super().run_pass(state)
        made = state["cr"]
        entry = [made.fndesc].append  # numba knows functions by a built-in one; this is never called
        state.targetctx.insert_user_function(entry, made.fndesc, [state.library])
        state["cr"] = Result(made.fndesc, made.call_helper, cfunc=entry, env=made.env)
        return True


@registered(mutates_CFG=True, analysis_only=False)
class KernelLowering(Lowering):
    """numba's lowering into a library of a kernel."""

    _name = "kernel_lowering"
    lowering_class = lowering.Lower

    def run_pass(self, state: Any) -> bool:
        """Write the kernel down, link its parts and compile all."""
        state.library = library_of(KernelLibrary, state)
        return bool(super().run_pass(state))


def library_of(kind: Any, state: Any) -> Any:
    """An empty library of this kind."""
    library = kind(state.targetctx.codegen(), state.func_id.func_qualname)
    library.enable_object_caching()
    return library


class _Compiler(Compiler):
    step_down: Any

    def define_pipelines(self) -> list[Any]:
        """Numba's own passes, but for the lowering."""
        manager = Passes.define_nopython_pipeline(self.state)
        manager.passes = [
            (self.step_down, text) if step is typed_passes.NativeLowering else (step, text)
            for step, text in manager.passes
        ]
        manager.finalize()
        return [manager]


class PartCompiler(_Compiler):
    """Compiles parts."""

    step_down = PartLowering


class KernelCompiler(_Compiler):
    """Compiles kernels."""

    step_down = KernelLowering


_njit: Callable[..., Any] = partial(nb.njit, nogil=True, error_model="numpy")
part = _njit(pipeline_class=PartCompiler)
kernel = _njit(pipeline_class=KernelCompiler, cache=True)

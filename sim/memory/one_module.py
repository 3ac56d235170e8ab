"""How a function that only compiled code calls becomes a part of its callers' module.

Numba makes a library of each compiled function: it optimises the function together with all that it calls and makes
machine code of that, then does so again in each of its callers. Here a part is lowered once and no more; an entry
point takes in all parts that it reaches, each once, and optimises them together.
"""

import logging
from typing import Any

from llvmlite import binding  # type: ignore[import-untyped]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder

LOG = logging.getLogger(__name__)
COMPILING = "compiling the simulator, once per installation: about a minute"
MERGED = "linkonce_odr"
"""Linkage of functions of which each module may have its own copy, or none where all callers have taken it in."""


class _NoEnvironment:
    """A code generator to which a part's environment, of use to Python objects only, means nothing."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, environment: Any) -> None:
        """Parts have no Python objects."""


class _Part(JITCodeLibrary):
    """A function as it was lowered; it knows the parts that it calls and has no machine code of its own."""

    @property
    def codegen(self) -> Any:
        return _NoEnvironment(self._codegen)

    def finalize(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration:
                function.linkage = MERGED
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()  # type: ignore[no-untyped-call]
        return 0

    def _get_module_for_linking(self) -> Any:
        """With all that it calls, for a caller that is compiled as numba does by itself."""
        if self._shared_module is None:
            module = self._final_module.clone()
            for library in reached([self]):
                if library is not self:
                    module.link_in(_own_module(library), preserve=True)
            self._shared_module = module
        return self._shared_module


class _Entry(JITCodeLibrary):
    """What Python calls, with all parts that it reaches; no other function calls it."""

    def finalize(self) -> None:
        libraries = reached(self._linking_libraries)
        for library in libraries:
            if isinstance(library, _Part):
                self._final_module.link_in(_own_module(library), preserve=True)
        self._linking_libraries = [library for library in libraries if not isinstance(library, _Part)]
        super().finalize()  # type: ignore[no-untyped-call]

    def _get_module_for_linking(self) -> Any:
        """Names without code: numba stores this beside the machine code, to say what that defines, and reads it in
        every process. With its code that would take five times as long as the machine code itself.
        """
        if self._shared_module is None:
            made = [function for function in self._final_module.functions if not function.is_declaration]
            names = [function.name for function in made if function.linkage.name == "external"]
            text = "".join(f'@"{name}" = global i8 0\n' for name in names)
            self._shared_module = binding.parse_assembly(text)
        return self._shared_module


def _own_module(library: Any) -> Any:
    """Of a part without what it calls."""
    return library._final_module if isinstance(library, _Part) else library._get_module_for_linking()


def reached(libraries: list[Any]) -> list[Any]:
    """These libraries and all that parts among them call, each once."""
    found: dict[int, Any] = {}
    left = list(libraries)
    while left:
        library = left.pop()
        if id(library) not in found:
            found[id(library)] = library
            if isinstance(library, _Part):
                left += library._linking_libraries
    return list(found.values())


class _InLibrary(CompilerBase):
    """Numba's pipeline, with a library of a kind."""

    kind: Any

    def define_pipelines(self) -> list[Any]:
        state = self.state
        state.library = self.kind(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return [DefaultPassBuilder.define_nopython_pipeline(state)]  # type: ignore[no-untyped-call]


class PartCompiler(_InLibrary):
    """Compiles what only compiled code calls."""

    kind = _Part


class EntryCompiler(_InLibrary):
    """Compiles what Python calls, where no stored code is of equal sources."""

    kind = _Entry

    def define_pipelines(self) -> list[Any]:
        LOG.info(COMPILING)
        return super().define_pipelines()

"""Kernels are compiled once for each machine: say so while it happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from crossmargin.cli.console import note

NOTE = "compiling kernels for this machine: once, it takes about half a minute; later runs read them from a cache"


@contextmanager
def compilation_noted() -> Iterator[None]:
    """Say on stderr, once, when anything inside has to be compiled, and how long it took."""
    started = time.monotonic()
    compiled: list[str] = []

    def on_compile(name: str) -> None:
        if not compiled:
            note(NOTE)
        compiled.append(name)

    with each_compilation(on_compile):
        yield
    if compiled:
        note(f"compiled {len(compiled)} kernels in {time.monotonic() - started:.0f} s")


@contextmanager
def each_compilation(tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell` with the name of every kernel of ours that is compiled and not read from the cache."""
    from numba.core import event
    from numba.core.caching import NullCache

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            dispatcher = event.data["dispatcher"]
            function = dispatcher.py_func
            # Functions inlined into a kernel have no cache of their own.
            if function.__module__.startswith("crossmargin.") and not isinstance(dispatcher._cache, NullCache):
                tell(f"{function.__module__}.{function.__name__}")

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Listener()):
        yield


def loaded_kernels() -> dict[str, Any]:
    """Return the cached kernels of every module imported so far, by full name."""
    from numba.core.caching import NullCache
    from numba.core.dispatcher import Dispatcher

    found = {}
    for module_name, module in sorted(sys.modules.items()):
        if not module_name.startswith("crossmargin.") or module is None:
            continue
        for value in vars(module).values():
            if not isinstance(value, Dispatcher):
                continue
            kernel: Any = value
            if not isinstance(kernel._cache, NullCache):
                function = kernel.py_func
                found[f"{function.__module__}.{function.__name__}"] = kernel
    return dict(sorted(found.items()))

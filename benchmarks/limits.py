"""What this machine can do at most: bytes read from memory and additions of products, a second.

The floor of a kernel is the larger of the bytes it must touch over the first and its useful flops over the second,
on as many threads. Both are measured in rounds with what they are the floor of.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_MEGABYTES = 192
_ROUNDS = 200_000
_SUMS, _LANES = 16, 8


class Limits:
    """Two kernels to be run in rounds with others. The fastest round counts: a limit is what was reached at all."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)
        self._memory = [np.ones(_MEGABYTES << 17) for _ in range(threads)]
        self._best = {"read": inf, "multiply": inf}

    def work(self) -> dict[str, Callable[[], object]]:
        """Return the kernels, to be timed beside what they are the limits of."""
        self._run(_read), self._run(_multiply)
        return {"read": partial(self._timed, "read", _read), "multiply": partial(self._timed, "multiply", _multiply)}

    def floor_ms(self, *, bytes_touched: float, flops: float) -> float:
        """Return the least milliseconds in which so much can be read and computed on these threads."""
        assert max(self._best.values()) < inf, "time the work first"
        reading = bytes_touched / (self._threads * (_MEGABYTES << 20)) * self._best["read"]
        return 1e3 * max(reading, flops / (self._threads * 2 * _SUMS * _LANES * _ROUNDS) * self._best["multiply"])

    def _timed(self, name: str, kernel: Callable[[np.ndarray], float]) -> None:
        start = time.perf_counter()
        self._run(kernel)
        self._best[name] = min(self._best[name], time.perf_counter() - start)

    def _run(self, kernel: Callable[[np.ndarray], float]) -> None:
        if self._threads == 1:
            kernel(self._memory[0])
        else:
            for done in [self._pool.submit(kernel, part) for part in self._memory]:
                done.result()


@njit(cache=True, nogil=True, fastmath=True)
def _read(memory: np.ndarray) -> float:
    total = 0.0
    for k in range(memory.size):
        total += memory[k]
    return total


@intrinsic
def _products(typing: Any, rounds: Any) -> Any:
    """Return the sum of 16 vectors of 8, each `rounds` times multiplied and added to: nothing but arithmetic."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, index = ir.VectorType(ir.DoubleType(), _LANES), ir.IntType(64)
        kind = ir.FunctionType(vector, [vector] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{_LANES}f64")
        factor = ir.Constant(vector, [0.999] * _LANES)
        before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(index)
        k.add_incoming(index(0), before)
        sums = [builder.phi(vector) for _ in range(_SUMS)]
        grown = [builder.call(fma, [total, factor, factor]) for total in sums]
        for j, (total, more) in enumerate(zip(sums, grown, strict=True)):
            total.add_incoming(ir.Constant(vector, [float(j)] * _LANES), before)
            total.add_incoming(more, loop)
        following = builder.add(k, index(1))
        k.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, arguments[0]), loop, after)
        builder.position_at_end(after)
        total = grown[0]
        for more in grown[1:]:
            total = builder.fadd(total, more)
        return builder.extract_element(total, ir.IntType(32)(0))

    return types.float64(types.int64), generate


@njit(cache=True, nogil=True)
def _multiply(memory: np.ndarray) -> float:
    return _products(_ROUNDS)

"""How every kernel of this room takes its arguments: checked, broadcast, laid out as rows of cells."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from crossmargin.pricing.normal import inlined, kernel, log_ratio_over
from crossmargin.units import Array, BoolArray, FloatArray

BLOCK = 160
"""Cells a kernel works on at a time: its intermediate arrays stay in the first-level cache. A multiple of `STRIDE`."""
LANES = 8
"""Cells in the widest register."""
STRIDE = 4 * LANES
"""Cells that loops take at a time. Loops over work rows run to a multiple of it, so
that no cell is left over to be done alone; what lies beyond the last cell is computed and not read."""
WORK_ROW = BLOCK + STRIDE + 8
"""Cells of a work row. Its bytes are no divisor of a page, which would make unrelated loads and stores wait for
each other."""

FINITE_MAX = float(np.finfo(np.float64).max)
SMALLEST = float(np.finfo(np.float64).tiny)
TAU_MIN = 1e-150
"""Years (and their square root) below which no time is left for theta."""
SPEED_MAX = 1e300
"""Highest vol / (2 sqrt(tau)) that enters theta: it meets a density of zero there, and must not be infinite."""

Domain = tuple[float, float, str]
ANY: Domain = (-FINITE_MAX, FINITE_MAX, "any finite number")
NOT_NEGATIVE: Domain = (0.0, FINITE_MAX, "finite numbers of 0 or more")
POSITIVE: Domain = (SMALLEST, FINITE_MAX, "finite positive numbers")


class Greeks(NamedTuple):
    """Prices and their sensitivities, arrays of one shape; signs and units are at the room's door."""

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray


class Cells(NamedTuple):
    """Broadcast arguments as kernels read them: rows of cells that share contract terms.

    forward and vol have one value a cell, shape (rows * columns,), row after row; strike, tau, discount and is_call
    one value a row, shape (rows,). Contracts priced under scenarios are rows; unrelated cells are rows of one.
    """

    forward: FloatArray
    strike: FloatArray
    vol: FloatArray
    tau: FloatArray
    discount: FloatArray
    is_call: BoolArray


@kernel
def _count_outside(values: FloatArray, low: float, high: float) -> int:
    """Return how many of `values` are not within low and high; NaN never is."""
    outside = 0
    for i in range(values.size):
        outside += 1 - ((values[i] >= low) & (values[i] <= high))
    return outside


def checked(name: str, values: ArrayLike, domain: Domain) -> FloatArray:
    """Return `values` as contiguous float64, or raise ValueError naming the first one outside `domain`."""
    array = _contiguous(values, np.float64)
    low, high, allowed = domain
    if _count_outside(array.reshape(-1), low, high):
        raise _refusal(name, array, (array >= low) & (array <= high), allowed)
    return array


def not_below(name: str, values: ArrayLike, domain: Domain) -> FloatArray:
    """Return `values` as `checked` does, but let NaN and infinity pass: the caller names them itself."""
    array = _contiguous(values, np.float64)
    low, _, allowed = domain
    within = ~(array < low)
    if not within.all():
        raise _refusal(name, array, within, allowed)
    return array


def _contiguous(values: ArrayLike, dtype: DTypeLike) -> Array:
    array: Array = np.asarray(values, dtype=dtype)
    return array if array.ndim == 0 else np.ascontiguousarray(array)


def _refusal(name: str, array: FloatArray, within: BoolArray, allowed: str) -> ValueError:
    first = int(np.argmin(within))
    place = ", ".join(str(int(i)) for i in np.unravel_index(first, array.shape))
    found = float(array.flat[first])
    return ValueError(f"{name}{f'[{place}]' if place else ''}: found {found!r}; allowed: {allowed}")


def cells_of(
    forward: ArrayLike,
    strike: ArrayLike,
    vol: ArrayLike,
    tau: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
    price_domain: Domain,
) -> tuple[Cells, tuple[int, ...]]:
    """Return the arguments checked and broadcast against each other, with the shape they broadcast to.

    Terms that are constant along the last axis are not repeated: the cells along it are one row.
    """
    prices = checked("forward", forward, price_domain), checked("vol", vol, NOT_NEGATIVE)
    terms: tuple[Array, ...] = (
        checked("strike", strike, price_domain),
        checked("tau", tau, NOT_NEGATIVE),
        checked("discount", discount, POSITIVE),
        _contiguous(is_call, np.bool_),
    )
    shape = np.broadcast_shapes(*(array.shape for array in prices + terms))
    if shape and all(array.ndim == 0 or array.shape[-1] == 1 for array in terms):
        terms = tuple(_over(shape[:-1], array[..., 0] if array.ndim else array) for array in terms)
    else:
        terms = tuple(_over(shape, array) for array in terms)
    strikes, taus, discounts, calls = terms
    return Cells(_over(shape, prices[0]), strikes, _over(shape, prices[1]), taus, discounts, calls), shape


def scenario_cells(
    forward: FloatArray,
    strike: FloatArray,
    vol: FloatArray,
    tau: FloatArray,
    discount: FloatArray,
    is_call: BoolArray,
    out: FloatArray | None,
    price_domain: Domain,
) -> tuple[Cells, FloatArray]:
    """Return the arguments of a scenario kernel checked, with the array (n, S) that takes the prices."""
    shape = np.shape(forward)
    if len(shape) != 2 or np.shape(vol) != shape:
        raise ValueError(f"forward and vol: found shapes {shape} and {np.shape(vol)}; allowed: one shape (n, S)")
    for name, term in (("strike", strike), ("tau", tau), ("discount", discount), ("is_call", is_call)):
        if np.shape(term) != shape[:1]:
            raise ValueError(f"{name}: found shape {np.shape(term)}; allowed: {shape[:1]}, one value a contract")
    cells = Cells(
        checked("forward", forward, price_domain).reshape(-1),
        checked("strike", strike, price_domain),
        checked("vol", vol, NOT_NEGATIVE).reshape(-1),
        checked("tau", tau, NOT_NEGATIVE),
        checked("discount", discount, POSITIVE),
        _contiguous(is_call, np.bool_),
    )
    return cells, result_array(out, shape)


def result_array(out: FloatArray | None, shape: tuple[int, ...]) -> FloatArray:
    """Return `out` if results of `shape` can be written into it, a new array if it is None."""
    if out is None:
        return np.empty(shape)
    if out.shape != shape or out.dtype != np.float64 or not out.flags.c_contiguous:
        raise ValueError(f"out: found {out.dtype} of shape {out.shape}; allowed: contiguous float64 of shape {shape}")
    return out


def _over(shape: tuple[int, ...], array: Array) -> Array:
    if array.shape == shape:
        return np.ascontiguousarray(array).reshape(-1)
    return np.ascontiguousarray(np.broadcast_to(array, shape)).reshape(-1)


@inlined
def work_rows(rows: int) -> FloatArray:
    """Return an uninitialised (rows, WORK_ROW), each row on a 64-byte boundary.

    A vector load or store that straddles two cache lines takes twice as long, and where an allocator puts many small
    arrays is chance. In one array LLVM also knows which of them cannot overlap.
    """
    memory = np.empty(rows * WORK_ROW + 8)
    skip = -(memory.ctypes.data // 8) % 8
    return memory[skip : skip + rows * WORK_ROW].reshape((rows, WORK_ROW))


@inlined
def whole_strides(cells: int) -> int:
    """Return `cells` rounded up to a multiple of `STRIDE`."""
    return (cells + STRIDE - 1) // STRIDE * STRIDE


@inlined
def copy(source: FloatArray, out: FloatArray) -> None:
    for i in range(source.size):
        out[i] = source[i]


@inlined
def fill(value: Any, out: Array) -> None:
    for i in range(out.size):
        out[i] = value


@inlined
def spread(per_row: Array, start: int, columns: int, out: Array) -> None:
    """Fill `out`, one block, with the row values of the cells from `start` on."""
    if columns == 1:
        rows = per_row[start:]
        for i in range(out.size):
            out[i] = rows[i]
    else:
        row, begin = start // columns, 0
        while begin < out.size:
            end = min((row + 1) * columns - start, out.size)
            fill(per_row[row], out[begin:end])
            row, begin = row + 1, end


@inlined
def root_of(tau: FloatArray) -> FloatArray:
    root = np.empty(tau.size)
    for i in range(root.size):
        root[i] = math.sqrt(tau[i])
    return root


@inlined
def rate_of(discount: FloatArray, tau: FloatArray) -> FloatArray:
    """Return the continuous rate -ln(discount) / tau a year; 0 where no time is left."""
    rate = np.empty(discount.size)
    for i in range(rate.size):
        value = log_ratio_over(1.0, discount[i], tau[i] if tau[i] > TAU_MIN else TAU_MIN)
        rate[i] = value if tau[i] > TAU_MIN else 0.0
    return rate


@inlined
def pace_of(root: FloatArray) -> FloatArray:
    """Return d sqrt(tau) / d tau = 1 / (2 sqrt(tau)) from sqrt(tau); 0 where no time is left."""
    pace = np.empty(root.size)
    for i in range(pace.size):
        value = 0.5 / (root[i] if root[i] > TAU_MIN else TAU_MIN)
        pace[i] = value if root[i] > TAU_MIN else 0.0
    return pace

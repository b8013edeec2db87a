"""The normal distribution and the two functions around it, as branch-free arithmetic.

LLVM turns a loop over these functions into packed instructions, because nothing here branches, calls a library
or looks up a table. Every rounding is written down: products and sums are fused only where `fma` says so, and no
compiler flag may reassociate. So one cell has one set of bits, whether it was priced alone, in a vector lane
or in another batch.

The coefficients are minimax fits made by `tools/fit_normal.py` in 60-digit arithmetic (Remez exchange on the
relative error); it prints them together with the errors quoted below.
"""

from collections.abc import Callable
from typing import Any

from numba import njit, types
from numba.extending import intrinsic


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a loop over arrays: compiled on the first call, then read from the cache on disk."""
    return njit(cache=True, error_model="numpy", nogil=True)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile arithmetic on scalars into the loop of the kernel that calls it."""
    return njit(error_model="numpy", forceinline=True)(function)


def instruction(function: Callable[..., Any]) -> Any:
    """Make a machine instruction callable in kernels."""
    return intrinsic(function)


@instruction
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, rounded once, on every machine."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), emit


@instruction
def _bits(typing_context: Any, value: Any) -> Any:
    """Return the 64 bits of a float as an integer."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_data_type(types.int64))

    return types.int64(types.float64), emit


@instruction
def _float(typing_context: Any, value: Any) -> Any:
    """Return the float whose 64 bits are this integer."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_data_type(types.float64))

    return types.float64(types.int64), emit


LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693147180559945286  # ln 2 rounded
LN2_LOW = 2.319046813846299558e-17  # and what the rounding lost
ROUND_TO_INTEGER = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
INVERSE_SQRT_2PI = 0.3989422804014326779

TAIL_END = 37.5
"""Beyond this many deviations the tail (5e-308) is called zero; exp would leave the normal floats."""
MILLS_END = 110.0
"""The Mills ratio is fitted on 0 to here; farther out it is held."""


@inlined
def exp(x: float) -> float:
    """Return e**x for -708 <= x <= 709; relative error below 3e-16.

    x = n ln 2 + r with |r| <= ln(2) / 2, e**r by a polynomial of degree 11 (3e-18), then n into the exponent.
    """
    shifted = fma(x, LOG2_E, ROUND_TO_INTEGER)
    n = shifted - ROUND_TO_INTEGER
    r = fma(-n, LN2_LOW, fma(-n, LN2_HIGH, x))
    r2 = r * r
    r4 = r2 * r2
    low = fma(fma(0.1666666666666617, r, 0.5000000000000018), r2, r)
    middle = fma(
        fma(0.00019841269432366852, r, 0.0013888888951260254),
        r2,
        fma(0.008333333333559489, r, 0.04166666666649264),
    )
    high = fma(
        fma(2.499427940201881e-08, r, 2.7632308074621853e-07),
        r2,
        fma(2.7557622703399364e-06, r, 2.4801486481944618e-05),
    )
    result = fma(fma(high, r4, middle), r4, low) + 1.0
    scaled: float = _float(_bits(result) + (_bits(shifted) << 52))
    return scaled


@inlined
def log_ratio_over(a: float, b: float, s: float) -> float:
    """Return ln(a / b) / s for normal floats a, b > 0 and 1e-160 <= s <= 1e150; error below 3 roundings.

    Both are scaled by powers of two, b into 1 to 2 and a to within 2/3 and 3/2 of it, so that a - b loses nothing
    when the two are close; then ln = 2 atanh(z), z = (a - b) / (a + b), by a polynomial of degree 7 in the square
    of z (1.4e-17). The two quotients share one division.
    """
    bits_a = _bits(a)
    bits_b = _bits(b)
    power = (bits_a - bits_b + 0x0008000000000000) >> 52
    power_b = (bits_b >> 52) - 1023
    a = _float(bits_a - ((power + power_b) << 52))
    b = _float(bits_b - (power_b << 52))
    total = a + b
    inverse = 1.0 / (total * s)
    z = (a - b) * (s * inverse)
    u = z * z
    u2 = u * u
    low = fma(fma(0.14285714749009248, u, 0.19999999997667375), u2, 0.33333333333337806 * u)
    high = fma(
        fma(0.07697097614117353, u, 0.07623200580343499),
        u2,
        fma(0.09093288185809455, u, 0.11111065994965084),
    )
    twice = z + z
    near = fma(twice, fma(high, u2 * u2, low), twice)
    n = float(power)
    logarithm: float = fma(n, LN2_HIGH, fma(n, LN2_LOW, near))
    return logarithm * (total * inverse)


@inlined
def _mills_parts(y: float) -> tuple[float, float]:
    """Return the numerator (degree 9) and denominator (degree 10) of the Mills ratio at y; error 1.9e-16.

    All coefficients are positive, so nothing cancels.
    """
    y2 = y * y
    y4 = y2 * y2
    numerator = fma(
        fma(
            fma(4.307729986363498e-06, y, 0.00011176907176935884),
            y4,
            fma(
                fma(0.0014287455767084457, y, 0.011612091940118462),
                y2,
                fma(0.06555121054329853, y, 0.2654273773130661),
            ),
        ),
        y4,
        fma(fma(0.7705410548164578, y, 1.5518379870561425), y2, fma(1.9851740725445126, y, 1.2533141373155001)),
    )
    denominator = fma(
        fma(
            fma(fma(4.307729986363897e-06, y, 0.00011176907176921665), y, 0.0014330533067160509),
            y4,
            fma(
                fma(0.011723861010109094, y, 0.06697134075465307),
                y2,
                fma(0.2768159276641858, y, 0.83327794196947),
            ),
        ),
        y4,
        fma(fma(1.795157091231579, y, 2.638608409281451), y2, fma(2.3818243037922437, y, 1.0)),
    )
    return numerator, denominator


@inlined
def mills_ratio(y: float) -> float:
    """Return M(y) = N(-y) / phi(y), the normal tail over its density, for y >= 0; relative error below 6e-16.

    Held at its value at 110 from there on.
    """
    p, q = _mills_parts(y if y < MILLS_END else MILLS_END)
    ratio: float = p / q
    return ratio


@inlined
def mills_ratios(y: float, z: float) -> tuple[float, float]:
    """Return M(y) and M(z) for the cost of one division; relative error below 1e-15."""
    p, q = _mills_parts(y if y < MILLS_END else MILLS_END)
    r, s = _mills_parts(z if z < MILLS_END else MILLS_END)
    inverse = 1.0 / (q * s)
    return p * (s * inverse), r * (q * inverse)


@inlined
def density(y: float) -> float:
    """Return phi(y), the normal density, and exactly 0 beyond `TAIL_END`; y >= 0."""
    inside = y if y < TAIL_END else TAIL_END
    value: float = INVERSE_SQRT_2PI * exp(-0.5 * (inside * inside))
    return value if y <= TAIL_END else 0.0

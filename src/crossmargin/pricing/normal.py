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
ONE_BITS = 0x3FF0000000000000  # the bits of 1.0
INVERSE_SQRT_2PI = 0.3989422804014326779

TAIL_END = 37.5
"""Beyond this many deviations the tail (5e-308) is called zero; exp would leave the normal floats."""
FAR = 1e14
"""Deviations that count as this many at most: powers of them stay finite."""


@inlined
def quartic(y: float, a: float, b: float, c: float, d: float) -> float:
    """Return (z + y + c) z + d with z = y (y + a) + b: four coefficients for two products and three sums.

    A polynomial without multiple real roots is a product of such quartics, of quadratics and of linear factors
    (Knuth, The Art of Computer Programming 2, 4.6.4). Processors that add beside multiplying need half the time of
    Horner's rule, and the chain of operations that wait for each other is short.
    """
    z = fma(y, y + a, b)
    value: float = fma(z + (y + c), z, d)
    return value


@inlined
def exp_parts(x: float) -> tuple[float, float]:
    """Return (r, 2**n) with x = n ln 2 + r, |r| <= ln(2) / 2, for -708 <= x <= 709."""
    shifted = fma(x, LOG2_E, ROUND_TO_INTEGER)
    n = shifted - ROUND_TO_INTEGER
    r = fma(-n, LN2_LOW, fma(-n, LN2_HIGH, x))
    return r, _float((_bits(shifted) << 52) + ONE_BITS)


@inlined
def exp_near(r: float) -> float:
    """Return e**r for |r| <= ln(2) / 2: 1 + r + r**2 times a polynomial of degree 9; error 3e-18 and roundings."""
    first = quartic(r, 7.036889415616343, 94.23522592353076, -117.66174849683188, 3757.615464972828)
    second = quartic(r, -5.656834137133853, 38.17753846956213, 5.69372785729681, 375.202906059322)
    third = fma(2.499427940201881e-08, r, 1.573475475009365e-07)
    value: float = fma(first * second * third, r * r, r) + 1.0
    return value


@inlined
def exp(x: float) -> float:
    """Return e**x for -708 <= x <= 709; relative error below 3e-16."""
    r, power = exp_parts(x)
    value: float = exp_near(r) * power
    return value


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
def log_parts(a: float, b: float) -> tuple[float, float]:
    """Return (z, n) with ln(a / b) = 2 atanh(z) + n ln 2, |z| <= 0.2, for normal floats a, b > 0.

    b is scaled by a power of two into 1 to 2 and a to within 2/3 and 3/2 of it, so that a - b loses nothing when
    the two are close; z = (a - b) / (a + b).
    """
    bits_a = _bits(a)
    bits_b = _bits(b)
    power = (bits_a - bits_b + 0x0008000000000000) >> 52
    power_b = (bits_b >> 52) - 1023
    a = _float(bits_a - ((power + power_b) << 52))
    b = _float(bits_b - (power_b << 52))
    return (a - b) / (a + b), float(power)


@inlined
def log_of(z: float, n: float) -> float:
    """Return 2 atanh(z) + n ln 2; atanh by a polynomial of degree 7 in the square of z (1.4e-17)."""
    u = z * z
    first = quartic(u, -1.1439061314646177, 0.5275285278738341, 1.2688284998162316, 1.7144288209646188)
    second = fma(u, u + 2.278211626757191, 1.6268000322595397)
    twice = z + z
    near = fma(twice * (0.07697097614117353 * u), first * second, twice)
    logarithm: float = fma(n, LN2_HIGH, fma(n, LN2_LOW, near))
    return logarithm


@inlined
def log_ratio(a: float, b: float) -> float:
    """Return ln(a / b) for normal floats a, b > 0; relative error below 3 roundings, near 1 too."""
    z, n = log_parts(a, b)
    logarithm: float = log_of(z, n)
    return logarithm


@inlined
def mills_numerator(y: float) -> float:
    """Return the numerator, of degree 9, of the Mills ratio at 0 <= y <= 2 `FAR`.

    Numerator over denominator is within 1.9e-16 of the ratio up to 110, and within 1e-13 beyond. The lowest
    coefficients stand apart: near 0, where the tail is large, little of the roundings of the rest is left.
    """
    first = quartic(y, 9.861819950463444, 56.53830532886157, -40.99132072134095, 503.66282284946567)
    second = quartic(y, 2.1112624065057464, -3.978693386363689, 45.62654843957708, 499.00287174865764)
    value: float = fma(first * second, 4.307729986363498e-06 * y, 1.2533141373155001)
    return value


@inlined
def mills_denominator(y: float) -> float:
    """Return the denominator, of degree 10, that belongs to `mills_numerator`; 1 or more."""
    first = quartic(y, 10.284669847848296, 64.36343047556934, -50.11159411379304, 735.5746043449515)
    second = quartic(y, 1.6884125091031872, -9.519387224637882, 58.090208216616126, 832.9490200299145)
    value: float = fma(fma(first * second, 4.307729986363897e-06 * y, 2.3818243037922437), y, 1.0)
    return value


@inlined
def mills_ratio(y: float) -> float:
    """Return M(y) = N(-y) / phi(y), the normal tail over its density, for y >= 0.

    Relative error below 1.5e-15 up to 110, 1e-13 beyond; held at its value at `FAR` from there on.
    """
    y = y if y < FAR else FAR
    ratio: float = mills_numerator(y) / mills_denominator(y)
    return ratio


@inlined
def mills_ratios(y: float, z: float) -> tuple[float, float]:
    """Return M(y) and M(z) for the cost of one division; as `mills_ratio`, with one rounding more."""
    y = y if y < FAR else FAR
    z = z if z < FAR else FAR
    p, q = mills_numerator(y), mills_denominator(y)
    r, s = mills_numerator(z), mills_denominator(z)
    inverse = 1.0 / (q * s)
    return p * (s * inverse), r * (q * inverse)


@inlined
def density_parts(y: float) -> tuple[float, float]:
    """Return (r, scale) with phi(y) = scale * exp_near(r), and a scale of exactly 0 beyond `TAIL_END`; y >= 0."""
    inside = y if y < TAIL_END else TAIL_END
    r, power = exp_parts(-0.5 * (inside * inside))
    scale = INVERSE_SQRT_2PI * power
    return r, (scale if y <= TAIL_END else 0.0)


@inlined
def density(y: float) -> float:
    """Return phi(y), the normal density, and exactly 0 beyond `TAIL_END`; y >= 0."""
    r, scale = density_parts(y)
    value: float = exp_near(r) * scale
    return value


# What follows is right to roundings of 1 where the functions above are right to roundings of themselves: enough where
# a price is asked for to a fraction of forward and strike, and a third of the products less.

QUICK_LOG_MAX = 3.0
"""The quick Mills ratio is for |ln(forward / strike)| up to this: see `quick_numerator`."""
HALF_LOG2_E = 0.7213475204444817


@inlined
def quick_density(y: float) -> float:
    """Return phi(y) to 2e-17, and exactly 0 beyond `TAIL_END`; y >= 0.

    2**u / sqrt(2 pi) for |u| <= 1/2 is a polynomial of degree 11 (3e-18 of itself); the whole powers of two are added
    to its exponent. u carries the rounding of y**2, of which a density too small to matter is left.
    """
    inside = y if y < TAIL_END else TAIL_END
    power = inside * inside * -HALF_LOG2_E
    shifted = power + ROUND_TO_INTEGER
    u = power - (shifted - ROUND_TO_INTEGER)
    first = quartic(u, 10.373432983638216, 253.15011071127702, -359.1915249294096, 33559.19703900666)
    second = quartic(u, -7.939739036329926, 74.69196365728949, 21.119567672024555, 1724.8797162919368)
    third = u * fma(1.7694192902608667e-10, u, 1.6070324799605586e-09)
    near = fma(fma(first * second, third, 0.2765257168664082), u, 0.3989422804014327)
    value: float = _float(_bits(near) + (_bits(shifted) << 52))
    return value if y <= TAIL_END else 0.0


@inlined
def quick_numerator(y: float) -> float:
    """Return the numerator, of degree 6, of the quick Mills ratio at 0 <= y <= 2 `FAR`.

    Off by 1.1e-16 at most after multiplication by a density, phi(y) or another that is at most e**`QUICK_LOG_MAX`
    times as large: phi(d1) is F / K or K / F times phi(d2).
    """
    first = quartic(y, 5.8153384677636755, 30.84013985219398, -13.034134755600581, 306.06925785254083)
    value: float = fma(first * (y + 6.933118519000149), 0.00021476334621581175 * y, 1.2533141373155006)
    return value


@inlined
def quick_denominator(y: float) -> float:
    """Return the denominator, of degree 7, that belongs to `quick_numerator`; 1 or more."""
    first = quartic(y, 5.678685201447568, 29.806067855076684, -9.760979313483572, 350.02483085030354)
    value: float = fma(
        fma(first * (y + 7.207250520943799), 0.0002147605182597295 * y, 1.813901813702906),
        y,
        1.0,
    )
    return value

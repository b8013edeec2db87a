"""Print the coefficients of pricing/normal.py and pricing/implied.py, and how far off they are.

The minimax fits run Remez' exchange in 60-digit arithmetic on the relative error of a quotient of polynomials p / q,
q(0) = 1. On a reference of n + m + 2 points the error must alternate with one size E:

    p(u) = f(u) q(u) (1 + (-1)**i w(u) E),

where w is 1 or tells how much more error is allowed at u, solved by Newton's method in E; then each point moves to
the extremum of its sign. The Mills ratio is fitted on 0 to 110 in the variable t of u = 2 t / (1 - t), which spreads
the points as the function bends. The first guesses of the implied vol are least-squares fits in double precision.

The polynomials are then taken apart into quartics (see `normal.quartic`), each the product of two pairs of conjugate
roots, what is left of a lower degree, and the lowest coefficients, which stay as they are. Of all ways to pair the
roots, the one is taken whose roundings add up to least.

Needs mpmath beside the development environment: `pip install mpmath`, then `python tools/fit_normal.py`.
"""

from collections.abc import Callable
from itertools import pairwise, permutations

import mpmath as mp
import numpy as np
from scipy.optimize import least_squares
from scipy.special import erfcx, ndtri

Number = mp.mpf
Function = Callable[[Number], Number]

GRID = 2_400
MILLS_END = 110
QUICK_MILLS_END = 9
mp.mp.dps = 60


def polynomial(coefficients: list[Number], u: Number) -> Number:
    return mp.polyval(coefficients[::-1], u)


def remez(
    f: Function, u_of: Function, n: int, m: int, allowed: Function = lambda u: mp.mpf(1)
) -> tuple[list[Number], list[Number], Number]:
    """Return p (degree n), q (degree m) and the largest relative error of p / q over u_of(0 to 1), as a multiple of
    what is `allowed` at u.
    """
    grid = [u_of((1 - mp.cos(mp.pi * i / GRID)) / 2) for i in range(GRID + 1)]
    values, weights = [f(u) for u in grid], [allowed(u) for u in grid]
    size = n + m + 2
    reference = [round(i * GRID / (size - 1)) for i in range(size)]
    error = mp.mpf(0)
    q = [mp.mpf(1)] + [mp.mpf(0)] * m
    for _ in range(30):
        for _ in range(10):
            p, q, new = _alternate([(grid[k], values[k], weights[k]) for k in reference], q, error, n, m)
            done = abs(new - error) <= abs(new) * mp.mpf(10) ** -12
            error = new
            if done:
                break
        errors = [
            (polynomial(p, u) / polynomial(q, u) / v - 1) / w for u, v, w in zip(grid, values, weights, strict=True)
        ]
        extrema = _extrema(errors)
        if len(extrema) < size:
            raise ValueError(f"only {len(extrema)} extrema of {size}: another degree or variable is needed")
        while len(extrema) > size:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        reference = extrema
        worst = max(abs(e) for e in errors)
        if worst <= abs(error) * mp.mpf("1.001"):
            break
    return p, q, worst


def _alternate(
    points: list[tuple[Number, Number, Number]], q: list[Number], error: Number, n: int, m: int
) -> tuple[list[Number], list[Number], Number]:
    """Solve p - f q (1 + s E) = 0 at the points, s the signed weight, linear in p and q, E by a Newton step."""
    size = len(points)
    matrix, right = mp.matrix(size, size), mp.matrix(size, 1)
    for i, (u, value, most) in enumerate(points):
        sign = -most if i % 2 else most
        weight = 1 / (value * (1 + abs(u)) ** max(n, m))
        before = polynomial(q, u)
        for j in range(n + 1):
            matrix[i, j] = weight * u**j
        for j in range(1, m + 1):
            matrix[i, n + j] = -weight * value * (1 + sign * error) * u**j
        matrix[i, size - 1] = -weight * value * sign * before
        right[i] = weight * value * (1 + sign * error - sign * before * error)
    solution = list(mp.lu_solve(matrix, right))
    return solution[: n + 1], [mp.mpf(1), *solution[n + 1 : -1]], solution[-1]


def _extrema(errors: list[Number]) -> list[int]:
    """Return the place of the largest error of each run of one sign."""
    cuts = [0] + [i for i in range(1, len(errors)) if errors[i] * errors[i - 1] < 0] + [len(errors)]
    return [max(range(a, b), key=lambda k: abs(errors[k])) for a, b in pairwise(cuts)]


def mills(y: Number) -> Number:
    return mp.sqrt(mp.pi / 2) * mp.exp(y * y / 2) * mp.erfc(y / mp.sqrt(2))


def quick_mills_allowed(y: Number) -> Number:
    """Return the relative error that is an error of 1 times phi(0), or e**3 phi(y) where that is less."""
    return 1 / (mills(y) * min(mp.npdf(0), mp.npdf(y) * mp.e**3))


def scaled_power(u: Number) -> Number:
    return mp.mpf(2) ** u / mp.sqrt(2 * mp.pi)


def atanh_over_root(u: Number) -> Number:
    """Return atanh(z) / z for z = sqrt(u)."""
    return mp.mpf(1) if u == 0 else mp.atanh(mp.sqrt(u)) / mp.sqrt(u)


def taken_apart(c: list[Number], low: int, most: float) -> tuple[list[list[float]], list[list[float]]]:
    """Return quartics [a, b, c, d] and the factors left of c (rising powers) without its `low` lowest terms.

    Factors left are [sum, product] of y**2 + sum y + product, or [root] of y + root. Roundings are counted on 0 to
    `most`.
    """
    roots = mp.polyroots(c[low:][::-1], maxsteps=500, extraprec=400)
    pairs = [(-2 * r.real, abs(r) ** 2) for r in roots if r.imag > 0]
    real = [[float(-r.real)] for r in roots if r.imag == 0]
    at = [most * k / 100 for k in range(101)]
    found = []
    for order in permutations(range(len(pairs))):
        chosen = [(order[k], order[k + 1]) for k in range(0, len(order) - 1, 2)]
        if all(i < j for i, j in chosen) and chosen == sorted(chosen):
            quartics = [_quartic(pairs[i], pairs[j]) for i, j in chosen]
            left = [[float(x) for x in pairs[order[-1]]]] if len(pairs) % 2 else []
            found.append((sum(max(_roundings(q, y) for y in at) for q in quartics), quartics, left))
    _, quartics, left = min(found)
    return quartics, left + real


def _quartic(one: tuple[Number, Number], other: tuple[Number, Number]) -> list[float]:
    """Return a, b, c, d of (z + y + c) z + d, z = y (y + a) + b, from two quadratics [sum, product]."""
    c3, c2 = one[0] + other[0], one[1] + other[1] + one[0] * other[0]
    c1, c0 = one[0] * other[1] + other[0] * one[1], one[1] * other[1]
    a = (c3 - 1) / 2
    both = c2 - a * (a + 1)
    b = c1 - a * both
    return [float(x) for x in (a, b, both - 2 * b, c0 - b * (both - b))]


def _roundings(quartic: list[float], y: float) -> float:
    """Return how many roundings, at most, the value of a quartic is off at y."""
    a, b, c, d = quartic
    inner = y + a
    z = y * inner + b
    off = abs(y * inner) + abs(z)
    outer = z + (y + c)
    value = outer * z + d
    return ((off + abs(y + c) + abs(outer)) * abs(z) + off * abs(outer) + abs(value)) / abs(value)


def tail_quantile_guess() -> tuple[np.ndarray, float]:
    """Fit z = u - (a + b u) / (1 + c u + d u**2), u = sqrt(-2 ln p), to N(-z) = p from 1e-17 to 1/2."""
    p = np.concatenate([np.linspace(0.5, 0.01, 400), np.logspace(-2, -17, 600)])
    u = np.sqrt(-2 * np.log(p))

    def off(c: np.ndarray) -> np.ndarray:
        return u - (c[0] + c[1] * u) / (1 + c[2] * u + c[3] * u * u) + ndtri(p)

    c = least_squares(off, [2.3, 0.3, 1.0, 0.05], xtol=1e-15, ftol=1e-15).x
    return c, float(np.abs(off(c)).max())


def bachelier_guess() -> tuple[np.ndarray, float]:
    """Fit y**2 / v**2 = (a + b v + c v**2) / (1 + d v + e v**2 + f v**3), v = ln(1 + 1 / ratio), relative in y."""
    y = np.concatenate([np.logspace(-6, 0, 600), np.linspace(1, 38, 1200)])
    rest = np.where(y < 20, 1 - y * np.sqrt(np.pi / 2) * erfcx(y / np.sqrt(2)), y**-2 - 3 * y**-4 + 15 * y**-6)
    v = np.logaddexp(0, y * y / 2 + np.log(2 * np.pi) / 2 - np.log(rest / y))

    def off(c: np.ndarray) -> np.ndarray:
        fitted = (c[0] + v * (c[1] + v * c[2])) / (1 + v * (c[3] + v * (c[4] + v * c[5])))
        return np.log(np.abs(fitted)) - 2 * np.log(y / v)

    c = least_squares(off, [0.159, 0.1, 0.1, 0.1, 0.1, 0.05], x_scale="jac", max_nfev=5000, xtol=1e-15, ftol=1e-15).x
    return c, float(np.abs(off(c)).max() / 2)


def main() -> None:
    end = mp.mpf(MILLS_END) / (MILLS_END + 2)
    quick_end = mp.mpf(QUICK_MILLS_END) / (QUICK_MILLS_END + 2)
    half = mp.log(2) / 2 * mp.mpf("1.0001")
    fits = {
        "Mills ratio, y from 0 to 110": (mills, lambda t: 2 * t * end / (1 - t * end), 9, 10),
        "quick Mills ratio, y from 0 to 9": (
            mills,
            lambda t: 2 * t * quick_end / (1 - t * quick_end),
            6,
            7,
            quick_mills_allowed,
        ),
        "2**u / sqrt(2 pi), |u| <= 1/2": (scaled_power, lambda t: mp.mpf("0.50005") * (2 * t - 1), 11, 0),
        "exp, |r| <= ln(2) / 2": (mp.exp, lambda t: half * (2 * t - 1), 11, 0),
        "atanh(z) / z in z**2, |z| <= 0.2": (atanh_over_root, lambda t: t * mp.mpf("0.0401"), 7, 0),
    }
    apart: dict[str, list[tuple[str, int, float]]] = dict(
        zip(
            fits,
            (
                [("p", 1, 6.0), ("q", 2, 6.0)],
                [("p", 1, 6.0), ("q", 2, 6.0)],
                [("p", 2, 0.5)],
                [("p", 2, 0.35)],
                [("p", 1, 0.04)],
            ),
            strict=True,
        )
    )
    for name, (f, u_of, n, m, *allowed) in fits.items():
        p, q, worst = remez(f, u_of, n, m, *allowed)
        print(f"{name}: relative error {mp.nstr(worst, 3)}{' of what is allowed' if allowed else ''}")
        print("  p", *(repr(float(c)) for c in p))
        if m:
            print("  q", *(repr(float(c)) for c in q))
        for polynomial_of, low, most in apart[name]:
            quartics, left = taken_apart(p if polynomial_of == "p" else q, low, most)
            print(f"  {polynomial_of} without its {low} lowest terms: quartics", *quartics, "and", *left)
    for name, fit in (("normal quantile", tail_quantile_guess), ("Bachelier's y", bachelier_guess)):
        coefficients, worst_guess = fit()
        print(f"{name}: error {worst_guess:.1e}")
        print("  c", *(f"{c:.6g}" for c in coefficients))


if __name__ == "__main__":
    main()

"""Option prices, greeks and implied vols on one thread, against NumPy, QuantLib and py_vollib where it runs.

The work is 500 options under 250 scenarios of forward and vol. Peers priced in a Python loop get a sample of it,
and their time is scaled to the whole.
"""

import importlib
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import QuantLib as ql  # noqa: N813
from scipy.special import ndtr

from benchmarks.timing import Row, interleaved, row
from crossmargin.pricing import black76_greeks, black76_scenarios, implied_vol

SAMPLE = 10
"""Options that a peer in a Python loop prices."""
VOLS = 100_000
"""Implied vols solved by us; the looping peer solves a fiftieth of them."""


def rows() -> Iterator[Row]:
    """Yield price-ndtr, price-quantlib, greeks and iv."""
    points = _points(500, 250)
    forward, strike = points[:2]
    few = tuple(a[:SAMPLE] for a in points)
    out = np.empty(forward.shape)
    ours = partial(black76_scenarios, *points, out)
    ndtr_peer, quantlib_peer = partial(_numpy, *points), partial(_quantlib, *few)
    ms = interleaved({"ours": ours, "ndtr": ndtr_peer, "quantlib": quantlib_peer})
    assert np.allclose(ndtr_peer(), ours(), rtol=0, atol=1e-10)
    assert np.allclose(quantlib_peer(), ours()[:SAMPLE], rtol=0, atol=1e-10)
    yield row("price-ndtr", ours_ms=ms["ours"], peer="NumPy + scipy ndtr", peer_ms=ms["ndtr"], size=forward.size)
    scaled = ms["quantlib"] * strike.size / SAMPLE
    yield row("price-quantlib", ours_ms=ms["ours"], peer="QuantLib blackFormula", peer_ms=scaled, size=forward.size)
    yield _greeks()
    yield from _implied(*points)


def _points(options: int, scenarios: int) -> tuple[np.ndarray, ...]:
    """Return forward (n, S), strike (n,), vol (n, S), tau, discount and is_call (n,), seeded."""
    rng = np.random.default_rng(20260115)
    tau = rng.uniform(1 / 365, 2.0, options)
    return (
        100.0 * np.exp(rng.normal(0.0, 0.1, (options, scenarios))),
        100.0 * np.exp(rng.normal(0.0, 0.3, options)),
        rng.uniform(0.1, 1.5, (options, scenarios)),
        tau,
        np.exp(-0.03 * tau),
        rng.random(options) < 0.5,
    )


def _greeks() -> Row:
    """Time price and four greeks against our price alone, 200 options on a grid of 33: all stays in the cache.

    A peer / ours of 0.77 would be four greeks for 0.3 of a price. Where results leave the cache, writing five arrays
    instead of one is what counts.
    """
    forward, strike, vol, tau, discount, is_call = points = _points(200, 33)
    terms = [term[:, None] for term in (strike, tau, discount, is_call)]
    out = np.empty((5, *forward.shape))
    work: dict[str, Callable[[], object]] = {
        "price": partial(black76_scenarios, *points, out[0]),
        "greeks": partial(black76_greeks, forward, terms[0], vol, *terms[1:], out),
    }
    ms = interleaved(work, rounds=101)
    return row("greeks", ours_ms=ms["greeks"], peer="our price alone", peer_ms=ms["price"], size=forward.size)


def _implied(
    forward: np.ndarray,
    strike: np.ndarray,
    vol: np.ndarray,
    tau: np.ndarray,
    discount: np.ndarray,
    is_call: np.ndarray,
) -> Iterator[Row]:
    """Time the solvers on points whose time value is at least 1e-9 of the forward."""
    price = black76_scenarios(forward, strike, vol, tau, discount, is_call)
    columns = [np.repeat(term, forward.shape[1]) for term in (strike, tau, discount, is_call)]
    k, t, d, call = columns
    f, p, v = forward.ravel(), price.ravel(), vol.ravel()
    clear = p / d - np.maximum(np.where(call, f - k, k - f), 0.0) >= 1e-9 * f
    f, p, v, k, t, d, call = (a[clear][:VOLS] for a in (f, p, v, k, t, d, call))
    few = slice(0, f.size // 50)
    work: dict[str, Callable[[], object]] = {
        "ours": partial(implied_vol, p, f, k, t, d, call),
        "quantlib": partial(_quantlib_vols, *(a[few] for a in (p, f, k, t, d, call))),
    }
    vollib = _vollib(p, f, k, t, d, call)
    if vollib is not None:
        work["vollib"] = vollib
    ms = interleaved(work)
    found, reason = implied_vol(p, f, k, t, d, call)
    assert not reason.any()
    assert np.max(np.abs(found - v)) < 1e-7
    scaled = ms["quantlib"] * f.size / (f.size // 50)
    yield row("iv", ours_ms=ms["ours"], peer="QuantLib implied std dev", peer_ms=scaled, size=f.size)
    if vollib is not None:
        yield row("iv", ours_ms=ms["ours"], peer="py_vollib_vectorized", peer_ms=ms["vollib"], size=f.size)


def _numpy(
    forward: np.ndarray,
    strike: np.ndarray,
    vol: np.ndarray,
    tau: np.ndarray,
    discount: np.ndarray,
    is_call: np.ndarray,
) -> np.ndarray:
    deviation = vol * np.sqrt(tau)[:, None]
    d1 = np.log(forward / strike[:, None]) / deviation + deviation / 2
    sign = np.where(is_call, 1.0, -1.0)[:, None]
    undiscounted = sign * (forward * ndtr(sign * d1) - strike[:, None] * ndtr(sign * (d1 - deviation)))
    return discount[:, None] * undiscounted


def _quantlib(
    forward: np.ndarray,
    strike: np.ndarray,
    vol: np.ndarray,
    tau: np.ndarray,
    discount: np.ndarray,
    is_call: np.ndarray,
) -> list[list[float]]:
    option = [ql.Option.Call if call else ql.Option.Put for call in is_call]
    deviation = (vol * np.sqrt(tau)[:, None]).tolist()
    return [
        [ql.blackFormula(kind, k, f, s, d) for f, s in zip(forwards, deviations, strict=True)]
        for kind, k, forwards, deviations, d in zip(
            option, strike.tolist(), forward.tolist(), deviation, discount.tolist(), strict=True
        )
    ]


def _quantlib_vols(
    price: np.ndarray,
    forward: np.ndarray,
    strike: np.ndarray,
    tau: np.ndarray,
    discount: np.ndarray,
    is_call: np.ndarray,
) -> list[float]:
    option = [ql.Option.Call if call else ql.Option.Put for call in is_call]
    columns = (a.tolist() for a in (strike, forward, price, discount))
    return [
        ql.blackFormulaImpliedStdDev(kind, k, f, p, d, 0.0, 0.3, 1e-12, 200)
        for kind, k, f, p, d in zip(option, *columns, strict=True)
    ]


def _vollib(
    price: np.ndarray,
    forward: np.ndarray,
    strike: np.ndarray,
    tau: np.ndarray,
    discount: np.ndarray,
    is_call: np.ndarray,
) -> Callable[[], object] | None:
    """Return py_vollib_vectorized's solver on the same points, or None where it is not installed or does not run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solver = importlib.import_module("py_vollib_vectorized").vectorized_implied_volatility_black
            flag = np.where(is_call, "c", "p")
            rate = -np.log(discount) / tau
            call = partial(solver, price, forward, strike, rate, tau, flag, return_as="numpy")
            call()
    except Exception as error:
        print(f"py_vollib_vectorized left out: {type(error).__name__}: {str(error)[:80]}")
        return None
    return call

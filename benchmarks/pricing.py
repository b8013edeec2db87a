"""Option prices, greeks and implied vols on one thread, against NumPy, QuantLib and py_vollib where it runs.

The work is options on 20 underlyings under 250 scenarios of moves and vols, what an option and a scenario share being
given once, to us and to NumPy. Prices are timed twice: of 500 options, where the arrays of a formula on whole arrays
stay in the cache, and of 2,000, where they do not. Peers priced in a Python loop get a sample of the work where all of
it would take too long, and their time is scaled to the whole.
"""

import importlib
import os
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import QuantLib as ql  # noqa: N813
from scipy.special import ndtr

from benchmarks.timing import Row, interleaved, row
from crossmargin.book import Account, Book
from crossmargin.instruments import instrument_of
from crossmargin.market import Mark, Market
from crossmargin.pricing import (
    SharedMoves,
    Valuation,
    black76_greeks,
    black76_scenarios,
    implied_vol,
    value,
)
from crossmargin.scenarios import Moves, revalue
from crossmargin.units import utc

UNDERLYINGS, OPTIONS, SCENARIOS = 20, 500, 250
FEW, MANY = (70, 90, 100, 110, 150), tuple(range(60, 160, 5))
"""Strikes of each of five expiries of an underlying: 500 options in all, or 2,000."""
SAMPLE = 10
"""Options that a peer in a Python loop prices."""
VOLS = 100_000
"""Implied vols solved by us; the looping peer solves a fiftieth of them."""
BLOCK = 50
"""Options that NumPy prices at a time where it is timed in blocks."""
TAIL = 6
"""Scenarios of 250 whose mean loss is the expected shortfall: the worst 2.5%, rounded down."""
TIME = utc("2026-11-20T08:00:00Z")


def rows() -> Iterator[Row]:
    """Yield price-ndtr, price-quantlib, greeks, iv and portfolio-es-quantlib."""
    before = os.environ.get("CROSSMARGIN_THREADS")
    os.environ["CROSSMARGIN_THREADS"] = "1"
    try:
        yield from _prices(_grid(FEW))
        yield from _prices(_grid(MANY))
        yield _greeks()
        yield from _implied(*_points(OPTIONS, SCENARIOS))
        yield _portfolio(_grid(FEW))
    finally:
        os.environ.pop("CROSSMARGIN_THREADS")
        if before is not None:
            os.environ["CROSSMARGIN_THREADS"] = before


class Grid(NamedTuple):
    """Options, and moves (underlyings, S) of prices and vols; the columns are the options' terms."""

    valuation: Valuation
    moves: SharedMoves
    forward: np.ndarray
    strike: np.ndarray
    vol: np.ndarray
    tau: np.ndarray
    discount: np.ndarray
    is_call: np.ndarray


def _grid(strikes: tuple[int, ...]) -> Grid:
    rng = np.random.default_rng(20260116)
    names = [f"C{k}" for k in range(UNDERLYINGS)]
    expiries = [utc(f"2027-{month:02d}-26T08:00:00Z") for month in (1, 3, 6, 9, 12)]
    options = [
        instrument_of(
            "option",
            symbol=f"{name}-{expiry:%m}-{strike}",
            underlying=name,
            quote="USD",
            asset_class="crypto",
            expiry=expiry,
            strike=strike,
            option_type="put" if strike < 100 else "call",
        )
        for name in names
        for expiry in expiries
        for strike in strikes
    ]
    market = Market(
        time=TIME,
        prices=dict.fromkeys(names, 100.0),
        rates={"USD": 0.03},
        marks={option.symbol: Mark(iv=rng.uniform(0.3, 1.2)) for option in options},
        forwards={name: {e.date(): 100.0 * (1.0 + 0.01 * k) for k, e in enumerate(expiries)} for name in names},
    )
    book = Book.of([Account(id="a")], options)
    valuation = value(market, book.catalogue)
    terms = valuation.catalogue
    moves = SharedMoves(
        move=np.expm1(rng.normal(0.0, 0.1, (UNDERLYINGS, SCENARIOS))),
        of=np.unique(terms.underlying[valuation.instrument], return_inverse=True)[1],
        vol_factor=np.exp(rng.normal(0.0, 0.2, (UNDERLYINGS, SCENARIOS))),
    )
    return Grid(
        valuation,
        moves,
        valuation.forward,
        terms.strike,
        valuation.iv,
        valuation.tau,
        valuation.discount,
        terms.is_call,
    )


def _prices(grid: Grid) -> Iterator[Row]:
    """Time the revaluation of the grid; NumPy also without temporaries that leave the cache, which slow it down."""
    size = len(grid.strike) * SCENARIOS
    options, out, their = np.arange(len(grid.strike)), *np.empty((2, len(grid.strike), SCENARIOS))

    def ours() -> np.ndarray:
        grid.valuation.after(options, grid.moves).fill(0, len(options), out)
        return out

    whole, blocks = partial(_numpy_whole, grid), partial(_numpy_blocks, grid, their)
    work = {"ours": ours, "whole": whole, "blocks": blocks, "quantlib": partial(_quantlib_grid, grid, SAMPLE)}
    ms = interleaved(work, rounds=31)
    for peer in (whole, blocks):
        assert np.allclose(peer(), ours(), rtol=0, atol=1e-10)
    assert np.allclose(_quantlib_grid(grid, SAMPLE), ours()[:SAMPLE], rtol=0, atol=1e-10)
    yield row("price-ndtr", ours_ms=ms["ours"], peer="NumPy + scipy ndtr", peer_ms=ms["whole"], size=size)
    blocked = "NumPy + ndtr, in blocks, logs shared"
    yield row("price-ndtr", ours_ms=ms["ours"], peer=blocked, peer_ms=ms["blocks"], size=size)
    scaled = ms["quantlib"] * len(grid.strike) / SAMPLE
    yield row("price-quantlib", ours_ms=ms["ours"], peer="QuantLib blackFormula", peer_ms=scaled, size=size)


def _portfolio(grid: Grid) -> Row:
    """Time VaR and ES of one book of all options: revaluation, P&L of the book, its tail; QuantLib prices all of it."""
    quantity = np.random.default_rng(7).integers(-50, 51, len(grid.strike)).astype(float)
    valuation, moves, options = grid.valuation, grid.moves, np.arange(len(grid.strike))
    told = Moves(
        price=moves.move,
        of_price=moves.of,
        settle=np.zeros((1, SCENARIOS)),
        of_settle=np.full(len(options), -1),
        vol_factor=moves.vol_factor,
    )

    def ours() -> tuple[float, float]:
        return _var_and_es(quantity @ revalue(valuation, options, told))

    def quantlib() -> tuple[float, float]:
        now = quantity @ valuation.mark
        return _var_and_es(quantity @ np.array(_quantlib_grid(grid, len(options))) - now)

    ms = interleaved({"ours": ours, "quantlib": quantlib})
    assert np.allclose(ours(), quantlib(), rtol=1e-9, atol=0)
    return row(
        "portfolio-es-quantlib",
        ours_ms=ms["ours"],
        peer="QuantLib blackFormula",
        peer_ms=ms["quantlib"],
        size=len(options) * SCENARIOS,
    )


def _var_and_es(pnl: np.ndarray) -> tuple[float, float]:
    worst = np.sort(-pnl)[-TAIL:]
    return float(worst[0]), float(worst.mean())


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
    peer = "py_vollib_vectorized" if vollib is not None else "py_vollib_vectorized (does not run here)"
    yield row("iv", ours_ms=ms["ours"], peer=peer, peer_ms=ms.get("vollib"), size=f.size)


def _numpy_whole(grid: Grid) -> np.ndarray:
    """Price the grid with Black's formula as it is printed, on whole arrays."""
    _, moves, forward, strike, vol, tau, discount, is_call = grid
    moved = forward[:, None] * (1.0 + moves.move)[moves.of]
    deviation = (vol * np.sqrt(tau))[:, None] * moves.vol_factor[moves.of]
    d1 = np.log(moved / strike[:, None]) / deviation + deviation / 2
    return _numpy_prices(moved, strike[:, None], deviation, d1, discount[:, None], is_call[:, None])


def _numpy_blocks(grid: Grid, out: np.ndarray) -> np.ndarray:
    """Price the grid with as few logarithms as we take, some options at a time, so that arrays stay in the cache."""
    _, moves, forward, strike, vol, tau, discount, is_call = grid
    growth = 1.0 + moves.move
    logs, now = np.log(growth), np.log(forward / strike)
    root = vol * np.sqrt(tau)
    for low in range(0, len(out), BLOCK):
        part = slice(low, low + BLOCK)
        of = moves.of[part]
        moved = forward[part, None] * growth[of]
        deviation = root[part, None] * moves.vol_factor[of]
        d1 = (logs[of] + now[part, None]) / deviation + deviation / 2
        terms = strike[part, None], deviation, d1, discount[part, None], is_call[part, None]
        out[part] = _numpy_prices(moved, *terms)
    return out


def _numpy_prices(
    forward: np.ndarray,
    strike: np.ndarray,
    deviation: np.ndarray,
    d1: np.ndarray,
    discount: np.ndarray,
    is_call: np.ndarray,
) -> np.ndarray:
    sign = np.where(is_call, 1.0, -1.0)
    return discount * sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation)))


def _quantlib_grid(grid: Grid, options: int) -> list[list[float]]:
    """Price the first options of the grid, one call a cell."""
    moves, (forward, strike, vol, tau, discount, is_call) = grid.moves, (term[:options] for term in grid[2:])
    of = moves.of[:options]
    kinds = [ql.Option.Call if call else ql.Option.Put for call in is_call]
    forwards = (forward[:, None] * (1.0 + moves.move)[of]).tolist()
    deviations = ((vol * np.sqrt(tau))[:, None] * moves.vol_factor[of]).tolist()
    return [
        [ql.blackFormula(kind, k, f, s, d) for f, s in zip(row_forwards, row_deviations, strict=True)]
        for kind, k, row_forwards, row_deviations, d in zip(
            kinds, strike.tolist(), forwards, deviations, discount.tolist(), strict=True
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

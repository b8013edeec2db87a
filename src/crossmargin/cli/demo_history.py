"""Daily closes of the demo book: real ones of shares and oil, made-up ones of coins and the euro.

The S&P 500, the Nasdaq, WTI and the VIX are those that ship inside the package `arch`, 2015 to 2018; where it is not
installed they are made up too, and `REAL` says so. What is made up is drawn by a hash of its name: the same numbers on
every machine. Days are those on which the S&P 500 closed.
"""

from __future__ import annotations

import gzip
from datetime import date, timedelta
from hashlib import shake_256
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crossmargin.market import History
from crossmargin.units import FloatArray

FIRST, LAST = date(2015, 1, 2), date(2018, 12, 31)
SEED = "crossmargin demo 2026-11-20"
ABSENT = (
    "the closes of the S&P 500, the Nasdaq, WTI and the VIX are made up: the package arch, which brings real ones, is "
    "not installed (pip install 'crossmargin[demo]')"
)

_FILES = {
    "SPX": ("sp500", "Close"),
    "NASDAQ": ("nasdaq", "Close"),
    "WTI": ("wti", "DCOILWTICO"),
    "SPX.vol": ("vix", "vix"),
}


class _Maker(NamedTuple):
    """How a series is made up: returns of a vol that clusters, with a share of another's shocks."""

    last: float
    """Its last close."""
    vol_annual: float
    """0 for what is held at a peg."""
    follows: str
    correlation: float
    """With the shocks of what it follows."""


_MADE = {
    "BTC": _Maker(last=63_400.0, vol_annual=0.52, follows="SPX", correlation=0.30),
    "ETH": _Maker(last=3_165.0, vol_annual=0.64, follows="BTC", correlation=0.85),
    "EUR": _Maker(last=1.083, vol_annual=0.08, follows="SPX", correlation=0.10),
    "USDC": _Maker(last=0.9998, vol_annual=0.0, follows="", correlation=0.0),
}
_MADE_WITHOUT_ARCH = {
    "SPX": _Maker(last=2_507.0, vol_annual=0.16, follows="", correlation=0.0),
    "NASDAQ": _Maker(last=6_635.0, vol_annual=0.20, follows="SPX", correlation=0.93),
    "WTI": _Maker(last=45.2, vol_annual=0.36, follows="SPX", correlation=0.35),
}
_DAYS_A_YEAR = 252
_PERSISTENCE, _REACTION = 0.93, 0.05
"""Of the variance: what stays of yesterday's, and what yesterday's squared return adds; GARCH(1, 1)."""
_DECAY = 0.94
_PEG_NOISE = 0.0003
"""How far a stable coin closes from its peg, one standard deviation."""


class Closes(NamedTuple):
    """The history of the demo book."""

    history: History
    real: bool
    """Whether shares and oil are real."""


def demo_history() -> Closes:
    """Return the closes of everything the demo book is about."""
    found = _arch()
    series = dict(found) if found is not None else {}
    days = sorted(series["SPX"]) if found is not None else _weekdays()
    shocks: dict[str, FloatArray] = {}
    makers = _MADE if found is not None else {**_MADE_WITHOUT_ARCH, **_MADE}
    for name, maker in makers.items():
        if maker.follows and maker.follows not in shocks:
            shocks[maker.follows] = _shocks(np.array([series[maker.follows][day] for day in days]))
        closes, shocks[name] = _made(name, maker, len(days), shocks.get(maker.follows))
        series[name] = dict(zip(days, closes.tolist(), strict=True))
    return Closes(History.of({name: series[name] for name in sorted(series)}), found is not None)


def _arch() -> dict[str, dict[date, float]] | None:
    """Return the closes that arch ships, without importing it (which takes seconds); None where it is not there."""
    found = find_spec("arch")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0]) / "data"
    series = {}
    for name, (file, column) in _FILES.items():
        path = folder / file / f"{file}.csv.gz"
        if not path.is_file():
            return None
        series[name] = _read(path, column)
    days = series["SPX"].keys()
    series["SPX.vol"] = {day: vol / 100.0 for day, vol in series["SPX.vol"].items()}
    return {name: {day: price for day, price in closes.items() if day in days} for name, closes in series.items()}


def _read(path: Path, column: str) -> dict[date, float]:
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
    at = lines[0].split(",").index(column)
    closes = {}
    for line in lines[1:]:
        cells = line.split(",")
        month, day, year = map(int, cells[0].split("/"))
        # Holidays are empty or a dot.
        if FIRST.year <= year <= LAST.year and cells[at].strip(". "):
            closes[date(year, month, day)] = float(cells[at])
    return closes


def _weekdays() -> list[date]:
    every = (FIRST + timedelta(days=k) for k in range((LAST - FIRST).days + 1))
    return [day for day in every if day.weekday() < 5]


def _made(name: str, maker: _Maker, rows: int, leading: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Return (closes (rows,), shocks (rows - 1,)) of a made-up series."""
    shock = _heavy_tailed(name, rows - 1)
    if not maker.vol_annual:
        return maker.last * np.append(1.0 + _PEG_NOISE * shock, 1.0), shock
    if leading is not None:
        shock = maker.correlation * leading + np.sqrt(1.0 - maker.correlation**2) * shock
    usual = maker.vol_annual**2 / _DAYS_A_YEAR
    variance, change = usual, np.empty(rows - 1)
    for t, e in enumerate(shock.tolist()):
        change[t] = np.sqrt(variance) * e
        variance = (1.0 - _PERSISTENCE - _REACTION) * usual + _REACTION * change[t] ** 2 + _PERSISTENCE * variance
    level = np.concatenate(([0.0], np.cumsum(change)))
    return maker.last * np.exp(level - level[-1]), shock


def _shocks(closes: FloatArray) -> FloatArray:
    """Return log returns over the vol known the day before, (rows - 1,); variance about 1."""
    change = np.diff(np.log(closes))
    variance, shock = float(np.mean(change[:20] ** 2)), np.empty(len(change))
    for t, r in enumerate(change.tolist()):
        shock[t] = r / np.sqrt(variance)
        variance = _DECAY * variance + (1.0 - _DECAY) * r * r
    return np.asarray(shock / np.std(shock), dtype=np.float64)


def _heavy_tailed(name: str, count: int) -> FloatArray:
    """Return draws of Student's t with 4 degrees of freedom, scaled to a variance of 1, (count,)."""
    bits = np.frombuffer(shake_256(f"{SEED} {name}".encode()).digest(8 * count), dtype="<u8")
    p = (bits.astype(np.float64) + 0.5) / 2.0**64
    p = np.clip(p, 1e-12, 1.0 - 1e-12)
    root = np.sqrt(4.0 * p * (1.0 - p))
    # The quantile of t with 4 degrees of freedom in closed form; its variance is 2.
    size = 2.0 * np.sqrt(np.maximum(np.cos(np.arccos(root) / 3.0) / root - 1.0, 0.0))
    return np.asarray(np.sign(p - 0.5) * size / np.sqrt(2.0), dtype=np.float64)

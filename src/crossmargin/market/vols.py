"""Vol surfaces: slices by expiry, SVI or strikes, joined in total variance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from crossmargin.errors import InvalidMarket
from crossmargin.units import FloatArray

_WING_FACTOR = 4.0


def svi_vol(
    strike: FloatArray | float,
    *,
    a: float,
    b: float,
    rho: float,
    m: float,
    sigma: float,
    forward: float,
    tau: float,
    variance_most: float = np.inf,
) -> FloatArray:
    """Return the annual vol of raw SVI at `strike`, any shape.

    Total variance w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)) with k = ln(strike / forward), clamped to
    four at-the-money deviations, +-4 sqrt(a + b sigma), so that the linear wings end; vol = sqrt(w / tau), tau being
    the time the slice was fitted at. w is never taken below 0 nor above `variance_most`. Source: Gatheral's raw
    parametrisation, with the clamp used by Derive.
    """
    wing = _WING_FACTOR * np.sqrt(a + b * sigma)
    k = np.clip(np.log(np.asarray(strike, dtype=np.float64) / forward), -wing, wing)
    variance = a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + sigma**2))
    return np.asarray(np.sqrt(np.clip(variance, 0.0, variance_most) / tau), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class SviSlice:
    """One expiry of a surface as raw SVI parameters, fitted at time `tau` against `forward`."""

    a: float
    b: float
    rho: float
    m: float
    sigma: float
    forward: float
    tau: float
    """Years, ACT/365, from the fit to expiry."""

    def __post_init__(self) -> None:
        for name in ("forward", "tau"):
            if not 0 < getattr(self, name) < np.inf:
                raise InvalidMarket(name, str(getattr(self, name)), "a number above 0")
        if not self.b >= 0:
            raise InvalidMarket("svi[1] (b)", str(self.b), "0 or more")
        if not -1 <= self.rho <= 1:
            raise InvalidMarket("svi[2] (rho)", str(self.rho), "-1 to 1", "the order is a, b, rho, m, sigma")
        if not self.sigma >= 0:
            raise InvalidMarket("svi[4] (sigma)", str(self.sigma), "0 or more")
        least = self.a + self.b * self.sigma * np.sqrt(1 - self.rho**2)
        if not least >= 0:
            raise InvalidMarket("svi", f"a least total variance of {least}", "0 or more at every strike")

    def vol(self, strike: FloatArray) -> FloatArray:
        """Return the annual vol at each strike."""
        return svi_vol(
            strike,
            a=self.a,
            b=self.b,
            rho=self.rho,
            m=self.m,
            sigma=self.sigma,
            forward=self.forward,
            tau=self.tau,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VolSlice:
    """One expiry of a surface as vols at strikes: linear between them, flat beyond."""

    strikes: tuple[float, ...]
    vols: tuple[float, ...]
    forward: float | None = None

    def __post_init__(self) -> None:
        if not self.strikes or len(self.strikes) != len(self.vols):
            raise InvalidMarket(
                "vols",
                f"{len(self.vols)} for {len(self.strikes)} strikes",
                "as many vols as strikes, one at least",
            )
        if any(not low < high for low, high in zip(self.strikes, self.strikes[1:], strict=False)):
            raise InvalidMarket("strikes", "an order that does not rise", "strictly rising strikes")
        if any(not 0 <= vol < np.inf for vol in self.vols):
            raise InvalidMarket("vols", str(min(self.vols)), "finite vols, 0 or more")

    def vol(self, strike: FloatArray) -> FloatArray:
        """Return the annual vol at each strike."""
        return np.interp(strike, self.strikes, self.vols)


@dataclass(frozen=True, slots=True)
class VolSurface:
    """Slices by UTC date of expiry.

    An expiry between two slices takes the total variance at its own strike linearly in time; one outside takes
    the vol of the nearest slice.
    """

    slices: Mapping[date, SviSlice | VolSlice]

    def forward(self, day: date) -> float | None:
        """Return the forward stated with the slice of that expiry date, if any."""
        found = self.slices.get(day)
        return found.forward if found else None

    def vol(self, strike: FloatArray, day: date, today: date) -> FloatArray:
        """Return the annual vol at each strike for an expiry date, seen from `today`."""
        if day in self.slices:
            return self.slices[day].vol(strike)
        days = sorted(self.slices)
        after = next((d for d in days if d > day), None)
        before = next((d for d in reversed(days) if d < day), None)
        if after is None or before is None or (before - today).days <= 0:
            edge = after or before
            assert edge is not None, "a surface has at least one slice"
            return self.slices[edge].vol(strike)
        t0, t1, t = ((d - today).days for d in (before, after, day))
        w0 = self.slices[before].vol(strike) ** 2 * t0
        w1 = self.slices[after].vol(strike) ** 2 * t1
        return np.asarray(np.sqrt((w0 + (w1 - w0) * (t - t0) / (t1 - t0)) / t), dtype=np.float64)

"""What every option chain has in common: vols inverted from marks, and the surface they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import exp
from typing import TYPE_CHECKING

import numpy as np

from crossmargin.instruments import Option
from crossmargin.market import Mark, VolSlice, VolSurface
from crossmargin.units import FloatArray, years_between

if TYPE_CHECKING:
    from crossmargin.pricing import Unsolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """A live option with its mark."""

    option: Option
    price: float
    """As marked: in the coin where the option is coin-settled."""
    forward: float
    two_sided: bool
    """Somebody bids for it: its vol may shape the surface."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inverted:
    """The vols of quoted options, in their order."""

    quoted: Sequence[Quoted]
    vol: FloatArray
    """NaN where there is none."""
    reason: Sequence[Unsolved]

    def marks(self) -> dict[str, Mark]:
        """Return every mark, with its vol where it has one."""
        return {
            q.option.symbol: Mark(price=q.price, iv=None if np.isnan(vol) else vol)
            for q, vol in zip(self.quoted, self.vol.tolist(), strict=True)
        }

    def unsolved(self) -> list[tuple[Option, Unsolved]]:
        """Return the options that have no vol, each with the reason."""
        return [
            (q.option, reason)
            for q, vol, reason in zip(self.quoted, self.vol, self.reason, strict=True)
            if np.isnan(vol)
        ]

    def surface(self) -> VolSurface:
        """Return vols by strike for each expiry date, from the out-of-the-money option of each strike.

        Most of an in-the-money price is not about vol, so those serve only where a date has no other. Where
        contracts of one date settle at two hours, the later makes the slice: in one slice time to expiry is one
        number.
        """
        by_day: dict[date, dict[datetime, list[int]]] = defaultdict(lambda: defaultdict(list))
        for k, q in enumerate(self.quoted):
            if q.two_sided and not np.isnan(self.vol[k]):
                by_day[expiry_day(q.option)][q.option.expiry].append(k)
        return VolSurface({day: self._slice(hours[max(hours)]) for day, hours in sorted(by_day.items())})

    def _slice(self, members: Sequence[int]) -> VolSlice:
        outside = [k for k in members if _out_of_the_money(self.quoted[k])] or members
        vol_at = {float(self.quoted[k].option.strike): float(self.vol[k]) for k in outside}
        strikes = sorted(vol_at)
        return VolSlice(
            strikes=tuple(strikes),
            vols=tuple(vol_at[strike] for strike in strikes),
            forward=self.quoted[members[0]].forward,
        )


def expiry_day(option: Option) -> date:
    """Return the UTC date forwards and vols of an option are listed under."""
    return option.expiry.astimezone(UTC).date()


def invert(quoted: Sequence[Quoted], time: datetime, rate: float) -> Inverted:
    """Return the implied vols of marks at `time`.

    Black-76 on the forward, discounted at the continuous `rate`; a coin-settled option's value is its price in
    coin times the forward, undiscounted, as Deribit prices it.
    """
    # Imported here, because the kernels bring a compiler with them and the list of importers must come fast.
    from crossmargin.pricing import Unsolved, implied_vol

    options = [q.option for q in quoted]
    tau = np.array([years_between(time, option.expiry) for option in options])
    forward = np.array([q.forward for q in quoted])
    in_coin = np.array([option.inverse for option in options], dtype=np.bool_)
    price = np.array([q.price for q in quoted]) * np.where(in_coin, forward, 1.0)
    discount = np.where(in_coin, 1.0, np.exp(-rate * tau))
    strike = np.array([float(option.strike) for option in options])
    is_call = np.array([option.option_type == "call" for option in options], dtype=np.bool_)
    vol, reason = implied_vol(price, forward, strike, tau, discount, is_call)
    return Inverted(quoted=tuple(quoted), vol=vol, reason=tuple(Unsolved(code) for code in reason.tolist()))


def discount_factor(rate: float, time: datetime, expiry: datetime) -> float:
    """Return exp(-rate x years)."""
    return exp(-rate * years_between(time, expiry))


def _out_of_the_money(q: Quoted) -> bool:
    strike = float(q.option.strike)
    return strike >= q.forward if q.option.option_type == "call" else strike < q.forward

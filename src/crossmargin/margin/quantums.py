"""Perpetuals in whole units: margin, bankruptcy and fillable price as exact integers.

Protocols that settle on a public ledger keep money and sizes as whole numbers of a smallest unit, a quantum, and say
how every division is rounded; two machines must come to the same number. Nothing here is a float: sizes and money are
Python integers, prices are fractions, and a rate is a whole number of parts per million (ppm).

Letters: a base quantum is 10^(base resolution) units of the underlying, a quote quantum 10^(quote resolution) of the
quote asset. N = notional; NC = net collateral; MMR, IMR = maintenance and initial margin. Source class: dYdX v4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor, trunc

from crossmargin.errors import InputError

MILLION = 1_000_000
_EXPONENT_MOST = 1_000
"""Of powers of ten, either way: far beyond any unit of money, and still a number that can be written out."""


def power_of_ten(name: str, exponent: int) -> Fraction:
    """Return 10^exponent; raise InputError, naming `name`, for an exponent beyond +-1,000."""
    if abs(exponent) > _EXPONENT_MOST:
        raise InputError(name, str(exponent), f"a power of ten from -{_EXPONENT_MOST:,} to {_EXPONENT_MOST:,}")
    return Fraction(10) ** exponent


def rounded_up_ppm(amount: int, ppm: int) -> int:
    """Return amount x ppm / 1,000,000, rounded up."""
    return -(-amount * ppm // MILLION)


def adjusted_initial_ppm(
    *, initial_ppm: int, open_interest: int | Fraction, lower_cap: int | Fraction, upper_cap: int | Fraction
) -> int:
    """Return the initial rate of a market at its open interest, in ppm, rounded down.

    base + (1 - base) x clamp((open interest - lower) / (upper - lower), 0, 1): the base rate up to the lower cap, the
    whole notional from the upper cap on, also where the two are equal. An upper cap of 0 switches the scaling off.
    Caps and open interest share one unit, of value. Raises InputError for a rate outside 0 to 1,000,000 and caps the
    wrong way round.
    """
    _ppm("initial_ppm", initial_ppm)
    if upper_cap == 0:
        return initial_ppm
    if not 0 <= lower_cap <= upper_cap:
        raise InputError("lower_cap", str(lower_cap), f"from 0 to the upper cap, {upper_cap}")
    if open_interest >= upper_cap:
        return MILLION
    if open_interest <= lower_cap:
        return initial_ppm
    share = Fraction(open_interest - lower_cap) / Fraction(upper_cap - lower_cap)
    return floor(initial_ppm + (MILLION - initial_ppm) * share)


def initial_margin(*, notional: int, initial_ppm: int, custom_ppm: int = 0) -> int:
    """Return IMR = ceil(|N| x max(rate, custom rate)), in quote quantums.

    `initial_ppm` is the rate at the market's open interest; `custom_ppm` one the account has chosen, 0 for none.
    """
    return rounded_up_ppm(abs(notional), max(_ppm("initial_ppm", initial_ppm), _ppm("custom_ppm", custom_ppm)))


def maintenance_margin(*, notional: int, initial_ppm: int, fraction_ppm: int) -> int:
    """Return MMR = ceil(ceil(|N| x base rate) x maintenance fraction), in quote quantums.

    `initial_ppm` is the base rate: open interest raises what it takes to trade, never what it takes to stay.
    """
    base = rounded_up_ppm(abs(notional), _ppm("initial_ppm", initial_ppm))
    return rounded_up_ppm(base, _ppm("fraction_ppm", fraction_ppm))


def funding_clamp_ppm(*, factor_ppm: int, initial_ppm: int, fraction_ppm: int) -> int:
    """Return the largest funding rate either way, in ppm: factor x (initial - maintenance rate), rounded down twice.

    First the maintenance rate, initial x fraction, then the product.
    """
    if factor_ppm < 0:
        raise InputError("factor_ppm", str(factor_ppm), "0 or more")
    maintenance_ppm = _ppm("initial_ppm", initial_ppm) * _ppm("fraction_ppm", fraction_ppm) // MILLION
    return factor_ppm * (initial_ppm - maintenance_ppm) // MILLION


def fill_value(*, size: int, subticks: int, conversion_exponent: int) -> int:
    """Return what a fill of `size` base quantums is worth, in quote quantums, rounded toward zero.

    size x subticks x 10^exponent: a price in subticks is quote quantums per base quantum times 10^-exponent.
    """
    return trunc(size * subticks * power_of_ten("conversion_exponent", conversion_exponent))


def insurance_fund_delta(*, received: int, bankruptcy: int, fee_ppm: int) -> int:
    """Return what the insurance fund gains (> 0) or pays (< 0) by a liquidating fill, in quote quantums.

    `received` is what the fill brings the account, negative for a buy; `bankruptcy` what it must bring for the part
    that is closed to leave nothing. What is over goes to the fund, at most `fee_ppm` of |received| rounded down; what
    is missing comes from it. A fund that cannot pay leaves the position to deleveraging at the bankruptcy price.
    """
    left = received - bankruptcy
    return left if left <= 0 else min(abs(received) * _ppm("fee_ppm", fee_ppm) // MILLION, left)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantumMarket:
    """One perpetual market: its oracle price, its resolutions, its rates."""

    price: Fraction
    """Quote units per unit of the underlying; above 0."""
    base_resolution: int
    quote_resolution: int
    initial_ppm: int
    """Base initial rate."""
    fraction_ppm: int
    """Maintenance margin as a share of initial margin."""
    open_interest: int = 0
    """Base quantums."""
    lower_cap: int = 0
    upper_cap: int = 0
    """Quote quantums of open interest from which the initial rate rises, and at which it is the whole; 0: never."""
    custom_ppm: int = 0
    """An initial rate the account has chosen for itself."""

    def __post_init__(self) -> None:
        if not self.price > 0:
            raise InputError("price", str(self.price), "a price above 0")
        if self.open_interest < 0:
            raise InputError("open_interest", str(self.open_interest), "0 or more")
        _ppm("fraction_ppm", self.fraction_ppm)
        _ppm("custom_ppm", self.custom_ppm)
        assert self.effective_ppm >= self.initial_ppm, "open interest never lowers a rate"

    def notional(self, size: int) -> int:
        """Return size x price in quote quantums, rounded toward zero; size in base quantums, signed."""
        exponent = self.base_resolution - self.quote_resolution
        return trunc(size * self.price * power_of_ten("base_resolution - quote_resolution", exponent))

    @property
    def effective_ppm(self) -> int:
        """The initial rate at the market's open interest."""
        return adjusted_initial_ppm(
            initial_ppm=self.initial_ppm,
            open_interest=self.notional(self.open_interest),
            lower_cap=self.lower_cap,
            upper_cap=self.upper_cap,
        )

    def initial(self, size: int) -> int:
        """Return the initial margin of a position, in quote quantums."""
        return initial_margin(notional=self.notional(size), initial_ppm=self.effective_ppm, custom_ppm=self.custom_ppm)

    def maintenance(self, size: int) -> int:
        """Return the maintenance margin of a position, in quote quantums."""
        return maintenance_margin(
            notional=self.notional(size), initial_ppm=self.initial_ppm, fraction_ppm=self.fraction_ppm
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantumAccount:
    """A cross account: so much of the quote asset, and signed positions in markets."""

    markets: Mapping[str, QuantumMarket]
    quote: int
    """Quote quantums; negative is debt. Funding is settled into it first."""
    positions: Mapping[str, int] = field(default_factory=dict)
    """Base quantums by market, long positive."""

    def __post_init__(self) -> None:
        for name in self.positions:
            if name not in self.markets:
                raise InputError(f"positions.{name}", "no such market", ", ".join(self.markets))

    @property
    def net_collateral(self) -> int:
        """NC = quote + sum of notionals."""
        return self.quote + sum(self.markets[name].notional(size) for name, size in self.positions.items())

    @property
    def initial(self) -> int:
        """IMR: the positions' initial margins added up."""
        return sum(self.markets[name].initial(size) for name, size in self.positions.items())

    @property
    def maintenance(self) -> int:
        """MMR: the positions' maintenance margins added up."""
        return sum(self.markets[name].maintenance(size) for name, size in self.positions.items())

    @property
    def liquidatable(self) -> bool:
        """Whether positions may be taken: MMR > 0 and NC < MMR."""
        return 0 < self.maintenance > self.net_collateral

    @property
    def health(self) -> Fraction:
        """NC / MMR: the lowest is liquidated first. Raises InputError where nothing must be had."""
        return Fraction(self.net_collateral, self._maintenance_above_zero())

    def may_become(self, after: QuantumAccount) -> bool:
        """Return whether an update to `after` is allowed: it meets its IMR, or its NC / MMR is not worse.

        Written without division, so that an account without positions and a debt is not allowed either.
        """
        if after.net_collateral >= after.initial:
            return True
        better = after.net_collateral * self.maintenance - self.net_collateral * after.maintenance
        return better >= 0 and after.maintenance > 0

    def bankruptcy_price(self, market: str, change: int) -> int:
        """Return what closing `change` of a position must bring, in quote quantums, to use up its share of NC.

        -dN - floor(NC x |dMMR| / MMR): negative is paid. The floor rounds the price up. `change` is in base
        quantums, opposite to the position and no larger. Raises InputError otherwise, and where MMR is 0.
        """
        terms, size = self._closing(market, change)
        released = terms.maintenance(size) - terms.maintenance(size + change)
        moved = terms.notional(size + change) - terms.notional(size)
        return -moved - self.net_collateral * released // self._maintenance_above_zero()

    def fillable_price(self, market: str, *, adjustment_ppm: int, spread_ppm: int) -> Fraction:
        """Return the price at which a liquidator may take the position, quote quantums per base quantum.

        (N - A x spread x MMR of the position) / size, A = clamp(adjustment x (1 - NC / MMR), 0, 1): the worse the
        account, the further from the oracle price. Source class: dYdX v4.
        """
        terms, size = self._held(market)
        if adjustment_ppm < 0 or spread_ppm < 0:
            raise InputError("adjustment_ppm, spread_ppm", f"{adjustment_ppm}, {spread_ppm}", "0 or more")
        rating = Fraction(adjustment_ppm, MILLION) * (1 - self.health)
        spread = min(max(rating, Fraction(0)), Fraction(1)) * Fraction(spread_ppm, MILLION) * terms.maintenance(size)
        return (terms.notional(size) - spread) / size

    def insurance_fund_delta(self, market: str, *, change: int, value: int, fee_ppm: int) -> int:
        """Return what the insurance fund gains or pays when `change` of a position is filled for `value` >= 0.

        Everything in quote quantums, `change` in base quantums; see the function of that name.
        """
        received = -value if change > 0 else value
        return insurance_fund_delta(
            received=received, bankruptcy=self.bankruptcy_price(market, change), fee_ppm=fee_ppm
        )

    def _held(self, market: str) -> tuple[QuantumMarket, int]:
        size = self.positions.get(market, 0)
        if size == 0:
            held = ", ".join(name for name, size in self.positions.items() if size) or "none"
            raise InputError(f"position {market}", "nothing", f"a market with a position: {held}")
        return self.markets[market], size

    def _closing(self, market: str, change: int) -> tuple[QuantumMarket, int]:
        terms, size = self._held(market)
        if change == 0 or (change > 0) == (size > 0) or abs(change) > abs(size):
            raise InputError(f"change of {market}", str(change), f"part or all of {-size}, not 0")
        return terms, size

    def _maintenance_above_zero(self) -> int:
        if not self.maintenance > 0:
            raise InputError(
                "maintenance margin", str(self.maintenance), "above 0: what owes nothing is not liquidated"
            )
        return self.maintenance


def _ppm(name: str, value: int) -> int:
    if not 0 <= value <= MILLION:
        raise InputError(name, str(value), f"parts per million, from 0 to {MILLION:,}")
    return value


__all__ = [
    "MILLION",
    "QuantumAccount",
    "QuantumMarket",
    "adjusted_initial_ppm",
    "fill_value",
    "funding_clamp_ppm",
    "initial_margin",
    "insurance_fund_delta",
    "maintenance_margin",
    "power_of_ten",
    "rounded_up_ppm",
]

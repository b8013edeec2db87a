"""What one contract is worth: formulas of options and their inverses, as kernels on arrays.

Here: Black-76 (positive forwards), Bachelier (any sign), their greeks, implied volatility, and full revaluation under
scenarios. Beside them `funding` (rates and payments of perpetuals) and `lognormal` (price bounds, risk factors).
Never here: instruments, accounts, where vols and forwards come from, margin.

Conventions. Options are European, on a forward, discounted: price = discount * E[payoff]. Prices, forward and
strike share one unit; tau is in years (ACT/365); vol is annual, for Black a fraction (0.65 is 65%), for Bachelier
in price units. All is for one long unit of the underlying: sizes, signs of positions and coins are applied by
others. Greeks are plain derivatives of the discounted price:

    delta   by the forward: 0 to discount for a call, -discount to 0 for a put
    gamma   twice by the forward, never negative
    vega    by the vol, for 1.00 of it (for one point, 0.01, divide by 100), never negative
    theta   by calendar time, per year, forward and vol held: -d price / d tau with the rate -ln(discount) / tau
            held; usually negative

Arguments broadcast. A value outside its range is a ValueError that names its place; a price without an implied vol
is NaN with a reason code (`Unsolved`). A cell has the same bits however it is batched. Kernels are compiled by the
first call and kept in Numba's cache.
"""

from crossmargin.pricing import funding, lognormal
from crossmargin.pricing.bachelier import bachelier, bachelier_greeks, bachelier_scenarios
from crossmargin.pricing.black import black76, black76_greeks, black76_scenarios
from crossmargin.pricing.carry import carried_forward, discount_factor
from crossmargin.pricing.cells import Greeks
from crossmargin.pricing.implied import Unsolved, bachelier_implied_vol, implied_vol
from crossmargin.pricing.moved import SharedMoves
from crossmargin.pricing.valuation import LEAST_PRICE_FACTOR, MovedValues, Valuation, value

__all__ = [
    "LEAST_PRICE_FACTOR",
    "Greeks",
    "MovedValues",
    "SharedMoves",
    "Unsolved",
    "Valuation",
    "bachelier",
    "bachelier_greeks",
    "bachelier_implied_vol",
    "bachelier_scenarios",
    "black76",
    "black76_greeks",
    "black76_scenarios",
    "carried_forward",
    "discount_factor",
    "funding",
    "implied_vol",
    "lognormal",
    "value",
]

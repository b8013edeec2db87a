"""Adapters of margin levels, lognormal risk factors and price bounds."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction

from crossmargin.errors import InputError
from crossmargin.margin import market_levels, quantums
from crossmargin.pricing import lognormal
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter


def _volume(inputs: Inputs, key: str) -> Fraction:
    """Return a volume in contracts: as it stands, or raw, a whole number of the smallest position there is."""
    raw = f"{key}_raw"
    if inputs.has(raw):
        if inputs.has(key):
            raise InputError(f"inputs.{raw}", f"beside {key}", "one of the two")
        places = inputs.whole("position_decimal_places", 0)
        return inputs.exact(raw) / quantums.power_of_ten("inputs.position_decimal_places", places)
    return inputs.exact(key, 0)


@adapter(
    "cross_margin_levels",
    reads="open_volume? open_volume_raw? buy_orders? buy_orders_raw? sell_orders? sell_orders_raw?"
    " position_decimal_places? mark linear_slippage quadratic_slippage? rf_long rf_short funding_per_unit? scaling",
    calls="margin.market_levels.maintenance, margin.market_levels.LevelFactors.levels",
    note="A volume ..._raw is divided by 10^position_decimal_places; scaling {search, initial, release}. Gives"
    " {maintenance, search, initial, release}.",
)
def _cross_margin_levels(inputs: Inputs) -> object:
    scaling = inputs.inner("scaling")
    if inputs.has("position_decimal_places"):
        inputs.whole("position_decimal_places")
    factors = market_levels.LevelFactors(
        search=scaling.exact("search"), initial=scaling.exact("initial"), release=scaling.exact("release")
    )
    maintenance = market_levels.maintenance(
        volume=_volume(inputs, "open_volume"),
        orders=market_levels.Orders(buys=_volume(inputs, "buy_orders"), sells=_volume(inputs, "sell_orders")),
        mark=inputs.exact("mark"),
        risk_long=inputs.exact("rf_long"),
        risk_short=inputs.exact("rf_short"),
        slippage=market_levels.Slippage(
            linear=inputs.exact("linear_slippage"), quadratic=inputs.exact("quadratic_slippage", 0)
        ),
        funding_per_unit=inputs.exact("funding_per_unit", 0),
    )
    return asdict(factors.levels(maintenance))


@adapter(
    "isolated_margin",
    reads="average_entry size margin_factor",
    calls="margin.market_levels.isolated_margin",
    note="size of either sign. Gives {margin}.",
)
def _isolated_margin(inputs: Inputs) -> object:
    return {
        "margin": market_levels.isolated_margin(
            average_entry=inputs.exact("average_entry"),
            volume=inputs.exact("size"),
            factor=inputs.exact("margin_factor"),
        )
    }


@adapter(
    "lognormal_risk_factors",
    reads="risk_aversion tau mu r? sigma",
    calls="pricing.lognormal.lognormal_risk_factors",
    note="tau in years, the rest annual; the rate r plays no part for a future. Gives {long, short}.",
)
def _lognormal_risk_factors(inputs: Inputs) -> object:
    inputs.number("r", 0.0)
    factors = lognormal.lognormal_risk_factors(
        level=inputs.number("risk_aversion"),
        tau=inputs.number("tau"),
        mu=inputs.number("mu"),
        sigma=inputs.number("sigma"),
    )
    return asdict(factors)


@adapter(
    "price_monitoring_bounds",
    reads="reference? horizon_s? probability? mu? sigma? year_s? max_up? max_down? references?",
    calls="pricing.lognormal.lognormal_bounds, pricing.lognormal.valid_prices, pricing.lognormal.factor_bounds",
    note="By the lognormal model, from one reference: {min, max}, whole prices inside; year_s 31,557,600 where absent."
    " Or by the factors max_down and max_up, from references: {bounds}, a [low, high] of each.",
)
def _price_monitoring_bounds(inputs: Inputs) -> object:
    if inputs.has("references"):
        low, high = lognormal.factor_bounds(
            reference=inputs.numbers("references"), down=inputs.number("max_down"), up=inputs.number("max_up")
        )
        return {"bounds": [list(pair) for pair in zip(low.tolist(), high.tolist(), strict=True)]}
    year = inputs.number("year_s", lognormal.JULIAN_YEAR_SECONDS, above=0)
    bounds = lognormal.lognormal_bounds(
        reference=inputs.number("reference"),
        probability=inputs.number("probability"),
        tau=inputs.number("horizon_s") / year,
        mu=inputs.number("mu", 0.0),
        sigma=inputs.number("sigma"),
    )
    least, greatest = lognormal.valid_prices(*(float(bound) for bound in bounds))
    return {"min": least, "max": greatest}

"""Adapters of margin in exact integers: perpetuals in quantums, weights that worsen with size."""

from __future__ import annotations

from fractions import Fraction

from crossmargin.margin import quantums, size_weights
from crossmargin.margin.quantums import QuantumAccount, QuantumMarket
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

_ACCOUNT = "markets quote_atomic_resolution positions quote_balance_quantums perpetual_id"
_MARKETS = (
    "markets by id: {symbol?, oracle_price, base_atomic_resolution, initial_margin_ppm, maintenance_fraction_ppm}"
)


def _account(inputs: Inputs) -> tuple[QuantumAccount, str]:
    """Return the account and the name of the market in question."""
    markets = inputs.inner("markets")
    quote = inputs.whole("quote_atomic_resolution")
    found = {}
    for name in markets.values:
        market = markets.inner(name)
        market.text("symbol", "")
        found[name] = QuantumMarket(
            price=market.exact("oracle_price", above=0),
            base_resolution=market.whole("base_atomic_resolution"),
            quote_resolution=quote,
            initial_ppm=market.whole("initial_margin_ppm"),
            fraction_ppm=market.whole("maintenance_fraction_ppm"),
        )
    positions = inputs.inner("positions")
    account = QuantumAccount(
        markets=found,
        quote=inputs.whole("quote_balance_quantums"),
        positions={name: positions.whole(name) for name in positions.values},
    )
    return account, str(inputs.whole("perpetual_id"))


@adapter(
    "bankruptcy_price",
    reads=f"{_ACCOUNT} delta_base_quantums",
    calls="margin.quantums.QuantumAccount.bankruptcy_price",
    note=f"{_MARKETS}; positions in base quantums. Gives {{bankruptcy_price_quote_quantums}}, what closing must bring.",
)
def _bankruptcy_price(inputs: Inputs) -> object:
    account, market = _account(inputs)
    price = account.bankruptcy_price(market, inputs.whole("delta_base_quantums"))
    return {"bankruptcy_price_quote_quantums": price}


@adapter(
    "fillable_price",
    reads=f"{_ACCOUNT} bankruptcy_adjustment_ppm spread_to_maintenance_margin_ratio_ppm",
    calls="margin.quantums.QuantumAccount.fillable_price",
    note="Account as in bankruptcy_price. Gives {fillable_price}, quote quantums a base quantum, as a fraction.",
)
def _fillable_price(inputs: Inputs) -> object:
    account, market = _account(inputs)
    price = account.fillable_price(
        market,
        adjustment_ppm=inputs.whole("bankruptcy_adjustment_ppm"),
        spread_ppm=inputs.whole("spread_to_maintenance_margin_ratio_ppm"),
    )
    return {"fillable_price": price}


@adapter(
    "insurance_fund_delta",
    reads=f"{_ACCOUNT} is_buy fill_base_quantums fill_subticks quantum_conversion_exponent max_liquidation_fee_ppm",
    calls="margin.quantums.QuantumAccount.insurance_fund_delta, margin.quantums.fill_value",
    note="Account as in bankruptcy_price. Gives {insurance_fund_delta}, positive where the fund is paid.",
)
def _insurance_fund_delta(inputs: Inputs) -> object:
    account, market = _account(inputs)
    size = inputs.whole("fill_base_quantums")
    value = quantums.fill_value(
        size=size,
        subticks=inputs.whole("fill_subticks"),
        conversion_exponent=inputs.whole("quantum_conversion_exponent"),
    )
    delta = account.insurance_fund_delta(
        market,
        change=size if inputs.flag("is_buy") else -size,
        value=value,
        fee_ppm=inputs.whole("max_liquidation_fee_ppm"),
    )
    return {"insurance_fund_delta": delta}


@adapter(
    "funding_rate_clamp",
    reads="clamp_factor_ppm initial_margin_ppm maintenance_fraction_ppm",
    calls="margin.quantums.funding_clamp_ppm",
    note="Gives {max_abs_rate_ppm}.",
)
def _funding_rate_clamp(inputs: Inputs) -> object:
    most = quantums.funding_clamp_ppm(
        factor_ppm=inputs.whole("clamp_factor_ppm"),
        initial_ppm=inputs.whole("initial_margin_ppm"),
        fraction_ppm=inputs.whole("maintenance_fraction_ppm"),
    )
    return {"max_abs_rate_ppm": most}


def _effective_ppm(inputs: Inputs) -> int:
    return quantums.adjusted_initial_ppm(
        initial_ppm=inputs.whole("initial_margin_ppm"),
        open_interest=inputs.whole("open_interest_notional"),
        lower_cap=inputs.whole("oi_lower_cap"),
        upper_cap=inputs.whole("oi_upper_cap"),
    )


@adapter(
    "oi_adjusted_imf",
    reads="initial_margin_ppm oi_lower_cap oi_upper_cap open_interest_notional",
    calls="margin.quantums.adjusted_initial_ppm",
    note="Caps and open interest in one unit of value. Gives {imf_ppm}.",
)
def _oi_adjusted_imf(inputs: Inputs) -> object:
    return {"imf_ppm": _effective_ppm(inputs)}


@adapter(
    "initial_margin_oi_scaled",
    reads="notional_quote_quantums initial_margin_ppm open_interest_notional oi_lower_cap oi_upper_cap",
    calls="margin.quantums.adjusted_initial_ppm, margin.quantums.initial_margin",
    note="Everything in quote quantums. Gives {IMR}.",
)
def _initial_margin_oi_scaled(inputs: Inputs) -> object:
    notional = inputs.whole("notional_quote_quantums")
    return {"IMR": quantums.initial_margin(notional=notional, initial_ppm=_effective_ppm(inputs))}


@adapter(
    "perp_margin_requirement",
    reads="base_atomic_resolution quote_atomic_resolution price price_exponent base_quantums initial_margin_ppm"
    " maintenance_fraction_ppm open_interest_base_quantums oi_lower_cap_quote oi_upper_cap_quote custom_imf_ppm",
    calls="margin.quantums.QuantumMarket",
    note="The price is price x 10^price_exponent. Gives {IMR, MMR, NC} in quote quantums, NC the notional.",
)
def _perp_margin_requirement(inputs: Inputs) -> object:
    exponent = inputs.whole("price_exponent")
    market = QuantumMarket(
        price=inputs.exact("price", above=0) * quantums.power_of_ten("inputs.price_exponent", exponent),
        base_resolution=inputs.whole("base_atomic_resolution"),
        quote_resolution=inputs.whole("quote_atomic_resolution"),
        initial_ppm=inputs.whole("initial_margin_ppm"),
        fraction_ppm=inputs.whole("maintenance_fraction_ppm"),
        open_interest=inputs.whole("open_interest_base_quantums"),
        lower_cap=inputs.whole("oi_lower_cap_quote"),
        upper_cap=inputs.whole("oi_upper_cap_quote"),
        custom_ppm=inputs.whole("custom_imf_ppm"),
    )
    size = inputs.whole("base_quantums")
    return {"IMR": market.initial(size), "MMR": market.maintenance(size), "NC": market.notional(size)}


@adapter(
    "size_discount_asset_weight",
    reads="size_1e9 imf_factor_1e6 base_weight_1e4",
    calls="margin.size_weights.asset_weight",
    note="Gives {weight_1e4}.",
)
def _size_discount_asset_weight(inputs: Inputs) -> object:
    return {
        "weight_1e4": size_weights.asset_weight(
            size=inputs.whole("size_1e9"),
            factor=inputs.whole("imf_factor_1e6"),
            weight=inputs.whole("base_weight_1e4"),
        )
    }


@adapter(
    "size_premium_liability_weight",
    reads="size_1e9 imf_factor_1e6 base_weight_1e4",
    calls="margin.size_weights.liability_weight",
    note="Gives {weight_1e4}.",
)
def _size_premium_liability_weight(inputs: Inputs) -> object:
    return {
        "weight_1e4": size_weights.liability_weight(
            size=inputs.whole("size_1e9"),
            factor=inputs.whole("imf_factor_1e6"),
            weight=inputs.whole("base_weight_1e4"),
        )
    }


@adapter(
    "scaled_initial_asset_weight",
    reads="initial_weight_1e4 scale_start_usd total_deposits oracle_price",
    calls="margin.size_weights.scaled_asset_weight, margin.size_weights.value_in",
    note="total_deposits in units of the asset; values are taken in millionths of the quote asset. Gives {weight_1e4}.",
)
def _scaled_initial_asset_weight(inputs: Inputs) -> object:
    unit = Fraction(1, 1_000_000)
    price = inputs.exact("oracle_price", above=0)
    return {
        "weight_1e4": size_weights.scaled_asset_weight(
            weight=inputs.whole("initial_weight_1e4"),
            start=size_weights.value_in(inputs.exact("scale_start_usd"), Fraction(1), unit),
            deposits=size_weights.value_in(inputs.exact("total_deposits"), price, unit),
        )
    }


@adapter(
    "account_initial_margin",
    reads="oracle_price init_asset_weight init_liab_weight quote_weight open_order_margin usdc sol open_bids open_asks",
    calls="margin.size_weights.account_margin",
    note="One asset, sol, beside the quote asset, usdc; open_bids and open_asks unsigned, each one order where it is"
    " not 0. Gives {margin_requirement, total_collateral}.",
)
def _account_initial_margin(inputs: Inputs) -> object:
    account = size_weights.account_margin(
        size_weights.SpotTerms(
            price=inputs.exact("oracle_price", above=0),
            asset_weight=inputs.exact("init_asset_weight"),
            liability_weight=inputs.exact("init_liab_weight"),
        ),
        amount=inputs.exact("sol"),
        quote=inputs.exact("usdc"),
        quote_weight=inputs.exact("quote_weight"),
        bids=inputs.exact("open_bids"),
        asks=inputs.exact("open_asks"),
        per_order=inputs.exact("open_order_margin"),
    )
    return {"margin_requirement": account.requirement, "total_collateral": account.collateral}

"""Adapters of funding of perpetuals and of the variation account of futures."""

from __future__ import annotations

from crossmargin.margin import variation_account
from crossmargin.pricing import funding
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter


@adapter(
    "premium_index",
    reads="index impact_bid impact_ask",
    calls="pricing.funding.premium_index",
    note="A fraction of the index.",
)
def _premium_index(inputs: Inputs) -> object:
    return float(
        funding.premium_index(
            index=inputs.number("index"), impact_bid=inputs.number("impact_bid"), impact_ask=inputs.number("impact_ask")
        )
    )


@adapter(
    "funding_rate",
    reads="P I clamp cap?",
    calls="pricing.funding.funding_rate",
    note="P the average premium, I the interest; cap the venue's limit either way, none where absent.",
)
def _funding_rate(inputs: Inputs) -> object:
    limit = {"limit": inputs.number("cap")} if inputs.has("cap") else {}
    return float(
        funding.funding_rate(
            premium=inputs.number("P"), interest=inputs.number("I"), clamp=inputs.number("clamp"), **limit
        )
    )


@adapter(
    "funding_payment",
    reads="notional rate times?",
    calls="pricing.funding.funding_payment",
    note="notional long positive; positive is paid. times 1 where absent.",
)
def _funding_payment(inputs: Inputs) -> object:
    return float(
        funding.funding_payment(
            notional=inputs.number("notional"), rate=inputs.number("rate"), periods=inputs.number("times", 1)
        )
    )


@adapter(
    "perp_funding",
    reads="index static_rate_per_hour max_abs_rate_per_hour convergence_hours impact_bid impact_ask elapsed_s?"
    " long_size? short_size?",
    calls="pricing.funding.premium_index, pricing.funding.hourly_funding_rate, pricing.funding.accrued_funding",
    note="Gives {hourly_rate}; with elapsed_s and a size also {long_funding, short_funding}, negative where paid.",
)
def _perp_funding(inputs: Inputs) -> object:
    index = inputs.number("index")
    rate = funding.hourly_funding_rate(
        premium=funding.premium_index(
            index=index, impact_bid=inputs.number("impact_bid"), impact_ask=inputs.number("impact_ask")
        ),
        convergence_hours=inputs.number("convergence_hours"),
        static_rate=inputs.number("static_rate_per_hour"),
        limit=inputs.number("max_abs_rate_per_hour"),
    )
    answer = {"hourly_rate": float(rate)}
    for side in ("long", "short"):
        if inputs.has(f"{side}_size"):
            answer[f"{side}_funding"] = float(
                funding.accrued_funding(
                    size=inputs.number(f"{side}_size"),
                    index=index,
                    hourly_rate=rate,
                    seconds=inputs.number("elapsed_s"),
                )
            )
    return answer


@adapter(
    "perp_funding_payment",
    reads="f_twap s_twap delta_t_years interest_rate clamp_lower clamp_upper",
    calls="pricing.funding.twap_funding_payment",
    note="Gives {payment_per_unit}, what a long pays.",
)
def _perp_funding_payment(inputs: Inputs) -> object:
    return {
        "payment_per_unit": float(
            funding.twap_funding_payment(
                future=inputs.number("f_twap"),
                spot=inputs.number("s_twap"),
                years=inputs.number("delta_t_years"),
                interest=inputs.number("interest_rate"),
                lower=inputs.number("clamp_lower"),
                upper=inputs.number("clamp_upper"),
            )
        )
    }


@adapter(
    "futures_margin_account",
    reads="contracts size entry initial maintenance settlements",
    calls="margin.variation_account",
    note="contracts long positive; the margins are the whole position's. Gives {bal, calls, cum}: balances before the"
    " day's call is paid.",
)
def _futures_margin_account(inputs: Inputs) -> object:
    account = variation_account(
        quantity=inputs.number("contracts"),
        contract_size=inputs.number("size"),
        entry_price=inputs.number("entry"),
        initial_margin=inputs.number("initial"),
        maintenance_margin=inputs.number("maintenance"),
        settlements=inputs.numbers("settlements"),
    )
    return {"bal": list(account.balances), "calls": list(account.calls), "cum": account.cumulative_gain}

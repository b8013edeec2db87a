"""Adapters of Derive-style margin: the standard manager and both portfolio managers, one account each.

Answers are net: what stands behind the account less the requirement, 0 or more being enough. They are in the venue's
money, which has 18 decimals; what the source cut to a whole number is given to 9, so that no last bit decides it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin.derive import (
    Basis,
    Confidence,
    Holdings,
    OptionRows,
    Peg,
    Scenarios,
    Skew,
    VolMove,
    VolShock,
)
from crossmargin.margin.derive_portfolio import Formula as PortfolioFormula
from crossmargin.margin.derive_portfolio import StaticDiscount
from crossmargin.margin.derive_portfolio_v1 import Formula as PortfolioFormulaV1
from crossmargin.margin.derive_standard import Formula as StandardFormula
from crossmargin.margin.derive_standard import ShortOptions, base_collateral
from crossmargin.market import svi_vol
from crossmargin.pricing import black76
from crossmargin.ragged import group_sums
from crossmargin.units import YEAR_SECONDS, FloatArray, IntArray
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

_DAY_SECONDS = 86_400.0
_DECIMALS = 18
_DECIMALS_OF_CUT = 9
_SVI_VARIANCE_MOST = 20.0
"""Where the published cases cap total variance."""
_SVI = ("a", "b", "rho", "m", "sigma", "forward", "tau")
_MOVES = {
    "Up": VolMove.UP,
    "None": VolMove.SAME,
    "Down": VolMove.DOWN,
    "LINEAR": VolMove.LINEAR_SKEW,
    "ABS": VolMove.ABSOLUTE_SKEW,
}


def _scenarios(rows: Sequence[Inputs]) -> Scenarios:
    return Scenarios(
        price=tuple(row.number("price") for row in rows),
        vol=tuple(int(_MOVES[row.text("vol", among=tuple(_MOVES))]) for row in rows),
        share=tuple(row.number("share", 1.0) for row in rows),
    )


def _column(rows: Sequence[Inputs], key: str, *, above: float | None = None) -> FloatArray:
    return np.array([row.number(key, above=above) for row in rows], dtype=np.float64)


def _tau(seconds: FloatArray) -> FloatArray:
    return seconds / YEAR_SECONDS


def _confidence(inputs: Inputs, *keys: str) -> float:
    """Return the least of the confidences, each a fraction."""
    found = []
    for key in keys:
        confidence = inputs.number(key)
        if not 0 <= confidence <= 1:
            raise InputError(f"{inputs.place}.{key}", f"{confidence:g}", "a fraction from 0 to 1")
        found.append(confidence)
    return min(found, default=1.0)


def _money(amount: float) -> float:
    return round(float(amount), _DECIMALS)


def _net(equity: float, maintenance: float, initial: float) -> dict[str, object]:
    """Return what is left of `equity`, whole and as the source that cuts it would."""
    left = {"MM": equity - maintenance, "IM": equity - initial}
    return {
        **{name: _money(amount) for name, amount in left.items()},
        **{f"{name}_trunc": round(amount, _DECIMALS_OF_CUT) for name, amount in left.items()},
    }


# --- the second portfolio manager


@adapter(
    "pmrm_2",
    reads="cash collaterals spot spot_conf perp stable_price options expiries scenarios params",
    calls="margin.derive_portfolio.Formula",
    note="options: rows [seconds, strike, C or P, amount] of one of expiries; scenarios: rows [price, Up, Down, None,"
    " LINEAR or ABS, share]. Gives {IM, MM} net, {collateral_mtm, option_mtm, scenario_pnl, mark_vols}.",
)
def _pmrm_2(inputs: Inputs) -> object:
    params = inputs.inner("params")
    formula = _formula_2(params, _scenarios(inputs.named_rows("scenarios", ("price", "vol", "share"))))
    spot, stable = inputs.number("spot", above=0), inputs.number("stable_price", above=0)
    expiries = inputs.inners("expiries")
    seconds = [expiry.number("sec", above=0) for expiry in expiries]
    options = inputs.named_rows("options", ("sec", "strike", "type", "amount"))
    of_expiry = _expiry_of(options, seconds)
    order = np.argsort(of_expiry, kind="stable")
    forward = _column(expiries, "forward_fixed") + _column(expiries, "forward_variable")
    for expiry, total in zip(expiries, forward.tolist(), strict=True):
        if abs(expiry.number("forward") - total) > 1e-9 * abs(total):
            raise InputError(f"{expiry.place}.forward", f"{expiry.number('forward'):g}", f"its two parts, {total:g}")
    rate = np.maximum(_column(expiries, "rate"), 0.0)
    tau = _tau(np.array(seconds, dtype=np.float64))
    strikes = _column(options, "strike", above=0)
    surfaces = [_svi(expiry) for expiry in expiries]
    vols = np.array([_svi_at(surfaces[g], k) for g, k in zip(of_expiry.tolist(), strikes.tolist(), strict=True)])
    g = of_expiry[order]
    rows = OptionRows(
        forward_fixed=_column(expiries, "forward_fixed")[g],
        forward_variable=_column(expiries, "forward_variable")[g],
        strike=strikes[order],
        is_call=np.array([o.text("type", among=("C", "P")) == "C" for o in options], dtype=np.bool_)[order],
        vol=vols[order],
        tau=tau[g],
        discount=np.exp(-rate * tau)[g],
        offset=np.zeros(len(g)),
    )
    collaterals = inputs.inners("collaterals")
    for collateral in collaterals:
        collateral.text("Name")
    value = np.array([c.number("Amount") * c.number("Price") / stable for c in collaterals], dtype=np.float64)
    moves = np.array([c.flag("IsRiskCancelling") for c in collaterals], dtype=np.bool_)
    perp = inputs.inner("perp")
    holdings = Holdings(
        count=1,
        options=rows,
        row=np.arange(len(g)),
        amount=_column(options, "amount")[order],
        expiry=g,
        market=np.zeros(len(expiries), dtype=np.int64),
        tau=tau,
        rate=rate,
        index=np.full(len(expiries), spot),
        perp_market=np.zeros(1, dtype=np.int64),
        perp_amount=_column([perp], "amount"),
        perp_price=_column([perp], "price"),
        perp_index=np.array([spot]),
        moving=np.array([value[moves].sum()]),
    )
    spot_sure = _confidence(inputs, "spot_conf")
    doubt = formula.confidence.charge
    uncertain = [
        *doubt(holdings.perpetual_notional, np.array([min(spot_sure, _confidence(perp, "conf"))])).tolist(),
        *doubt(
            holdings.option_notional,
            np.array([min(spot_sure, _confidence(e, "fwd_conf", "rate_conf", "vol_conf")) for e in expiries]),
        ).tolist(),
        *doubt(value, np.array([min(spot_sure, _confidence(c, "Confidence")) for c in collaterals])).tolist(),
    ]
    maintenance, initial = formula.margins(
        holdings,
        collateral_contingency=np.array([np.abs(value) @ _column(collaterals, "MMHaircut")]),
        collateral_initial_contingency=np.array([np.abs(value) @ _column(collaterals, "IMHaircut")]),
        uncertainty=np.array([fsum(uncertain)]),
        peg_price=np.array([stable]),
    )
    found = formula.losses(holdings)
    option_value = float(holdings.amount @ found.mark[holdings.row])
    equity = fsum([option_value, *value.tolist(), perp.number("pnl"), perp.number("funding"), inputs.number("cash")])
    return {
        **_net(equity, float(maintenance[0]), float(initial[0])),
        "collateral_mtm": _money(value.sum()),
        "option_mtm": _money(option_value),
        "scenario_pnl": [_money(pnl) for pnl in found.pnl[0].tolist()],
        "mark_vols": vols.tolist(),
    }


def _formula_2(params: Inputs, scenarios: Scenarios) -> PortfolioFormula:
    skew, vol, margin = params.inner("SkewShock"), params.inner("VolShock"), params.inner("Margin")
    basis, other = params.inner("BasisContingency"), params.inner("OtherContingency")
    return PortfolioFormula(
        scenarios=scenarios,
        vol_shock=VolShock(
            up=vol.number("VOLRANGEUP"),
            down=vol.number("VOLRANGEDOWN"),
            short_power=vol.number("SHORTTERMPOWER"),
            long_power=vol.number("LONGTERMPOWER"),
            floor_days=vol.number("DTE_FLOOR"),
            least_up=vol.number("MIN_VOL_EVAL_SHOCKED"),
        ),
        skew=Skew(
            linear_cap=skew.number("LINEAR_SCALE_CAP"),
            linear_cap_per_root_year=skew.number("LINEAR_CBASE"),
            absolute_cap=skew.number("ABS_SCALE_CAP"),
            absolute_cap_per_root_year=skew.number("ABS_CBASE"),
            least_width=skew.number("MIN_K_STAR"),
            width_scale=skew.number("MIN_WIDTH_SCALE"),
            width_vol=skew.number("VOL_PARAM_STATIC"),
            width_vol_per_root_year=skew.number("VOL_PARAM_SCALE"),
        ),
        static_discount=StaticDiscount(
            long_base=margin.number("BASE_STATIC_DISCOUNT"),
            long_rate_scale=margin.number("LONG_RATE_MULTSCALE"),
            long_add=margin.number("LONG_RATE_ADDSCALE"),
            short_base=margin.number("BASE_STATIC_DISCOUNT_NEG"),
            short_rate_scale=margin.number("SHORT_RATE_MULTSCALE"),
            short_add=margin.number("SHORT_RATE_ADDSCALE"),
        ),
        basis=Basis(
            up=basis.number("SCENARIO_SPOT_UP"),
            down=basis.number("SCENARIO_SPOT_DOWN"),
            share=basis.number("BASIS_CONT_ADD_FACTOR"),
            share_per_year=basis.number("BASIS_CONT_MULT_FACTOR"),
        ),
        loss_factor=margin.number("MM_LOSS_FACTOR"),
        initial_loss_factor=margin.number("IM_LOSS_FACTOR"),
        perpetual_rate=other.number("MM_PERP_PERCENT"),
        perpetual_initial_rate=other.number("IM_PERP_PERCENT"),
        option_rate=other.number("MM_OPTION_PERCENT"),
        option_initial_rate=other.number("IM_OPTION_PERCENT"),
        peg=Peg(threshold=other.number("PEG_LOSS_THRESHOLD"), factor=other.number("PEG_LOSS_FACTOR")),
        confidence=Confidence(threshold=other.number("CONF_THRESHOLD"), rate=other.number("CONF_MARGIN")),
    )


def _expiry_of(options: Sequence[Inputs], seconds: Sequence[float]) -> IntArray:
    """Return the number of each option's expiry."""
    number = {second: k for k, second in enumerate(seconds)}
    if len(number) != len(seconds):
        raise InputError("inputs.expiries", "two of one time", "each expiry once")
    found = []
    for option in options:
        at = number.get(option.number("sec"))
        if at is None:
            raise InputError(f"{option.place}.sec", f"{option.number('sec'):g}", "the seconds of one of the expiries")
        found.append(at)
    return np.array(found, dtype=np.int64)


def _svi(expiry: Inputs) -> dict[str, float]:
    numbers = expiry.numbers("svi")
    if len(numbers) != len(_SVI):
        raise InputError(f"{expiry.place}.svi", f"{len(numbers)} numbers", ", ".join(_SVI))
    return dict(zip(_SVI, numbers, strict=True))


def _svi_at(surface: dict[str, float], strike: float) -> float:
    return float(svi_vol(strike, **surface, variance_most=_SVI_VARIANCE_MOST))


# --- the first portfolio manager


def _priced(expiries: Sequence[Inputs]) -> tuple[list[list[Inputs]], FloatArray]:
    """Return the options of each expiry, and the seconds to it."""
    held = [expiry.named_rows("options", ("strike", "is_call", "amount", "vol")) for expiry in expiries]
    return held, _column(expiries, "sec", above=0)


@adapter(
    "pmrm_1",
    reads="cash spot spot_conf stable_price perp base expiries params scenarios",
    calls="margin.derive_portfolio_v1.Formula",
    note="options of expiries: rows [strike, is a call, amount, vol]; scenarios: rows [price, Up, Down or None]."
    " perp.pnl is taken as given: its entry_price is for the reader. Gives {IM, MM, MtM} net.",
)
def _pmrm_1(inputs: Inputs) -> object:
    params = inputs.inner("params")
    formula = _formula_1(params, _scenarios(inputs.named_rows("scenarios", ("price", "vol"))))
    spot, stable, base = inputs.number("spot", above=0), inputs.number("stable_price", above=0), inputs.number("base")
    expiries = inputs.inners("expiries")
    held, seconds = _priced(expiries)
    options = [option for row in held for option in row]
    g = np.repeat(np.arange(len(expiries)), [len(row) for row in held])
    tau = _tau(seconds)
    perp = inputs.inner("perp")
    perp.number("entry_price", 0.0)
    base_value = base * spot / stable
    holdings = Holdings(
        count=1,
        options=OptionRows(
            forward_fixed=_column(expiries, "forward_fixed")[g],
            forward_variable=_column(expiries, "forward_variable")[g],
            strike=_column(options, "strike"),
            is_call=np.array([option.flag("is_call") for option in options], dtype=np.bool_),
            vol=_column(options, "vol"),
            tau=tau[g],
            discount=np.ones(len(g)),
            offset=np.zeros(len(g)),
        ),
        row=np.arange(len(g)),
        amount=_column(options, "amount"),
        expiry=g,
        market=np.zeros(len(expiries), dtype=np.int64),
        tau=tau,
        rate=np.maximum(_column(expiries, "rate"), 0.0),
        index=np.full(len(expiries), spot),
        perp_market=np.zeros(1, dtype=np.int64),
        perp_amount=_column([perp], "amount"),
        perp_price=_column([perp], "price"),
        perp_index=np.array([spot]),
        moving=np.array([base_value]),
    )
    spot_sure = _confidence(inputs, "spot_conf")
    doubt = formula.confidence.charge
    uncertain = [
        *doubt(holdings.perpetual_notional, np.array([min(spot_sure, _confidence(perp, "conf"))])).tolist(),
        *doubt(holdings.option_notional, np.array([min(spot_sure, _confidence(e, "conf")) for e in expiries])).tolist(),
        *doubt(np.array([abs(base) * spot]), np.array([spot_sure])).tolist(),
    ]
    maintenance, initial = formula.margins(
        holdings,
        base_notional=np.array([abs(base) * spot]),
        uncertainty=np.array([fsum(uncertain)]),
        peg_price=np.array([stable]),
    )
    marks = formula.losses(holdings).mark
    equity = fsum([*(holdings.amount * marks).tolist(), base_value, perp.number("pnl"), inputs.number("cash")])
    return {**_net(equity, float(maintenance[0]), float(initial[0])), "MtM": _money(equity)}


def _formula_1(params: Inputs, scenarios: Scenarios) -> PortfolioFormulaV1:
    return PortfolioFormulaV1(
        scenarios=scenarios,
        vol_shock=VolShock(
            up=params.number("volRangeUp"),
            down=params.number("volRangeDown"),
            short_power=params.number("shortTermPower"),
            long_power=params.number("longTermPower"),
            floor_days=params.number("dteFloor_sec", above=0) / _DAY_SECONDS,
        ),
        discount_base=params.number("baseStaticDiscount"),
        discount_rate_scale=params.number("rateMultScale"),
        discount_add=params.number("rateAddScale"),
        basis=Basis(
            up=params.number("scenarioSpotUp"),
            down=params.number("scenarioSpotDown"),
            share=params.number("basisContAddFactor"),
            share_per_year=params.number("basisContMultFactor"),
        ),
        initial_factor=params.number("imFactor"),
        perpetual_rate=params.number("perpPercent"),
        base_rate=params.number("basePercent"),
        option_rate=params.number("optionPercent"),
        peg=Peg(threshold=params.number("pegLossThreshold"), factor=params.number("pegLossFactor")),
        confidence=Confidence(threshold=params.number("confThreshold"), rate=params.number("confMargin")),
    )


# --- the standard manager


def _short_options(params: Inputs, *, alone: bool = False) -> ShortOptions:
    return ShortOptions(
        initial=params.number("maxSpotReq"),
        initial_least=params.number("minSpotReq"),
        call_maintenance=params.number("mmCallSpotReq"),
        put_maintenance=params.number("mmPutSpotReq"),
        put_maintenance_of_value=params.number("MMPutMtMReq"),
        put_initial_of_maintenance=params.number("mmOffsetScale"),
        unpaired_initial=0.0 if alone else params.number("unpairedIMScale"),
        unpaired_maintenance=0.0 if alone else params.number("unpairedMMScale"),
    )


@adapter(
    "standard_manager_isolated_option",
    reads="spot forward strike type amount vol option_params",
    calls="margin.derive_standard.ShortOptions",
    note="One option a year from expiry, type C or P. Gives {IM, MM}, negative what it owes.",
)
def _isolated_option(inputs: Inputs) -> object:
    is_call = inputs.text("type", among=("C", "P")) == "C"
    strike, amount = inputs.number("strike", above=0), inputs.number("amount")
    value = black76(inputs.number("forward"), strike, inputs.number("vol"), 1.0, 1.0, is_call)
    maintenance, initial = _short_options(inputs.inner("option_params"), alone=True).isolated(
        np.array([amount]),
        np.array([value]),
        np.array([strike]),
        np.array([is_call]),
        np.array([inputs.number("spot", above=0)]),
    )
    return {"IM": -float(initial[0]), "MM": -float(maintenance[0])}


@adapter(
    "standard_manager",
    reads="cash stable_price depeg markets",
    calls="margin.derive_standard.Formula, margin.derive_standard.base_collateral",
    note="options of expiries: rows [strike, is a call, amount, vol]. perp.pnl is taken as given: its entry_price is"
    " for the reader. Gives {IM, MM, MtM} net.",
)
def _standard_manager(inputs: Inputs) -> object:
    stable, depeg = inputs.number("stable_price", above=0), inputs.inner("depeg")
    peg = Peg(threshold=depeg.number("threshold"), factor=depeg.number("factor"))
    cash = inputs.number("cash")
    parts = [_standard_market(market, peg, stable) for market in inputs.inners("markets")]
    maintenance, initial, mark_to_market = (fsum([cash, *column]) for column in zip(*parts, strict=True))
    return {**_net(0.0, -maintenance, -initial), "MtM": _money(mark_to_market)}


def _standard_market(market: Inputs, peg: Peg, stable: float) -> tuple[float, float, float]:
    """Return (maintenance, initial, mark to market) of one market, net: what it adds to the account."""
    market.text("name")
    spot = market.number("spot", above=0)
    rates, oracle, perp, base = (market.inner(key) for key in ("perp_req", "oracle", "perp", "base"))
    formula = StandardFormula(
        perpetual_maintenance=rates.number("mm"),
        perpetual_initial=rates.number("im"),
        options=_short_options(market.inner("option_params")),
        peg=peg,
        **{
            f"{what}_confidence": Confidence(threshold=oracle.number(key), rate=oracle.number("factor"))
            for what, key in (
                ("perpetual", "perp_threshold"),
                ("option", "option_threshold"),
                ("base", "base_threshold"),
            )
        },
    )
    spot_sure = _confidence(market, "spot_conf")
    perp.number("entry_price", 0.0)
    amount = _column([perp], "amount")
    perp_maintenance, perp_initial = formula.perpetuals(amount, _column([perp], "price"))
    perp_notional = np.abs(amount) * spot

    expiries = market.inners("expiries")
    held, seconds = _priced(expiries)
    held = [sorted(row, key=lambda option: option.number("strike")) for row in held]
    options = [option for row in held for option in row]
    start = np.concatenate(([0], np.cumsum([len(row) for row in held]))).astype(np.int64)
    g = np.repeat(np.arange(len(expiries)), np.diff(start))
    forward, units = _column(expiries, "forward"), _column(options, "amount")
    strike = _column(options, "strike")
    is_call = np.array([option.flag("is_call") for option in options], dtype=np.bool_)
    value = black76(forward[g], strike, _column(options, "vol"), _tau(seconds)[g], 1.0, is_call)
    option_maintenance, option_initial, _, _ = formula.options.of_expiries(
        start, units, value, strike, is_call, np.full(len(units), spot), forward
    )
    short = group_sums(g, np.maximum(-units, 0.0), len(expiries)) * spot

    base_amount, factor = base.number("amount"), base.number("margin_factor")
    counted = float(base_collateral(np.array(base_amount), np.array(spot), factor))
    doubt = fsum(
        [
            *formula.perpetual_confidence.charge(
                perp_notional, np.array([min(spot_sure, _confidence(perp, "conf"))])
            ).tolist(),
            *formula.option_confidence.charge(
                short, np.array([min(spot_sure, _confidence(e, "fwd_conf", "vol_conf")) for e in expiries])
            ).tolist(),
            float(formula.base_confidence.charge(np.array(base_amount * spot), np.array(spot_sure))),
            *formula.depeg(np.array([perp_notional.sum() + short.sum()]), np.array([stable])).tolist(),
        ]
    )
    unsettled = perp.number("pnl") + perp.number("funding")
    return (
        fsum([unsettled, counted, -perp_maintenance[0], *(-option_maintenance).tolist()]),
        fsum([unsettled, counted * base.number("im_scale"), -perp_initial[0], *(-option_initial).tolist(), -doubt]),
        fsum([unsettled, *(units * value).tolist(), base_amount * spot / stable]),
    )

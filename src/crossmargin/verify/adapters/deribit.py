"""Adapters of Deribit-style margin: the risk matrix, its parts, and standard margin of linear perpetuals."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf

import numpy as np

from crossmargin.book import Account, Book, Position
from crossmargin.collateral import HaircutPolicy
from crossmargin.collateral import Tiers as HaircutTiers
from crossmargin.errors import InputError
from crossmargin.instruments import Future, Instrument, Perpetual, instrument_of, parse_symbol
from crossmargin.margin import FutureRates, OptionRates, StandardOption
from crossmargin.margin.grouped import ByGroup
from crossmargin.margin.option_shocks import VOLS, VolShock
from crossmargin.margin.risk_matrix import (
    DeltaShock,
    Extended,
    Offset,
    RiskMatrix,
    Roll,
    bucket_moves,
    capped_moves,
    coin_profit,
    initial_margin,
    offset_limited,
)
from crossmargin.market import Mark, Market
from crossmargin.rules import Rules
from crossmargin.scenarios import TenorScaling
from crossmargin.standing import evaluate
from crossmargin.units import FloatArray
from crossmargin.verify.adapters.position import TIME, margins, one_account
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

_DAYS_A_YEAR = 365.0
_EXTENDED = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
"""The venue's extended moves; delta-one legs lose no more in them than in the matrix."""


def _range(inputs: Inputs) -> float:
    width = inputs.number("price_range", above=0)
    if not width < 1:
        raise InputError(f"{inputs.place}.price_range", f"{width:g}", "below 1")
    return width


def _whole(inputs: Inputs, key: str) -> int:
    number = inputs.number(key, above=0)
    if number != int(number):
        raise InputError(f"{inputs.place}.{key}", f"{number:g}", "a whole number")
    return int(number)


def _moves(inputs: Inputs) -> FloatArray:
    moves = inputs.numbers("moves")
    for k, move in enumerate(moves):
        if not move > -1:
            raise InputError(f"{inputs.place}.moves[{k}]", f"{move:g}", "a relative move above -1")
    return np.array(moves, dtype=np.float64)


def _sizes(inputs: Inputs) -> dict[str, float]:
    positions = inputs.inner("positions_coin")
    return {symbol: positions.number(symbol) for symbol in positions.values}


@adapter(
    "deribit_pm_risk_vector",
    reads="q moves",
    calls="margin.risk_matrix.coin_profit",
    note="Profit in coin of q coins, delta-one and coin-settled, under each relative move.",
)
def _deribit_pm_risk_vector(inputs: Inputs) -> object:
    return coin_profit(inputs.number("q"), _moves(inputs)).tolist()


@adapter(
    "deribit_pm_extended_linear_leg",
    reads="q price_range moves",
    calls="margin.risk_matrix.capped_moves, margin.risk_matrix.coin_profit",
    note="The same in the extended table: moves end at the price range.",
)
def _deribit_pm_extended_linear_leg(inputs: Inputs) -> object:
    return coin_profit(inputs.number("q"), capped_moves(_moves(inputs), _range(inputs))).tolist()


@adapter(
    "deribit_pm_aggregation",
    reads="positions_coin pnl_offset price_range buckets_per_side",
    calls="margin.risk_matrix.bucket_moves, margin.risk_matrix.coin_profit, margin.risk_matrix.offset_limited",
    note="positions_coin: {symbol: coins}, delta-one. What counts in each price bucket, lowest price first.",
)
def _deribit_pm_aggregation(inputs: Inputs) -> object:
    sizes = np.array(list(_sizes(inputs).values()), dtype=np.float64)
    moves = bucket_moves(_range(inputs), _whole(inputs, "buckets_per_side"))
    total = coin_profit(sizes[:, None], moves).sum(axis=0)
    return offset_limited(total, inputs.number("pnl_offset"), inf).tolist()


@adapter(
    "deribit_pm_segregated_inverse",
    reads="currency price_range buckets_per_side vol_scenarios pnl_offset min_annualised_move annualised_move_risk"
    " mm_factor extended_dampener_usd extended_table_factor? delta_total_liq_shock_threshold_usd max_delta_shock m_inc"
    " positions_coin index mark timestamp_ms mmp_margin open_orders_margin spot_margin max_offsetable_pnl_usd",
    calls="margin.risk_matrix.RiskMatrix, margin.risk_matrix.initial_margin",
    note="One currency; inverse futures and perpetuals by their symbols, sizes and margins in coin; worst_case before"
    " it is rounded. extended_table_factor 1 where absent.",
)
def _deribit_pm_segregated_inverse(inputs: Inputs) -> object:
    coin = inputs.text("currency")
    if (vols := _whole(inputs, "vol_scenarios")) != len(VOLS):
        raise InputError("inputs.vol_scenarios", str(vols), f"{len(VOLS)}: {', '.join(VOLS)}")
    model = RiskMatrix(
        price_range=_one(_range(inputs)),
        vol=_one(VolShock(up=0.0, down=0.0)),
        extended=_one(
            Extended(
                factor=inputs.number("extended_table_factor", 1.0), dampener=inputs.number("extended_dampener_usd")
            )
        ),
        offset=_one(Offset(share=inputs.number("pnl_offset"), most=inputs.number("max_offsetable_pnl_usd"))),
        roll=_one(Roll(least=inputs.number("min_annualised_move"), annual=inputs.number("annualised_move_risk"))),
        delta=_one(
            DeltaShock(
                threshold=inputs.number("delta_total_liq_shock_threshold_usd"),
                per_unit=inputs.number("m_inc"),
                most=inputs.number("max_delta_shock"),
            )
        ),
        buckets=_whole(inputs, "buckets_per_side"),
        extended_moves=_EXTENDED,
        maintenance_factor=inputs.number("mm_factor"),
    )
    index, given = inputs.number("index", above=0), inputs.inner("mark")
    marks = {symbol: given.number(symbol, above=0) for symbol in given.values}
    sizes = _sizes(inputs)
    contracts = [_inverse(symbol, coin) for symbol in sizes]
    for symbol in sizes:
        given.number(symbol)
    # A contract is worth contract_size dollars: so many of them make the coins the case gives.
    positions = [
        Position(symbol=c.symbol, quantity=sizes[c.symbol] * marks[c.symbol] / float(c.contract_size))
        for c in contracts
    ]
    rules = Rules(
        name="case",
        version="2026-01-01",
        model_name="case",
        model=model,
        liquidation_buffer=0.0,
        haircuts=HaircutPolicy(by_class={"other": HaircutTiers.flat(0.0)}),
    )
    market = Market(
        time=datetime.fromtimestamp(inputs.number("timestamp_ms") / 1000, UTC),
        prices={coin: index},
        marks={c.symbol: Mark(price=marks[c.symbol]) for c in contracts},
    )
    standing = evaluate(Book.of([Account(id="one", positions=positions)], contracts, currency="USD"), market, rules)
    parts = model.parts(standing.portfolios)
    margin = float(parts.margin[0]) / index
    return {
        "worst_case": float(parts.worst[0]) / index,
        "roll_shock": float(parts.roll[0]) / index,
        "delta_shock": float(parts.delta[0]) / index,
        "risk_matrix_margin": margin,
        "initial_margin": float(
            initial_margin(
                margin,
                spot=inputs.number("spot_margin"),
                market_maker=inputs.number("mmp_margin"),
                orders=inputs.number("open_orders_margin"),
                decimals=model.decimals,
            )
        ),
        "maintenance_margin": float(standing.maintenance_margin[0]) / index,
    }


def _one(value: object) -> ByGroup:
    return ByGroup(by_class={"other": value})


def _inverse(symbol: str, coin: str) -> Instrument:
    contract = parse_symbol(symbol, "deribit")
    if not isinstance(contract, Perpetual | Future) or not contract.inverse or contract.underlying != coin:
        raise InputError(
            f"inputs.positions_coin.{symbol}", "no such contract", f"a future or perpetual that settles in {coin}"
        )
    return contract


@adapter(
    "deribit_vol_shock",
    reads="dte base power",
    calls="scenarios.TenorScaling",
    note="base x (30 / dte) ^ power, dte in days.",
)
def _deribit_vol_shock(inputs: Inputs) -> object:
    power, years = inputs.number("power"), inputs.number("dte", above=0) / _DAYS_A_YEAR
    scaling = TenorScaling(short_power=power, long_power=power)
    return inputs.number("base") * float(scaling.factor(np.array(years)))


def _linear_perpetual(inputs: Inputs) -> tuple[dict[str, float], float]:
    """Return the margins of a linear perpetual in its quote asset, and its price."""
    base, slope = inputs.number("base"), inputs.number("inc_per_unit")
    price = inputs.number("price", above=0)
    rates = FutureRates(initial=base, maintenance=base, initial_per_unit=slope, maintenance_per_unit=slope)
    no_option = OptionRates(initial=1.0, initial_least=1.0, call_maintenance=1.0, put_maintenance=1.0)
    model = StandardOption(futures_by_class={"other": rates}, options_by_class={"other": no_option})
    contract = instrument_of("perpetual", symbol="PERP", underlying=inputs.text("symbol"), quote="USDC")
    market = Market(time=TIME, currency="USDC", prices={contract.underlying: price})
    return margins(one_account(model, contract, inputs.number("size"), market)), price


_PERPETUAL = {"reads": "symbol size price base inc_per_unit", "calls": "margin.StandardOption"}
_PERPETUAL_NOTE = "size in coins; the share base + inc_per_unit x size. Gives {margin_coin, margin_usdc}."


@adapter("deribit_sm_linear_perp_im", **_PERPETUAL, note=f"Initial: {_PERPETUAL_NOTE}")
def _deribit_sm_linear_perp_im(inputs: Inputs) -> object:
    owed, price = _linear_perpetual(inputs)
    return {"margin_coin": owed["initial"] / price, "margin_usdc": owed["initial"]}


@adapter("deribit_sm_linear_perp_mm", **_PERPETUAL, note=f"Maintenance: {_PERPETUAL_NOTE}")
def _deribit_sm_linear_perp_mm(inputs: Inputs) -> object:
    owed, price = _linear_perpetual(inputs)
    return {"margin_coin": owed["maintenance"] / price, "margin_usdc": owed["maintenance"]}

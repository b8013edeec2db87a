"""Adapters of the parts of portfolio margin, the house rule book: scenarios, and each step from losses to a number."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments import Asset, Catalogue, Option
from crossmargin.margin.basis import Basis, ExpiryRows
from crossmargin.margin.depth import Buckets, Depth, DepthCharge, Kind, OwnerSizes
from crossmargin.margin.exposures import SETS, LeftOut, least
from crossmargin.margin.liquidity import Liquidity, LiquidityRates
from crossmargin.margin.portfolio_book import limited, weighted_buffer
from crossmargin.margin.tails import TailMeasure, cores
from crossmargin.margin.vega import Vega, VegaRates
from crossmargin.market import History
from crossmargin.scenarios import GridShape, filtered, reference, stress
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

NAME = "X"
"""What a case of one underlying is on."""
_DOMAINS = ("positive", "any")
_FIRST_DAY = date(2026, 1, 1)


def numbers_by_name(inputs: Inputs, key: str) -> dict[str, float]:
    """Return a table of finite numbers by name; empty where the case gives none."""
    if not inputs.has(key):
        return {}
    inner = inputs.inner(key)
    return {name: inner.number(name) for name in inner.values}


def names_marked(inputs: Inputs, key: str) -> tuple[str, ...]:
    """Return the names that a table marks as true; none where the case gives none."""
    if not inputs.has(key):
        return ()
    inner = inputs.inner(key)
    return tuple(name for name in inner.values if inner.flag(name))


# --- scenarios


@adapter(
    "portfolio_reference",
    reads="asset_class vol_annual horizon_days price_domain? confidence",
    calls="scenarios.reference, margin.tails.cores",
    note="Our own: expected shortfall of one unit held long at a price of 1 (domain any: of a level of 1) over the"
    " reference set.",
)
def _portfolio_reference(inputs: Inputs) -> object:
    any_domain = inputs.text("price_domain", "positive", among=_DOMAINS) == "any"
    found = reference(
        [NAME],
        {NAME: inputs.text("asset_class")},
        vol_annual={NAME: inputs.number("vol_annual")},
        horizon_days=inputs.whole("horizon_days"),
        any_domain={NAME} if any_domain else (),
    )
    measure = TailMeasure(confidence=inputs.number("confidence"), stress_weight=0.0)
    return float(cores(-found.move, len(found), measure)[0])


@adapter(
    "portfolio_filtered",
    reads="closes horizon_days lookback decay price_domain?",
    calls="scenarios.filtered",
    note="Our own: one close a day. Gives the moves of all windows, the earliest first: simple returns, or price"
    " differences for the domain any.",
)
def _portfolio_filtered(inputs: Inputs) -> object:
    closes = np.array(inputs.numbers("closes"), dtype=np.float64)
    history = History(
        days=tuple(_FIRST_DAY + timedelta(days=k) for k in range(len(closes))), names=(NAME,), closes=closes[:, None]
    )
    any_domain = inputs.text("price_domain", "positive", among=_DOMAINS) == "any"
    found = filtered(
        history,
        [NAME],
        {NAME} if any_domain else (),
        horizon_days=inputs.whole("horizon_days"),
        lookback=inputs.whole("lookback"),
        decay=inputs.number("decay"),
        minimum_days=2,
    )
    return found.move[0].tolist()


@adapter(
    "portfolio_stress",
    reads="moves classes any_domain?",
    calls="scenarios.stress",
    note="Our own: moves {day: {name: simple return}}, classes of all names that are asked for, any_domain {name:"
    " true}. Gives {scenario: {name: move}}, each day in both signs.",
)
def _portfolio_stress(inputs: Inputs) -> object:
    days = inputs.inner("moves")
    classes = inputs.inner("classes")
    names = sorted(classes.values)
    found = stress(
        {day: numbers_by_name(days, day) for day in days.values},
        names,
        classes={name: classes.text(name) for name in names},
        any_domain=names_marked(inputs, "any_domain"),
    )
    return {
        scenario: dict(zip(found.factors, found.move[:, s].tolist(), strict=True))
        for s, scenario in enumerate(found.ids)
    }


@adapter(
    "portfolio_grid",
    reads="range fractions vol_up vol_down extreme_multiple extreme_weight days",
    calls="scenarios.GridShape.scenarios, scenarios.TenorScaling.factor",
    note="Our own: the cells of one group, [move, vol factor at 30 days, weight], and what a vol shock is multiplied by"
    " for options of `days` to expiry. Gives {cells, tenor}.",
)
def _portfolio_grid(inputs: Inputs) -> object:
    shape = GridShape(
        range_by_class={"other": inputs.number("range")},
        price_fractions=tuple(inputs.numbers("fractions")),
        vol_up=inputs.number("vol_up"),
        vol_down=inputs.number("vol_down"),
        extreme_multiple=inputs.number("extreme_multiple"),
        extreme_weight=inputs.number("extreme_weight"),
    )
    found = shape.scenarios(Asset(symbol=NAME), [NAME])
    assert found.vol_factor is not None
    cells = np.stack((found.move[0], found.vol_factor[0], found.weight), axis=1)
    days = np.array([inputs.number("days", above=0)])
    return {"cells": cells.tolist(), "tenor": float(shape.tenor.factor(days / 365.0)[0])}


# --- from losses to a number


@adapter(
    "portfolio_core",
    reads="ordinary stressed confidence stress_weight",
    calls="margin.tails.cores",
    note="Our own: losses of one pool, a loss positive. Gives {expected_shortfall, core}.",
)
def _portfolio_core(inputs: Inputs) -> object:
    ordinary, stressed = inputs.numbers("ordinary"), inputs.numbers("stressed")
    if not ordinary:
        raise InputError("inputs.ordinary", "no losses", "one scenario or more")
    losses = np.array([[*ordinary, *stressed]], dtype=np.float64)
    confidence = inputs.number("confidence")
    alone = TailMeasure(confidence=confidence, stress_weight=0.0)
    both = TailMeasure(confidence=confidence, stress_weight=inputs.number("stress_weight"))
    return {
        "expected_shortfall": float(cores(losses, len(ordinary), alone)[0]),
        "core": float(cores(losses, len(ordinary), both)[0]),
    }


@adapter(
    "portfolio_offset",
    reads="core groups grids minimum? offset_limit",
    calls="margin.portfolio_book.limited",
    note="Our own: core of the pool, cores and worst cells of its groups. M before add-ons.",
)
def _portfolio_offset(inputs: Inputs) -> object:
    return float(
        limited(
            np.array([inputs.number("core")]),
            np.array([sum(inputs.numbers("groups"))]),
            np.array([sum(inputs.numbers("grids"))]),
            np.array([inputs.number("minimum", 0.0)]),
            inputs.number("offset_limit"),
        )[0]
    )


@adapter(
    "portfolio_owned",
    reads="sets factor?",
    calls="margin.exposures.least",
    note="Our own: sets {name: [M of all but it, its counted value]}, names "
    + ", ".join(w.name.lower() for w in LeftOut)
    + "; with a factor k that of initial margin. Gives {requirement, left_out}.",
)
def _portfolio_owned(inputs: Inputs) -> object:
    sets = inputs.inner("sets")
    needed, counted = np.full((1, SETS), np.inf), np.zeros((1, SETS))
    names = {w.name.lower(): w for w in LeftOut}
    for name in sets.values:
        if name not in names:
            raise InputError(f"{sets.place}.{name}", "no set that is tried", ", ".join(names))
        row = sets.numbers(name)
        if len(row) != 2:
            raise InputError(f"{sets.place}.{name}", f"{len(row)} numbers", "[M, counted value]")
        needed[0, names[name]], counted[0, names[name]] = row
    initial = inputs.has("factor")
    total, chosen = least(needed, counted, np.array([inputs.number("factor", 1.0)]), initial=initial)
    return {"requirement": float(total[0]), "left_out": LeftOut(int(chosen[0])).name.lower()}


@adapter(
    "portfolio_buffer",
    reads="cores buffers otherwise?",
    calls="margin.portfolio_book.weighted_buffer",
    note="Our own: cores and buffers of groups by name. b of a pool, `otherwise` where no group has a core.",
)
def _portfolio_buffer(inputs: Inputs) -> object:
    cores_of, buffers = numbers_by_name(inputs, "cores"), numbers_by_name(inputs, "buffers")
    if cores_of.keys() != buffers.keys():
        raise InputError("inputs.buffers", ", ".join(buffers), f"one for each of {', '.join(cores_of)}")
    buffered = np.array([sum(core * buffers[name] for name, core in cores_of.items())])
    return float(weighted_buffer(buffered, np.array([sum(cores_of.values())]), inputs.number("otherwise", 0.0))[0])


# --- add-ons


@adapter(
    "portfolio_basis",
    reads="deltas rest? annual_move saved?",
    calls="margin.basis.Basis.moves, margin.basis.ExpiryRows.charges, margin.basis.ExpiryRows.capped",
    note="Our own: deltas [years to expiry, delta notional] of one group, rest the uncounted rest of its coins, saved"
    " what netting across expiries saves.",
)
def _portfolio_basis(inputs: Inputs) -> object:
    deltas = sorted(inputs.table("deltas", 2), key=lambda row: row[0])
    rows = [(0.0, inputs.number("rest", 0.0), Kind.REST), *((y, a, Kind.CONTRACT) for y, a in deltas)]
    count = len(rows)
    expiries = ExpiryRows(
        pools=1,
        pool=np.zeros(1, dtype=np.int64),
        group=np.zeros(1, dtype=np.int64),
        start=np.array([0, count]),
        amount=np.array([a for _, a, _ in rows], dtype=np.float64),
        kind=np.array([int(k) for _, _, k in rows]),
        holding=np.arange(count),
        years=np.array([y for y, _, _ in rows], dtype=np.float64),
    )
    move = Basis(by_class={"other": inputs.number("annual_move")}).moves(Catalogue.of([], [Asset(symbol=NAME)]))
    charge = expiries.charges(move)
    if inputs.has("saved"):
        charge = expiries.capped(charge, np.array([[inputs.number("saved")]]))
    return float(charge[0, 0])


def _charges(inputs: Inputs, depth: Depth) -> list[float]:
    """Return what each pool of one owner pays in one bucket; pools are {contracts?, money?, rest?}."""
    rows: list[tuple[int, float, Kind]] = []
    pools = inputs.inners("pools")
    for p, pool in enumerate(pools):
        contracts = pool.numbers("contracts") if pool.has("contracts") else []
        rows += [(p, amount, Kind.CONTRACT) for amount in contracts]
        rows += [(p, pool.number("money", 0.0), Kind.MONEY), (p, pool.number("rest", 0.0), Kind.REST)]
    buckets = Buckets.of(
        np.array([p for p, _, _ in rows], dtype=np.int64),
        np.zeros(len(rows), dtype=np.int64),
        np.array([a for _, a, _ in rows], dtype=np.float64),
        np.array([int(k) for _, _, k in rows], dtype=np.int64),
        np.arange(len(rows)),
        pools=len(pools),
        buckets=1,
    )
    owner = np.zeros(len(pools), dtype=np.int64)
    charge = DepthCharge.of(buckets, OwnerSizes.of(buckets, owner).held(buckets, owner), depth)
    return [float(amount) for amount in charge.by_pool[:, 0]]


def _liquidity(inputs: Inputs, spread: float) -> Liquidity:
    rates = LiquidityRates(
        spread=spread, adv=inputs.number("adv", above=0), participation=inputs.number("participation", above=0)
    )
    return Liquidity(by_class={"other": rates}, impact=inputs.number("impact", 1.0))


@adapter(
    "portfolio_liquidity",
    reads="pools spread adv participation sigma_day horizon_days impact?",
    calls="margin.liquidity.Liquidity.depth, margin.depth.OwnerSizes, margin.depth.DepthCharge",
    note="Our own: pools of one owner in one bucket, each {contracts, money, rest} of delta notional. What each pays.",
)
def _portfolio_liquidity(inputs: Inputs) -> object:
    catalogue = Catalogue.of([], [Asset(symbol=NAME)])
    sigma, horizon = (np.array([inputs.number(key, above=0)]) for key in ("sigma_day", "horizon_days"))
    return _charges(inputs, _liquidity(inputs, inputs.number("spread")).depth(catalogue, sigma, horizon))


@adapter(
    "portfolio_vega",
    reads="pools spread_points points_a_day volume_share adv participation horizon_days impact?",
    calls="margin.vega.Vega.depth, margin.depth.OwnerSizes, margin.depth.DepthCharge",
    note="Our own: pools of one owner at one expiry, each {contracts} of vega a vol point. What each pays.",
)
def _portfolio_vega(inputs: Inputs) -> object:
    expiry = datetime(2026, 2, 1, tzinfo=UTC)
    option = Option(symbol="O", underlying=NAME, quote="USD", option_type="call", strike=Decimal(1), expiry=expiry)
    catalogue = Catalogue.of([option], [Asset(symbol=NAME)])
    rates = VegaRates(
        spread_points=inputs.number("spread_points"),
        points_a_day=inputs.number("points_a_day"),
        volume_share=inputs.number("volume_share"),
    )
    horizon = np.full(len(catalogue.assets), inputs.number("horizon_days", above=0))
    return _charges(inputs, Vega(by_class={"other": rates}).depth(catalogue, _liquidity(inputs, 0.0), horizon))

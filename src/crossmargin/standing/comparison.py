"""Comparison: one book under several rule books, and where their numbers part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossmargin.book import Book, Pools
from crossmargin.errors import InputError
from crossmargin.market import Market
from crossmargin.ragged import group_sums, starts
from crossmargin.rules import Rules
from crossmargin.standing.standing import Standing, evaluate, portfolios_of
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """Maintenance margin of each pool as layers that add up to it; every column has shape (P,)."""

    leg_alone: FloatArray
    """(L,) each position on its own."""
    leg_alone_initial: FloatArray
    """(L,) the same of initial margin, which the layers are not of."""
    alone: FloatArray
    """Sum of its positions, each on its own."""
    within: FloatArray
    """What positions of one underlying save each other; a saving is negative."""
    between: FloatArray
    """What underlyings save each other, or what is asked of the whole alone; a saving is negative."""
    collateral: FloatArray
    """What the collateral adds by its own risk, or saves as a hedge."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """A book under one rule book."""

    standing: Standing
    layers: Layers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """A book under several rule books, by their names. Pools have the same numbers under all of them."""

    under: dict[str, Compared]
    refused: dict[str, str]
    """Why a rule book cannot express the book, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One reason why a rule book asks for more or less than another."""

    what: str
    amount: float
    """Added to the requirement, in the reporting currency; negative where it is less."""


def compare(book: Book, market: Market, rule_books: Sequence[Rules]) -> Comparison:
    """Return `book` at `market` under every one of `rule_books` that can express it.

    A rule book that refuses what is held, or lacks what it needs of the market, is told of and left out.
    """
    under: dict[str, Compared] = {}
    refused: dict[str, str] = {}
    for rules in rule_books:
        try:
            standing = evaluate(book, market, rules)
        except InputError as error:
            refused[rules.name] = str(error)
            continue
        under[rules.name] = Compared(standing=standing, layers=layers(standing))
    return Comparison(under=under, refused=refused)


def layers(standing: Standing) -> Layers:
    """Return the maintenance margin of every pool in layers."""
    pools, terms = standing.pools, standing.valuation.catalogue
    leg_pool = pools.leg_pool
    group = np.array([terms.asset_number[asset.group] for asset in terms.assets], dtype=np.int64)
    leg_group = group[terms.underlying[pools.leg_instrument]]
    by_leg, by_leg_initial = _totals(standing, np.arange(len(leg_pool)), leg_pool)
    key, of_group = np.unique(leg_pool * len(terms.assets) + leg_group, return_inverse=True)
    by_group, _ = _totals(standing, of_group, key // len(terms.assets))
    legs, _ = _totals(standing, leg_pool, np.arange(pools.count))
    alone = group_sums(leg_pool, by_leg, pools.count)
    groups = group_sums(key // len(terms.assets), by_group, pools.count)
    return Layers(
        leg_alone=by_leg,
        leg_alone_initial=by_leg_initial,
        alone=alone,
        within=groups - alone,
        between=legs - groups,
        collateral=standing.maintenance_margin - legs,
    )


def causes(standing: Standing, of: Layers, than: Layers, pool: int, *, most: int = 3) -> list[Cause]:
    """Return why one rule book asks more or less of a pool than another: the largest reasons first, at most `most`.

    All of them, not only the largest, add up to the difference of the maintenance margins: each underlying's
    positions alone, offsets within and between underlyings, and collateral. `standing` is that of either.
    """
    pools, terms = standing.pools, standing.valuation.catalogue
    legs = slice(int(pools.leg_start[pool]), int(pools.leg_start[pool + 1]))
    difference = of.leg_alone[legs] - than.leg_alone[legs]
    by_underlying: dict[str, float] = {}
    for instrument, amount in zip(pools.leg_instrument[legs].tolist(), difference.tolist(), strict=True):
        name = terms.assets[terms.underlying[instrument]].symbol
        by_underlying[name] = by_underlying.get(name, 0.0) + amount
    found = [Cause(what=f"positions in {name} on their own", amount=amount) for name, amount in by_underlying.items()]
    for what, one, other in (
        ("offsets within an underlying", of.within, than.within),
        ("offsets between underlyings", of.between, than.between),
        ("collateral, as a risk or a hedge", of.collateral, than.collateral),
    ):
        found.append(Cause(what=what, amount=float(one[pool] - other[pool])))
    found = [cause for cause in found if cause.amount != 0.0]
    return sorted(found, key=lambda cause: -abs(cause.amount))[:most]


def _totals(standing: Standing, part: IntArray, pool: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return (maintenance, initial) margin of parts of pools without collateral: `part` (L,) of each leg, `pool`
    (parts,) of each part."""
    pools, count = standing.pools, len(pool)
    order = np.argsort(part, kind="stable")
    none = np.zeros(0, dtype=np.int64)
    apart: Pools = replace(
        pools,
        credit=pools.credit[pool],
        isolated=np.zeros(count, dtype=np.bool_),
        owner=pools.owner[pool],
        leg_start=starts(part[order], count),
        leg_instrument=pools.leg_instrument[order],
        leg_quantity=pools.leg_quantity[order],
        leg_priced=pools.leg_priced[order],
        leg_entry_value=pools.leg_entry_value[order],
        balance_start=np.zeros(count + 1, dtype=np.int64),
        balance_asset=none,
        balance_amount=np.zeros(0),
        balance_location=none,
        balance_fenced=np.zeros(0, dtype=np.bool_),
    )
    portfolios, _ = portfolios_of(
        apart,
        standing.valuation,
        apart.leg_instrument,
        entry_value=standing.portfolios.entry_value[order],
        balance_price=np.zeros(0),
        weight=np.zeros(0),
        rules=standing.rules,
        locations=standing.book.locations,
    )
    portfolios = replace(portfolios, whole_book=standing.portfolios.whole_book)
    model = standing.rules.model
    maintenance, initial = model.totals(model.ingredients(portfolios), portfolios.credit_factor)
    return np.asarray(maintenance, dtype=np.float64), np.asarray(initial, dtype=np.float64)

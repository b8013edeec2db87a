"""Whole books as Derive-style rule books see them: a market for what a pool holds on one group of assets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

from crossmargin.instruments import KINDS, Catalogue
from crossmargin.margin.derive import DAYS_A_YEAR, Holdings, Losses, OptionRows, Scenarios
from crossmargin.margin.grid import american_options
from crossmargin.margin.model import Portfolios, Terms, WorstScenarios
from crossmargin.margin.parameters import OTHER
from crossmargin.ragged import distinct, group_sums
from crossmargin.units import BoolArray, FloatArray, IntArray

_FUTURE, _OPTION = KINDS.index("future"), KINDS.index("option")
_MINUTES_A_YEAR = DAYS_A_YEAR * 24 * 60

T = TypeVar("T")


def not_listed(portfolios: Portfolios) -> IntArray:
    """Return the instrument numbers held that no such venue lists.

    Dated futures, inverse (coin-settled) contracts, American options, prices that may be negative.
    """
    terms = portfolios.valuation.catalogue
    held = distinct(portfolios.leg_instrument, len(terms))
    unlisted = held[(terms.kind[held] == _FUTURE) | terms.inverse[held] | terms.any_domain[held]]
    return np.union1d(american_options(portfolios), unlisted)


@lru_cache(maxsize=8)
def groups_of(catalogue: Catalogue) -> IntArray:
    """Return the number of each asset's group, (assets,)."""
    return np.array([catalogue.asset_number[asset.group] for asset in catalogue.assets], dtype=np.int64)


@lru_cache(maxsize=8)
def _stable(catalogue: Catalogue) -> BoolArray:
    return np.array([asset.asset_class == "stablecoin" for asset in catalogue.assets], dtype=np.bool_)


def is_coin(portfolios: Portfolios) -> BoolArray:
    """Return which balances can move in price, (B,): neither the reporting currency nor a stable coin."""
    asset = portfolios.pools.balance_asset
    return np.asarray((asset != portfolios.valuation.currency) & ~_stable(portfolios.valuation.catalogue)[asset])


def by_asset(
    catalogue: Catalogue, asset: IntArray, by_name: Mapping[str, T], by_class: Mapping[str, T]
) -> list[tuple[T, IntArray]]:
    """Return each entry in use with the rows of `asset` (numbers) it applies to: by name, else class, else `other`."""
    found = []
    for number in np.unique(asset).tolist():
        known = catalogue.assets[number]
        entry = by_name.get(known.symbol, by_class.get(known.asset_class, by_class[OTHER]))
        found.append((entry, np.flatnonzero(asset == number)))
    return found


def peg_prices(portfolios: Portfolios, currency: str) -> FloatArray:
    """Return the value of each leg's settlement coin in `currency`, (L,).

    Infinite, so never below a threshold, where the coin is no stable coin or the value of `currency` is unknown.
    """
    valuation = portfolios.valuation
    number = valuation.catalogue.asset_number.get(currency)
    unit = np.nan if number is None else valuation.fx[number]
    if currency == valuation.catalogue.assets[valuation.currency].symbol:
        unit = 1.0
    settle = valuation.catalogue.settle[portfolios.leg_instrument]
    pegged = _stable(valuation.catalogue)[settle] & ~np.isnan(unit)
    return np.where(pegged, portfolios.legs(valuation.settle_fx) / unit, np.inf)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Markets:
    """The markets of all pools, sorted by pool; M of them, with where their parts came from."""

    holdings: Holdings
    pool: IntArray
    group: IntArray
    """(M,) pool number, and asset number of the group."""
    leg_of_option: IntArray
    leg_of_perp: IntArray
    """Leg of each option holding (H,) and perpetual (K,)."""
    of_leg: IntArray
    """(L,) market of each leg; -1 for those of no quantity."""
    of_balance: IntArray
    """(B,) market of each balance that moves with one; -1 for the others."""

    def by_pool(self, value: FloatArray, count: int) -> FloatArray:
        """Return the sums over the markets of each pool, (count,), of `value` (M,)."""
        return group_sums(self.pool, value, count)

    def balance_shares(self, portfolios: Portfolios, moving: FloatArray) -> FloatArray:
        """Return each balance's part, (B,), of what the moving collateral of its market makes up, (M,): by value."""
        value = portfolios.counted_value
        moves = self.of_balance >= 0
        total = self.holdings.moving
        per_unit = np.divide(moving, total, out=np.zeros(len(total)), where=total != 0.0)
        return (
            np.where(moves, value * per_unit[np.where(moves, self.of_balance, 0)], 0.0) if moves.any() else 0.0 * value
        )

    def scenario_terms(self, catalogue: Catalogue, amount: FloatArray) -> Terms:
        """Return one term a market, "scenarios" and its group, of `amount` (M,)."""
        used, label = np.unique(self.group, return_inverse=True)
        names = tuple(f"scenarios {catalogue.assets[k].symbol}" for k in used.tolist())
        return Terms.of_rows(self.pool, names, label.ravel(), amount)

    def worst(self, found: Losses, scenarios: Scenarios, count: int, catalogue: Catalogue) -> WorstScenarios:
        """Return the scenario of each pool's market that loses most."""
        loss = found.loss
        order = np.lexsort((np.arange(len(loss)), -loss, self.pool))
        first = order[np.flatnonzero(np.diff(self.pool[order], prepend=-1) != 0)]
        block, scenario, most = np.zeros(count, np.int64), np.full(count, -1), np.zeros(count)
        block[self.pool[first]], most[self.pool[first]] = self.group[first], loss[first]
        scenario[self.pool[first]] = np.where(loss[first] > 0.0, found.worst[first], -1)

        def name(block: int, scenario: int) -> str:
            return f"{catalogue.assets[block].symbol} {scenarios.name(scenario)}"

        return WorstScenarios(block=block, scenario=scenario, loss=most, name=name)


def markets_of(portfolios: Portfolios, moving: BoolArray, *, settlement_minutes: float) -> Markets:
    """Return the markets of all pools; `moving` (B,) are the balances that move with one, at what of them counts.

    An expiry is the options of one underlying, quote and settle asset that end together. Over the last
    `settlement_minutes` before it the forward no longer moves in full: the settlement price is an average over them,
    so the share of them that has passed is fixed.
    """
    pools, valuation = portfolios.pools, portfolios.valuation
    terms, instrument = valuation.catalogue, portfolios.pools.leg_instrument
    group = groups_of(terms)
    assets = len(terms.assets)
    leg_key = pools.leg_pool * assets + group[terms.underlying[instrument]]
    balance_key = pools.balance_pool * assets + group[pools.balance_asset]
    live = portfolios.quantity != 0.0
    keys = np.unique(np.concatenate((leg_key[live], balance_key[moving])))
    of_leg = np.where(live, np.searchsorted(keys, leg_key), -1)
    of_balance = np.where(moving, np.searchsorted(keys, balance_key), -1)
    settle_fx = portfolios.legs(valuation.settle_fx)
    amount = portfolios.quantity * terms.contract_size[instrument] * settle_fx
    index = portfolios.legs(valuation.index) * portfolios.legs(valuation.quote_fx) / settle_fx

    option = np.flatnonzero(live & portfolios.is_option)
    columns = (terms.settle, terms.quote, terms.expiry, terms.underlying)
    parts = [column[instrument[option]] for column in columns] + [of_leg[option]]
    order = np.lexsort((option, *parts))
    changes = np.zeros(max(0, len(order) - 1), dtype=np.bool_)
    for part in parts:
        changes |= np.diff(part[order]) != 0
    option = option[order]
    expiry = np.zeros(len(order), dtype=np.int64)
    expiry[1:] = np.cumsum(changes)
    first = option[np.flatnonzero(np.diff(expiry, prepend=-1) != 0)]
    rows = distinct(portfolios.leg_row[option], len(valuation.instrument))
    tau = portfolios.legs(valuation.tau)[first]
    perp = np.flatnonzero(live & ~portfolios.is_option)
    holdings = Holdings(
        count=len(keys),
        options=_rows(portfolios, rows, settlement_minutes),
        row=np.searchsorted(rows, portfolios.leg_row[option]),
        amount=amount[option],
        expiry=expiry,
        market=of_leg[first],
        tau=tau,
        rate=np.maximum(0.0, -np.log(portfolios.legs(valuation.discount)[first]) / tau),
        index=index[first],
        perp_market=of_leg[perp],
        perp_amount=amount[perp],
        perp_price=portfolios.legs(valuation.mark)[perp],
        perp_index=index[perp],
        moving=group_sums(of_balance[moving], portfolios.counted_value[moving], len(keys)),
    )
    return Markets(
        holdings=holdings,
        pool=keys // assets,
        group=keys % assets,
        leg_of_option=option,
        leg_of_perp=perp,
        of_leg=of_leg,
        of_balance=of_balance,
    )


def _rows(portfolios: Portfolios, rows: IntArray, settlement_minutes: float) -> OptionRows:
    valuation, terms = portfolios.valuation, portfolios.valuation.catalogue
    instrument, forward = valuation.instrument[rows], valuation.forward[rows]
    left = np.minimum(valuation.tau[rows] * _MINUTES_A_YEAR, settlement_minutes)
    fixed = forward * (1.0 - left / settlement_minutes) if settlement_minutes else np.zeros_like(forward)
    return OptionRows(
        forward_fixed=fixed,
        forward_variable=forward - fixed,
        strike=terms.strike[instrument],
        is_call=terms.is_call[instrument],
        vol=valuation.iv[rows],
        tau=valuation.tau[rows],
        discount=valuation.discount[rows],
        offset=valuation.offset[rows],
    )

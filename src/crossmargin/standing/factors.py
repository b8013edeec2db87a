"""Risk factors of a pool: which prices and vols it depends on, and how they move together in a day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.instruments import KINDS
from crossmargin.margin.portfolio import Portfolio
from crossmargin.ragged import distinct
from crossmargin.scenarios import JointParameters, JointScenarios, joint_scenarios, shipped
from crossmargin.standing.shifts import JointShifts
from crossmargin.standing.standing import Standing
from crossmargin.units import BoolArray, FloatArray, IntArray

_OPTION = KINDS.index("option")
_HOUSE = JointParameters()
_LEAST_VARIANCE = 1e-10
"""Of the correlations: directions that vary less than this share of the most varied one are held still."""
PRICE_FACTOR_MOST = 1_000.0
"""Prices are looked at from 1 / this to this times what they are; those that may be negative to +- as many levels."""
VOL_FACTOR_MOST = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factors:
    """Log moves of prices (differences where prices may be negative), then log moves of vols.

    Shapes: F factors, the first of them prices, the rest vols; r directions in which they vary.
    """

    price_of: IntArray
    """(prices,) asset numbers."""
    vol_of: IntArray
    """(vols,) asset numbers of the underlyings of options held."""
    absolute: BoolArray
    """(prices,) True where the factor is a difference, in price units."""
    covariance: FloatArray
    """(F, F) of a day's moves, about 0."""
    root: FloatArray
    """(F, r) moves = root u: the Mahalanobis distance of the moves is |u|."""
    most: FloatArray
    """(F,) largest move looked at, either way."""
    assets: int
    source: str
    """Where the covariance comes from: `history` or `reference`; vols that history has no series of are stated ones."""

    def __len__(self) -> int:
        return len(self.price_of) + len(self.vol_of)

    def shifts(self, moves: FloatArray) -> JointShifts:
        """Return the states of moves (states, F)."""
        prices = len(self.price_of)
        size = np.zeros((len(moves), self.assets))
        change = moves[:, :prices]
        size[:, self.price_of] = np.where(self.absolute, change, np.expm1(np.where(self.absolute, 0.0, change)))
        if not len(self.vol_of):
            return JointShifts(size=size)
        vol = np.ones((len(moves), self.assets))
        vol[:, self.vol_of] = np.exp(moves[:, prices:])
        return JointShifts(size=size, vol=vol)

    def reach(self, direction: FloatArray) -> FloatArray:
        """Return how far along each direction u (n, r) moves stay within `most`, (n,)."""
        moves = np.abs(direction @ self.root.T)
        with np.errstate(divide="ignore"):
            return np.asarray(np.min(np.where(moves > 0.0, self.most / moves, np.inf), axis=1))


def factors_of(standing: Standing, pool: int) -> Factors:
    """Return the risk factors of a pool.

    Their covariance is that of the ordinary joint scenarios (the rule book's own, where it has them; else those of
    the house rule book), each factor's moves divided by the root of its horizon in days. A vol has the moves that
    the history's row "<underlying>.vol" gives it; else the stated ones of its asset class (`scenarios/vols.toml`):
    v = s (rho x / sigma + sqrt(1 - rho^2) e), x and sigma of its own price, what is left (e) of two vols correlated
    as their prices are. What does not move in the scenarios, such as a peg that holds, is no factor.
    """
    valuation, terms = standing.valuation, standing.valuation.catalogue
    model = standing.rules.model
    joint = model.scenarios(valuation) if isinstance(model, Portfolio) else joint_scenarios(valuation, _HOUSE)
    prices, optioned = _exposed(standing, pool)
    absolute = np.zeros(len(terms.assets), dtype=np.bool_)
    absolute[terms.underlying[terms.any_domain]] = True
    level = _levels(standing)
    daily = _Daily(joint, absolute, level, [asset.symbol for asset in terms.assets])
    prices = np.array([a for a in prices.tolist() if daily.varies(a)], dtype=np.int64)
    measured = [a for a in optioned.tolist() if daily.vol_varies(a)]
    stated = [a for a in optioned.tolist() if a not in measured]
    rows = [daily.price(a) for a in prices.tolist()] + [daily.vol(a) for a in measured]
    sample = np.array(rows).reshape(len(rows), len(joint.ordinary))
    covariance = _with_stated(
        sample @ sample.T / len(joint.ordinary),
        np.array([_place(prices, a) for a in stated], dtype=np.int64),
        np.array([_stated("daily", terms.assets[a].asset_class) for a in stated]),
        np.array([_stated("correlation", terms.assets[a].asset_class) for a in stated]),
    )
    at = absolute[prices]
    most = np.where(at, PRICE_FACTOR_MOST * np.maximum(np.abs(level[prices]), 1.0), np.log(PRICE_FACTOR_MOST))
    vols = np.array([*measured, *stated], dtype=np.int64)
    return Factors(
        price_of=prices,
        vol_of=vols,
        absolute=at,
        covariance=covariance,
        root=root_of(covariance),
        most=np.concatenate((most, np.full(len(vols), np.log(VOL_FACTOR_MOST)))),
        assets=len(terms.assets),
        source=joint.report.source,
    )


def _exposed(standing: Standing, pool: int) -> tuple[IntArray, IntArray]:
    """Return the assets whose price a pool depends on, and the underlyings of its options."""
    pools, valuation = standing.pools, standing.valuation
    terms, assets = valuation.catalogue, len(valuation.catalogue.assets)
    legs = np.arange(pools.leg_start[pool], pools.leg_start[pool + 1])
    legs = legs[pools.leg_quantity[legs] != 0.0]
    rows = np.arange(pools.balance_start[pool], pools.balance_start[pool + 1])
    rows = rows[pools.balance_amount[rows] != 0.0]
    instrument = pools.leg_instrument[legs]
    found = np.concatenate(
        (terms.underlying[instrument], terms.settle[instrument], terms.quote[instrument], pools.balance_asset[rows])
    )
    along = found
    while len(along):
        along = valuation.priced_in[along]
        along = along[along >= 0]
        found = np.concatenate((found, along))
    followed = terms.quote[terms.underlying == valuation.currency]
    if len(followed):
        # What the reporting currency is quoted in has no move of its own: it moves against it.
        follows = np.isin(found, followed)
        found = np.concatenate((found[~follows], np.full(int(follows.any()), valuation.currency)))
    else:
        found = found[found != valuation.currency]
    options = instrument[terms.kind[instrument] == _OPTION]
    return distinct(found, assets), distinct(terms.underlying[options], assets)


def _levels(standing: Standing) -> FloatArray:
    """Return the index of every asset that contracts are on, else 0, (assets,)."""
    valuation = standing.valuation
    level = np.zeros(len(valuation.catalogue.assets))
    priced = np.flatnonzero(np.isfinite(valuation.index))
    level[valuation.catalogue.underlying[valuation.instrument[priced]]] = valuation.index[priced]
    return level


class _Daily:
    """A day's moves of prices and vols in the ordinary scenarios."""

    def __init__(self, joint: JointScenarios, absolute: BoolArray, level: FloatArray, names: list[str]) -> None:
        self.joint, self.absolute, self.level, self.names = joint, absolute, level, names
        self.row = {name: f for f, name in enumerate(joint.ordinary.factors)}

    def price(self, asset: int) -> FloatArray:
        """Return log moves, or differences in price units, over the root of the horizon, (S,)."""
        name, ordinary = self.names[asset], self.joint.ordinary
        move = ordinary.move[self.row[name]]
        if not self.absolute[asset]:
            move = np.log1p(move)
        elif ordinary.any_floor is not None:
            move = move * max(abs(self.level[asset]), ordinary.any_floor[self.row[name]])
        return np.asarray(move / np.sqrt(self.joint.report.horizon_days[name]))

    def vol(self, asset: int) -> FloatArray:
        """Return log moves of the vol over the root of the horizon, (S,)."""
        factor = self.joint.ordinary.vol_factor
        assert factor is not None
        name = self.names[asset]
        return np.asarray(np.log(factor[self.row[name]]) / np.sqrt(self.joint.report.horizon_days[name]))

    def varies(self, asset: int) -> bool:
        """Return whether a price moves in any scenario."""
        return self.names[asset] in self.row and bool(np.any(self.price(asset) != 0.0))

    def vol_varies(self, asset: int) -> bool:
        """Return whether history has moves of an asset's vol, which must stay above 0."""
        factor = self.joint.ordinary.vol_factor
        if factor is None or self.names[asset] not in self.row:
            return False
        own = factor[self.row[self.names[asset]]]
        return bool(np.any(own != 1.0) and np.all(own > 0.0))


def _stated(key: str, asset_class: str) -> float:
    by_class = shipped.value("vols", key)
    return float(by_class.get(asset_class, by_class["other"]))


def _place(prices: IntArray, asset: int) -> int:
    found = np.flatnonzero(prices == asset)
    return int(found[0]) if len(found) else -1


def _with_stated(covariance: FloatArray, price: IntArray, sigma: FloatArray, rho: FloatArray) -> FloatArray:
    """Return the covariance with stated vols added: `price` is the row of each one's own price, -1: it has none."""
    count, vols = len(covariance), len(price)
    rho = np.where(price >= 0, rho, 0.0)
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    with_all = np.zeros((vols, count))
    known = price >= 0
    with_all[known] = correlation[price[known]]
    among = np.eye(vols)
    among[np.ix_(known, known)] = correlation[np.ix_(price[known], price[known])]
    left = np.sqrt(1.0 - rho**2)
    full = np.empty((count + vols, count + vols))
    full[:count, :count] = covariance
    full[count:, :count] = (sigma * rho)[:, None] * with_all * deviation
    full[:count, count:] = full[count:, :count].T
    full[count:, count:] = np.outer(sigma, sigma) * among * (np.outer(rho, rho) + np.outer(left, left))
    return full


def root_of(covariance: FloatArray) -> FloatArray:
    """Return (F, r) whose product with its transpose is the covariance, without the directions that hardly vary."""
    if not len(covariance):
        return np.zeros((0, 0))
    deviation = np.sqrt(np.diag(covariance))
    value, vector = np.linalg.eigh(covariance / np.outer(deviation, deviation))
    kept = value > _LEAST_VARIANCE * value.max(initial=0.0)
    # Largest first, with signs fixed: the same directions whatever the library returns.
    vector = vector[:, kept][:, ::-1]
    largest = np.argmax(np.abs(vector), axis=0)
    vector = vector * np.sign(vector[largest, np.arange(vector.shape[1])])
    return np.asarray(deviation[:, None] * vector * np.sqrt(value[kept][::-1]))

"""Haircuts: how many of the units a pool owns count, after tiers, caps and the place they are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np

from crossmargin.book import CREDIT_TIERS, Location, Pools
from crossmargin.collateral.wrong_way import WrongWay
from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset, Catalogue
from crossmargin.instruments.assets import check_tiers
from crossmargin.ragged import group_sums
from crossmargin.units import YEAR_SECONDS, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Tiers:
    """Marginal slices (up to this many units, haircut), the last one without end.

    The first slice's haircut applies to the first units whatever the size of the whole, so the counted quantity
    is concave, non-decreasing and continuous.
    """

    slices: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        check_tiers("haircut", self.slices)

    @classmethod
    def flat(cls, haircut: float) -> Tiers:
        """Return one haircut for any size."""
        return cls(((inf, haircut),))

    def counted(self, quantity: FloatArray | float) -> FloatArray:
        """Return how many of `quantity` >= 0 owned units count, any shape."""
        quantity = np.asarray(quantity, dtype=np.float64)
        counted = np.zeros_like(quantity)
        low = 0.0
        for high, haircut in self.slices:
            counted += (np.minimum(quantity, high) - np.minimum(quantity, low)) * (1.0 - haircut)
            low = high
        return counted

    def scaled(self, factor: float) -> Tiers:
        """Return the slices with every haircut multiplied, at most 1."""
        return Tiers(tuple((bound, min(1.0, haircut * factor)) for bound, haircut in self.slices))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HaircutPolicy:
    """The haircut of every asset under a rule book; an asset's own tiers come first, then its name, then its class."""

    by_class: Mapping[str, Tiers]
    by_name: Mapping[str, Tiers] = field(default_factory=dict)
    reporting_currency: Tiers = field(default_factory=lambda: Tiers.flat(0.0))
    transfer_k: float = 0.0
    """k in the discount exp(-k sigma sqrt(t)) of a location whose transfers take t years to be final."""
    transfer_vol: Mapping[str, float] = field(default_factory=dict)
    """sigma of that discount, annual, by asset class."""
    credit_haircut: Mapping[str, float] = field(default_factory=dict)
    """By credit tier: what haircuts are multiplied by for initial margin only; 1 where absent."""
    wrong_way: WrongWay | None = None
    """Which collateral has weight 0 because of who holds it; None: no such rule."""

    def __post_init__(self) -> None:
        if "other" not in self.by_class:
            raise InvalidRules("haircut by class", f"{', '.join(self.by_class) or 'nothing'}", "an entry for other")
        for tier, factor in self.credit_haircut.items():
            if tier not in CREDIT_TIERS or not factor >= 1:
                raise InvalidRules(f"credit haircut {tier}", str(factor), f"1 or more, for {', '.join(CREDIT_TIERS)}")

    def tiers(self, asset: Asset, currency: str) -> Tiers:
        """Return the slices that apply to an asset, given the reporting currency."""
        if asset.haircut is not None:
            return Tiers(asset.haircut)
        if asset.symbol == currency:
            return self.reporting_currency
        return self.by_name.get(asset.symbol) or self.by_class.get(asset.asset_class, self.by_class["other"])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """What the balances of pools count. Shapes: B balances, P pools."""

    counted: FloatArray
    """(B,) units that count; a debt in full, negative."""
    rest: FloatArray
    """(B,) owned units that do not count."""
    initial_only: FloatArray
    """(P,) value that counts for maintenance and not for initial margin: halted places, credit tier."""


def count_collateral(
    policy: HaircutPolicy,
    pools: Pools,
    catalogue: Catalogue,
    *,
    currency: str,
    locations: tuple[Location, ...],
    price: FloatArray,
    weight: FloatArray | None = None,
) -> Counted:
    """Return what each balance counts.

    `price` (B,) is the value of one unit in the reporting currency. Of each asset a pool owns: the quantity up to
    the asset's cap passes the marginal tiers; then each row takes its place's discount and fee, and the value in
    one place is limited to that place's cap. Counted value = p q (1 - h) exp(-k sigma sqrt(t)) - fee, >= 0. The
    fenced collateral of an isolated position counts in full, unless it is wrong-way: its requirement is in the same
    asset. `weight` (B,) is
    what is left of each row for who holds it (`WrongWay`), before the caps of places.
    """
    amount, asset = pools.balance_amount, pools.balance_asset
    owned = (amount > 0) & ~pools.balance_fenced
    counted = amount.copy()
    share = _counted_share(policy, pools, catalogue, currency, owned, credit=False)
    place = _place_factor(policy, catalogue, locations, asset, pools.balance_location)
    fee = np.array([location.fee for location in locations])[pools.balance_location]
    with np.errstate(divide="ignore", invalid="ignore"):
        after = np.maximum(amount * share * place - np.where(fee > 0, fee / price, 0.0), 0.0)
    counted[owned] = after[owned]
    if weight is not None:
        counted[amount > 0] *= weight[amount > 0]
    counted = _within_place_caps(pools, locations, counted, price, owned)
    initial = counted.copy()
    if any(factor > 1 for factor in policy.credit_haircut.values()):
        strict = _counted_share(policy, pools, catalogue, currency, owned, credit=True)
        has = owned & (share > 0)
        initial[has] *= strict[has] / share[has]
    halted = np.array([location.halted for location in locations])[pools.balance_location]
    initial[halted & owned] = 0.0
    return Counted(
        counted=counted,
        rest=np.where(amount > 0, amount - counted, 0.0),
        initial_only=group_sums(pools.balance_pool, (counted - initial) * price, pools.count),
    )


def _counted_share(
    policy: HaircutPolicy, pools: Pools, catalogue: Catalogue, currency: str, owned: BoolArray, *, credit: bool
) -> FloatArray:
    """Return the share of each owned row that passes caps and tiers, (B,); rows of a pool and asset share alike."""
    share = np.ones(len(owned))
    rows = np.flatnonzero(owned)
    if not len(rows):
        return share
    pool, asset = pools.balance_pool[rows], pools.balance_asset[rows]
    new = np.concatenate(([True], (np.diff(pool) != 0) | (np.diff(asset) != 0)))
    group = np.cumsum(new) - 1
    total = group_sums(group, pools.balance_amount[rows], int(group[-1]) + 1)
    first = np.flatnonzero(new)
    passed = np.empty_like(total)
    tier_of = pools.credit[pool[first]] if credit else np.zeros(len(first), dtype=np.int64)
    for a in np.unique(asset[first]).tolist():
        known = catalogue.assets[a]
        for tier in np.unique(tier_of).tolist():
            part = np.flatnonzero((asset[first] == a) & (tier_of == tier))
            if not len(part):
                continue
            tiers = policy.tiers(known, currency)
            if credit:
                tiers = tiers.scaled(policy.credit_haircut.get(CREDIT_TIERS[tier], 1.0))
            quantity = total[part] if known.cap is None else np.minimum(total[part], known.cap)
            passed[part] = tiers.counted(quantity)
    share[rows] = (passed / total)[group]
    return share


def _place_factor(
    policy: HaircutPolicy,
    catalogue: Catalogue,
    locations: tuple[Location, ...],
    asset: IntArray,
    location: IntArray,
) -> FloatArray:
    if not any(place.finality_seconds for place in locations):
        return np.ones(len(asset))
    seconds = np.array([place.finality_seconds for place in locations])[location]
    vols = policy.transfer_vol
    sigma = np.array([vols.get(a.asset_class, vols.get("other", 0.0)) for a in catalogue.assets])[asset]
    return np.asarray(np.exp(-policy.transfer_k * sigma * np.sqrt(seconds / YEAR_SECONDS)), dtype=np.float64)


def _within_place_caps(
    pools: Pools, locations: tuple[Location, ...], counted: FloatArray, price: FloatArray, owned: BoolArray
) -> FloatArray:
    for number, location in enumerate(locations):
        if location.cap is None:
            continue
        rows = np.flatnonzero(owned & (pools.balance_location == number))
        pool = pools.balance_pool[rows]
        total = group_sums(pool, counted[rows] * price[rows], pools.count)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(total > location.cap, location.cap / total, 1.0)
        counted[rows] *= factor[pool]
    return counted

"""Wrong-way collateral: what would be worth least just when its owner cannot pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from math import isfinite

import numpy as np

from crossmargin.book import Pools
from crossmargin.errors import InvalidRules
from crossmargin.instruments import Catalogue
from crossmargin.ragged import group_sums, slices, starts
from crossmargin.units import FloatArray, IntArray


class Reason(IntEnum):
    """Why a balance counts nothing; of several the first."""

    NONE = 0
    ISSUED_BY_OWNER = 1
    OWN_TOKEN = 2
    SHARE_OF_SUPPLY = 3

    @property
    def sentence(self) -> str:
        """The reason in words, empty for none."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.NONE: "",
    Reason.ISSUED_BY_OWNER: "issued by its owner or the owner's group",
    Reason.OWN_TOKEN: "the venue's own token",
    Reason.SHARE_OF_SUPPLY: "its owner holds too much of the supply",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrongWayBalances:
    """What each balance of pools keeps of its weight as collateral, and why; B balances."""

    multiplier: FloatArray
    """(B,) 1, or 0 for owned collateral that is wrong-way; a debt keeps 1: it is owed in full.

    What no longer counts joins the uncounted rest: it may still offset a short, and never adds a loss."""
    reason: IntArray
    """(B,) codes of `Reason`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrongWay:
    """Which collateral has weight 0. A declared cliff: at the limit of supply the weight falls from 1 to 0 at once."""

    own_tokens: tuple[str, ...] = ()
    """Assets of the venue itself: never collateral here, whoever owns them."""
    supply: Mapping[str, float] = field(default_factory=dict)
    """Units of an asset that exist; an asset that is not listed is not tested."""
    share_of_supply: float = 0.10
    """An owner that holds more than this fraction of the supply gets no weight for it."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Group of companies by the name of an owner or an issuer; by default each is its own."""

    def __post_init__(self) -> None:
        if not 0 <= self.share_of_supply <= 1:
            raise InvalidRules("share_of_supply", str(self.share_of_supply), "a fraction from 0 to 1")
        for name, units in self.supply.items():
            if not (isfinite(units) and units > 0):
                raise InvalidRules(f"supply {name}", str(units), "a finite number of units above 0")

    def of(
        self,
        pools: Pools,
        catalogue: Catalogue,
        owners: Sequence[str],
        members: tuple[IntArray, IntArray] | None = None,
    ) -> WrongWayBalances:
        """Return the weight of every balance of the real pools.

        `owners` are names by the numbers of `Pools.owner`. `members` are (pool, owner number) pairs where pools
        belong to several owners; by default each has its one. What a group holds of an asset is the sum over the
        pools it has part in of all positive balances, wherever they are; debts do not reduce it.
        """
        known = {*self.own_tokens, *self.supply}
        if not any(asset.issuer or asset.symbol in known for asset in catalogue.assets):
            none = np.full(len(pools.balance_asset), int(Reason.NONE), dtype=np.int64)
            return WrongWayBalances(multiplier=np.ones(len(none)), reason=none)
        party, issuer = self._parties(catalogue, owners)
        pool, owner = (np.arange(pools.count), pools.owner) if members is None else members
        order = np.argsort(pool, kind="stable")
        pool, held_by = pool[order], party[owner[order]]
        assets, asset = len(catalogue.assets), pools.balance_asset
        owned = pools.balance_amount > 0
        # A row for each balance and party of its pool.
        pair, start = slices(starts(pool, pools.count), pools.balance_pool)
        balance = np.repeat(np.arange(len(asset)), np.diff(start))
        who = held_by[pair]
        # A party that is several owners of one pool holds its balances once.
        _, once = np.unique(balance * (int(party.max(initial=0)) + 1) + who, return_index=True)
        balance, who = balance[once], who[once]
        key, group = np.unique(who * assets + asset[balance], return_inverse=True)
        held = group_sums(group, np.where(owned, pools.balance_amount, 0.0)[balance], len(key))
        limit = np.full(assets, np.inf)
        for name, units in self.supply.items():
            if name in catalogue.asset_number:
                limit[catalogue.asset_number[name]] = self.share_of_supply * units
        own = np.array([name.symbol in self.own_tokens for name in catalogue.assets], dtype=np.bool_)
        reason = np.zeros(len(asset), dtype=np.int64)
        reason[balance[held[group] > limit[asset[balance]]]] = Reason.SHARE_OF_SUPPLY
        reason[own[asset]] = Reason.OWN_TOKEN
        reason[balance[who == issuer[asset[balance]]]] = Reason.ISSUED_BY_OWNER
        reason[~owned] = Reason.NONE
        return WrongWayBalances(multiplier=np.where(reason == Reason.NONE, 1.0, 0.0), reason=reason)

    def _parties(self, catalogue: Catalogue, owners: Sequence[str]) -> tuple[IntArray, IntArray]:
        """Return the number of the group of every owner and of every asset's issuer, (owners,) and (assets,)."""
        number: dict[str, int] = {}

        def party(name: str) -> int:
            return number.setdefault(self.groups.get(name, name), len(number))

        by_owner = np.array([party(name) for name in owners], dtype=np.int64)
        # An issuer that owns nothing here matches nobody.
        by_asset = np.array([party(a.issuer) if a.issuer else -1 for a in catalogue.assets], dtype=np.int64)
        return by_owner, by_asset

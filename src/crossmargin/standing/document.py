"""The document of a standing: every number a reader is told, as plain lists and mappings (see formats)."""

from __future__ import annotations

from math import fsum, isfinite
from typing import Any

import numpy as np

from crossmargin.instruments import KINDS
from crossmargin.margin.model import shared_exactly
from crossmargin.ragged import group_sums
from crossmargin.standing.greeks import greeks
from crossmargin.standing.isolation import isolated_margins
from crossmargin.standing.liquidation import Liquidation, liquidation_prices
from crossmargin.standing.standing import Standing, Status
from crossmargin.standing.withdrawal import withdrawable
from crossmargin.units import FloatArray, iso

_SPOT, _OPTION = KINDS.index("spot"), KINDS.index("option")

_NOTHING = np.zeros(0, dtype=np.int64)

Document = dict[str, Any]


def document(standing: Standing) -> Document:
    """Return the document that `crossmargin margin --json` prints.

    Accounts come by id, then the pools of several accounts. Isolated positions are told on their own rows and stay
    out of their account's figures. What cannot be computed or does not exist is None.
    """
    return _Writer(standing).document()


class _Writer:
    """Columns by account, pool, position and balance row, then one mapping an account."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        book, where = standing.book, standing.where
        self.terms = standing.valuation.catalogue
        self.liquidation = liquidation_prices(standing)
        self.pairs_of_pool = np.searchsorted(self.liquidation.pool, np.arange(standing.pools.count + 1))
        self.greeks = greeks(standing)
        self.greeks_of_pool = np.searchsorted(self.greeks.pool, np.arange(standing.pools.count + 1))
        self.isolated_margin = isolated_margins(standing)
        self.position_start = np.searchsorted(book.positions.account, np.arange(len(book.accounts) + 1))
        self.balance_start = np.searchsorted(book.balances.account, np.arange(len(book.accounts) + 1))
        self._shares()
        self._position_columns()
        self._balance_columns()
        self._own_columns()
        shared = len(book.pools)
        final = np.flatnonzero(where.balance_of_row >= 0)
        account = book.balances.account[final]
        row = where.balance_of_row[final]
        in_pool = book.accounts.pool[account]
        group = in_pool >= 0
        self.withdrawable = withdrawable(
            standing,
            np.concatenate((where.of_account, np.arange(shared))),
            np.concatenate((account, len(book.accounts) + in_pool[group])),
            np.concatenate((row, row[group])),
        )
        holders = len(book.accounts) + shared
        self.withdrawable_start = np.searchsorted(self.withdrawable.holder, np.arange(holders + 1))

    # --- columns

    def _position_columns(self) -> None:
        standing, positions = self.standing, self.standing.book.positions
        valuation = standing.valuation
        instrument = positions.instrument
        settle_fx = valuation.settle_fx[instrument]
        self.position_pnl = (
            np.where(positions.priced != 0, positions.priced * valuation.unit_value[instrument], 0.0)
            - positions.entry_value
        ) * settle_fx
        self.position_notional = valuation.notional(instrument, positions.quantity)
        columns = {
            "instrument": instrument,
            "quantity": positions.quantity,
            "isolated": positions.isolated,
            "mark": valuation.mark[instrument],
            "notional": self.position_notional,
            "unrealized_pnl": self.position_pnl,
            "margin_contribution": self.position_share,
            "liquidation_price": self._position_liquidations(),
        }
        self.position_rows = {name: column.tolist() for name, column in columns.items()}

    def _shares(self) -> None:
        """What each position and balance row has of its pool's maintenance margin; they add up to it exactly."""
        standing, where = self.standing, self.standing.where
        positions, balances = standing.book.positions, standing.book.balances
        leg, row = where.leg_of_position, where.balance_of_row
        known = np.flatnonzero((leg >= 0) & ~positions.isolated)
        net = standing.pools.leg_quantity[leg[known]]
        rows = np.bincount(leg[known])[leg[known]]
        # A leg that is flat still has what was made on it; members who cancel each other share that evenly.
        part = np.where(net != 0.0, positions.quantity[known] / np.where(net == 0.0, 1.0, net), 1.0 / rows)
        final = np.flatnonzero(row >= 0)
        self.position_share, self.balance_share = np.zeros(len(leg)), np.zeros(len(row))
        # Splitting a leg over members rounds.
        self.position_share[known], self.balance_share[final] = shared_exactly(
            standing.maintenance_margin,
            where.of_position[known],
            part * standing.requirement.leg_share[leg[known]],
            where.of_account[balances.account[final]],
            standing.requirement.balance_share[row[final]],
        )

    def _balance_columns(self) -> None:
        standing, balances = self.standing, self.standing.book.balances
        row = standing.where.balance_of_row
        final = row >= 0
        self.balance_price = standing.valuation.fx[balances.asset]
        counted = balances.amount.copy()
        counted[final] = standing.counted.counted[row[final]]
        self.balance_value = np.where(final, balances.amount * self.balance_price, 0.0)
        owned = final & (balances.amount > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Rounded to what the division is good for, so that a haircut of 0.05 reads as one.
            self.balance_haircut = np.round(np.where(owned, 1.0 - counted / balances.amount, 0.0), 14)
        self.balance_lost = np.where(owned, (balances.amount - counted) * self.balance_price, 0.0)

    def _own_columns(self) -> None:
        """What each account has itself, and its share of its pool's requirements."""
        standing, book = self.standing, self.standing.book
        positions, balances, count = book.positions, book.balances, len(book.accounts)
        cross = ~positions.isolated
        kind = self.terms.kind[positions.instrument]
        valuation = standing.valuation
        value = (
            positions.quantity * valuation.unit_value[positions.instrument] * valuation.settle_fx[positions.instrument]
        )

        def by_account(mask: Any, column: FloatArray) -> FloatArray:
            return group_sums(positions.account, np.where(mask, column, 0.0), count)

        self.own_pnl = by_account(cross & (kind != _OPTION) & (kind != _SPOT), self.position_pnl)
        self.own_option_value = by_account(cross & (kind == _OPTION), value)
        self.own_notional = by_account(cross & (kind != _SPOT), self.position_notional)
        self.own_balances = group_sums(balances.account, self.balance_value, count)
        self.own_haircut = group_sums(balances.account, self.balance_lost, count)
        share = by_account(cross, self.position_share) + group_sums(balances.account, self.balance_share, count)
        pool = standing.where.of_account
        whole = standing.maintenance_margin[pool]
        self.own_maintenance = share
        # Where nothing has to be maintained (orders alone, collateral that counts for maintenance only): evenly.
        part = np.divide(share, whole, out=1.0 / standing.where.members[pool], where=whole > 0)
        self.own_initial = part * standing.initial_margin[pool]

    # --- documents

    def document(self) -> Document:
        standing = self.standing
        book = standing.book
        accounts = [self._account(a) for a in range(len(book.accounts))]
        scenarios = standing.rules.model.scenario_source(standing.valuation)
        return {
            "time": iso(standing.market.time),
            "currency": standing.market.currency,
            "rules": standing.rules.name,
            "rules_version": standing.rules.version,
            "scenarios": {
                "source": scenarios.source,
                "from": scenarios.start.isoformat() if scenarios.start else None,
                "to": scenarios.end.isoformat() if scenarios.end else None,
                "count": scenarios.count,
                "stressed": scenarios.stressed,
                "effective_sample": scenarios.effective_sample,
            },
            "warnings": [*standing.warnings, *scenarios.notes],
            "totals": {
                "accounts": len(accounts),
                **{
                    name: fsum(account[name] for account in accounts)
                    for name in ("equity", "initial_margin", "maintenance_margin")
                },
            },
            "accounts": accounts,
            "pools": [self._pool(p) for p in range(len(book.pools))],
        }

    def _account(self, a: int) -> Document:
        standing, book = self.standing, self.standing.book
        pool = int(standing.where.of_account[a])
        member = book.accounts.pool[a] >= 0
        worth = standing.worth
        own = {
            "balances": self.own_balances[a],
            "haircut": self.own_haircut[a],
            "pnl": self.own_pnl[a],
            "option_value": self.own_option_value[a],
            "maintenance": self.own_maintenance[a],
            "initial": self.own_initial[a],
        }
        whole = {
            "balances": worth.balances[pool],
            "haircut": worth.haircut[pool],
            "pnl": worth.unrealized_pnl[pool],
            "option_value": worth.net_option_value[pool],
            "maintenance": standing.maintenance_margin[pool],
            "initial": standing.initial_margin[pool],
        }
        figures = self._figures(
            pool,
            **(own if member else whole),
            notional=self.own_notional[a],
            isolated=self.isolated_margin[a],
            holder=a,
        )
        return {
            "id": book.accounts.ids[a],
            "owner": book.accounts.owners[a],
            "pool": book.pools[book.accounts.pool[a]].id if member else None,
            **figures,
            "breakdown": self._share(figures["maintenance_margin"]) if member else self._breakdown(pool),
            "initial_breakdown": self._share(figures["initial_margin"]) if member else self._initial_breakdown(pool),
            "balances": [self._balance(k) for k in range(self.balance_start[a], self.balance_start[a + 1])],
            "positions": [self._position(k) for k in range(self.position_start[a], self.position_start[a + 1])],
        }

    def _pool(self, p: int) -> Document:
        standing, book = self.standing, self.standing.book
        worth = standing.worth
        members = [k for k in range(len(book.accounts)) if book.accounts.pool[k] == p]
        figures = self._figures(
            p,
            balances=worth.balances[p],
            haircut=worth.haircut[p],
            pnl=worth.unrealized_pnl[p],
            option_value=worth.net_option_value[p],
            maintenance=standing.maintenance_margin[p],
            initial=standing.initial_margin[p],
            notional=self._pool_notional(p),
            isolated=fsum(self.isolated_margin[k] for k in members),
            holder=len(book.accounts) + p,
        )
        return {
            "id": book.pools[p].id,
            "accounts": list(book.pools[p].accounts),
            **figures,
            "breakdown": self._breakdown(p),
            "initial_breakdown": self._initial_breakdown(p),
            "balances": [row for k in members for row in self._rows_of(k, self.balance_start, self._balance)],
            "positions": [
                row
                for k in members
                for row in self._rows_of(k, self.position_start, self._position)
                if row["margin_mode"] == "cross"
            ],
        }

    def _rows_of(self, account: int, start: Any, row: Any) -> list[Document]:
        name = self.standing.book.accounts.ids[account]
        return [{"account": name, **row(k)} for k in range(start[account], start[account + 1])]

    def _pool_notional(self, p: int) -> float:
        pools = self.standing.pools
        rows = np.arange(pools.leg_start[p], pools.leg_start[p + 1])
        held = pools.leg_instrument[rows]
        return float(self.standing.valuation.notional(held, pools.leg_quantity[rows]).sum())

    def _figures(
        self,
        pool: int,
        *,
        balances: float,
        haircut: float,
        pnl: float,
        option_value: float,
        maintenance: float,
        initial: float,
        notional: float,
        isolated: float,
        holder: int,
    ) -> Document:
        standing = self.standing
        net_value = balances + pnl + option_value
        equity = net_value - haircut
        balance = equity - option_value if standing.rules.option_value == "excluded" else equity
        pool_available = standing.margin_balance[pool] - standing.initial_margin[pool]
        rows = range(self.withdrawable_start[holder], self.withdrawable_start[holder + 1])
        return _plain(
            {
                "net_value": net_value,
                "haircut": haircut,
                "equity": equity,
                "margin_balance": balance,
                "collateral_value": balances - haircut,
                "unrealized_pnl": pnl,
                "net_option_value": option_value,
                "accrued": 0.0,
                "initial_margin": initial,
                "maintenance_margin": maintenance,
                "isolated_margin": isolated,
                "available": max(0.0, min(balance - initial, pool_available)),
                "withdrawable": self.withdrawable.total[holder],
                "withdrawable_by_asset": {
                    self.terms.assets[self.withdrawable.asset[k]].symbol: self.withdrawable.quantity[k] for k in rows
                },
                "shortfall_initial": max(0.0, initial - balance),
                "shortfall_maintenance": max(0.0, maintenance - balance),
                "leverage": 0.0 if notional == 0 else notional / equity if equity > 0 else None,
                "margin_ratio": _ratio(maintenance, balance),
                "utilization": _ratio(initial, balance),
                "status": Status(standing.status[pool]).label,
                "greeks": self._greeks(pool),
                "worst_scenario": self._worst(pool),
                "liquidation": self._liquidation(pool),
                "distance_to_liquidation": self._distance(pool),
            }
        )

    def _greeks(self, pool: int) -> Document:
        g = self.greeks
        return {
            self.terms.assets[g.asset[k]].symbol: {
                "delta_cash": g.delta_cash[k],
                "gamma": g.gamma[k],
                "vega": g.vega[k],
                "theta": g.theta[k],
            }
            for k in range(self.greeks_of_pool[pool], self.greeks_of_pool[pool + 1])
        }

    def _worst(self, pool: int) -> Document | None:
        worst = self.standing.requirement.worst
        if worst is None or worst.scenario[pool] < 0:
            return None
        return {"id": worst.name(int(worst.block[pool]), int(worst.scenario[pool])), "loss": worst.loss[pool]}

    def _pool_pairs(self, pool: int) -> range:
        return range(self.pairs_of_pool[pool], self.pairs_of_pool[pool + 1])

    def _liquidation(self, pool: int) -> Document:
        found: Liquidation = self.liquidation
        answer: Document = {}
        for k in self._pool_pairs(pool):
            entry: Document = {"below": found.below[k], "above": found.above[k], "inside": bool(found.inside[k])}
            if found.intervals[k]:
                entry["breach_intervals"] = [list(interval) for interval in found.intervals[k]]
            answer[self.terms.assets[found.asset[k]].symbol] = entry
        return answer

    def _distance(self, pool: int) -> float | None:
        """Return the smallest relative move of any one asset that reaches liquidation; 0 when it is reached."""
        found = self.liquidation
        distances = []
        for k in self._pool_pairs(pool):
            if found.inside[k]:
                return 0.0
            roots = (found.below[k], found.above[k])
            distances += [abs(root / found.index[k] - 1.0) for root in roots if isfinite(root) and found.index[k]]
        return min(distances, default=None)

    def _breakdown(self, pool: int) -> list[Document]:
        return [{"name": name, "amount": amount} for name, amount in self.standing.requirement.terms.of_pool(pool)]

    def _initial_breakdown(self, pool: int) -> list[Document]:
        """Return what initial margin is made of: maintenance margin, then what comes on top."""
        requirement, standing = self.standing.requirement, self.standing
        maintenance = float(requirement.maintenance[pool])
        parts = [("maintenance margin", maintenance)]
        if requirement.above_maintenance is None:
            parts.append(("initial factor and credit tier", float(requirement.initial[pool]) - maintenance))
        else:
            parts += requirement.above_maintenance.of_pool(pool)
        parts.append(("collateral that counts for maintenance margin only", float(standing.worth.initial_only[pool])))
        parts = [part for part in parts if part[1]]
        # Parts are differences of rounded totals: what they lose is put on the largest, so they add up.
        amounts, _ = shared_exactly(
            standing.initial_margin[[pool]],
            np.zeros(len(parts), dtype=np.int64),
            np.array([amount for _, amount in parts], dtype=np.float64),
            _NOTHING,
            np.zeros(0),
        )
        names = [name for name, _ in parts]
        return [{"name": name, "amount": amount} for name, amount in zip(names, amounts.tolist(), strict=True)]

    def _share(self, amount: float) -> list[Document]:
        return [{"name": "share of the pool", "amount": amount}] if amount else []

    def _balance(self, k: int) -> Document:
        standing, balances = self.standing, self.standing.book.balances
        return _plain(
            {
                "asset": self.terms.assets[balances.asset[k]].symbol,
                "location": standing.book.locations[balances.location[k]].id,
                "state": "final" if balances.final[k] else "pending",
                "quantity": balances.amount[k],
                "price": self.balance_price[k],
                "haircut": self.balance_haircut[k],
                "value": self.balance_value[k],
                "margin_contribution": self.balance_share[k],
            }
        )

    def _position(self, k: int) -> Document:
        c = self.position_rows
        row: Document = {
            "symbol": self.terms.instruments[c["instrument"][k]].symbol,
            "quantity": c["quantity"][k],
            "margin_mode": "isolated" if c["isolated"][k] else "cross",
            "mark": c["mark"][k],
            "notional": c["notional"][k],
            "unrealized_pnl": c["unrealized_pnl"][k],
            "margin_contribution": c["margin_contribution"][k],
            "liquidation_price": c["liquidation_price"][k] if isfinite(c["liquidation_price"][k]) else None,
        }
        if not c["isolated"][k]:
            return row
        standing, pool = self.standing, int(self.standing.where.of_position[k])
        return row | _plain(
            {
                "isolated_collateral": standing.book.positions.collateral[k],
                "net_value": standing.worth.net_value[pool],
                "equity": standing.worth.equity[pool],
                "initial_margin": standing.initial_margin[pool],
                "maintenance_margin": standing.maintenance_margin[pool],
                "status": Status(standing.status[pool]).label,
            }
        )

    def _position_liquidations(self) -> FloatArray:
        """Return each position's own mark where its pool breaches on its adverse side; NaN where there is none.

        Already in breach, that side holds no healthy price: the way back is on the other one.
        """
        positions, found = self.standing.book.positions, self.liquidation
        price = np.full(len(positions), np.nan)
        if not len(found.pool) or not len(positions):
            return price
        assets = len(self.terms.assets)
        instrument = positions.instrument
        wanted = self.standing.where.of_position * assets + self.terms.underlying[instrument]
        have = found.pool * assets + found.asset
        pair = np.minimum(np.searchsorted(have, wanted), len(have) - 1)
        adverse_is_below = (positions.quantity > 0) != found.inside[pair]
        root = np.where(adverse_is_below, found.below[pair], found.above[pair])
        mark, index = self.standing.valuation.mark[instrument], found.index[pair]
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(found.any_domain[pair], mark + (root - index), mark * (root / index))
        asked = (have[pair] == wanted) & (positions.quantity != 0) & (self.terms.kind[instrument] != _OPTION)
        price[asked] = own[asked]
        return price


def _ratio(requirement: float, balance: float) -> float | None:
    if balance > 0:
        return requirement / balance
    return 0.0 if requirement == 0 and balance == 0 else None


def _plain(entries: Document) -> Document:
    """Return a mapping with NumPy scalars as Python numbers and what is not finite as None."""
    return {key: _plain_value(value) for key, value in entries.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, list):
        return [_plain_value(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not isfinite(value):
        return None
    return value

"""The pools of a world as holdings of the slow twin: contracts repriced one scenario at a time."""

from collections import defaultdict
from math import erfc, exp, log, pi, sqrt

import numpy as np

from crossmargin.instruments import Option
from crossmargin.scenarios import joint_scenarios
from tests.twins.grid import Moves, cells_of
from tests.twins.pools import twin_collateral, twin_pools
from tests.twins.portfolio import Delta, Facts, Holding, Part, sizes_of, twin_portfolio
from tests.twins.prices import Prices


class Joint:
    """Joint scenarios as one list of moves a name: the ordinary ones, then the stressed."""

    def __init__(self, world, model, valuation, prices):
        found = joint_scenarios(valuation, model.joint)
        self.ordinary, self.report = len(found.ordinary), found.report
        self.count = self.ordinary + len(found.stressed)
        self.prices = prices
        self.any_domain = {i.underlying for i in world.instruments if i.price_domain == "any"}
        self.followers = {i.quote for i in world.instruments if i.underlying == prices.currency}
        self.move, self.vol, self.floor = {}, {}, {}
        for part in (found.ordinary, found.stressed):
            for f, name in enumerate(part.factors):
                self.move.setdefault(name, []).extend(part.move[f].tolist())
                vol = [1.0] * len(part) if part.vol_factor is None else part.vol_factor[f].tolist()
                self.vol.setdefault(name, []).extend(vol)
                floor = None if part.any_floor is None else float(part.any_floor[f])
                self.floor.setdefault(name, []).extend([floor] * len(part))
        self.cached = {}

    def asset(self, name):
        """The relative change of one unit's value in every scenario."""
        currency = self.prices.currency
        if name == currency or name in self.any_domain:
            return [0.0] * self.count
        if name in self.followers and currency in self.move:
            return [1 / (1 + m) - 1 for m in self.move[currency]]
        return [max(m, 1e-9 - 1) for m in self.move.get(name, [0.0] * self.count)]

    def value(self, symbol):
        """The value of one contract in its settle asset in every scenario."""
        if symbol not in self.cached:
            instrument = self.prices.instruments[symbol]
            name, found = instrument.underlying, []
            for s in range(self.count):
                move = self.move[name][s] if name in self.move else 0.0
                if instrument.price_domain == "any" and self.floor[name][s] is not None:
                    move *= max(abs(self.prices.index(instrument)), self.floor[name][s])
                found.append(self.prices.contract(symbol, move, self.vol[name][s] if name in self.vol else 1.0))
            self.cached[symbol] = found
        return self.cached[symbol]


def density(d):
    return exp(-d * d / 2) / sqrt(2 * pi)


def normal(d):
    return 0.5 * erfc(-d / sqrt(2))


class World:
    """One world under the house model, pool by pool."""

    def __init__(self, world, rules, valuation):
        self.world, self.rules, self.model = world, rules, rules.model
        self.prices = prices = Prices(world)
        self.assets = {a.symbol: a for a in valuation.catalogue.assets}
        self.group = {name: a.group for name, a in self.assets.items()}
        self.joint = Joint(world, self.model, valuation, prices)
        # What the reporting currency is quoted in moves against it, in its group.
        self.block = dict(self.group)
        for name in self.joint.followers:
            self.block[name] = self.group[prices.currency]
        groups = sorted(set(self.group.values()) | set(self.block.values()))
        # The grid's twin wants every asset of the catalogue, the reporting currency among them.
        full = world.but(assets=tuple(valuation.catalogue.assets))
        self.cells = {
            g: [Moves(full, self.model.grid, prices, g, cell) for cell in cells_of(self.model.grid, self.assets[g])]
            for g in groups
        }
        self.pools = twin_pools(world, prices)
        self.owner = self._owners()
        self.counted = [twin_collateral(world, rules.haircuts, pool, prices)[0] for pool in self.pools]
        self.holdings = [self._holdings(p) for p in range(len(self.pools))]
        self.facts = self._facts(groups)

    # --- who owns what

    def _owners(self):
        """Return the owner of each pool: owners who share a pool stand for each other, so they are one."""
        party = {a.id: {a.owner or a.id} for a in self.world.accounts}
        for pool in self.world.pools:
            together = set().union(*(party[a] for a in pool.accounts))
            party = {a: party[a] | together if party[a] & together else party[a] for a in party}
            # What was one before the pool joined it to others is one with them too.
            party = {a: set().union(*(q for q in party.values() if q & party[a])) for a in party}
        first = {p.id: p.accounts[0] for p in self.world.pools}
        return [min(party[first.get(pool.name) or pool.name.split(" ")[0]]) for pool in self.pools]

    def sizes(self, p):
        """Return the sizes of the owner of pool `p`."""
        return sizes_of([h for h, owner in zip(self.holdings, self.owner, strict=True) if owner == self.owner[p]])

    # --- parameters

    def _rates(self, part, name):
        asset = self.assets[name]
        undeclared = asset.asset_class == "other" and name in ("BTC", "ETH")
        if name in part.by_name and not undeclared:
            return part.by_name[name]
        return part.by_class.get(asset.asset_class, part.by_class["other"])

    def _horizon(self, name):
        days = self.model.joint.horizon_days
        return days.get(self.assets[name].asset_class, days["other"])

    def _sigma(self, name):
        """The daily vol: of the scenarios over the root of their days; of the reference set, annual / sqrt(365)."""
        report = self.joint.report
        if report.source == "reference":
            found = [used.vol_annual / sqrt(365) for used in report.vols if used.name == name]
            return found[0] if found else None
        if name not in self.joint.move:
            return None
        moves = self.joint.move[name][: self.joint.ordinary]
        if name in self.joint.any_domain:
            floor = self.model.grid.any_floor_by_name.get(name, self.model.grid.any_floor)
            steps = [m / max(abs(self.world.market.prices.get(name, 0.0)), floor) for m in moves]
        else:
            steps = [log(1 + m) for m in moves]
        return sqrt(sum(x * x for x in steps) / len(steps) / report.horizon_days[name])

    def _facts(self, groups):
        model = self.model
        depth, vega_depth = {}, {}
        for name in self.assets:
            rates, sigma = self._rates(model.liquidity, name), self._sigma(name)
            if sigma is not None:
                impact = model.liquidity.impact * sigma
                depth[name] = rates.spread / 2, impact, rates.adv, rates.participation, self._horizon(name)
        for instrument in self.world.instruments:
            if isinstance(instrument, Option):
                name = instrument.underlying
                vega, rates = self._rates(model.vega, name), self._rates(model.liquidity, name)
                vega_depth[name, instrument.expiry] = (
                    vega.spread_points / 2,
                    model.liquidity.impact * vega.points_a_day,
                    vega.volume_share * rates.adv,
                    rates.participation,
                    self._horizon(name),
                )
        return Facts(
            model=model,
            ordinary=self.joint.ordinary,
            weight=[m.weight for m in self.cells[groups[0]]],
            depth=depth,
            vega_depth=vega_depth,
            basis={g: self._rates(model.basis, g) for g in groups},
            buffer={g: model.buffer_by_group.get(g, model.buffer) for g in groups},
        )

    # --- holdings

    def contract_parts(self, symbol, quantity, entry):
        """Return (loss in the whole, parts) of contracts entered at `entry` units of the settle asset."""
        prices, instrument = self.prices, self.prices.instruments[symbol]
        fx, now = prices.fx(instrument.settle), prices.contract(symbol)
        after, settle = self.joint.value(symbol), self.joint.asset(instrument.settle)
        here, there = self.block[instrument.underlying], self.block[instrument.settle]
        years = prices.tau(instrument) if hasattr(instrument, "expiry") else 0.0
        whole = [-quantity * (v * (1 + m) - now) * fx + entry * fx * m for v, m in zip(after, settle, strict=True)]
        cells = self.cells[here]
        together = here == there
        own = [-quantity * (v * (1 + (m if together else 0.0)) - now) * fx for v, m in zip(after, settle, strict=True)]
        parts = [Part(here, years, own, [-quantity * cell.contract(symbol) for cell in cells])]
        if not together:
            money = [-quantity * now * fx * m for m in settle]
            of_cell = [-quantity * now * fx * cell.asset(instrument.settle) for cell in self.cells[there]]
            parts.append(Part(there, 0.0, money, of_cell))
        paid = [entry * fx * m for m in settle]
        parts.append(Part(there, 0.0, paid, [entry * fx * cell.asset(instrument.settle) for cell in self.cells[there]]))
        return whole, tuple(p for p in parts if any(p.joint) or any(p.cells))

    def unit_delta(self, symbol):
        """The first-order gain of one contract as its underlying moves by 100%, in its settle asset."""
        prices, instrument = self.prices, self.prices.instruments[symbol]
        size = float(instrument.contract_size)
        floor = self.model.grid.any_floor_by_name.get(instrument.underlying, self.model.grid.any_floor)
        level = max(abs(prices.index(instrument)), floor)
        is_any = instrument.price_domain == "any"
        if not isinstance(instrument, Option):
            if instrument.inverse:
                return size / prices.mark(instrument)
            return size * (level if is_any else prices.mark(instrument))
        forward, discount, d1 = self._option(instrument)
        slope = normal(d1) if instrument.option_type == "call" else normal(d1) - 1
        if is_any:
            return size * discount * slope * level
        if instrument.inverse:
            return size * (discount * slope - prices.contract(symbol) / size)
        return size * discount * slope * forward

    def unit_vega(self, symbol):
        """The gain of one option as its vol rises by a point, in its settle asset."""
        prices, instrument = self.prices, self.prices.instruments[symbol]
        size = float(instrument.contract_size)
        forward, discount, d1 = self._option(instrument)
        root = sqrt(prices.tau(instrument))
        if instrument.price_domain == "any":
            floor = self.model.grid.any_floor_by_name.get(instrument.underlying, self.model.grid.any_floor)
            return size * discount * density(d1) * root * 0.01 * max(abs(prices.index(instrument)), floor)
        vega = discount * forward * density(d1) * root * 0.01
        return size * vega / (forward if instrument.inverse else 1.0)

    def _option(self, instrument):
        prices = self.prices
        forward, tau = prices.forward(instrument), prices.tau(instrument)
        rate = 0.0 if instrument.inverse else prices.market.rates.get(instrument.quote, 0.0)
        deviation = prices.market.marks[instrument.symbol].iv * sqrt(tau)
        strike = float(instrument.strike)
        if instrument.price_domain == "any":
            return forward, exp(-rate * tau), (forward - strike) / deviation
        return forward, exp(-rate * tau), log(forward / strike) / deviation + deviation / 2

    def leg(self, symbol, quantity, entry):
        prices, instrument = self.prices, self.prices.instruments[symbol]
        option = isinstance(instrument, Option)
        underlying, settle, fx = instrument.underlying, instrument.settle, prices.fx(instrument.settle)
        years = prices.tau(instrument) if hasattr(instrument, "expiry") else 0.0
        value = quantity * prices.contract(symbol) * fx
        whole, parts = self.contract_parts(symbol, quantity, entry)
        deltas = [Delta(underlying, self.group[underlying], years, quantity * self.unit_delta(symbol) * fx, "contract")]
        if settle != prices.currency:
            deltas.append(Delta(settle, self.group[settle], 0.0, value - entry * fx, "money"))
        vegas, shorts = (), ()
        if option:
            vegas = (((underlying, instrument.expiry), quantity * self.unit_vega(symbol) * fx),)
            price = abs(prices.index(instrument)) * prices.fx(instrument.quote)
            charge = -quantity * float(instrument.contract_size) * self.model.short_option_minimum * price
            bucket = (underlying, instrument.expiry, instrument.option_type)
            shorts = ((bucket, self.block[underlying], years, charge),)
        owned = option and quantity > 0
        return Holding(
            name=symbol,
            joint=whole,
            parts=parts,
            deltas=tuple(d for d in deltas if d.amount),
            vegas=tuple(v for v in vegas if v[1]),
            shorts=shorts if quantity else (),
            owned=owned,
            option=option,
            counted=value if owned else 0.0,
        )

    def balance(self, key, asset, amount, units):
        price, block = self.prices.fx(asset), self.block[asset]
        rest = max(amount - units, 0.0)

        def loss(m):
            return -price * (units * m + rest * max(m, 0.0))

        joint = [loss(m) for m in self.joint.asset(asset)]
        cells = [loss(cell.asset(asset)) for cell in self.cells[block]]
        parts = (Part(block, 0.0, joint, cells),) if any(joint) or any(cells) else ()
        deltas = ()
        if asset != self.prices.currency:
            rows = ((units * price, "money"), (rest * price, "rest"))
            deltas = tuple(Delta(asset, self.group[asset], 0.0, value, kind) for value, kind in rows if value)
        # Collateral that no scenario moves would only add its value.
        owned = amount > 0 and bool(parts)
        return Holding(name=key, joint=joint, parts=parts, deltas=deltas, owned=owned, counted=max(units, 0.0) * price)

    def _holdings(self, p):
        pool, counted = self.pools[p], self.counted[p]
        found = [self.leg(s, q, pool.entry_value.get(s, 0.0)) for s, q in pool.quantity.items()]
        found += [self.balance(key, key[1], amount, counted[key]) for key, amount in pool.balances.items()]
        if pool.fenced:
            found.append(self.balance("fenced", *pool.fenced, counted["fenced"]))
        return found

    # --- orders

    def orders(self, p, orders):
        """Return what the worst fills of open orders add to the losses of pool `p`; None where it has none."""
        prices, pool = self.prices, self.pools[p]
        grouped = {name: pool.id for pool in self.world.pools for name in pool.accounts}
        mine = [o for o in orders if not pool.fenced and grouped.get(o.account, o.account) == pool.name]
        live = [o for o in mine if not o.reduce_only and o.quantity]
        if not live:
            return None
        joint, cost = [0.0] * self.joint.count, 0.0
        groups = defaultdict(lambda: ([0.0] * self.joint.count, [0.0] * len(self.facts.weight)))
        for order in live:
            instrument = prices.instruments[order.symbol]
            size = float(instrument.contract_size)
            swap = instrument.inverse and not isinstance(instrument, Option)
            paid = order.quantity * (-size / order.limit if swap else size * order.limit)
            fx = prices.fx(instrument.settle)
            whole, parts = self.contract_parts(order.symbol, order.quantity, paid)
            joint = [a + max(0.0, b) for a, b in zip(joint, whole, strict=True)]
            for group in {part.group for part in parts}:
                here = [part for part in parts if part.group == group]
                losses, cells = groups[group]
                for s in range(self.joint.count):
                    losses[s] += max(0.0, sum(part.joint[s] for part in here))
                for c in range(len(cells)):
                    cells[c] += max(0.0, sum(part.cells[c] for part in here))
            cost += max(0.0, paid - order.quantity * prices.contract(order.symbol)) * fx
        return {"joint": joint, "groups": dict(groups), "cost": cost}

    def answer(self, p, orders=()):
        """Return what pool `p` must have."""
        credit = self.rules.credit.get(self.pools[p].credit, 1.0)
        return twin_portfolio(self.holdings[p], self.sizes(p), self.facts, credit, self.orders(p, orders))


def scale_of(twin, p):
    """The size of the largest amounts that are added up in a pool: their rounding is what it can be held to."""
    prices, pool = twin.prices, twin.pools[p]
    total = sum(prices.notional(s, q) for s, q in pool.quantity.items())
    total += sum(abs(v) * prices.fx(prices.instruments[s].settle) for s, v in pool.entry_value.items())
    total += sum(abs(amount) * prices.fx(key[1]) for key, amount in pool.balances.items())
    return max(1.0, float(np.nan_to_num(total)))

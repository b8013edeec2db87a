"""Slow twin of the Derive-style rule books: one pool, one option and one scenario at a time, in plain floats."""

from collections import defaultdict
from dataclasses import dataclass
from math import exp, inf, log, sqrt

from crossmargin.instruments import Option
from tests.twins.prices import black

DAY = 1 / 365


@dataclass
class Leg:
    """An option or a perpetual; `amount` is in units of the underlying times the value of its settle asset."""

    group: str
    series: tuple
    amount: float
    index: float
    mark: float
    peg: float
    option: bool
    forward: float = 0.0
    strike: float = 0.0
    call: bool = False
    vol: float = 0.0
    tau: float = inf
    rate: float = 0.0

    def worth(self, price, vol):
        """What one unit is worth with the index at `price` times now."""
        return black(self.forward * price, self.strike, vol, self.tau, exp(-self.rate * self.tau), self.call)


def legs_of(world, pool, prices):
    """Return the legs of a pool that are of some quantity."""
    assets = {a.symbol: a for a in world.assets}
    found = []
    for symbol, quantity in pool.quantity.items():
        if quantity == 0:
            continue
        i = prices.instruments[symbol]
        settle_fx = prices.fx(i.settle)
        terms = {
            "group": assets[i.underlying].group,
            "series": (i.underlying, i.quote, i.settle, getattr(i, "expiry", None)),
            "amount": quantity * float(i.contract_size) * settle_fx,
            "index": prices.index(i) * prices.fx(i.quote) / settle_fx,
            "peg": settle_fx if assets[i.settle].asset_class == "stablecoin" else inf,
            "option": isinstance(i, Option),
        }
        if terms["option"]:
            option = Leg(
                **terms,
                mark=0.0,
                forward=prices.forward(i),
                strike=float(i.strike),
                call=i.option_type == "call",
                vol=prices.market.marks[symbol].iv,
                tau=prices.tau(i),
                rate=prices.market.rates.get(i.quote, 0.0),
            )
            option.mark = option.worth(1.0, option.vol)
            found.append(option)
        else:
            found.append(Leg(**terms, mark=prices.mark(i)))
    return found


def balances_of(world, pool, counted, prices):
    """Return (asset, value of what counts, whether it is a coin) of each balance; debts negative."""
    assets = {a.symbol: a for a in world.assets}
    rows = [(key[1], counted[key]) for key in pool.balances]
    if pool.fenced:
        rows.append((pool.fenced[0], counted["fenced"]))
    return [
        (assets[name], units * prices.fx(name), name != prices.currency and assets[name].asset_class != "stablecoin")
        for name, units in rows
    ]


def by_series(legs):
    found = defaultdict(list)
    for leg in legs:
        if leg.option:
            found[leg.series].append(leg)
    return found.values()


def vol_under(formula, move, leg):
    shock, skew = formula.vol_shock, getattr(formula, "skew", None)
    days = leg.tau * 365
    tenor = (30 / max(days, shock.floor_days)) ** (shock.short_power if days <= 30 else shock.long_power)
    if move == 0:
        return leg.vol
    if move == 1:
        return max(shock.least_up, leg.vol * (1 + shock.up * tenor))
    if move == -1:
        return leg.vol * max(0.0, 1 - shock.down * tenor)
    root, k = sqrt(leg.tau), log(leg.strike / leg.forward)
    cap = skew.linear_cap + skew.linear_cap_per_root_year * root
    if move == 3:
        cap, k = skew.absolute_cap + skew.absolute_cap_per_root_year * root, abs(k)
    width = max(skew.least_width, root * skew.width_scale * (skew.width_vol + root * skew.width_vol_per_root_year))
    change = k * cap / width
    return leg.vol * max(0.0, 1 + (max(-cap, change) if k < 0 else min(cap, change)))


def loss_of(formula, legs, moving, discount):
    """Return the worse of the worst scenario and the basis of one group; `discount` (tau, rate) -> (long, short)."""
    results = [basis_of(formula, legs)]
    scenarios = formula.scenarios
    for price, move, share in zip(scenarios.price, scenarios.vol, scenarios.share, strict=True):
        total = moving * (price - 1) + sum(leg.amount * leg.mark * (price - 1) for leg in legs if not leg.option)
        for options in by_series(legs):
            now = sum(o.amount * o.mark for o in options)
            then = sum(o.amount * o.worth(price, vol_under(formula, move, o)) for o in options)
            long, short = discount(options[0].tau, max(0.0, options[0].rate))
            change = then * (long if then >= 0 else short) - now
            total += -abs(change) if move >= 2 else change
        results.append(total * share)
    return -min(results)


def basis_of(formula, legs):
    total = 0.0
    for options in by_series(legs):
        now = sum(o.amount * o.mark for o in options)
        moved = [sum(o.amount * o.worth(x, o.vol) for o in options) for x in (formula.basis.up, formula.basis.down)]
        share = formula.basis.share + formula.basis.share_per_year * options[0].tau
        total += min(moved[0] - now, moved[1] - now, 0.0) * share
    return total


def naked(legs):
    """Return the notional of short options that nothing at their strike pairs with."""
    total = 0.0
    for options in by_series(legs):
        for strike in {o.strike for o in options}:
            calls = sum(o.amount for o in options if o.strike == strike and o.call)
            puts = sum(o.amount for o in options if o.strike == strike and not o.call)
            if calls < 0 and puts < 0:
                total += -(calls + puts) * options[0].index
            elif calls < 0:
                total += max(0.0, -calls - puts) * options[0].index
            elif puts < 0:
                total += max(0.0, -puts - calls) * options[0].index
    return total


def peg_add_on(formula, legs):
    return max(0.0, formula.peg.threshold - min((leg.peg for leg in legs), default=inf)) * formula.peg.factor


def portfolio(world, model, pool, counted, prices):
    """Return (maintenance, initial before credit) of a pool under the second portfolio manager."""
    formula, static = model.formula, model.formula.static_discount
    legs, balances = legs_of(world, pool, prices), balances_of(world, pool, counted, prices)
    traded = {leg.group for leg in legs}
    moves = [coin and (asset.group in traded or value < 0) for asset, value, coin in balances]

    def discount(tau, rate):
        long = static.long_base * exp(-tau * (rate * static.long_rate_scale + static.long_add))
        short = static.short_base * exp(tau * (rate * static.short_rate_scale + static.short_add))
        return long, min(exp(rate * tau), short)

    maintenance = initial = 0.0
    rows = list(zip(balances, moves, strict=True))
    for (asset, value, _), moving in rows:
        if asset.symbol == prices.currency:
            continue
        by_name, by_class = (
            (model.moving_by_name, model.moving_by_class)
            if moving
            else (model.collateral_by_name, model.collateral_by_class)
        )
        rates = by_name.get(asset.symbol) or by_class.get(asset.asset_class) or by_class["other"]
        maintenance += abs(value) * rates.maintenance
        initial += abs(value) * (rates.maintenance + rates.initial)
    for group in traded | {asset.group for (asset, _, _), moving in rows if moving}:
        mine = [leg for leg in legs if leg.group == group]
        loss = loss_of(
            formula, mine, sum(v for (asset, v, _), moving in rows if moving and asset.group == group), discount
        )
        perps = sum(abs(leg.amount) * leg.index for leg in mine if not leg.option)
        shorts = naked(mine)
        static_part = perps * formula.perpetual_rate + shorts * formula.option_rate
        maintenance += loss * formula.loss_factor + static_part
        initial += loss * (formula.initial_loss_factor + peg_add_on(formula, mine)) + static_part
        initial += perps * formula.perpetual_initial_rate + shorts * formula.option_initial_rate
    return maintenance, initial


def portfolio_v1(world, model, pool, counted, prices):
    """Return (maintenance, initial before credit) of a pool under the first portfolio manager."""
    formula = model.formula
    legs, balances = legs_of(world, pool, prices), balances_of(world, pool, counted, prices)

    def discount(tau, rate):
        return formula.discount_base * exp(-tau * (rate * formula.discount_rate_scale + formula.discount_add)), 1.0

    maintenance = initial = 0.0
    for group in {leg.group for leg in legs} | {asset.group for asset, _, coin in balances if coin}:
        mine = [leg for leg in legs if leg.group == group]
        base = [value for asset, value, coin in balances if coin and asset.group == group]
        static = sum(abs(leg.amount) * leg.index for leg in mine if not leg.option) * formula.perpetual_rate
        static += sum(abs(value) for value in base) * formula.base_rate + naked(mine) * formula.option_rate
        owed = loss_of(formula, mine, sum(base), discount) + static
        maintenance += owed
        initial += owed * (formula.initial_factor + peg_add_on(formula, mine))
    return maintenance, initial


def standard(world, model, pool, counted, prices):
    """Return (maintenance, initial before credit) of a pool under the standard manager."""
    formula, o = model.formula, model.formula.options
    legs, balances = legs_of(world, pool, prices), balances_of(world, pool, counted, prices)
    totals = []
    for maintenance in (True, False):
        rate = formula.perpetual_maintenance if maintenance else formula.perpetual_initial
        total = rate * sum(max(0.0, -value) for _, value, coin in balances if coin)
        for leg in legs:
            if not leg.option:
                total += rate * abs(leg.amount) * leg.mark
            if not maintenance and (leg.amount < 0 or not leg.option):
                total += abs(leg.amount) * leg.index * peg_add_on(formula, [leg])
        for options in by_series(legs):
            alone = sum(isolated(leg, o, maintenance) for leg in options)
            settled = [
                min(0.0, sum(leg.amount * max(0.0, s - leg.strike if leg.call else leg.strike - s) for leg in options))
                for s in (0.0, *(leg.strike for leg in options))
            ]
            calls = min(0.0, sum(leg.amount for leg in options if leg.call))
            unpaired = o.unpaired_maintenance if maintenance else o.unpaired_initial
            total += min(alone, -min(settled) - unpaired * options[0].forward * calls)
        totals.append(total)
    return tuple(totals)


def isolated(leg, o, maintenance):
    """Return what a short option owes on its own."""
    if leg.amount >= 0:
        return 0.0
    out = max(0.0, leg.strike - leg.index if leg.call else leg.index - leg.strike) / leg.index
    at_least = max(o.initial - out, o.initial_least) * leg.index + leg.mark
    if leg.call:
        one = o.call_maintenance * leg.index + leg.mark if maintenance else at_least
    else:
        one = max(o.put_maintenance * leg.index, o.put_maintenance_of_value * leg.mark) + leg.mark
        if not maintenance:
            one = max(at_least, o.put_initial_of_maintenance * one)
    return -leg.amount * one

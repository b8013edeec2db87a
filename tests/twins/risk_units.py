"""Slow twin of risk units: every risk of every unit, one contract and one scenario at a time."""

from collections import defaultdict
from math import exp, inf

from crossmargin.instruments import Option
from tests.twins.prices import black
from tests.twins.risk_matrix import of

STEP = 1e-5


def tiers(ladder, amount, least=0.0):
    total = 0.0
    for n, (low, rate) in enumerate(zip(ladder.floor, ladder.rate, strict=True)):
        high = ladder.floor[n + 1] if n + 1 < len(ladder.floor) else inf
        total += max(0.0, min(amount, high) - low) * max(rate, least)
    return total


class Unit:
    """Everything a pool has of one underlying."""

    def __init__(self, model, prices, asset, legs, coins):
        self.model, self.prices, self.asset = model, prices, asset
        self.legs = legs
        delta = sum(q * self.delta_of(s) for s, q in legs)
        low, high = min(coins, 0.0), max(coins, 0.0)
        self.coins = min(max(-delta, low), high)

    def worth(self, symbol, move=0.0, vol=lambda vol, tau: vol, days=0.0, rate=0.0):
        """The value of one contract in the reporting currency, coins at the moved price."""
        prices, instrument = self.prices, self.prices.instruments[symbol]
        size, fx = float(instrument.contract_size), prices.fx(instrument.settle)
        if not isinstance(instrument, Option):
            years = prices.tau(instrument) if hasattr(instrument, "expiry") else 0.0
            gain = (1 + move) * exp(rate * years) - 1
            coins = size / prices.mark(instrument) if instrument.inverse else size
            price = fx if instrument.inverse else prices.mark(instrument) * fx
            return coins * price * gain
        before = prices.tau(instrument)
        tau = max(before - days / 365, min(1e-9, before))
        forward = prices.forward(instrument) * (1 + move) * exp(rate * before)
        interest = 0.0 if instrument.inverse else prices.market.rates.get(instrument.quote, 0.0)
        discount = 1.0 if instrument.inverse else exp(-interest * tau - rate * before)
        shocked = vol(prices.market.marks[symbol].iv, before)
        price = black(forward, float(instrument.strike), shocked, tau, discount, instrument.option_type == "call")
        if instrument.inverse:
            return size * price / forward * fx * (1 + move)
        return size * price * fx

    def delta_of(self, symbol):
        return (self.worth(symbol, STEP) - self.worth(symbol, -STEP)) / (2 * STEP)

    def gain(self, move=0.0, **scenario):
        gained = sum(q * (self.worth(s, move, **scenario) - self.worth(s)) for s, q in self.legs)
        return gained + self.coins * move

    def scaled(self, shock):
        def vol(vol, tau):
            tenor = self.model.tenor
            power = tenor.short_power if tau * 365 < tenor.pivot_days else tenor.long_power
            return vol * max(1 + shock(tau) * (tenor.pivot_days / (tau * 365)) ** power, 0.0)

        return vol

    def risks(self):
        model = self.model
        ups = of(model.moves, self.asset)
        moves = [0.0, *ups, *(-m for m in ups)]
        raised = self.scaled(lambda tau: model.vol.up)
        vols = [
            lambda vol, tau: raised(max(vol, model.vol.least), tau),
            lambda vol, tau: vol,
            self.scaled(lambda tau: -model.vol.down),
        ]

        def twist(first):
            def shock(tau):
                near = tau * 365 <= model.term.front_days
                return model.term.up if near == first else -model.term.down

            return self.scaled(shock)

        far = of(model.extreme, self.asset)
        worst = {
            "spot shock": max(-self.gain(m, vol=v) for m in moves for v in vols),
            "theta": -self.gain(days=model.theta_days),
            "extreme move": model.extreme_share * max(-self.gain(far), -self.gain(-far)),
            "vega term structure": max(-self.gain(vol=twist(True)), -self.gain(vol=twist(False))),
            "rates": max(-self.gain(rate=model.rate_shock), -self.gain(rate=-model.rate_shock)),
        }
        risks = {name: max(0.0, loss) for name, loss in worst.items()}
        risks["basis"] = of(model.basis, self.asset) * self.matched()
        return risks

    def matched(self):
        """The sum of matched delta x years between, nearest first."""
        nets = defaultdict(float)
        nets[0.0] = self.coins
        for symbol, quantity in self.legs:
            instrument = self.prices.instruments[symbol]
            years = self.prices.tau(instrument) if hasattr(instrument, "expiry") else 0.0
            nets[years] += quantity * self.delta_of(symbol)
        total = 0.0
        while True:
            times = sorted(t for t in nets if nets[t])
            pairs = [(b - a, a, b) for a in times for b in times if a < b and nets[a] * nets[b] < 0]
            if not pairs:
                return total
            gap, a, b = min(pairs)
            size = min(abs(nets[a]), abs(nets[b]))
            total += size * gap
            for t in (a, b):
                nets[t] = 0.0 if abs(nets[t]) == size else nets[t] - size * (1 if nets[t] > 0 else -1)

    def minimum(self):
        cost = of(self.model.closing, self.asset)
        raw = 0.0
        for symbol, quantity in self.legs:
            option = isinstance(self.prices.instruments[symbol], Option)
            raw += (cost.option if option else cost.future) * self.prices.notional(symbol, quantity)
        return tiers(of(self.model.closing_ladder, self.asset), raw)

    def peg(self):
        cash = dict.fromkeys(self.model.quotes, 0.0)
        for symbol, quantity in self.legs:
            quote = self.prices.instruments[symbol].quote
            if quote in cash:
                cash[quote] += quantity * self.delta_of(symbol)
        charge = 0.0
        names = list(self.model.quotes)
        for k, one in enumerate(names):
            for other in reversed(names[k + 1 :]):
                if cash[one] * cash[other] >= 0:
                    continue
                size = min(abs(cash[one]), abs(cash[other]))
                ratio = self.prices.fx(one) / self.prices.fx(other)
                apart = 1 - min(ratio, 1 / ratio)
                charge += tiers(self.model.peg_ladder, size, self.model.peg_multiple * apart)
                for name in (one, other):
                    cash[name] -= size * (1 if cash[name] > 0 else -1)
        return charge


def twin_units(world, model, pool, prices):
    """Return the terms of one pool's maintenance margin by name."""
    assets = {a.symbol: a for a in world.assets}
    legs = defaultdict(list)
    for symbol, quantity in pool.quantity.items():
        legs[assets[prices.instruments[symbol].underlying].group].append((symbol, quantity))
    held = defaultdict(float)
    for (_, asset, _), amount in pool.balances.items():
        held[asset] += amount
    if pool.fenced:
        held[pool.fenced[0]] += pool.fenced[1]
    terms = defaultdict(float)
    for group, rows in legs.items():
        coins = sum(
            amount * prices.fx(asset)
            for asset, amount in held.items()
            if assets[asset].group == group and asset != prices.currency and asset not in model.quotes
        )
        unit = Unit(model, prices, assets[group], rows, coins)
        risks = unit.risks()
        first = max(("spot shock", "theta", "extreme move"), key=lambda name: risks[name])
        kept = {name: risks[name] for name in (first, "vega term structure", "basis", "rates")}
        kept["minimum charge"] = max(0.0, unit.minimum() - sum(kept.values()))
        kept["stable coin peg"] = unit.peg()
        for name, amount in kept.items():
            terms[name] += amount
    for asset, amount in held.items():
        if amount < 0:
            terms["borrowing"] += tiers(of(model.borrow_ladder, assets[asset]), -amount * prices.fx(asset))
    return dict(terms)

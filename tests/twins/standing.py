"""Slow twin of a standing: worth, requirement and status of every pool, pool by pool."""

from dataclasses import dataclass

from crossmargin.instruments import Option
from crossmargin.margin.grid import Grid
from tests.twins.grid import twin_grid
from tests.twins.pools import twin_collateral, twin_pools
from tests.twins.prices import Prices


@dataclass
class TwinStanding:
    """Figures of one pool."""

    name: str
    balances: float
    haircut: float
    unrealized_pnl: float
    net_option_value: float
    maintenance: float
    initial: float
    owes: bool
    margin_balance: float
    status: str

    @property
    def net_value(self):
        return self.balances + self.unrealized_pnl + self.net_option_value

    @property
    def equity(self):
        return self.net_value - self.haircut


def twin_standing(world, rules, requirement=None):
    """Return the pools of a world; `requirement(pool, counted, prices, credit_factor)`: by default the grid's."""
    prices = Prices(world)
    if requirement is None:
        assert isinstance(rules.model, Grid)

        def requirement(pool, counted, prices, factor):
            return twin_grid(world, rules.model, pool, counted, prices, factor)

    return [one_pool(world, rules, pool, prices, requirement) for pool in twin_pools(world, prices)]


def one_pool(world, rules, pool, prices, requirement):
    counted, initial_only = twin_collateral(world, rules.haircuts, pool, prices)
    rows = [(key, key[1], amount) for key, amount in pool.balances.items()]
    if pool.fenced:
        rows.append(("fenced", *pool.fenced))
    balances = sum(amount * prices.fx(asset) for _, asset, amount in rows)
    haircut = sum(max(amount - counted[key], 0.0) * prices.fx(asset) for key, asset, amount in rows)
    pnl = options = 0.0
    for symbol, quantity in pool.quantity.items():
        instrument = prices.instruments[symbol]
        value, fx = quantity * prices.contract(symbol), prices.fx(instrument.settle)
        if isinstance(instrument, Option):
            options += value * fx
        else:
            pnl += (value - pool.entry_value[symbol]) * fx
    maintenance, initial = requirement(pool, counted, prices, rules.credit.get(pool.credit, 1.0))
    initial += initial_only
    net = balances + pnl + options
    held = net - haircut - (options if rules.option_value == "excluded" else 0.0)
    owes = any(amount < 0 for _, _, amount in rows) or any(
        q < 0 or (q > 0 and not isinstance(prices.instruments[s], Option)) for s, q in pool.quantity.items()
    )
    return TwinStanding(
        name=pool.name,
        balances=balances,
        haircut=haircut,
        unrealized_pnl=pnl,
        net_option_value=options,
        maintenance=maintenance,
        initial=initial,
        owes=owes,
        margin_balance=held,
        status=status_of(net, held, initial, maintenance, rules.call_level, owes),
    )


def status_of(net_value, margin_balance, initial, maintenance, call_level, owes):
    """Return the word for how a pool stands, asked in the order of the formats."""
    if net_value < 0:
        return "bankrupt"
    if not owes or margin_balance >= initial:
        return "healthy"
    if margin_balance <= maintenance and maintenance > 0:
        return "liquidation"
    if call_level is not None and margin_balance <= call_level * maintenance:
        return "call"
    return "warning"

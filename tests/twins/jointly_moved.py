"""Slow twin of a joint move: the market after several prices and vols have moved, stated in full."""

from dataclasses import replace

from crossmargin.instruments import Option
from crossmargin.market import Mark
from crossmargin.standing import evaluate
from tests.twins.moved import moved, pinned
from tests.twins.prices import Prices


def jointly_moved(world, moves, vol_moves=None):
    """Return the market with each asset's price moved, and the vols of options on each underlying.

    Moves are relative, price differences where prices may be negative; vols are those the marks state.
    """
    any_domain = {i.underlying for i in world.instruments if i.price_domain == "any"}
    for asset, move in moves.items():
        market = world.market
        now = market.prices[asset] if asset in market.prices else Prices(world).fx(asset)
        world = world.but(market=moved(world, asset, now + move if asset in any_domain else now * (1.0 + move)))
    marks = dict(world.market.marks)
    for instrument in world.instruments:
        move = (vol_moves or {}).get(instrument.underlying)
        if move is not None and isinstance(instrument, Option):
            marks[instrument.symbol] = Mark(iv=marks[instrument.symbol].iv * (1.0 + move))
    return replace(world.market, marks=marks)


def excess_at(world, rules, pool, moves, vol_moves=None):
    """Return margin_balance - maintenance margin of a pool, the whole book evaluated anew after a joint move."""
    standing = evaluate(pinned(world).book(), jointly_moved(world, moves, vol_moves), rules)
    return float(standing.margin_balance[pool] - standing.maintenance_margin[pool])

"""Open orders: whichever of them fill, initial margin was enough; and for maxima it was exactly enough."""

from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Order
from crossmargin.errors import InvalidBook
from crossmargin.instruments import Spot
from crossmargin.margin.exposures import RiskTable
from crossmargin.margin.historical import tail_weights
from crossmargin.margin.orders import OpenOrders, order_losses
from crossmargin.pricing import value
from tests.margin.addon_worlds import RULES, portfolios_in
from tests.strategies import GRID, INSTRUMENTS, alone, decimals, market_of, quantities

SPOT = Spot(symbol="BTC-SPOT", underlying="BTC", quote="USD", asset_class="crypto")
few = settings(max_examples=30)
SCENARIOS = 5
SYMBOLS = ("BTC-PERP", "BTC-FUT", "BTC-INV", "BTC-C-110", "BTC-COIN-P-95", "ETH-PERP", "DAX-PERP", "OIL-FUT")


class Setting:
    """A world's catalogue and prices, with a made-up risk table of one block, or of one block a group."""

    def __init__(self, pnl, asset_move, *, blocks=1):
        world = alone(market=market_of(), instruments=(*INSTRUMENTS, SPOT))
        book = world.book()
        self.valuation = value(world.market, book.catalogue)
        self.catalogue = book.catalogue
        rows, assets = len(self.catalogue), len(self.catalogue.assets)
        underlying = self.catalogue.underlying
        moves = np.zeros((assets, SCENARIOS))
        for name, move in asset_move.items():
            moves[self.catalogue.asset_number[name]] = move
        of_asset = np.where(np.any(moves != 0, axis=1), rows + np.arange(assets), -1)
        table = np.zeros((rows, SCENARIOS))
        for symbol, loss in pnl.items():
            table[self.catalogue.number[symbol]] = loss
        block = np.concatenate((underlying % blocks, np.arange(assets) % blocks))
        self.table = RiskTable(
            pnl=np.concatenate((table, moves)),
            block=block,
            weight=np.ones(SCENARIOS),
            of_contract=np.arange(rows),
            of_settlement=np.full(rows, -1),
            of_asset=of_asset,
            of_gain=of_asset,
            blocks=("all",) * blocks,
            scenario_name=lambda block, scenario: "",
        )

    def orders(self, *orders):
        """Return orders of account `a`, the pool 0, from (symbol, quantity, limit, reduce_only)."""
        book = [Order(account="a", symbol=s, quantity=q, limit=p, reduce_only=r) for s, q, p, r in orders]
        return OpenOrders.of(book, self.catalogue, account={"a": 0}, pool_of_account=np.array([0]))

    def added(self, *orders, **terms):
        return order_losses(self.orders(*orders), self.table, self.valuation, pools=1, **terms)

    def fill(self, symbol, quantity, limit):
        """Twin: the P&L of a fill in every scenario, (S,)."""
        k = self.catalogue.number[symbol]
        terms, size = self.catalogue.instruments[k], float(self.catalogue.contract_size[k])
        coin_swap = terms.inverse and terms.kind != "option"
        paid = quantity * (-size / limit if coin_swap else size * limit) * self.valuation.settle_fx[k]
        settle = self.table.pnl[len(self.catalogue) + self.catalogue.settle[k]]
        if terms.kind == "spot":
            coin = self.table.pnl[len(self.catalogue) + self.catalogue.underlying[k]]
            return quantity * size * self.valuation.unit_value[k] * self.valuation.settle_fx[k] * coin - paid * settle
        return quantity * self.table.pnl[k] - paid * settle


def subsets(items):
    return chain.from_iterable(combinations(items, n) for n in range(len(items) + 1))


vectors = st.lists(decimals(-20, 20), min_size=SCENARIOS, max_size=SCENARIOS).map(np.array)


@st.composite
def settings_and_orders(draw, **terms):
    pnl = {symbol: draw(vectors) for symbol in SYMBOLS}
    moves = {name: draw(vectors) / 50 for name in ("BTC", "USDC", "EUR")}
    count = draw(st.integers(0, 5))
    orders = [
        (draw(st.sampled_from((*SYMBOLS, "BTC-SPOT"))), draw(quantities), draw(decimals(1, 200)), draw(st.booleans()))
        for _ in range(count)
    ]
    return Setting(pnl, moves, **terms), orders


def expected_shortfall(loss):
    return float(loss @ tail_weights(loss[None], measure="es", confidence=0.6)[0])


# ------------------------------------------------------------------ the claims


@given(settings_and_orders(), vectors)
@few
def test_a_maximum_over_scenarios_is_exactly_the_worst_subset_of_fills(drawn, position):
    setting, orders = drawn
    live = [(s, q, p) for s, q, p, reduce_only in orders if not reduce_only]
    fills = [setting.fill(*order) for order in live]
    worst = max(max(0.0, float(np.max(position - sum(subset, np.zeros(SCENARIOS))))) for subset in subsets(fills))
    added = setting.added(*orders)
    loss = position + (added.loss[0] if len(added.pool) else 0.0)
    assert max(0.0, float(loss.max())) == pytest.approx(worst, rel=1e-12, abs=1e-9)


@given(settings_and_orders(), vectors)
@few
def test_an_expected_shortfall_is_never_below_that_of_any_subset_of_fills(drawn, position):
    setting, orders = drawn
    live = [(s, q, p) for s, q, p, reduce_only in orders if not reduce_only]
    added = setting.added(*orders)
    with_orders = expected_shortfall(position + (added.loss[0] if len(added.pool) else 0.0))
    for subset in subsets([setting.fill(*order) for order in live]):
        assert expected_shortfall(position - sum(subset, np.zeros(SCENARIOS))) <= with_orders + 1e-9


def test_for_an_expected_shortfall_the_bound_is_not_exact():
    """Long and short orders hurt in different scenarios of one tail: no subset loses in both."""
    loss = np.array([10.0, -10.0, 0.0, 0.0, 0.0])
    setting = Setting({"BTC-PERP": -loss}, {})
    added = setting.added(("BTC-PERP", 1, 100.2, False), ("BTC-PERP", -1, 100.2, False)).loss[0]
    best = max(expected_shortfall(n * loss) for n in (-1, 0, 1))
    assert expected_shortfall(added) == pytest.approx(10.0)
    assert best == pytest.approx(5.0)


def test_the_worst_side_alone_understates():
    """A hedged book: filling the buy in one contract and the sell in the other hurts most."""
    setting = Setting({"BTC-PERP": np.array([-10.0, 10, 0, 0, 0]), "BTC-FUT": np.array([4.0, -12, 0, 0, 0])}, {})
    added = setting.added(("BTC-PERP", 1, 100.2, False), ("BTC-FUT", -1, 101.0, False)).loss[0]
    buys, sells = 10.0, 4.0
    assert added.max() == 14.0 > max(buys, sells)


@given(settings_and_orders(blocks=3))
@few
def test_several_blocks_are_exact_where_every_order_moves_in_one(drawn):
    setting, orders = drawn
    orders = [o for o in orders if o[0] in ("BTC-PERP", "BTC-FUT", "DAX-PERP", "OIL-FUT", "BTC-C-110")]
    setting.table.of_asset[:] = -1
    setting.table.pnl[len(setting.catalogue) :] = 0.0
    added = setting.added(*orders)
    total = sum(max(0.0, float(loss.max())) for loss in added.loss)

    def of_subset(subset):
        by_block = {}
        for symbol, quantity, limit, _ in subset:
            block = int(setting.table.block[setting.catalogue.number[symbol]])
            by_block[block] = by_block.get(block, 0.0) - setting.fill(symbol, quantity, limit)
        return sum(max(0.0, float(np.max(loss))) for loss in by_block.values())

    live = [o for o in orders if not o[3]]
    assert total == pytest.approx(max(map(of_subset, subsets(live))), rel=1e-12, abs=1e-9)
    assert added.block.tolist() == sorted(set(added.block.tolist()))


@given(settings_and_orders(), st.data())
@few
def test_an_order_more_never_lowers_a_loss_and_a_reduce_only_order_changes_nothing(drawn, data):
    setting, orders = drawn
    more = (data.draw(st.sampled_from(SYMBOLS)), data.draw(quantities), 50.0)
    before = setting.added(*orders)
    after, reducing = setting.added(*orders, (*more, False)), setting.added(*orders, (*more, True))
    zero = np.zeros((1, SCENARIOS))
    first, second, third = (x.loss if len(x.pool) else zero for x in (before, after, reducing))
    assert (second >= first).all()
    assert (after.cost >= before.cost).all()
    assert third.tolist() == first.tolist()
    assert reducing.cost.tolist() == before.cost.tolist()


# ------------------------------------------------------------------ the cost of a fill


@pytest.mark.parametrize(
    ("order", "cost"),
    [
        (("BTC-PERP", 2, 101.0, False), 2 * (101.0 - 100.2)),
        (("BTC-PERP", 2, 99.0, False), 0.0),  # better than the mark: no gain is counted
        (("BTC-PERP", -2, 99.0, False), 2 * (100.2 - 99.0)),
        (("BTC-PERP", -2, 99.0, True), 0.0),
        (("BTC-FUT", 1, 103.0, False), 2 * 2.0),  # two coins a contract
        (("ETH-PERP", 1, 11.0, False), 10 * 1.0 * 0.999),  # paid in USDC
        (("BTC-INV", 3, 125.0, False), 3 * 10 * (1 / 100.0 - 1 / 125.0) * 100.0),  # coins, at 100
        (("OIL-FUT", 1, -3.0, False), 0.0),
        (("OIL-FUT", -1, -3.0, False), 10 * 43.4),
        (("BTC-SPOT", 2, 104.0, False), 8.0),
    ],
)
def test_a_fill_costs_what_its_limit_gives_away_to_the_mark(order, cost):
    setting = Setting({}, {})
    assert setting.added(order).cost == pytest.approx([cost], abs=1e-9)


def test_where_option_value_does_not_count_a_bought_option_costs_its_premium():
    setting = Setting({}, {})
    bought, sold = ("BTC-COIN-P-95", 2, 0.07, False), ("BTC-COIN-P-95", -2, 0.07, False)
    mark = setting.valuation.mark[setting.catalogue.number["BTC-COIN-P-95"]]
    assert setting.added(bought, option_value_counts=False).cost == pytest.approx([2 * 0.07 * 100])
    assert setting.added(sold, option_value_counts=False).cost.tolist() == [0.0]
    assert setting.added(bought).cost == pytest.approx([2 * max(0.07 - mark, 0.0) * 100])
    assert setting.added(sold).cost == pytest.approx([2 * max(mark - 0.07, 0.0) * 100])


def test_bought_coins_cost_their_haircut():
    setting = Setting({}, {})
    orders = (("BTC-SPOT", 2, 100.0, False), ("BTC-SPOT", -2, 100.0, False), ("BTC-PERP", 1, 100.2, False))
    found = replace(setting.orders(*orders), uncounted=np.full(3, 0.05)).costs(setting.valuation)
    assert found == pytest.approx([2 * 100 * 0.05, 0.0, 0.0], abs=1e-9)


def test_a_limit_that_no_price_can_be_is_refused_with_its_place():
    setting = Setting({}, {})
    with pytest.raises(InvalidBook, match=r"orders\[1\] of a in BTC-INV"):
        setting.orders(("OIL-FUT", 1, -3.0, False), ("BTC-INV", 1, 0.0, False))


# ------------------------------------------------------------------ beside a real risk table


def test_on_a_grid_an_order_adds_what_its_fill_would_to_a_flat_book():
    """A perpetual bought at the mark, in a stable coin that stands still: its order is margined as the position."""
    market = market_of(usdc=1.0)
    flat, filled = (portfolios_in(alone({"ETH-PERP": q}, market=market)) for q in (0.0, 3.0))
    table = GRID.risk_table(flat)
    k = flat.valuation.catalogue.number["ETH-PERP"]
    order = Order(account="a", symbol="ETH-PERP", quantity=3.0, limit=float(flat.valuation.mark[k]))
    orders = OpenOrders.of([order], flat.valuation.catalogue, account={"a": 0}, pool_of_account=np.array([0]))
    added = order_losses(orders, table, flat.valuation, pools=1)
    worst = (added.loss * table.weight).max(axis=1).sum()
    assert worst == pytest.approx(RULES.model.requirement(filled).maintenance[0], rel=1e-12)
    assert added.cost.tolist() == [0.0]


def test_orders_of_many_pools_are_those_of_each_alone():
    setting = Setting({s: np.arange(SCENARIOS) - 2.0 for s in SYMBOLS}, {"USDC": np.linspace(-0.1, 0.1, SCENARIOS)})
    rng = np.random.default_rng(5)
    many = setting.orders(*[(str(rng.choice(SYMBOLS)), float(rng.integers(-5, 6)), 50.0, False) for _ in range(30)])
    many = replace(many, pool=np.sort(rng.integers(0, 6, 30)))
    whole = order_losses(many, setting.table, setting.valuation, pools=7)
    assert whole.cost.shape == (7,)
    for pool in range(7):
        rows = many.pool == pool
        columns = {n: getattr(many, n)[rows] for n in OpenOrders.__slots__}
        one = order_losses(OpenOrders(**columns), setting.table, setting.valuation, pools=7)
        assert one.loss.tolist() == whole.loss[whole.pool == pool].tolist()
        assert one.cost[pool] == whole.cost[pool]

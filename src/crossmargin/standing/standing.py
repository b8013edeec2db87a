"""Standing: how every pool of a book stands under a rule book."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from crossmargin.book import Book, Location, PoolMap, Pools, owner_numbers, pools_of
from crossmargin.collateral import Counted, count_collateral
from crossmargin.errors import NotMargined, some_of
from crossmargin.instruments import KINDS, Asset, Catalogue
from crossmargin.margin import BookModel, OpenOrders, Portfolios, Requirement
from crossmargin.market import Market
from crossmargin.pricing import Valuation, value
from crossmargin.ragged import group_sums
from crossmargin.rules import Rules
from crossmargin.units import BoolArray, FloatArray, IntArray

_SPOT, _OPTION = KINDS.index("spot"), KINDS.index("option")


class Status(IntEnum):
    """How a pool stands, from best to worst."""

    HEALTHY = 0
    WARNING = 1
    CALL = 2
    LIQUIDATION = 3
    BANKRUPT = 4

    @property
    def label(self) -> str:
        """The word used in files and on the command line."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Worth:
    """What each pool is worth, in the reporting currency; every column has shape (P,)."""

    balances: FloatArray
    """Final balances at the mark, without haircut; debts negative."""
    haircut: FloatArray
    """What of the owned balances does not count; 0 or more."""
    unrealized_pnl: FloatArray
    """Of futures and perpetuals."""
    net_option_value: FloatArray
    initial_only: FloatArray
    """Collateral that counts for maintenance and not for initial margin: a named part of IM."""

    @property
    def net_value(self) -> FloatArray:
        """Everything at the mark; below 0 the pool is bankrupt."""
        return self.balances + self.unrealized_pnl + self.net_option_value

    @property
    def equity(self) -> FloatArray:
        """Net value less the haircut."""
        return self.net_value - self.haircut

    @property
    def collateral_value(self) -> FloatArray:
        """Balances after haircut."""
        return self.balances - self.haircut


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """Every pool of a book: what it is worth, what it must have, how it stands. Columns have shape (P,)."""

    book: Book
    market: Market
    rules: Rules
    valuation: Valuation
    pools: Pools
    where: PoolMap
    portfolios: Portfolios
    counted: Counted
    weight: FloatArray
    """(B,) what each balance keeps of its weight as collateral: 0 where it is wrong-way."""
    worth: Worth
    requirement: Requirement
    initial_margin: FloatArray
    """The requirement's initial margin plus collateral that counts for maintenance only."""
    status: IntArray
    """Codes of `Status`."""
    warnings: tuple[str, ...]

    @property
    def maintenance_margin(self) -> FloatArray:
        """What each pool must have not to be liquidated."""
        return self.requirement.maintenance

    @property
    def margin_balance(self) -> FloatArray:
        """What requirements are held against: equity, less option value where the rule book excludes it."""
        return margin_balance(self.worth, self.rules)

    @property
    def owes(self) -> BoolArray:
        """Whether the pool owes anything: a debt, a short, a future or a perpetual."""
        return owes_something(self.portfolios)


def evaluate(book: Book, market: Market, rules: Rules) -> Standing:
    """Return the standing of every pool of `book` at `market` under `rules`.

    Raises MissingPrice for a price that is needed and absent (naming the accounts), NotMargined for instruments
    the rule book does not take, InvalidMarket for prices that cannot be and for held instruments that expired.
    """
    return stood(book, market, rules, pools_of(book), lambda portfolios: rules.model.requirement(portfolios))


def stood(
    book: Book,
    market: Market,
    rules: Rules,
    pooled: tuple[Pools, PoolMap],
    required: Callable[[Portfolios], Requirement],
) -> Standing:
    """Return the standing of `pooled`, the pools of `book`; `required` says what they must have."""
    catalogue = with_currency(book.catalogue, market.currency)
    if catalogue is not book.catalogue:
        raise NotMargined(
            "market.currency", market.currency, "the reporting currency the book was built with (Book.of(currency=...))"
        )
    held = np.zeros(len(catalogue), dtype=np.bool_)
    held[book.positions.instrument] = True
    book_model = rules.model if isinstance(rules.model, BookModel) else None
    if book_model is not None:
        held[[catalogue.number[order.symbol] for order in book.orders]] = True
    assets = np.zeros(len(catalogue.assets), dtype=np.bool_)
    assets[book.balances.asset] = True
    valuation = value(
        market,
        catalogue,
        instruments=held,
        assets=assets,
        holders=lambda instrument, asset: book.holders(instrument=instrument, asset=asset),
    )
    pools, where = _owned_together(book, *pooled, rules)
    weight = collateral_weights(book, pools, where, rules)
    portfolios, counted = portfolios_of(
        pools,
        valuation,
        pools.leg_instrument,
        entry_value=entry_values(pools, valuation),
        balance_price=valuation.fx[pools.balance_asset],
        weight=weight,
        rules=rules,
        locations=book.locations,
    )
    if book_model is not None:
        orders = _orders(book, pools, where, rules, market.currency) if book.orders else None
        portfolios = replace(portfolios, orders=orders)
        portfolios = replace(portfolios, whole_book=book_model.whole_book(portfolios))
    refused = rules.model.refused(portfolios)
    if len(refused):
        symbols = [catalogue.instruments[k].symbol for k in refused.tolist()]
        accounts = sorted({name for k in refused.tolist() for name in book.holders(instrument=k)})
        raise NotMargined(
            f"rule book {rules.name}",
            f"{some_of(symbols)}, held by {some_of(accounts)}",
            f"instruments it knows: {rules.name} has no rule for these",
        )
    worth = worth_of(portfolios, counted)
    requirement = required(portfolios)
    initial = requirement.initial + worth.initial_only
    return Standing(
        book=book,
        market=market,
        rules=rules,
        valuation=valuation,
        pools=pools,
        where=where,
        portfolios=portfolios,
        counted=counted,
        weight=weight,
        worth=worth,
        requirement=requirement,
        initial_margin=initial,
        status=status_of(worth, initial, requirement.maintenance, rules, owes_something(portfolios)),
        warnings=(*book.warnings, *valuation.warnings, *_unheeded(book, rules)),
    )


def collateral_weights(book: Book, pools: Pools, where: PoolMap, rules: Rules) -> FloatArray:
    """Return what each balance of the pools keeps of its weight as collateral, (B,): 0 where it is wrong-way."""
    wrong_way = rules.haircuts.wrong_way
    if wrong_way is None:
        return np.ones(len(pools.balance_amount))
    names, owner = np.unique(np.asarray(book.accounts.owners, dtype=object).astype(str), return_inverse=True)
    alone = np.flatnonzero(pools.isolated)
    members = (
        np.concatenate((where.of_account, alone)),
        np.concatenate((owner, owner[_isolated_accounts(book)])),
    )
    return wrong_way.of(pools, book.catalogue, names.tolist(), members).multiplier


def _isolated_accounts(book: Book) -> IntArray:
    """Return the account of each isolated position, in the order of their pools."""
    return book.positions.account[book.positions.isolated]


def _owned_together(book: Book, pools: Pools, where: PoolMap, rules: Rules) -> tuple[Pools, PoolMap]:
    """Return the pools with companies of one group as one owner, where the rule book knows any."""
    groups = rules.haircuts.wrong_way.groups if rules.haircuts.wrong_way is not None else {}
    if not groups:
        return pools, where
    number = owner_numbers(book.accounts, groups)
    owner = np.zeros(pools.count, dtype=np.int64)
    owner[where.of_account] = number
    owner[np.flatnonzero(pools.isolated)] = number[_isolated_accounts(book)]
    return replace(pools, owner=owner), where


def _orders(book: Book, pools: Pools, where: PoolMap, rules: Rules, currency: str) -> OpenOrders:
    """Return the open orders of a book, by the pools of their accounts' cross positions."""
    catalogue = book.catalogue
    number = {name: k for k, name in enumerate(book.accounts.ids)}
    uncounted = np.zeros(len(book.orders))
    for k, order in enumerate(book.orders):
        pool, quantity = int(where.of_account[number[order.account]]), np.array([order.quantity])
        uncounted[k] = uncounted_of_fills(
            pools, pool, catalogue.number[order.symbol], quantity, rules, currency, catalogue
        )[0]
    return OpenOrders.of(book.orders, catalogue, account=number, pool_of_account=where.of_account, uncounted=uncounted)


def uncounted_of_fills(
    pools: Pools, pool: int, instrument: int, quantity: FloatArray, rules: Rules, currency: str, catalogue: Catalogue
) -> FloatArray:
    """Return what fraction of the coins bought by fills of so many spot contracts will not count, same shape.

    After the pool's own balance has filled the first slices of haircut; 0 for sales and other instruments.
    """
    if catalogue.kind[instrument] != _SPOT:
        return np.zeros(len(quantity))
    asset = int(catalogue.underlying[instrument])
    known = catalogue.assets[asset]
    rows = slice(pools.balance_start[pool], pools.balance_start[pool + 1])
    amounts = pools.balance_amount[rows][pools.balance_asset[rows] == asset]
    have = float(np.maximum(amounts, 0.0).sum())
    most = np.inf if known.cap is None else known.cap
    bought = np.maximum(quantity, 0.0) * catalogue.contract_size[instrument]
    tiers = rules.haircuts.tiers(known, currency)
    counted = tiers.counted(np.minimum(have + bought, most)) - tiers.counted(np.full(len(bought), min(have, most)))
    return np.asarray(1.0 - np.divide(counted, bought, out=np.ones(len(bought)), where=bought > 0.0))


def _unheeded(book: Book, rules: Rules) -> tuple[str, ...]:
    """Return a warning for what the book states and the rule book has no rule for."""
    if not book.orders or isinstance(rules.model, BookModel):
        return ()
    return (f"{len(book.orders)} open order(s) not margined: rule book {rules.name} has no rule for them",)


def with_currency(catalogue: Catalogue, currency: str) -> Catalogue:
    """Return the catalogue, with the reporting currency among its assets."""
    if currency in catalogue.asset_number:
        return catalogue
    return Catalogue.of(catalogue.instruments, (*catalogue.assets, Asset(symbol=currency)))


def entry_values(pools: Pools, valuation: Valuation) -> FloatArray:
    """Return what each leg was worth at entry in its settle asset, (L,).

    What has no entry price was settled at today's mark. Options have none: their value is not P&L.
    """
    unsettled = pools.leg_quantity - pools.leg_priced
    today = np.where(unsettled != 0.0, unsettled * valuation.unit_value[pools.leg_instrument], 0.0)
    option = valuation.catalogue.kind[pools.leg_instrument] == _OPTION
    return np.where(option, 0.0, pools.leg_entry_value + today)


def portfolios_of(
    pools: Pools,
    valuation: Valuation,
    leg_row: IntArray,
    *,
    entry_value: FloatArray,
    balance_price: FloatArray,
    weight: FloatArray,
    rules: Rules,
    locations: tuple[Location, ...],
) -> tuple[Portfolios, Counted]:
    """Return pools as margin models see them, and what their collateral counts; `weight` (B,) as in `Standing`."""
    catalogue = valuation.catalogue
    counted = count_collateral(
        rules.haircuts,
        pools,
        catalogue,
        currency=catalogue.assets[valuation.currency].symbol,
        locations=locations,
        price=balance_price,
        weight=weight,
    )
    portfolios = Portfolios(
        pools=pools,
        valuation=valuation,
        leg_row=leg_row,
        entry_value=entry_value,
        balance_price=balance_price,
        counted=counted.counted,
        rest=counted.rest,
        credit_factor=rules.credit_factors[pools.credit],
    )
    return portfolios, counted


def worth_of(portfolios: Portfolios, counted: Counted) -> Worth:
    """Return what each pool is worth."""
    pools = portfolios.pools
    value, option = portfolios.leg_value, portfolios.is_option
    entry = portfolios.entry_value * portfolios.legs(portfolios.valuation.settle_fx)
    leg_pool, balance_pool = pools.leg_pool, pools.balance_pool
    return Worth(
        balances=group_sums(balance_pool, pools.balance_amount * portfolios.balance_price, pools.count),
        haircut=group_sums(balance_pool, counted.rest * portfolios.balance_price, pools.count),
        unrealized_pnl=group_sums(leg_pool, np.where(option, 0.0, value - entry), pools.count),
        net_option_value=group_sums(leg_pool, np.where(option, value, 0.0), pools.count),
        initial_only=counted.initial_only,
    )


def margin_balance(worth: Worth, rules: Rules) -> FloatArray:
    """Return what requirements are held against, (P,)."""
    if rules.option_value == "excluded":
        return worth.equity - worth.net_option_value
    return worth.equity


def owes_something(portfolios: Portfolios) -> BoolArray:
    """Return whether each pool has a debt, a short, a future or a perpetual, (P,)."""
    pools = portfolios.pools
    leg = (portfolios.quantity < 0) | ((portfolios.quantity != 0) & ~portfolios.is_option)
    owing = np.bincount(pools.leg_pool[leg], minlength=pools.count)
    debts = np.bincount(pools.balance_pool[pools.balance_amount < 0], minlength=pools.count)
    return (owing + debts) > 0


def status_of(worth: Worth, initial: FloatArray, maintenance: FloatArray, rules: Rules, owes: BoolArray) -> IntArray:
    """Return the status code of each pool, tested in the order of formats.md."""
    balance = margin_balance(worth, rules)
    call = np.zeros(len(balance), dtype=np.bool_)
    if rules.call_level is not None:
        call = balance <= rules.call_level * maintenance
    return np.select(
        [
            worth.net_value < 0,
            ~owes | (balance >= initial),
            (balance <= maintenance) & (maintenance > 0),
            call,
        ],
        [Status.BANKRUPT, Status.HEALTHY, Status.LIQUIDATION, Status.CALL],
        default=Status.WARNING,
    ).astype(np.int64)

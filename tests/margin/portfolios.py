"""Small books as margin models see them, for the tests of position-based models."""

from collections.abc import Iterable, Mapping

import numpy as np

from crossmargin.book import Account, Balance, Book, Position, pools_of
from crossmargin.instruments import Instrument
from crossmargin.margin import Portfolios
from crossmargin.market import Market
from crossmargin.pricing import value


def portfolios_of(
    instruments: Iterable[Instrument],
    market: Market,
    *accounts: Iterable[Position],
    balances: Mapping[str, float] | None = None,
) -> Portfolios:
    """Return a pool for each list of positions, named a0, a1, ...; every account has `balances`."""
    held = [Balance(asset=asset, amount=amount) for asset, amount in (balances or {}).items()]
    book = Book.of(
        [Account(id=f"a{k}", positions=list(positions), balances=held) for k, positions in enumerate(accounts)],
        instruments,
        currency=market.currency,
    )
    pools, _ = pools_of(book)
    needed = np.zeros(len(book.catalogue.assets), dtype=np.bool_)
    needed[book.balances.asset] = True
    valuation = value(market, book.catalogue, assets=needed)
    unsettled = (pools.leg_quantity - pools.leg_priced) * valuation.unit_value[pools.leg_instrument]
    return Portfolios(
        pools=pools,
        valuation=valuation,
        leg_row=pools.leg_instrument,
        entry_value=np.where(valuation.is_option[pools.leg_instrument], 0.0, pools.leg_entry_value + unsettled),
        balance_price=valuation.fx[pools.balance_asset],
        counted=pools.balance_amount,
        rest=np.zeros(len(pools.balance_amount)),
        credit_factor=np.ones(pools.count),
    )

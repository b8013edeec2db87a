"""Importers: chains, accounts, positions and leverage tiers as venues and their tools write them, into our own types.

Here: one reader a kind of file, the list of them, and what a venue states itself of an account, beside our figures.
Never here: the library's own formats (see files), what anything is worth, a price that nobody quoted.

Conventions. An importer returns instruments and, where the file states prices, a market; it drops nothing silently:
its report names what has no mark, what could not be inverted and what was assumed. A file that is not what it
claims to be raises InvalidFile with row (line of the file, from 1) and column. Signs, units and symbols are the
library's own: long > 0, times UTC, vols and rates fractions, coin-settled options priced in the coin.
"""

from crossmargin.venues.binance_account import import_binance_account
from crossmargin.venues.bybit_account import import_bybit_account
from crossmargin.venues.cboe import import_cboe_chain
from crossmargin.venues.ccxt import import_ccxt_positions
from crossmargin.venues.deribit import import_deribit_chain
from crossmargin.venues.deribit_account import import_deribit_account
from crossmargin.venues.imported import Imported
from crossmargin.venues.kinds import KINDS, Kind
from crossmargin.venues.leverage import import_leverage_tiers
from crossmargin.venues.okx_account import import_okx_account
from crossmargin.venues.span import import_span
from crossmargin.venues.stated import Figure, Stated, read_stated, write_stated

__all__ = [
    "KINDS",
    "Figure",
    "Imported",
    "Kind",
    "Stated",
    "import_binance_account",
    "import_bybit_account",
    "import_cboe_chain",
    "import_ccxt_positions",
    "import_deribit_account",
    "import_deribit_chain",
    "import_leverage_tiers",
    "import_okx_account",
    "import_span",
    "read_stated",
    "write_stated",
]

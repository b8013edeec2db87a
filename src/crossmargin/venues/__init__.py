"""Importers: chains, positions and leverage tiers as venues and their tools write them, into the library's own types.

Here: one reader a kind of file, and the list of them. Never here: the library's own formats (see files), what
anything is worth, a price that nobody quoted.

Conventions. An importer returns instruments and, where the file states prices, a market; it drops nothing silently:
its report names what has no mark, what could not be inverted and what was assumed. A file that is not what it
claims to be raises InvalidFile with row (line of the file, from 1) and column. Signs, units and symbols are the
library's own: long > 0, times UTC, vols and rates fractions, coin-settled options priced in the coin.
"""

from crossmargin.venues.cboe import import_cboe_chain
from crossmargin.venues.ccxt import import_ccxt_positions
from crossmargin.venues.deribit import import_deribit_chain
from crossmargin.venues.imported import Imported
from crossmargin.venues.kinds import KINDS, Kind
from crossmargin.venues.leverage import import_leverage_tiers
from crossmargin.venues.span import import_span

__all__ = [
    "KINDS",
    "Imported",
    "Kind",
    "import_cboe_chain",
    "import_ccxt_positions",
    "import_deribit_chain",
    "import_leverage_tiers",
    "import_span",
]

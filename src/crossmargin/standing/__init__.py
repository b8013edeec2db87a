"""How every pool stands: worth, requirement, status, and where it breaches.

Here: `evaluate` and the answers that follow from it (liquidation prices, greeks, what can be withdrawn, what cross
margin saves), for cross accounts, isolated positions and pools of accounts by one code path. Never here: files,
printing, acting on a breach.

Conventions. All amounts are in the reporting currency. equity = net value - haircut; margin balance = equity, less
option value where the rule book excludes it; requirements are held against the margin balance.
"""

from crossmargin.standing.along import Along, betas, liquidation_along
from crossmargin.standing.bankruptcy import BankruptcyPrices, bankruptcy_prices
from crossmargin.standing.comparison import Cause, Compared, Comparison, Layers, causes, compare, layers
from crossmargin.standing.distance import Breach, most_likely_breach
from crossmargin.standing.document import Document, document
from crossmargin.standing.greeks import Greeks, greeks
from crossmargin.standing.groups import GroupMargins, group_margins
from crossmargin.standing.isolation import isolated_margins
from crossmargin.standing.liquidation import Liquidation, liquidation_prices
from crossmargin.standing.order_size import OrderSize, max_order_size
from crossmargin.standing.standing import Standing, Status, Worth, evaluate
from crossmargin.standing.tick import after_tick
from crossmargin.standing.withdrawal import Withdrawable, withdrawable

__all__ = [
    "Along",
    "BankruptcyPrices",
    "Breach",
    "Cause",
    "Compared",
    "Comparison",
    "Document",
    "Greeks",
    "GroupMargins",
    "Layers",
    "Liquidation",
    "OrderSize",
    "Standing",
    "Status",
    "Withdrawable",
    "Worth",
    "after_tick",
    "bankruptcy_prices",
    "betas",
    "causes",
    "compare",
    "document",
    "evaluate",
    "greeks",
    "group_margins",
    "isolated_margins",
    "layers",
    "liquidation_along",
    "liquidation_prices",
    "max_order_size",
    "most_likely_breach",
    "withdrawable",
]

"""What if: the same pool after trades nobody has done yet, the cheapest hedge, the cheapest way out.

Here: `Trades` (a pool at many hypothetical trades), and the programs that look for the best ones. Every answer is
margined again by the code that margins books before it is given. Never here: prices of orders not done, venues, the
ledger, reports.

Conventions. Quantities are contracts, bought > 0; costs are positive, in the reporting currency; a bound is the least
any answer could cost.
"""

from crossmargin.whatif.programs import Figures, Plan, Trade, cheapest_close_out, cheapest_hedge
from crossmargin.whatif.trades import Outcomes, Trades

__all__ = ["Figures", "Outcomes", "Plan", "Trade", "Trades", "cheapest_close_out", "cheapest_hedge"]

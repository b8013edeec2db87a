"""The simulated venue: an order book an instrument, liquidity that is used up and comes back, and a day of trading.

Here: limit order books, background liquidity, prices and traders of a made-up day, all the same for the same seed.
Never here: money, margin, journals; a clock; matching rules of any venue that exists.

Conventions. Whole ticks and lots; bought > 0, sold < 0; sides are 1 (bids) and -1 (offers). Time comes in, in seconds
of the day. Chance comes from seeds that name what they are for: the same question asked again has the same answer.
"""

from crossmargin.venues.simulated.exchange import SimulatedVenue
from crossmargin.venues.simulated.liquidity import Depth, Liquidity, Quote
from crossmargin.venues.simulated.order_book import OrderBook
from crossmargin.venues.simulated.orders import Ended, Fill, Order, Outcome, OwnOrders

__all__ = [
    "Depth",
    "Ended",
    "Fill",
    "Liquidity",
    "Order",
    "OrderBook",
    "Outcome",
    "OwnOrders",
    "Quote",
    "SimulatedVenue",
]

"""The simulated venue: an order book an instrument, liquidity that is used up and comes back, and a day of trading.

Here: limit order books, background liquidity, prices and traders of a made-up day, all the same for the same seed.
Never here: money, margin, journals; a clock; matching rules of any venue that exists.

Conventions. Whole ticks and lots; bought > 0, sold < 0; sides are 1 (bids) and -1 (offers). Time comes in, in seconds
of the day. Chance comes from seeds that name what they are for: the same question asked again has the same answer.
"""

from crossmargin.venues.simulated.day import Payment, Placed, TradingDay
from crossmargin.venues.simulated.exchange import SimulatedVenue
from crossmargin.venues.simulated.liquidity import Depth, Liquidity, Quote
from crossmargin.venues.simulated.listings import OPENS, RANKS, UNDERLYINGS, WINDOW_SECONDS, Listed, listings, vol_of
from crossmargin.venues.simulated.order_book import OrderBook
from crossmargin.venues.simulated.orders import Ended, Fill, Order, Outcome, OwnOrders
from crossmargin.venues.simulated.prices import Underlying, price_paths
from crossmargin.venues.simulated.traders import ACCOUNTS_MIN, Kind, Trader, population

__all__ = [
    "ACCOUNTS_MIN",
    "OPENS",
    "RANKS",
    "UNDERLYINGS",
    "WINDOW_SECONDS",
    "Depth",
    "Ended",
    "Fill",
    "Kind",
    "Liquidity",
    "Listed",
    "Order",
    "OrderBook",
    "Outcome",
    "OwnOrders",
    "Payment",
    "Placed",
    "Quote",
    "SimulatedVenue",
    "Trader",
    "TradingDay",
    "Underlying",
    "listings",
    "population",
    "price_paths",
    "vol_of",
]

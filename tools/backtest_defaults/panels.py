"""What is margined: panels of markets whose closes lie on one calendar, and static books on them."""

from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from crossmargin.market import History
from tools.backtest_defaults import series

RANDOM_BOOKS = 60
RANDOM_SEED = 20261120


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A book that is put on anew when each window opens: {underlying: value in USD millions, short below 0}."""

    name: str
    weights: dict
    kind: str = "single"
    """`single`, `mixed`, `random` or `options`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionTerms:
    """An option that is written anew when a window opens."""

    underlying: str
    option_type: str
    moneyness: float
    """Strike as a fraction of the underlying's close."""
    days: int = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """Markets on one calendar: every day on which one of them closed is a row."""

    name: str
    title: str
    history: History
    classes: dict
    """{underlying: asset class}."""
    books: tuple
    any_domain: frozenset = frozenset()
    horizon: int
    """Rows until the longest window of the panel closes."""
    open_days_of: str = ""
    """A market: windows open on the days it closes, and horizons are counted in each market's own closes."""
    rows_kept: int
    """Closes a book brings: about ten years of them."""
    ranges: dict = field(default_factory=dict)
    """{underlying: (lows, highs)}, each (days,), NaN where unknown."""
    path: dict = field(default_factory=dict)
    """{underlying: closes (days, instants)} at instants through the day that ends with the row's close."""

    options: dict = field(default_factory=dict)
    """{leg: OptionTerms}; their vol is the series "<underlying>.vol"."""

    @property
    def names(self):
        """Underlyings, without the series of vols."""
        return tuple(self.classes)


def _panel(name, title, markets, classes, books, *, a_year=260, **others):
    history = History.of({asset: market.close for asset, market in markets.items()})
    ranges = {}
    for asset, market in markets.items():
        if market.low:
            low, high = ([part.get(day, np.nan) for day in history.days] for part in (market.low, market.high))
            ranges[asset] = np.array(low), np.array(high)
    return Panel(
        name=name,
        title=title,
        history=history,
        classes=classes,
        books=tuple(books),
        rows_kept=10 * a_year,
        ranges=ranges,
        **others,
    )


def _singles(names):
    return [
        Book(name=f"{side} {name}", weights={name: sign})
        for name in names
        for side, sign in (("long", 1), ("short", -1))
    ]


def _both(name, weights):
    """Return a mixed book and its opposite."""
    turned = {asset: -weight for asset, weight in weights.items()}
    return [
        Book(name=name, weights=weights, kind="mixed"),
        Book(name=f"the opposite of {name}", weights=turned, kind="mixed"),
    ]


def _random(names, stream):
    """Return books of three names or more, long and short, drawn with a fixed seed."""
    rng = np.random.default_rng([RANDOM_SEED, stream])
    books = []
    for k in range(1, RANDOM_BOOKS + 1):
        chosen = rng.choice(len(names), size=int(rng.integers(min(3, len(names)), len(names) + 1)), replace=False)
        weights = {names[i]: round(float(rng.normal()), 2) for i in sorted(chosen.tolist())}
        books.append(Book(name=f"random {k}", weights=weights, kind="random"))
    return books


# --- the panels of the page


def sp500(data):
    """S&P 500 alone, since 1927."""
    return _panel(
        "sp500",
        "S&P 500, since 1927",
        {"SPX": series.sp500(data)},
        {"SPX": "equity_index"},
        _singles(["SPX"]),
        horizon=2,
    )


def oil(data):
    """Crude oil: WTI can fall through zero."""
    return _panel(
        "oil",
        "Crude oil, spot, since 1986",
        series.oil(data),
        {"WTI": "energy", "BRENT": "energy"},
        [*_singles(["WTI", "BRENT"]), *_both("WTI less BRENT", {"WTI": 1.0, "BRENT": -1.0})],
        any_domain=frozenset({"WTI"}),
        horizon=2,
    )


def fx(data):
    """Seven currencies against the dollar."""
    rates = series.currencies(data)
    names = list(rates)
    return _panel(
        "fx",
        "Currencies, 1971 to 2017",
        rates,
        dict.fromkeys(names, "fx"),
        [
            *_singles(names),
            *_both("CHF less EUR", {"CHF": 1.0, "EUR": -1.0}),
            *_both("AUD less JPY", {"AUD": 1.0, "JPY": -1.0}),
            *_both("GBP, CHF, JPY and AUD", {"GBP": 1.0, "CHF": 1.0, "JPY": 1.0, "AUD": 1.0}),
            *_random(names, 1),
        ],
        horizon=2,
    )


def crypto(data):
    """Five coins; what is younger than its window is completed by proxy, as a book would have it."""
    markets = series.coins(data)
    names = list(markets)
    panel = _panel(
        "crypto",
        "Coins, 2015 to October 2022",
        markets,
        dict.fromkeys(names, "crypto"),
        [
            *_singles(names),
            *_both("ETH less BTC", {"ETH": 1.0, "BTC": -1.0}),
            *_both("SOL less ETH", {"SOL": 1.0, "ETH": -1.0}),
            *_both("BTC less four others", {"BTC": 4.0, "ETH": -1.0, "SOL": -1.0, "DOGE": -1.0, "BNB": -1.0}),
            *_random(names, 2),
        ],
        a_year=365,
        horizon=1,
    )
    for coin in names:
        times, closes = series.hourly(data, coin)
        panel.path[coin] = _through_the_day(panel.history.days, times, closes)
    return panel


def world(data):
    """Coins, shares, oil and the euro in one pool, on the calendar of the coins."""
    coins = series.coins(data)
    first = date(2015, 1, 19)
    last = max(coins["BTC"].close)
    markets = {
        "BTC": coins["BTC"],
        "ETH": coins["ETH"],
        "SPX": series.sp500(data),
        "EUR": series.euro(data),
        **series.oil(data),
    }
    markets = {
        name: series.Series(close={day: price for day, price in market.close.items() if first <= day <= last})
        for name, market in markets.items()
    }
    names = list(markets)
    return _panel(
        "world",
        "Coins, shares, oil and the euro, 2015 to October 2022",
        markets,
        {"BTC": "crypto", "ETH": "crypto", "SPX": "equity_index", "EUR": "fx", "WTI": "energy", "BRENT": "energy"},
        [
            *_singles(["SPX"]),
            *_both("BTC and SPX", {"BTC": 1.0, "SPX": 1.0}),
            *_both("BTC less SPX", {"BTC": 1.0, "SPX": -2.0}),
            *_both("ETH less BTC, with the oil spread", {"ETH": 1.0, "BTC": -1.0, "WTI": 2.0, "BRENT": -2.0}),
            *_both("BTC, SPX, WTI and EUR", {"BTC": 1.0, "SPX": 3.0, "WTI": 1.0, "EUR": 6.0}),
            *_random(names, 3),
        ],
        a_year=365,
        any_domain=frozenset({"WTI"}),
        horizon=2,
    )


def open_days(data):
    """The same, with horizons counted as a trader counts them: two days on which the market is open."""
    panel = world(data)
    title = "The same, horizons counted in days on which each market is open"
    return replace(panel, name="open_days", title=title, open_days_of="SPX")


def macro(data):
    """Shares, oil and currencies over thirty years."""
    rates = series.currencies(data)
    first, last = date(1987, 5, 20), date(2017, 12, 1)
    markets = {"SPX": series.sp500(data), **series.oil(data), **{name: rates[name] for name in ("JPY", "GBP", "CHF")}}
    markets = {
        name: series.Series(close={day: price for day, price in market.close.items() if first <= day <= last})
        for name, market in markets.items()
    }
    names = list(markets)
    return _panel(
        "macro",
        "Shares, oil and currencies, 1987 to 2017",
        markets,
        {"SPX": "equity_index", "WTI": "energy", "BRENT": "energy", "JPY": "fx", "GBP": "fx", "CHF": "fx"},
        [
            *_both("SPX and WTI", {"SPX": 1.0, "WTI": 1.0}),
            *_both("SPX less JPY", {"SPX": 1.0, "JPY": -1.0}),
            *_both("SPX, WTI, GBP and JPY", {"SPX": 2.0, "WTI": 1.0, "GBP": 4.0, "JPY": 4.0}),
            *_both("WTI less BRENT, GBP less CHF", {"WTI": 1.0, "BRENT": -1.0, "GBP": 4.0, "CHF": -4.0}),
            *_random(names, 4),
        ],
        any_domain=frozenset({"WTI"}),
        horizon=2,
    )


def options(data):
    """Options of thirty days on the S&P 500, their vol taken to be the VIX; the history has its vols too."""
    vix, index = series.vix(data), series.sp500(data).since(date(1990, 1, 2))
    return _panel(
        "options",
        "Options on the S&P 500, since 1990",
        {"SPX": series.Series(close=index.close), "SPX.vol": vix},
        {"SPX": "equity_index"},
        [
            Book(name="short put 10% below", weights={"P90": -1.0}, kind="options"),
            Book(name="short straddle", weights={"C100": -1.0, "P100": -1.0}, kind="options"),
            Book(name="short strangle 5% away", weights={"C105": -1.0, "P95": -1.0}, kind="options"),
            Book(name="short put spread 5% to 10% below", weights={"P95": -1.0, "P90": 1.0}, kind="options"),
            Book(name="index with short call 5% above", weights={"SPX": 1.0, "C105": -1.0}, kind="options"),
            Book(name="index with put 5% below", weights={"SPX": 1.0, "P95": 1.0}, kind="options"),
            Book(name="long straddle", weights={"C100": 1.0, "P100": 1.0}, kind="options"),
        ],
        options={
            f"{kind[0].upper()}{percent}": OptionTerms(underlying="SPX", option_type=kind, moneyness=percent / 100)
            for kind, percent in (("call", 100), ("call", 105), ("put", 90), ("put", 95), ("put", 100))
        },
        horizon=2,
    )


PANELS = {make.__name__: make for make in (sp500, oil, fx, crypto, world, open_days, macro, options)}


HOURS = (0, 6, 12, 18)


def sampled_at(data, hour):
    """Return the coins with days that end at `hour` UTC: is midnight a lucky choice?"""
    found = {}
    for coin in ("BTC", "ETH", "SOL", "DOGE", "BNB"):
        times, closes = series.hourly(data, coin)
        at = np.flatnonzero(times.astype(int) % 24 == hour)
        found[coin] = series.Series(
            close={t.astype("datetime64[D]").item(): float(p) for t, p in zip(times[at], closes[at], strict=True)}
        )
    return _panel(
        f"crypto at {hour:02}:00",
        f"Coins, days that end at {hour:02}:00 UTC",
        found,
        dict.fromkeys(found, "crypto"),
        [*_singles(["BTC", "ETH"]), *_both("ETH less BTC", {"ETH": 1.0, "BTC": -1.0})],
        a_year=365,
        horizon=1,
    )


def _through_the_day(days, times, closes):
    """Return closes (days, 24) of the hours that end on each day, the last at midnight; NaN where there is none."""
    table = np.full((len(days), 24), np.nan)
    # A bar that ends at midnight belongs to the day before: it is that day's close.
    opened = times - np.timedelta64(1, "h")
    row_of = {day: k for k, day in enumerate(days)}
    day = opened.astype("datetime64[D]")
    rows = [row_of.get(d, -1) for d in day.tolist()]
    hours = (opened - day.astype("datetime64[h]")).astype(int)
    for row, hour, close in zip(rows, hours.tolist(), closes.tolist(), strict=True):
        if row >= 0:
            table[row, hour] = close
    return table

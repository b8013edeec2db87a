"""Market data of the backtest, read from $CROSSMARGIN_SHARED/data, and put right where files are known to be wrong."""

import csv
import os
import zipfile
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]

FILES = {
    "SPX": "traditional/^GSPC.csv",
    "VIX": "traditional/cboe_vix-daily.csv",
    "WTI": "traditional/eia_wti-daily.csv",
    "BRENT": "traditional/eia_brent-daily.csv",
    "H.10": "traditional/fed_h10_fx_daily_1971_2017.csv",
    "EURUSD": "traditional/EURUSD=X.csv",
    "BTC until 2017": "crypto/lean/crypto/coinbase/daily/btcusd_trade.zip",
    "BTC": "crypto/BTCUSDT_spot_1d_from_2017.csv",
    **{coin: f"crypto/{coin}USDT_1d.csv" for coin in ("ETH", "SOL", "DOGE", "BNB")},
    **{f"{coin}, hourly": f"crypto/{coin}USDT_1h.csv" for coin in ("BTC", "ETH", "SOL", "DOGE", "BNB")},
}
CURRENCIES = {
    "AUD": "Australia",
    "CAD": "Canada",
    "CHF": "Switzerland",
    "EUR": "Euro",
    "GBP": "United Kingdom",
    "JPY": "Japan",
    "MXN": "Mexico",
}


class MissingData(Exception):
    """Market data that is not there, named file by file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Daily prices of one underlying: {day: price}."""

    close: dict
    low: dict = field(default_factory=dict)
    """Lowest and highest price of the day, where the file has them."""
    high: dict = field(default_factory=dict)

    def since(self, day):
        """Return the prices from `day` on."""
        return self._kept(lambda known: known >= day)

    def before(self, day):
        """Return the prices before `day`."""
        return self._kept(lambda known: known < day)

    def without(self, *days):
        """Return the prices of all other days."""
        return self._kept(lambda known: known not in days)

    def then(self, later):
        """Return these prices, and those of `later` from its first day on."""
        first = min(later.close)
        mine = self.before(first)
        return Series(close=mine.close | later.close, low=mine.low | later.low, high=mine.high | later.high)

    def _kept(self, wanted):
        kept = (
            {day: price for day, price in part.items() if wanted(day)} for part in (self.close, self.low, self.high)
        )
        return Series(**dict(zip(("close", "low", "high"), kept, strict=True)))


def folder():
    """Return the folder of market data; raise MissingData naming every file that is not there."""
    shared = Path(os.environ.get("CROSSMARGIN_SHARED") or ROOT.parent / "shared")
    data = shared / "data"
    missing = [name for name in FILES.values() if not (data / name).is_file()]
    if missing:
        told = f"all of it, in {data}" if len(missing) == len(FILES) else f"in {data}: {', '.join(missing)}"
        raise MissingData(
            f"The market data of the backtest is missing: {told}.\n"
            "It is not part of the repository (several files carry no licence to be passed on). "
            "Set CROSSMARGIN_SHARED to the folder that holds data/."
        )
    return data


def sp500(data):
    """Return the S&P 500; the file has lows and highs from 1962 on."""
    return _table(data / FILES["SPX"], low="Low", high="High", ranges_from=date(1962, 1, 2))


def vix(data):
    """Return the VIX as a fraction."""
    found = _table(data / FILES["VIX"], day="DATE", close="CLOSE")
    return Series(close={day: level / 100.0 for day, level in found.close.items()})


def oil(data):
    """Return {name: spot price of crude oil}."""
    return {name: _table(data / FILES[name], close="Price") for name in ("WTI", "BRENT")}


def currencies(data):
    """Return {currency: its value in USD} by the H.10 noon rates, which are all quoted as units per USD."""
    found = {}
    for name, column in CURRENCIES.items():
        rates = _table(data / FILES["H.10"], day="Data", close=column).close
        found[name] = Series(close={day: 1.0 / rate for day, rate in rates.items()})
    return found


def euro(data):
    """Return the euro: H.10 until 2017, then the day's last quote (which has no bad ticks from then on)."""
    later = _table(data / FILES["EURUSD"], low="Low", high="High").since(date(2017, 12, 4))
    return currencies(data)["EUR"].then(later)


def coins(data):
    """Return {coin: price in USD}: BTC on the spot market since 2015, the others as perpetuals since 2020."""
    with zipfile.ZipFile(data / FILES["BTC until 2017"]) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    rows = [line.split(",") for line in text.splitlines() if line]
    days = [datetime.strptime(row[0], "%Y%m%d %H:%M").date() for row in rows]
    first = Series(
        close={day: float(row[4]) for day, row in zip(days, rows, strict=True)},
        low={day: float(row[3]) for day, row in zip(days, rows, strict=True)},
        high={day: float(row[2]) for day, row in zip(days, rows, strict=True)},
    )
    # Before that day the file has a handful of trades a week.
    first = first.since(date(2015, 1, 19))
    btc = _table(data / FILES["BTC"], day="time", close="close", low="low", high="high")
    others = {name: _table(data / FILES[name], low="Low", high="High") for name in ("ETH", "SOL", "DOGE", "BNB")}
    return {"BTC": first.then(btc), **others}


def hourly(data, coin):
    """Return (times, closes) of a coin's hourly bars; a time is the end of its bar, as datetime64[h], UTC."""
    with open(data / FILES[f"{coin}, hourly"], newline="", encoding="utf-8") as file:
        rows = [(row["Date"][:13], float(row["Close"])) for row in csv.DictReader(file)]
    opened = np.array([text.replace(" ", "T") for text, _ in rows], dtype="datetime64[h]")
    return opened + np.timedelta64(1, "h"), np.array([close for _, close in rows])


def _table(path, *, day="Date", close="Close", low="", high="", ranges_from=date.min):
    closes, lows, highs = {}, {}, {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if not row[close].strip():
                continue
            at = date.fromisoformat(row[day][:10])
            closes[at] = float(row[close])
            if low and at >= ranges_from:
                lows[at], highs[at] = float(row[low]), float(row[high])
    return Series(close=closes, low=lows, high=highs)

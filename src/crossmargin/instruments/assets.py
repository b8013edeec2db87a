"""Assets: what balances are in, and how much of each counts as collateral."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

from crossmargin.errors import InvalidInstrument, nearest

ASSET_CLASSES = (
    "crypto",
    "energy",
    "equity",
    "equity_index",
    "fx",
    "metals",
    "other",
    "rates",
    "stablecoin",
)
"""Every asset class a contract or an asset can be of; `other` is the strictest."""

DECIMALS_MAX = 9

_FIAT = "AUD BRL CAD CHF CNH CNY CZK DKK EUR GBP HKD HUF ILS INR JPY KRW MXN NOK NZD PLN SEK SGD THB TRY TWD USD ZAR"
_STABLE = "BUSD DAI EURC FDUSD PYUSD RLUSD TUSD USDC USDE USDG USDP USDS USDT"
_CRYPTO = (
    "AAVE ADA APT ARB AVAX BCH BNB BTC DOGE DOT ETC ETH FIL HYPE LINK LTC NEAR OP POL SHIB SOL STETH SUI TON TRX UNI "
    "WBTC WSTETH XLM XMR XRP"
)
_WELL_KNOWN = {
    **dict.fromkeys(_FIAT.split(), "fx"),
    **dict.fromkeys(_STABLE.split(), "stablecoin"),
    **dict.fromkeys(_CRYPTO.split(), "crypto"),
    "XAU": "metals",
    "XAG": "metals",
}
_DEFAULT_DECIMALS = {"fx": 2, "stablecoin": 6}


def asset_class_of(symbol: str) -> str:
    """Return the class of a well-known currency or coin, `other` for a name nobody knows."""
    return _WELL_KNOWN.get(symbol, "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """Something a balance can be in: a currency, a coin, a token, a share."""

    symbol: str
    asset_class: str = ""
    """One of ASSET_CLASSES; by default what the name is known as, else `other`."""
    decimals: int | None = None
    """Digits of the smallest unit, at most 9; default 2 fiat, 6 stable coins, 8 the rest."""
    haircut: tuple[tuple[float, float], ...] | None = None
    """Marginal slices (up to this quantity, haircut), the last one without end; None: the rule book's."""
    group: str = ""
    """Name of the underlying it must offset fully; by default its own."""
    cap: float | None = None
    """Largest quantity of it that counts in one pool; None: all of it."""
    issuer: str = ""
    """Who issued it, for wrong-way risk; empty when nobody did."""

    def __post_init__(self) -> None:
        place = f"asset {self.symbol}"
        known = asset_class_of(self.symbol)
        _default(self, "asset_class", known)
        _default(self, "group", self.symbol)
        if self.asset_class not in ASSET_CLASSES:
            raise InvalidInstrument(
                f"{place}, class",
                repr(self.asset_class),
                ", ".join(ASSET_CLASSES),
                nearest(self.asset_class, ASSET_CLASSES),
            )
        if self.decimals is None:
            object.__setattr__(self, "decimals", _DEFAULT_DECIMALS.get(self.asset_class, 8))
        elif not 0 <= self.decimals <= DECIMALS_MAX:
            raise InvalidInstrument(f"{place}, decimals", str(self.decimals), f"0 to {DECIMALS_MAX}")
        if self.cap is not None and not (isfinite(self.cap) and self.cap >= 0):
            raise InvalidInstrument(f"{place}, cap", str(self.cap), "a quantity, 0 or more")
        if self.haircut is not None:
            check_tiers(f"{place}, haircut", self.haircut)


def check_tiers(place: str, tiers: tuple[tuple[float, float], ...]) -> None:
    """Raise unless the slices rise in quantity, their haircuts do not fall, and the last has no end."""
    if not tiers:
        raise InvalidInstrument(place, "no slices", "at least one [up to quantity, haircut]")
    last_bound, last_haircut = 0.0, 0.0
    for k, (bound, haircut) in enumerate(tiers):
        if not 0 <= haircut <= 1:
            raise InvalidInstrument(f"{place}[{k}]", f"a haircut of {haircut}", "a fraction from 0 to 1")
        if not bound > last_bound:
            raise InvalidInstrument(f"{place}[{k}]", f"a bound of {bound}", f"a quantity above {last_bound}")
        if haircut < last_haircut:
            raise InvalidInstrument(
                f"{place}[{k}]",
                f"a haircut of {haircut} after {last_haircut}",
                "haircuts that do not fall with size",
            )
        last_bound, last_haircut = bound, haircut
    if tiers[-1][0] != inf:
        raise InvalidInstrument(place, f"a last bound of {tiers[-1][0]}", "null: the last slice has no end")


def _default(asset: Asset, field: str, value: str) -> None:
    if not getattr(asset, field):
        object.__setattr__(asset, field, value)

"""The market from its entry, and what it must satisfy beside the instruments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from crossmargin.errors import InputError, InvalidMarket, MissingPrice, nearest
from crossmargin.files.document import MarketEntry, VolEntry
from crossmargin.files.numbers import found, number
from crossmargin.files.terms import checked_day, checked_name
from crossmargin.instruments import KINDS, Catalogue
from crossmargin.market import History, Mark, Market, SviSlice, VolSlice, VolSurface
from crossmargin.units import BoolArray

AGREE = 1e-9
"""How closely two ways to state one price must agree, relatively."""
IV_LARGEST = 50.0
_SVI = ("a", "b", "rho", "m", "sigma")
_OPTION = KINDS.index("option")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSource:
    """A market entry and where it was written."""

    entry: MarketEntry
    place: str
    """In front of the path of a field: "book.json: market." or "market.json: "."""
    folder: Path
    """What a path in it is relative to."""


def market_of(source: MarketSource, *, time: datetime, currency: str) -> Market:
    """Return the market of its entry, every number and date checked; see `check_market` for the rest."""
    entry, at = source.entry, source.place
    for section in ("prices", "fx", "marks", "forwards", "vols", "rates", "vol_annual"):
        for name in getattr(entry, section):
            checked_name(name, f"{at}{section}", error=InvalidMarket)
    history = _history(source)
    try:
        return Market(
            time=time,
            currency=currency,
            prices=_numbers(entry.prices, f"{at}prices"),
            fx=_numbers(entry.fx, f"{at}fx"),
            marks={
                name: Mark(
                    price=_optional(mark.price, f"{at}marks.{name}.price"), iv=_iv(mark.iv, f"{at}marks.{name}.iv")
                )
                for name, mark in entry.marks.items()
            },
            forwards={
                name: {
                    checked_day(day, f"{at}forwards.{name}"): _number(forward, f"{at}forwards.{name}.{day}")
                    for day, forward in curve.items()
                }
                for name, curve in entry.forwards.items()
            },
            vols={
                name: VolSurface(
                    {
                        checked_day(day, f"{at}vols.{name}"): _slice(vol, f"{at}vols.{name}.{day}")
                        for day, vol in surface.items()
                    }
                )
                for name, surface in entry.vols.items()
            },
            rates=_numbers(entry.rates, f"{at}rates"),
            history=history,
            vol_annual=_numbers(entry.vol_annual, f"{at}vol_annual"),
        )
    except InputError as error:
        if error.where.startswith(at):
            raise
        raise type(error)(f"{at}{error.where}", error.found, error.allowed, error.hint) from None


def check_market(market: Market, catalogue: Catalogue, place: str) -> list[str]:
    """Raise for prices that cannot be those of the instruments; return warnings about names nobody uses.

    Where every instrument on an underlying has positive prices, so must be its index, forwards and marks. A
    price stated as prices.X and as fx.X must be one price.
    """
    positive = _positive_underlyings(catalogue)
    for name, price in market.prices.items():
        if price <= 0 and positive.get(name, name in catalogue.asset_number):
            raise _not_positive(f"{place}prices.{name}", price, name)
    for name, curve in market.forwards.items():
        for day, forward in curve.items():
            if forward <= 0 and positive.get(name, False):
                raise _not_positive(f"{place}forwards.{name}.{day}", forward, name)
    for symbol, mark in market.marks.items():
        _check_mark(mark, catalogue, symbol, f"{place}marks.{symbol}")
    for name, surface in market.vols.items():
        if positive.get(name, False):
            for day, part in surface.slices.items():
                _check_slice(part, f"{place}vols.{name}.{day}")
    if market.history is not None:
        _check_history(market.history, positive, place)
    _check_one_truth(market, catalogue, place)
    return _unused(market, catalogue, place)


def _number(value: object, place: str) -> float:
    return number(value, place, error=InvalidMarket)


def _optional(value: object, place: str) -> float | None:
    return None if value is None else _number(value, place)


def _iv(value: object, place: str) -> float | None:
    iv = _optional(value, place)
    if iv is not None and iv < 0:
        raise InvalidMarket(place, found(value), "0 or more")
    return iv


def _numbers(values: Mapping[str, object], place: str) -> dict[str, float]:
    return {name: _number(value, f"{place}.{name}") for name, value in values.items()}


def _slice(entry: VolEntry, place: str) -> SviSlice | VolSlice:
    svi = entry.svi is not None
    allowed, other = (
        (("svi", "forward", "tau"), ("strikes", "vols")) if svi else (("strikes", "vols", "forward"), ("tau",))
    )
    if not svi and entry.strikes is None and entry.vols is None:
        raise InvalidMarket(place, "neither svi nor strikes and vols", "svi, forward and tau; or strikes and vols")
    for name in other:
        if getattr(entry, name) is not None:
            raise InvalidMarket(f"{place}.{name}", "a field the slice does not have", f"only {', '.join(allowed)}")
    for name in allowed[: 3 if svi else 2]:
        if getattr(entry, name) is None:
            raise InvalidMarket(f"{place}.{name}", "nothing", f"{name}: it is required")
    try:
        if entry.svi is not None:
            if len(entry.svi) != len(_SVI):
                raise InvalidMarket(f"{place}.svi", f"{len(entry.svi)} numbers", f"{len(_SVI)}: {', '.join(_SVI)}")
            a, b, rho, m, sigma = (_number(value, f"{place}.svi[{k}]") for k, value in enumerate(entry.svi))
            return SviSlice(
                a=a,
                b=b,
                rho=rho,
                m=m,
                sigma=sigma,
                forward=_number(entry.forward, f"{place}.forward"),
                tau=_number(entry.tau, f"{place}.tau"),
            )
        assert entry.strikes is not None
        assert entry.vols is not None
        return VolSlice(
            strikes=tuple(_number(value, f"{place}.strikes[{k}]") for k, value in enumerate(entry.strikes)),
            vols=tuple(_number(value, f"{place}.vols[{k}]") for k, value in enumerate(entry.vols)),
            forward=_optional(entry.forward, f"{place}.forward"),
        )
    except InputError as error:
        if error.where.startswith(place):
            raise
        raise type(error)(f"{place}.{error.where}", error.found, error.allowed, error.hint) from None


def _history(source: MarketSource) -> History | None:
    history, place = source.entry.history, f"{source.place}history"
    if history is None:
        return None
    if isinstance(history, str):
        from crossmargin.files.closes import read_history

        path = source.folder / history
        if not path.is_file():
            raise InvalidMarket(place, f"{history!r}, which is no file", f"a file relative to {source.folder}")
        return read_history(path)
    from crossmargin.files.closes import history_of

    return history_of(history, place)


def _positive_underlyings(catalogue: Catalogue) -> dict[str, bool]:
    """Return for each underlying whether all prices on it are positive."""
    positive: dict[str, bool] = {}
    for instrument in catalogue:
        name = instrument.underlying
        positive[name] = positive.get(name, True) and instrument.price_domain == "positive"
    return positive


def _not_positive(place: str, price: float, name: str) -> InvalidMarket:
    return InvalidMarket(
        place,
        f"{price:g}",
        "a price above 0",
        f'every instrument on {name} has price_domain "positive"; "any" allows prices of zero and below',
    )


def _check_mark(mark: Mark, catalogue: Catalogue, symbol: str, place: str) -> None:
    k = catalogue.number[symbol]
    if mark.iv is not None and catalogue.kind[k] != _OPTION:
        raise InvalidMarket(
            f"{place}.iv", f"{mark.iv:g} for a {KINDS[catalogue.kind[k]]}", "a price: only options have an iv"
        )
    if catalogue.any_domain[k]:
        return
    # A worthless option may be marked at 0.
    if mark.price is not None and (mark.price < 0 or (mark.price == 0 and catalogue.kind[k] != _OPTION)):
        raise _not_positive(f"{place}.price", mark.price, catalogue.instruments[k].underlying)
    if mark.iv is not None and mark.iv > IV_LARGEST:
        raise InvalidMarket(
            f"{place}.iv",
            f"{mark.iv:g}",
            f"a fraction, at most {IV_LARGEST:g}",
            f"is {mark.iv:g} percent meant? write {mark.iv / 100:g}",
        )


def _check_slice(part: SviSlice | VolSlice, place: str) -> None:
    if isinstance(part, VolSlice):
        for k, (strike, vol) in enumerate(zip(part.strikes, part.vols, strict=True)):
            if strike <= 0:
                raise InvalidMarket(f"{place}.strikes[{k}]", f"{strike:g}", "a strike above 0")
            if vol > IV_LARGEST:
                raise InvalidMarket(
                    f"{place}.vols[{k}]",
                    f"{vol:g}",
                    f"a fraction, at most {IV_LARGEST:g}",
                    f"is {vol:g} percent meant? write {vol / 100:g}",
                )
        if part.forward is not None and part.forward <= 0:
            raise InvalidMarket(f"{place}.forward", f"{part.forward:g}", "a price above 0")


def _check_history(history: History, positive: Mapping[str, bool], place: str) -> None:
    strict: BoolArray = np.array([positive.get(name, name.endswith(".vol")) for name in history.names], dtype=np.bool_)
    wrong = np.argwhere((history.closes <= 0) & strict)
    if len(wrong):
        day, name = history.days[wrong[0][0]], history.names[wrong[0][1]]
        raise _not_positive(f"{place}history, {name} on {day}", float(history.closes[tuple(wrong[0])]), name)


def _check_one_truth(market: Market, catalogue: Catalogue, place: str) -> None:
    quotes: dict[str, set[str]] = {}
    for instrument in catalogue:
        quotes.setdefault(instrument.underlying, set()).add(instrument.quote)
    for name, price in market.prices.items():
        quote = _quote_of(name, quotes, market.currency)
        if quote is None:
            if name not in market.fx and name != market.currency and len(quotes.get(name, ())) > 1:
                raise MissingPrice(
                    f"{place}fx.{name}",
                    f"nothing, and instruments on {name} quoted in {', '.join(sorted(quotes[name]))}",
                    f"fx.{name}: its price in {market.currency}, which prices.{name} cannot say",
                )
            continue
        stated = 1.0 if name == market.currency else market.fx.get(name)
        rate = _value_of(quote, market, quotes, {name})
        if stated is not None and rate is not None and not abs(price * rate - stated) <= AGREE * abs(stated):
            through = f"prices.{name} = {price!r}" + ("" if quote == market.currency else f" x fx.{quote} = {rate!r}")
            raise InvalidMarket(
                f"{place}fx.{name}",
                f"{stated!r}, and {through}: two truths for one price",
                "one of the two, or both agreeing to 1e-9",
            )


def _quote_of(name: str, quotes: Mapping[str, set[str]], currency: str) -> str | None:
    """Return the asset that the price of `name` is in; None where its instruments do not say one."""
    mine = quotes.get(name, set())
    if currency in mine:
        return currency
    return next(iter(mine)) if len(mine) == 1 else None


def _value_of(name: str, market: Market, quotes: Mapping[str, set[str]], seen: set[str]) -> float | None:
    """Return the value of one unit in the reporting currency, through prices where fx does not state it."""
    if name == market.currency:
        return 1.0
    if name in market.fx:
        return market.fx[name]
    quote = _quote_of(name, quotes, market.currency)
    if name not in market.prices or quote is None or name in seen:
        return None
    rate = _value_of(quote, market, quotes, seen | {name})
    return None if rate is None else market.prices[name] * rate


def _unused(market: Market, catalogue: Catalogue, place: str) -> list[str]:
    """Return warnings about names that nothing in the book goes by and that look like one that something does."""
    underlyings = {instrument.underlying for instrument in catalogue}
    warnings = []
    for section, names, known in (
        ("forwards", market.forwards, underlyings),
        ("vols", market.vols, underlyings),
        ("vol_annual", market.vol_annual, underlyings),
        ("rates", market.rates, set(catalogue.asset_number)),
    ):
        for name in sorted(set(names) - known):
            hint = nearest(name, known)
            if hint:
                warnings.append(f"{place}{section}.{name}: nothing in the book is called so ({hint})")
    return warnings

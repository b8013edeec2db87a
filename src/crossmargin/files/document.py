"""The book document, as it is written: one struct a kind of entry. The JSON Schema comes from these."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from crossmargin.book import CREDIT_TIERS
from crossmargin.files.numbers import GRAMMAR
from crossmargin.instruments import ASSET_CLASSES, KINDS

_NUMBER: dict[str, Any] = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": GRAMMAR}]}
_ABSENT: dict[str, Any] = {"anyOf": [*_NUMBER["anyOf"], {"type": "null"}]}
_TIERS: dict[str, Any] = {
    "anyOf": [
        *_NUMBER["anyOf"],
        {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "prefixItems": [_ABSENT, _NUMBER], "minItems": 2, "maxItems": 2},
        },
        {"type": "null"},
    ]
}
_DAY = {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
_HISTORY: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "description": "A CSV or Parquet file: date, underlying, close."},
        {"type": "array", "items": {"type": "object", "required": ["date", "underlying", "close"]}},
        {"type": "object", "description": "Closes by underlying, then by date; or the three columns as lists."},
        {"type": "null"},
    ]
}

# Numbers stay as parsed (Decimal or text) until `numbers` checks them where their place is known, because
# msgspec's own Decimal takes NaN and 1e400 and forgets the keys of the mappings it came through.
Number = Annotated[Any, Meta(extra_json_schema=_NUMBER)]
Optional = Annotated[Any, Meta(extra_json_schema=_ABSENT)]
Time = Annotated[str, Meta(description="ISO 8601 with its zone: 2026-11-20T08:00:00Z.")]


def _choice(names: tuple[str, ...], description: str) -> Meta:
    return Meta(description=description, extra_json_schema={"enum": [*names, None]})


class Entry(Struct, forbid_unknown_fields=True, kw_only=True):
    """Anything written in a book."""


class AssetEntry(Entry):
    """Overrides for an asset; every other asset has the defaults of its class."""

    symbol: str
    asset_class: Annotated[str | None, _choice(ASSET_CLASSES, "By default what the name is known as.")] = msgspec.field(
        name="class", default=None
    )
    decimals: Annotated[Any, Meta(description="Digits of the smallest unit, at most 9.", extra_json_schema=_ABSENT)] = (
        None
    )
    haircut: Annotated[
        Any,
        Meta(
            description="Marginal slices [up to quantity, haircut], null for no end; or one haircut for any quantity.",
            extra_json_schema=_TIERS,
        ),
    ] = None
    group: Annotated[str | None, Meta(description="The underlying it offsets fully; by default its own.")] = None
    cap: Annotated[
        Any,
        Meta(description="Largest quantity that counts in one pool.", extra_json_schema=_ABSENT),
    ] = None
    issuer: Annotated[str | None, Meta(description="Who issued it, for wrong-way risk.")] = None


class InstrumentEntry(Entry):
    """Contract terms. With no type, they are read from the symbol."""

    symbol: str
    type: Annotated[str | None, _choice(KINDS, "The kind of contract.")] = None
    underlying: str | None = None
    quote: str | None = None
    settle: Annotated[str | None, Meta(description="By default quote; the underlying for inverse contracts.")] = None
    contract_size: Optional = None
    inverse: bool | None = None
    option_type: Annotated[str | None, _choice(("call", "put"), "For options.")] = None
    strike: Optional = None
    expiry: Time | None = None
    exercise: Annotated[str | None, _choice(("european", "american"), "By default european.")] = None
    asset_class: Annotated[str | None, _choice(ASSET_CLASSES, "By default other, the strictest.")] = None
    price_domain: Annotated[str | None, _choice(("positive", "any"), "any: prices may be zero or negative.")] = None
    tick_size: Optional = None
    lot_size: Optional = None


class MarkEntry(Entry):
    """A mark: a price, an implied vol, or both."""

    price: Optional = None
    iv: Optional = None


class VolEntry(Entry):
    """One expiry of a vol surface: raw SVI with its forward and tau, or vols at strikes."""

    svi: Annotated[list[Any] | None, Meta(description="a, b, rho, m, sigma of raw SVI total variance.")] = None
    tau: Annotated[Any, Meta(description="Years ACT/365 from the fit to expiry.", extra_json_schema=_ABSENT)] = None
    strikes: list[Any] | None = None
    vols: list[Any] | None = None
    forward: Optional = None


class MarketEntry(Entry):
    """Prices at one instant."""

    time: Annotated[str | None, Meta(description="For a market in its own file; ISO 8601 with its zone.")] = None
    currency: Annotated[str | None, Meta(description="For a market in its own file; the reporting currency.")] = None
    prices: Annotated[dict[str, Number], Meta(description="Index of each underlying, in its quote.")] = msgspec.field(
        default_factory=dict
    )
    fx: Annotated[dict[str, Number], Meta(description="Value of one unit of an asset in the reporting currency.")] = (
        msgspec.field(default_factory=dict)
    )
    marks: Annotated[dict[str, MarkEntry], Meta(description="By symbol of the instrument.")] = msgspec.field(
        default_factory=dict
    )
    forwards: Annotated[
        dict[str, dict[Annotated[str, Meta(extra_json_schema=_DAY)], Number]],
        Meta(description="By underlying, then UTC date of expiry."),
    ] = msgspec.field(default_factory=dict)
    vols: Annotated[
        dict[str, dict[Annotated[str, Meta(extra_json_schema=_DAY)], VolEntry]],
        Meta(description="By underlying, then UTC date of expiry."),
    ] = msgspec.field(default_factory=dict)
    rates: Annotated[dict[str, Number], Meta(description="Continuous, ACT/365, as fractions, by asset.")] = (
        msgspec.field(default_factory=dict)
    )
    history: Annotated[Any, Meta(description="Daily closes, UTC.", extra_json_schema=_HISTORY)] = None
    vol_annual: Annotated[dict[str, Number], Meta(description="Used where there is no history.")] = msgspec.field(
        default_factory=dict
    )


class MarketFileEntry(MarketEntry):
    """A market in a file of its own, with the instruments it brings."""

    instruments: list[InstrumentEntry] | None = None


class BalanceEntry(Entry):
    """So much of one asset in one place; a debt is negative."""

    asset: str
    amount: Number
    location: Annotated[str | None, Meta(description="By default here.")] = None
    state: Annotated[str | None, _choice(("final", "pending"), "By default final; pending counts nowhere.")] = None


class PositionEntry(Entry):
    """So many contracts, long > 0, short < 0."""

    symbol: str
    quantity: Number
    entry_price: Annotated[Any, Meta(description="Absent: P&L up to now is settled.", extra_json_schema=_ABSENT)] = None
    margin_mode: Annotated[str | None, _choice(("cross", "isolated"), "By default the account's mode.")] = None
    isolated_collateral: Annotated[
        Any,
        Meta(description="In the settle asset, in addition to balances.", extra_json_schema=_ABSENT),
    ] = None


class AccountEntry(Entry):
    """One account with everything it holds."""

    id: str
    owner: Annotated[str | None, Meta(description="By default its own id.")] = None
    mode: Annotated[str | None, _choice(("cross", "isolated"), "Default margin_mode of its positions.")] = None
    credit: Annotated[str | None, _choice(CREDIT_TIERS, "By default standard.")] = None
    pool: Annotated[str | None, Meta(description="The pool it is margined in, if not alone.")] = None
    balances: Annotated[
        dict[str, Number] | list[BalanceEntry], Meta(description="Amounts by asset, or a list with places and states.")
    ] = msgspec.field(default_factory=list)
    positions: list[PositionEntry] = msgspec.field(default_factory=list)


class OrderEntry(Entry):
    """An open order."""

    account: str
    symbol: str
    quantity: Number
    limit: Number
    reduce_only: bool | None = None


class LocationEntry(Entry):
    """Where collateral is."""

    id: str
    finality_seconds: Optional = None
    fee: Annotated[Any, Meta(description="In the reporting currency.", extra_json_schema=_ABSENT)] = None
    cap: Annotated[Any, Meta(description="In the reporting currency; null: none.", extra_json_schema=_ABSENT)] = None
    halted: bool | None = None


class PoolEntry(Entry):
    """Accounts margined as one."""

    id: str
    accounts: list[str]


class BookEntry(Entry):
    """A book: who holds what, in which market, under which rules."""

    time: Time | None = None
    currency: Annotated[str | None, Meta(description="The reporting currency; by default USD.")] = None
    rules: Annotated[str | None, Meta(description="A shipped rule book, or the path of a TOML file.")] = None
    assets: list[AssetEntry] | None = None
    instruments: list[InstrumentEntry] | None = None
    market: MarketEntry | None = None
    accounts: list[AccountEntry] | None = None
    orders: list[OrderEntry] | None = None
    locations: list[LocationEntry] | None = None
    pools: list[PoolEntry] | None = None


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a book document."""
    (reference,), parts = msgspec.json.schema_components([BookEntry], ref_template="#/$defs/{name}")
    names = {name: name.removesuffix("Entry") for name in parts}

    def renamed(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: f"#/$defs/{names[value.rsplit('/', 1)[1]]}" if key == "$ref" else renamed(value)
                for key, value in node.items()
            }
        return [renamed(item) for item in node] if isinstance(node, list) else node

    defs = {names[name]: {**renamed(part), "title": names[name]} for name, part in sorted(parts.items())}
    book = defs.pop(names[reference["$ref"].rsplit("/", 1)[1]])
    book["required"] = ["time", "accounts"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **book, "$defs": defs}

"""What the answers of a venue say of one account, gathered and made a book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import fsum

from crossmargin.book import Account, Balance, Position
from crossmargin.errors import InputError, InvalidFile
from crossmargin.instruments import Instrument, Option, Spot, asset_class_of, parse_symbol
from crossmargin.market import Mark, Market
from crossmargin.venues.fields import Fields
from crossmargin.venues.imported import Imported
from crossmargin.venues.names import UNIFIED
from crossmargin.venues.stated import Figure, Stated

CURRENCY = "USD"
"""What imported accounts are reported in: the venues state their totals in it."""

UNLISTED = "positions and open orders that the answers do not list"
ORDERS = "open orders, which are not imported"
APART = "profit in the answer on positions and not in that on the account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position as an answer states it."""

    part: str
    """The asset it is margined in, where assets are margined apart; empty: with everything else."""
    instrument: Instrument
    quantity: Decimal
    entry_price: float | None = None
    mark: float | None = None
    index: float | None = None
    isolated_collateral: float | None = None
    """In the settle asset, before unrealized P&L; None: a cross position."""
    profit: Decimal | None = None
    """Unrealized, in the settle asset, as its own answer states it."""


@dataclass(slots=True, kw_only=True)
class Told:
    """Everything that was read, before it is known to fit together."""

    venue: str
    asked: datetime | None = None
    """The time of the answers as the reader says; None: the latest they state."""
    sizes: dict[str, Decimal] = field(default_factory=dict)
    """Contract sizes by the venue's own name, where an answer lists instruments."""
    balances: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    """(part, asset) -> units owned; a debt is negative."""
    holdings: list[Holding] = field(default_factory=list)
    profits: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    """(part, asset) -> unrealized profit of all positions, as the answer on the account states it."""
    figures: list[tuple[str, Figure]] = field(default_factory=list)
    """Each with its part; the account is not named yet."""
    worth: dict[str, float] = field(default_factory=dict)
    """Value of one unit of an asset in USD."""
    times: list[datetime] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    """Sentence -> what it is about."""

    def note(self, text: str, *about: str) -> None:
        """Keep a sentence on what was assumed, and what it is about; one sentence may be about many things."""
        names = self.notes.setdefault(text, [])
        names.extend(name for name in about if name not in names)

    def lacks(self, text: str) -> None:
        """Keep what no answer says."""
        if text not in self.lacking:
            self.lacking.append(text)

    def own(self, part: str, asset: str, amount: Decimal) -> None:
        """Add to a balance."""
        self.balances[part, asset] = self.balances.get((part, asset), Decimal(0)) + amount

    def state(
        self,
        row: Fields,
        name: str,
        what: str,
        unit: str,
        *,
        part: str = "",
        symbol: str | None = None,
        contains: Mapping[str, float] | None = None,
        reasons: Sequence[str] = (),
        absolute: bool = False,
    ) -> None:
        """Keep a figure of an answer; one that is not there is named as lacking."""
        number = row.number(name)
        if number is None:
            of = f" of {symbol}" if symbol else f" of {part}" if part else ""
            self.lacks(f"{what.replace('_', ' ')}{of} ({name})")
            return
        parts = {text: amount for text, amount in (contains or {}).items() if amount}
        self.figures.append(
            (
                part,
                Figure(
                    what=what,
                    account="",
                    symbol=symbol,
                    unit=unit,
                    amount=float(abs(number) if absolute else number),
                    field=name,
                    contains=parts,
                    reasons=tuple(reasons),
                ),
            )
        )

    def contract(self, row: Fields, name: str) -> Instrument:
        """Return the contract a row names; refuse one that is not known here, or whose size is not."""
        text = row.text(name, f"a contract of {self.venue}")
        unified = text if self.venue == "deribit" else UNIFIED[self.venue](text)
        size = self.sizes.get(text)
        try:
            found = None if unified is None else parse_symbol(unified, self.venue, contract_size=size)
        except InputError as error:
            raise InvalidFile(f"{row.place}.{name}: {error.where}", error.found, error.allowed, error.hint) from None
        if found is None and unified is not None and parse_symbol(unified) is not None:
            raise row.refuse(
                name, text, "a contract whose size is known", f"add the answer of {self.venue} that lists instruments"
            )
        if found is None or isinstance(found, Spot):
            raise row.refuse(name, repr(text), f"the name of a derivative of {self.venue}")
        return found

    # --- the end

    def imported(self, account: str, *, rules: str, counted: str) -> Imported:
        """Return the account (or the accounts, one an asset that is margined apart) with its market.

        `rules` is the shipped rule book nearest to the account's mode; `counted` says what was read, a sentence.
        """
        parts = sorted({part for part, _ in self.balances} | {holding.part for holding in self.holdings}) or [""]
        ids = {part: account if len(parts) <= 1 or not part else f"{account}-{part}" for part in parts}
        instruments = {holding.instrument.symbol: holding.instrument for holding in self.holdings}
        marks = {
            holding.instrument.symbol: Mark(price=holding.mark) for holding in self.holdings if holding.mark is not None
        }
        for holding in self.holdings:
            if holding.mark is None:
                self.lacks(f"mark price of {holding.instrument.symbol}")
        prices = self._indices()
        fx = self._values(instruments, prices)
        time = self.asked or max(self.times, default=None)
        market = None
        if time is not None:
            market = Market(time=time, currency=CURRENCY, prices=prices, fx=fx, marks=dict(sorted(marks.items())))
        else:
            self.lacks("a time: say it with --time")
        accounts = tuple(
            Account(
                id=ids[part],
                owner=account,
                balances=[
                    Balance(asset=asset, amount=float(amount))
                    for (of, asset), amount in sorted(self.balances.items())
                    if of == part and amount
                ],
                positions=[_position(holding) for holding in self.holdings if holding.part == part],
            )
            for part in parts
        )
        figures = self.merged({"": account, **ids}, {**prices, **fx})
        notes = tuple(f"{text}{': ' if about else ''}{', '.join(about)}" for text, about in self.notes.items())
        stated = Stated(venue=self.venue, time=time, figures=figures, lacking=tuple(self.lacking), notes=notes)
        report = [counted, *(f"{note}." for note in notes)]
        if len(parts) > 1:
            report.append(f"Its assets are margined apart, so it is {len(parts)} accounts: {', '.join(ids.values())}.")
        if self.lacking:
            report.append(f"Not in the answers: {'; '.join(self.lacking)}.")
        return Imported(
            instruments=tuple(instruments[symbol] for symbol in sorted(instruments)),
            market=market,
            accounts=accounts,
            stated=stated,
            rules_name=rules,
            report=tuple(report),
        )

    def _indices(self) -> dict[str, float]:
        """Return the index of each underlying held; where no answer states one, the mark of a future or perpetual."""
        found: dict[str, tuple[int, float]] = {}
        for holding in self.holdings:
            name, quote = holding.instrument.underlying, holding.instrument.quote
            if holding.index is not None:
                rank, price = (0 if quote == CURRENCY else 1), holding.index
            elif holding.mark is not None and not isinstance(holding.instrument, Option):
                rank, price = (2 if holding.instrument.kind == "perpetual" else 3), holding.mark
            else:
                continue
            if name not in found or rank < found[name][0]:
                found[name] = (rank, price)
        for name in sorted({holding.instrument.underlying for holding in self.holdings}):
            if name not in found and name not in self.worth:
                self.lacks(f"index of {name}: write it in market.json")
            elif name in found and found[name][0] >= 2:
                if name in self.worth:
                    found[name] = (0, self.worth[name])
                else:
                    self.note("No index price is stated: taken as the mark", name)
        return {name: price for name, (_, price) in sorted(found.items())}

    def _values(self, instruments: Mapping[str, Instrument], prices: Mapping[str, float]) -> dict[str, float]:
        """Return the value of one unit of each asset that is owned or paid in, where it is not an index already."""
        needed = {asset for (_, asset), amount in self.balances.items() if amount}
        needed |= {instrument.settle for instrument in instruments.values()}
        needed |= {instrument.quote for instrument in instruments.values()}
        fx: dict[str, float] = {}
        for asset in sorted(needed - {CURRENCY}):
            if asset in prices:
                continue
            if asset in self.worth:
                fx[asset] = self.worth[asset]
            elif asset_class_of(asset) == "stablecoin":
                fx[asset] = 1.0
                self.note("Taken as worth 1 USD, no answer says", asset)
            else:
                self.lacks(f"value of {asset} in USD: write it in market.json, fx")
        return fx

    def merged(self, ids: Mapping[str, str], fx: Mapping[str, float]) -> tuple[Figure, ...]:
        """Return the figures by account and position; both sides of a hedged symbol are one position here."""
        merged: dict[tuple[str, str | None, str, str], list[Figure]] = {}
        for part, figure in self.figures:
            # A part that owns nothing and holds nothing is no account.
            if part in ids:
                merged.setdefault((ids[part], figure.symbol, figure.what, figure.unit), []).append(figure)
        with_positions = {ids[holding.part] for holding in self.holdings}
        maintained = {
            key[0]
            for key, of in merged.items()
            if key[1] is None and key[2] == "maintenance_margin" and any(one.amount for one in of)
        }
        found = []
        for (account, symbol, what, unit), of in merged.items():
            contains: dict[str, float] = {}
            for one in of:
                for text, amount in one.contains.items():
                    contains[text] = contains.get(text, 0.0) + amount
            amount = fsum(one.amount for one in of)
            if symbol is None and what in ("equity", "margin_balance") and account in with_positions:
                gap = self._profit_apart({part for part, name in ids.items() if name == account}, unit, fx)
                if abs(gap) > 1e-9 * abs(amount):
                    contains[APART] = -gap
            if symbol is None and what.endswith("_margin") and account not in with_positions:
                rest = amount - fsum(contains.values())
                if rest:
                    name = UNLISTED if account in maintained else ORDERS
                    contains[name] = contains.get(name, 0.0) + rest
            reasons = dict.fromkeys(reason for one in of for reason in one.reasons)
            if symbol is None:
                # What is said of its positions holds for the whole.
                reasons |= dict.fromkeys(
                    reason
                    for key, positions in merged.items()
                    if key[0] == account and key[1] is not None and key[2] == what
                    for one in positions
                    for reason in one.reasons
                )
            if len(of) > 1 and symbol is not None:
                reasons["the venue charges its long and its short side apart; they are one position here"] = None
            found.append(
                Figure(
                    what=what,
                    account=account,
                    symbol=symbol,
                    unit=unit,
                    amount=amount,
                    field=of[0].field,
                    contains=contains,
                    reasons=tuple(reasons),
                )
            )
        return tuple(found)

    def _profit_apart(self, parts: set[str], unit: str, fx: Mapping[str, float]) -> float:
        """Return the profit that positions state above what the account states of them, in `unit`.

        Two answers are of two moments. 0 where the account does not state it, or a position.
        """
        value = {**fx, CURRENCY: 1.0}
        gap = 0.0
        for (part, asset), stated in self.profits.items():
            held = [h for h in self.holdings if h.part == part and h.instrument.settle == asset]
            if part in parts and held and all(h.profit is not None for h in held):
                more = float(sum(h.profit or Decimal(0) for h in held) - stated)
                gap += more if asset == unit else more * value.get(asset, 0.0) / value.get(unit, float("inf"))
        return gap


def leverage_reason(leverage: Decimal | None) -> tuple[str, ...]:
    """Return the reason a chosen leverage is for an initial margin that no rule book knows."""
    return () if not leverage else (f"the venue's is at the leverage the account chose, {leverage.normalize():f}",)


def _position(holding: Holding) -> Position:
    isolated = holding.isolated_collateral is not None
    return Position(
        symbol=holding.instrument.symbol,
        quantity=float(holding.quantity),
        entry_price=holding.entry_price,
        margin_mode="isolated" if isolated else "cross",
        isolated_collateral=holding.isolated_collateral,
    )

"""Parties: the assets, accounts and instruments the house knows, and how it comes to know them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmargin.clearing.contracts import STAGES, Contract, contract_of
from crossmargin.clearing.ledger import FIRST_CLIENT, HOUSE_ACCOUNTS
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.errors import InputError
from crossmargin.instruments import ASSET_CLASSES, Instrument, instrument_of
from crossmargin.units import NAME_LENGTH_MAX, BoolArray, IntArray, iso

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

DECIMALS_MAX = 9
ASSETS_MAX = 1_024
"""The ledger keeps a column of every account for each."""
ACCOUNT_KINDS = ("house", "client", "omnibus_net", "omnibus_gross")
OMNIBUS = (2, 3)
"""Kinds that hold what belongs to many clients."""
TIERS = ("prime", "standard", "basic")
LISTED, TRADING, EXPIRING, SETTLED = range(len(STAGES))


@dataclass(slots=True)
class AssetTerms:
    """An asset: its name, the decimals of its smallest unit, its class for haircuts."""

    symbol: str
    decimals: int
    asset_class: str


@dataclass(slots=True)
class AccountTerms:
    """An account. member: number of the account above it; pool: of the pool it shares; -1 for none."""

    name: str
    owner: str
    kind: int
    member: int = -1
    tier: int = TIERS.index("standard")
    pool: int = -1
    closed: bool = False


@dataclass(slots=True)
class Listing:
    """An instrument, in whole units, and where it stands in its life."""

    contract: Contract
    stage: int
    maker_fee: int
    taker_fee: int
    """Of the notional, in units of 1e-6; a maker's may be negative (a rebate)."""


@dataclass(slots=True)
class Parties:
    """Assets, accounts and instruments by number; numbers are given in the order of arrival and never again."""

    assets: list[AssetTerms] = field(default_factory=list)
    accounts: list[AccountTerms] = field(default_factory=list)
    instruments: list[Listing] = field(default_factory=list)
    asset_number: dict[str, int] = field(default_factory=dict)
    account_number: dict[str, int] = field(default_factory=dict)
    instrument_number: dict[str, int] = field(default_factory=dict)
    owner_number: dict[str, int] = field(default_factory=dict)
    owner: IntArray = field(default_factory=lambda: np.full(16, -1, dtype=np.int64))
    """(accounts,) number of the owner, where hot commands find it."""
    closed: BoolArray = field(default_factory=lambda: np.zeros(16, dtype=np.bool_))
    """(accounts,) the accounts' own `closed` once more; see `close` and `reopen`."""
    terms: IntArray = field(default_factory=lambda: np.zeros((16, 4), dtype=np.int64))
    """(instruments, 4) numerator, denominator, kind and settlement asset of each contract; see `contracts`."""

    def frozen(self) -> Any:
        """Return everything as plain values."""
        return [
            [[a.symbol, a.decimals, a.asset_class] for a in self.assets],
            [[a.name, a.owner, a.kind, a.member, a.tier, a.pool, a.closed] for a in self.accounts],
            [[terms_of(i.contract.instrument), i.stage, i.maker_fee, i.taker_fee] for i in self.instruments],
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Parties:
        """Return what `frozen` was told of."""
        made = cls()
        assets, accounts, instruments = plain
        for row in assets:
            made.add_asset(AssetTerms(*row))
        for row in accounts:
            made.add_account(AccountTerms(*row))
        for terms, stage, maker, taker in instruments:
            made.list(terms, stage, maker, taker)
        return made

    def add_asset(self, asset: AssetTerms) -> None:
        """Give an asset the next number."""
        self.asset_number[asset.symbol] = len(self.assets)
        self.assets.append(asset)

    def add_account(self, account: AccountTerms) -> None:
        """Give an account the next number."""
        number = len(self.accounts)
        self.account_number[account.name] = number
        self.accounts.append(account)
        if number >= len(self.owner):
            self.owner = np.concatenate((self.owner, np.full(len(self.owner), -1, dtype=np.int64)))
            self.closed = np.concatenate((self.closed, np.zeros(len(self.closed), dtype=np.bool_)))
        self.owner[number] = self.owner_number.setdefault(account.owner, len(self.owner_number))
        self.closed[number] = account.closed

    def close(self, account: int) -> None:
        """Close an account."""
        self.accounts[account].closed = True
        self.closed[account] = True

    def reopen(self, accounts: IntArray) -> None:
        """Have accounts open again that were closed."""
        for account in accounts[self.closed[accounts]].tolist():
            self.accounts[account].closed = False
            self.closed[account] = False

    def list(self, terms: dict[str, str], stage: int, maker_fee: int, taker_fee: int) -> None:
        """Give an instrument the next number."""
        instrument = instrument_from(terms)
        number, contract = len(self.instruments), self.contract(instrument)
        self.instrument_number[instrument.symbol] = number
        self.instruments.append(Listing(contract, stage, maker_fee, taker_fee))
        if number >= len(self.terms):
            self.terms = np.concatenate((self.terms, np.zeros_like(self.terms)))
        self.terms[number] = contract.numerator, contract.denominator, contract.kind, contract.settle

    def contract(self, instrument: Instrument) -> Contract:
        """Return an instrument in whole units; ValueError where they are not whole, KeyError for an unknown asset."""
        settle = self.asset_number[instrument.settle]
        return contract_of(instrument, settle, self.assets[settle].decimals)


def terms_of(instrument: Instrument) -> dict[str, str]:
    """Return the terms of an instrument as texts, as `instrument_of` takes them."""
    terms = {"type": instrument.kind}
    for name in sorted(f.name for f in fields(instrument)):
        value = getattr(instrument, name)
        if value is None:
            continue
        if isinstance(value, datetime):
            terms[name] = iso(value)
        elif isinstance(value, bool):
            if value:
                terms[name] = "true"
        else:
            terms[name] = str(value)
    return terms


def instrument_from(terms: dict[str, str]) -> Instrument:
    """Return the instrument that `terms_of` was told of; InputError where terms contradict each other."""
    given: dict[str, object] = dict(terms)
    if "inverse" in given:
        given["inverse"] = given["inverse"] == "true"
    return instrument_of(**given)  # type: ignore[arg-type]


def allowed_name(name: str) -> bool:
    """Return whether `name` may name an account, asset or pool: 1 to 200 printable characters, no space at the ends."""
    return 0 < len(name) <= NAME_LENGTH_MAX and name.isprintable() and name == name.strip()


# --- opening the house


class OpenHouse(Command, frozen=True):
    """Open the house: its reporting currency and the assets it takes. The first command of every journal."""

    currency: str
    assets: dict[str, tuple[int, str]]
    """(decimals, asset class) of each asset, the reporting currency among them."""


class HouseOpened(Event, frozen=True):
    """The house is open."""

    currency: int
    assets: list[tuple[str, int, str]]


@decides(OpenHouse)
def _open(state: State, command: OpenHouse) -> Decision:
    if command.currency not in command.assets:
        return Rejected(Reason.UNKNOWN_ASSET, f"the reporting currency {command.currency} is not among the assets")
    if len(command.assets) > ASSETS_MAX:
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {len(command.assets)} assets; allowed: up to {ASSETS_MAX}")
    for symbol, (decimals, asset_class) in command.assets.items():
        wrong = _asset_wrong(symbol, decimals, asset_class)
        if wrong:
            return Rejected(Reason.TERMS_ARE_INVALID, wrong)
    assets = [(symbol, *terms) for symbol, terms in command.assets.items()]
    return [HouseOpened(currency=list(command.assets).index(command.currency), assets=assets)]


def _asset_wrong(symbol: str, decimals: int, asset_class: str) -> str:
    if not allowed_name(symbol):
        return f"asset {symbol!r}: not a name"
    if not 0 <= decimals <= DECIMALS_MAX:
        return f"asset {symbol}: found {decimals} decimals; allowed: 0 to {DECIMALS_MAX}"
    if asset_class not in ASSET_CLASSES:
        return f"asset {symbol}: found class {asset_class}; allowed: {', '.join(ASSET_CLASSES)}"
    return ""


@applies(HouseOpened)
def _opened(state: State, event: HouseOpened) -> None:
    state.currency = event.currency
    for row in event.assets:
        state.parties.add_asset(AssetTerms(*row))
    for name in HOUSE_ACCOUNTS:
        state.parties.add_account(AccountTerms(name, "", ACCOUNT_KINDS.index("house")))
    state.make_room()
    state.is_open = True


class AddAsset(Command, frozen=True):
    """Take another asset from now on."""

    asset: str
    decimals: int
    asset_class: str


class AssetAdded(Event, frozen=True):
    """An asset has the next number."""

    symbol: str
    decimals: int
    asset_class: str


@decides(AddAsset)
def _add_asset(state: State, command: AddAsset) -> Decision:
    if command.asset in state.parties.asset_number:
        return Rejected(Reason.ASSET_EXISTS, command.asset)
    if len(state.parties.assets) >= ASSETS_MAX:
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {ASSETS_MAX} assets already; allowed: no more")
    wrong = _asset_wrong(command.asset, command.decimals, command.asset_class)
    if wrong:
        return Rejected(Reason.TERMS_ARE_INVALID, wrong)
    return [AssetAdded(symbol=command.asset, decimals=command.decimals, asset_class=command.asset_class)]


@applies(AssetAdded)
def _asset_added(state: State, event: AssetAdded) -> None:
    state.parties.add_asset(AssetTerms(event.symbol, event.decimals, event.asset_class))
    state.terms_changes += 1
    state.make_room()


# --- accounts


class OpenAccount(Command, frozen=True):
    """Open an account. member: the account it is a client of, empty for none."""

    account: str
    owner: str = ""
    """By default the account's own name."""
    kind: str = "client"
    member: str = ""
    tier: str = "standard"


class AccountOpened(Event, frozen=True):
    """An account has the next number."""

    name: str
    owner: str
    kind: int
    member: int
    tier: int


@decides(OpenAccount)
def _open_account(state: State, command: OpenAccount) -> Decision:
    known = state.parties.account_number
    if command.account in known:
        return Rejected(Reason.ACCOUNT_EXISTS, command.account)
    if not allowed_name(command.account) or (command.owner and not allowed_name(command.owner)):
        return Rejected(Reason.NAME_IS_NOT_ALLOWED, repr(command.account))
    if command.kind not in ACCOUNT_KINDS or command.tier not in TIERS:
        allowed = f"kinds {', '.join(ACCOUNT_KINDS)}; tiers {', '.join(TIERS)}"
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {command.kind}, {command.tier}; allowed: {allowed}")
    member = -1
    if command.member:
        member = known.get(command.member, -1)
        if member < FIRST_CLIENT:
            return Rejected(Reason.UNKNOWN_ACCOUNT, f"member {command.member}")
        if member not in state.members.assessment_cap or command.kind == "house":
            return Rejected(Reason.ACCOUNT_IS_NO_MEMBER, f"{command.member} for a {command.kind} account")
    return [
        AccountOpened(
            name=command.account,
            owner=command.owner or command.account,
            kind=ACCOUNT_KINDS.index(command.kind),
            member=member,
            tier=TIERS.index(command.tier),
        )
    ]


@applies(AccountOpened)
def _account_opened(state: State, event: AccountOpened) -> None:
    state.parties.add_account(AccountTerms(event.name, event.owner, event.kind, event.member, event.tier))
    state.make_room()


# --- instruments


class ListInstrument(Command, frozen=True):
    """List an instrument. terms: as in a book's `instruments`, texts, with tick and lot sizes."""

    terms: dict[str, str]
    maker_fee: int = 0
    taker_fee: int = 0
    """Of the notional, in units of 1e-6."""
    trades: bool = True
    """At once; else from `StartTrading` on."""


class InstrumentListed(Event, frozen=True):
    """An instrument has the next number."""

    terms: dict[str, str]
    stage: int
    maker_fee: int
    taker_fee: int


@decides(ListInstrument)
def _list(state: State, command: ListInstrument) -> Decision:
    try:
        instrument = instrument_from(command.terms)
    except (InputError, TypeError) as error:
        return Rejected(Reason.TERMS_ARE_INVALID, str(error))
    if instrument.symbol in state.parties.instrument_number:
        return Rejected(Reason.INSTRUMENT_EXISTS, instrument.symbol)
    if instrument.settle not in state.parties.asset_number:
        return Rejected(Reason.UNKNOWN_ASSET, f"{instrument.symbol} settles in {instrument.settle}")
    try:
        contract = state.parties.contract(instrument)
    except ValueError as error:
        return Rejected(Reason.TERMS_ARE_NOT_WHOLE_UNITS, str(error))
    if contract.expiry is not None and contract.expiry <= state.now:
        return Rejected(Reason.TERMS_ARE_INVALID, f"{instrument.symbol} has expired")
    million = 1_000_000
    if not -million < command.maker_fee < million or not abs(command.maker_fee) <= command.taker_fee < million:
        found = f"maker {command.maker_fee}, taker {command.taker_fee}"
        return Rejected(Reason.TERMS_ARE_INVALID, f"fees {found}; allowed: |maker| <= taker < {million}")
    return [
        InstrumentListed(
            terms=terms_of(instrument),
            stage=TRADING if command.trades else LISTED,
            maker_fee=command.maker_fee,
            taker_fee=command.taker_fee,
        )
    ]


@applies(InstrumentListed)
def _listed(state: State, event: InstrumentListed) -> None:
    state.parties.list(event.terms, event.stage, event.maker_fee, event.taker_fee)
    state.make_room()


def account_of(state: State, name: str) -> int | Rejected:
    """Return the number of an open account that is not the house's own, or why not."""
    number = state.parties.account_number.get(name)
    if number is None:
        return Rejected(Reason.UNKNOWN_ACCOUNT, name)
    if number < FIRST_CLIENT:
        return Rejected(Reason.ACCOUNT_IS_THE_HOUSE, name)
    if state.parties.accounts[number].closed:
        return Rejected(Reason.ACCOUNT_IS_CLOSED, name)
    return number


def asset_of(state: State, symbol: str) -> int | Rejected:
    """Return the number of an asset, or why not."""
    number = state.parties.asset_number.get(symbol)
    return Rejected(Reason.UNKNOWN_ASSET, symbol) if number is None else number


def instrument_number_of(state: State, symbol: str) -> int | Rejected:
    """Return the number of an instrument, or why not."""
    number = state.parties.instrument_number.get(symbol)
    return Rejected(Reason.UNKNOWN_INSTRUMENT, symbol) if number is None else number

"""Orders: what is held for those that rest at a venue, from the check before they go there until they are over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.contracts import AMOUNT_MAX, LOTS_MAX, TICKS_MAX, Contract
from crossmargin.clearing.fees import fee_of
from crossmargin.clearing.limits import held_back
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import EXPIRING, TRADING, account_of, allowed_name, instrument_number_of
from crossmargin.clearing.rejections import Reason, Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


@dataclass(slots=True)
class OpenOrder:
    """An order that may still trade: `lots` of it, at `ticks` or better. `reserve` of `asset` is held for it."""

    account: int
    instrument: int
    lots: int
    """Bought > 0, sold < 0; what has not traded yet."""
    ticks: int
    reserve: int
    asset: int
    reduce_only: bool


@dataclass(slots=True)
class Orders:
    """Open orders by their names, and what follows from them.

    resting: (account, instrument) -> [lots to be bought, lots to be sold], both >= 0, of all open orders.
    reserved: (account, asset) -> the sum of what is held. by_account: names of an account's orders, oldest first.
    """

    open: dict[str, OpenOrder] = field(default_factory=dict)
    resting: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    reserved: dict[tuple[int, int], int] = field(default_factory=dict)
    by_account: dict[int, dict[str, None]] = field(default_factory=dict)

    def held(self, account: int, asset: int) -> int:
        """Return what is held for the orders of an account in an asset, in minor units."""
        return self.reserved.get((account, asset), 0)

    def of_account(self, account: int) -> list[tuple[str, OpenOrder]]:
        """Return (name, order) of each open order of an account, oldest first."""
        return [(name, self.open[name]) for name in self.by_account.get(account, ())]

    def of_instrument(self, instrument: int) -> list[str]:
        """Return the names of all open orders in an instrument, oldest first."""
        return [name for name, order in self.open.items() if order.instrument == instrument]

    def add(self, name: str, order: OpenOrder) -> None:
        """Add an order."""
        self.open[name] = order
        self.by_account.setdefault(order.account, {})[name] = None
        self._count(order, order.lots, order.reserve)

    def fill(self, name: str, lots: int) -> None:
        """Take `lots` (signed as ordered) off an order that has traded; what was held for them goes with them."""
        order = self.open[name]
        after = order.lots - lots
        if after == 0:
            self.remove(name)
            return
        keep = reserve_kept(order.reserve, order.lots, after)
        self._count(order, -lots, keep - order.reserve)
        order.lots, order.reserve = after, keep

    def remove(self, name: str) -> None:
        """Let go of an order and of what is held for it."""
        order = self.open.pop(name)
        self._count(order, -order.lots, -order.reserve)
        names = self.by_account[order.account]
        del names[name]
        if not names:
            del self.by_account[order.account]

    def _count(self, order: OpenOrder, lots: int, reserve: int) -> None:
        sides = self.resting.setdefault((order.account, order.instrument), [0, 0])
        sides[order.lots < 0] += lots if order.lots > 0 else -lots
        if sides == [0, 0]:
            del self.resting[order.account, order.instrument]
        key = (order.account, order.asset)
        held = self.reserved.get(key, 0) + reserve
        if held:
            self.reserved[key] = held
        else:
            self.reserved.pop(key, None)

    def frozen(self) -> Any:
        """Return the open orders as plain values, oldest first."""
        return [
            [name, o.account, o.instrument, o.lots, o.ticks, o.reserve, o.asset, o.reduce_only]
            for name, o in self.open.items()
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Orders:
        """Return what `frozen` was told of."""
        made = cls()
        for name, *row in plain:
            made.add(name, OpenOrder(*row))
        return made


class CheckOrder(Command, frozen=True):
    """May this order go to the venue? What it needs is then held until it has traded or is released."""

    account: str
    order: str
    """Unique among open orders."""
    symbol: str
    lots: int
    """Bought > 0, sold < 0."""
    ticks: int
    """The limit; of an order without one, the worst price it may trade at."""
    reduce_only: bool = False


class ReleaseOrder(Command, frozen=True):
    """An order is over: cancelled, expired or refused by the venue. What was held for it is free."""

    account: str
    order: str


class OrderHeld(Event, frozen=True):
    """An order may trade, and `reserve` minor units of an asset are held for it."""

    account: int
    order: str
    instrument: int
    lots: int
    ticks: int
    reserve: int
    asset: int
    reduce_only: bool


class OrderReleased(Event, frozen=True):
    """An order is over."""

    order: str


@decides(CheckOrder)
def _check(state: State, command: CheckOrder) -> Decision:
    account, instrument = account_of(state, command.account), instrument_number_of(state, command.symbol)
    if isinstance(account, Rejected):
        return account
    if isinstance(instrument, Rejected):
        return instrument
    if not allowed_name(command.order):
        return Rejected(Reason.NAME_IS_NOT_ALLOWED, repr(command.order))
    if command.order in state.orders.open:
        return Rejected(Reason.ORDER_EXISTS, command.order)
    wrong = trade_wrong(state, instrument, command.lots, command.ticks)
    if wrong is not None:
        return wrong
    reduces = reduces_position(state, account, instrument, command.lots)
    if command.reduce_only and not reduces:
        return Rejected(Reason.ORDER_REDUCES_NOTHING, f"{command.account} in {command.symbol}")
    sides = state.orders.resting.get((account, instrument), (0, 0))
    before = state.positions.of(account, instrument)[0] + (sides[0] if command.lots > 0 else -sides[1])
    refused = held_back(state, account, instrument, before, command.lots, reduces=reduces)
    if refused is not None:
        return refused
    held = _reserve(state, account, instrument, command.lots, command.ticks, reduces)
    if isinstance(held, Rejected):
        return held
    reserve, asset = held
    return [
        OrderHeld(
            account=account,
            order=command.order,
            instrument=instrument,
            lots=command.lots,
            ticks=command.ticks,
            reserve=reserve,
            asset=asset,
            reduce_only=command.reduce_only,
        )
    ]


def _reserve(
    state: State, account: int, instrument: int, lots: int, ticks: int, reduces: bool
) -> tuple[int, int] | Rejected:
    """Return what to hold for an order, and of which asset; or why it may not stand."""
    if state.risk is not None:
        reserve = state.risk.order_reserve(state, account, instrument, lots, ticks)
        return reserve if isinstance(reserve, Rejected) else (reserve, state.currency)
    listing = state.parties.instruments[instrument]
    contract = listing.contract
    needed = premium_of(contract, lots, ticks) + fee_of(contract, lots, ticks, listing.taker_fee)
    if reduces or needed <= 0:
        return 0, contract.settle
    free = state.ledger.balance(account, contract.settle) - state.orders.held(account, contract.settle)
    if needed > free:
        return Rejected(Reason.FUNDS_ARE_INSUFFICIENT, f"{free} are free, {needed} are needed")
    return needed, contract.settle


@applies(OrderHeld)
def _held(state: State, event: OrderHeld) -> None:
    state.orders.add(
        event.order,
        OpenOrder(
            event.account, event.instrument, event.lots, event.ticks, event.reserve, event.asset, event.reduce_only
        ),
    )


@decides(ReleaseOrder)
def _release(state: State, command: ReleaseOrder) -> Decision:
    account = state.parties.account_number.get(command.account)
    order = state.orders.open.get(command.order)
    if account is None:
        return Rejected(Reason.UNKNOWN_ACCOUNT, command.account)
    if order is None or order.account != account:
        return Rejected(Reason.UNKNOWN_ORDER, command.order)
    return [OrderReleased(order=command.order)]


@applies(OrderReleased)
def _released(state: State, event: OrderReleased) -> None:
    state.orders.remove(event.order)


def trade_wrong(state: State, instrument: int, lots: int, ticks: int) -> Rejected | None:
    """Return why nobody may trade `lots` of an instrument at `ticks`; None where they may."""
    listing = state.parties.instruments[instrument]
    contract, symbol = listing.contract, listing.contract.instrument.symbol
    # Until it expires it trades, also while its settlement price is being averaged.
    if listing.stage not in (TRADING, EXPIRING) or (contract.expiry is not None and state.now >= contract.expiry):
        return Rejected(Reason.INSTRUMENT_DOES_NOT_TRADE, symbol)
    if lots == 0 or abs(lots) > LOTS_MAX:
        return Rejected(Reason.LOTS_ARE_IMPOSSIBLE, f"found {lots} lots; allowed: 1 to {LOTS_MAX}")
    least = -TICKS_MAX if contract.signed else 1
    if not least <= ticks <= TICKS_MAX:
        return Rejected(Reason.PRICE_IS_IMPOSSIBLE, f"{symbol}: found {ticks}; allowed: {least} to {TICKS_MAX}")
    if contract.inverse:
        too_large = abs(lots) * contract.numerator >= AMOUNT_MAX or contract.denominator * ticks >= AMOUNT_MAX
    else:
        too_large = abs(lots * ticks) * contract.numerator >= AMOUNT_MAX
    too_large = too_large or abs(lots * int(state.positions.funding_index[instrument])) >= AMOUNT_MAX // 2
    return Rejected(Reason.AMOUNT_TOO_LARGE, f"{lots} lots at {ticks}") if too_large else None


def reduces_position(state: State, account: int, instrument: int, lots: int) -> bool:
    """Return whether an order only lowers a position, even if all orders that rest on its side trade before it."""
    position, _ = state.positions.of(account, instrument)
    if position == 0 or (position > 0) == (lots > 0):
        return False
    bought, sold = state.orders.resting.get((account, instrument), (0, 0))
    return abs(lots) + (bought if lots > 0 else sold) <= abs(position)


def reserve_kept(reserve: int, lots: int, after: int) -> int:
    """Return what stays held when `after` of `lots` are left: rounded up, never less than they were checked against."""
    return -(-reserve * abs(after) // abs(lots))


def premium_of(contract: Contract, lots: int, ticks: int) -> int:
    """Return what a trade pays in cash at once, in minor units of the settlement asset; received < 0."""
    return contract.value(lots, ticks) if contract.option else 0

"""Trading: the house steps between buyer and seller of each trade, at the price they agreed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from crossmargin.clearing.booking import book
from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.fees import fee_of
from crossmargin.clearing.funding import accruals
from crossmargin.clearing.ledger import FEES
from crossmargin.clearing.limits import held_back
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.marks import column, whole_numbers
from crossmargin.clearing.orders import premium_of, reserve_kept, trade_wrong
from crossmargin.clearing.parties import account_of, instrument_number_of
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.risk import Fill

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


_FEW = 32
"""Trades whose accounts are noted one by one."""


class ClearedTrade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trade that a venue matched. Orders that nothing is held for, or none, are checked as they trade."""

    symbol: str
    buyer: str
    seller: str
    lots: int
    """Above 0."""
    ticks: int
    buyer_took: bool = True
    """Whether the buyer pays the taker's fee and the seller the maker's, or the other way round."""
    buy_order: str = ""
    sell_order: str = ""


class ClearTrades(Command, frozen=True):
    """Trades, each accepted or refused in its turn; rejected as a whole only where all are refused."""

    trades: list[ClearedTrade]


class TradesCleared(Event, frozen=True):
    """The house stands between buyers and sellers of these trades.

    Columns are int64, little-endian, a place a trade. Fees are in minor units of the settlement asset, > 0 charged.
    one_owner: 1 where both accounts have one owner. orders: (row, buy order or "", sell order or "") of trades whose
    orders were held. refused: (place in the command, reason, what was found).
    """

    instrument: bytes
    buyer: bytes
    seller: bytes
    lots: bytes
    ticks: bytes
    buyer_fee: bytes
    seller_fee: bytes
    one_owner: bytes
    orders: list[tuple[int, str, str]]
    refused: list[tuple[int, str, str]]


class Batch:
    """What the trades of a batch so far would have done: looked at by those after them, before any is applied."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.fills: dict[int, list[Fill]] = defaultdict(list)
        self.cash: dict[tuple[int, int], int] = defaultdict(int)
        self.moved: dict[tuple[int, int], int] = defaultdict(int)
        self.lots: dict[tuple[int, int], int] = defaultdict(int)
        self.left: dict[str, tuple[int, int]] = {}
        self.freed: dict[tuple[int, int], int] = defaultdict(int)

    def order_left(self, order: str) -> tuple[int, int]:
        """Return (lots, reserve) of what is left of an order that is held; (0, 0) where there is none or no more."""
        held = self.state.orders.open.get(order)
        return self.left.get(order, (held.lots, held.reserve)) if held is not None else (0, 0)

    def side_wrong(self, account: int, fill: Fill, order: str) -> Rejected | None:
        """Return why an account may not take its side of a trade; None where it may."""
        state = self.state
        if self._too_large(account, fill):
            return Rejected(Reason.AMOUNT_TOO_LARGE, f"{fill.lots} lots at {fill.ticks}")
        left, reserve = self.order_left(order)
        if left:
            held, buys = state.orders.open[order], fill.lots > 0
            if (
                held.account != account
                or held.instrument != fill.instrument
                or (left > 0) != buys
                or abs(fill.lots) > abs(left)
                or (fill.ticks > held.ticks if buys else fill.ticks < held.ticks)
            ):
                return Rejected(Reason.TRADE_IS_NOT_THE_ORDERS, order)
            if held.reduce_only and not self.reduces(account, fill):
                return Rejected(Reason.ORDER_REDUCES_NOTHING, order)
            if reserve or self.reduces(account, fill):
                return None
        refused = self.held_back(account, fill)
        if refused is not None:
            return refused
        if state.risk is not None:
            return state.risk.allows_fills(state, account, [*self.fills[account], fill])
        contract = state.parties.instruments[fill.instrument].contract
        needed = premium_of(contract, fill.lots, fill.ticks) + fill.fee
        asset = contract.settle
        held_now = state.orders.held(account, asset) - self.freed[account, asset]
        free = state.ledger.balance(account, asset) + self.cash[account, asset] - held_now
        if needed > 0 and needed > free and not self.reduces(account, fill):
            return Rejected(Reason.FUNDS_ARE_INSUFFICIENT, f"{free} are free, {needed} are needed")
        return None

    def held_back(self, account: int, fill: Fill) -> Rejected | None:
        """Return why restrictions, limits or its size forbid a fill, whatever covers it; None where nothing does."""
        if self._too_large(account, fill):
            return Rejected(Reason.AMOUNT_TOO_LARGE, f"{fill.lots} lots at {fill.ticks}")
        before = self.state.positions.of(account, fill.instrument)[0] + self.lots[account, fill.instrument]
        reduces = self.reduces(account, fill)
        return held_back(self.state, account, fill.instrument, before, fill.lots, reduces=reduces)

    def uncovered(self, account: int) -> Rejected | None:
        """Return why an account may not have all fills it has taken, together and without orders; None if it may."""
        state = self.state
        if state.risk is not None:
            return state.risk.allows_fills(state, account, self.fills[account])
        for (a, asset), change in self.cash.items():
            free = state.ledger.balance(account, asset) - state.orders.held(account, asset)
            if a == account and change < 0 and free + change < 0:
                return Rejected(Reason.FUNDS_ARE_INSUFFICIENT, f"{free} are free, {-change} are needed")
        return None

    def _too_large(self, account: int, fill: Fill) -> bool:
        """Return whether a balance or a position could leave its bits: half of the room is for what nobody refuses."""
        state, contract = self.state, self.state.parties.instruments[fill.instrument].contract
        asset = contract.settle
        paid = abs(contract.value(fill.lots, fill.ticks)) + abs(fill.fee)
        lots, cost = state.positions.of(account, fill.instrument)
        return (
            abs(state.ledger.balance(account, asset)) + self.moved[account, asset] + paid >= AMOUNT_MAX // 2
            or abs(cost) + self.moved[account, asset] + paid >= AMOUNT_MAX // 2
            or abs(lots + self.lots[account, fill.instrument] + fill.lots) >= AMOUNT_MAX // 2
            or abs(state.ledger.balance(FEES, asset)) + self.moved[FEES, asset] + abs(fill.fee) >= AMOUNT_MAX // 2
        )

    def reduces(self, account: int, fill: Fill) -> bool:
        """Return whether a fill only lowers the account's position."""
        position = self.state.positions.of(account, fill.instrument)[0] + self.lots[account, fill.instrument]
        return position * fill.lots < 0 and abs(fill.lots) <= abs(position)

    def take(self, account: int, fill: Fill, order: str) -> bool:
        """Take note of a fill; return whether it is of an order that is held."""
        contract = self.state.parties.instruments[fill.instrument].contract
        self.fills[account].append(fill)
        self.cash[account, contract.settle] -= premium_of(contract, fill.lots, fill.ticks) + fill.fee
        self.moved[account, contract.settle] += abs(contract.value(fill.lots, fill.ticks)) + abs(fill.fee)
        self.moved[FEES, contract.settle] += abs(fill.fee)
        self.lots[account, fill.instrument] += fill.lots
        lots, reserve = self.order_left(order)
        if not lots:
            return False
        kept = reserve_kept(reserve, lots, lots - fill.lots)
        self.left[order] = lots - fill.lots, kept
        self.freed[account, self.state.orders.open[order].asset] += reserve - kept
        return True


@decides(ClearTrades)
def _clear(state: State, command: ClearTrades) -> Decision:
    batch = Batch(state)
    rows: list[tuple[int, ...]] = []
    orders: list[tuple[int, str, str]] = []
    refused: list[tuple[int, Rejected]] = []
    for place, trade in enumerate(command.trades):
        row = _row(state, trade)
        if isinstance(row, Rejected):
            refused.append((place, row))
            continue
        instrument, buyer, seller, lots, ticks, buyer_fee, seller_fee, _ = row
        bought, sold = Fill(instrument, lots, ticks, buyer_fee), Fill(instrument, -lots, ticks, seller_fee)
        wrong = batch.side_wrong(buyer, bought, trade.buy_order) or batch.side_wrong(seller, sold, trade.sell_order)
        if wrong is not None:
            refused.append((place, wrong))
            continue
        of_buy, of_sell = batch.take(buyer, bought, trade.buy_order), batch.take(seller, sold, trade.sell_order)
        if of_buy or of_sell:
            orders.append((len(rows), trade.buy_order if of_buy else "", trade.sell_order if of_sell else ""))
        rows.append(row)
    if not rows:
        return refused[0][1] if refused else Rejected(Reason.BATCH_IS_EMPTY, "no trades")
    cleared = trades_cleared(rows, orders, [(place, why.reason.value, why.detail) for place, why in refused])
    return [*accruals(state, dict.fromkeys(row[0] for row in rows)), cleared]


def _row(state: State, trade: ClearedTrade) -> tuple[int, ...] | Rejected:
    """Return the columns of a trade in numbers, or what is wrong with it whoever its parties are."""
    instrument = instrument_number_of(state, trade.symbol)
    if isinstance(instrument, Rejected):
        return instrument
    buyer, seller = account_of(state, trade.buyer), account_of(state, trade.seller)
    if isinstance(buyer, Rejected):
        return buyer
    if isinstance(seller, Rejected):
        return seller
    return traded(state, instrument, buyer, seller, trade.lots, trade.ticks, buyer_took=trade.buyer_took)


def traded(
    state: State, instrument: int, buyer: int, seller: int, lots: int, ticks: int, *, buyer_took: bool
) -> tuple[int, ...] | Rejected:
    """Return the columns of `TradesCleared` for a trade, or what is wrong with it whoever its parties are."""
    if buyer == seller:
        return Rejected(Reason.TRADE_WITH_ITSELF, state.parties.accounts[buyer].name)
    if lots < 0:
        return Rejected(Reason.LOTS_ARE_IMPOSSIBLE, f"found {lots} lots; allowed: above 0, bought by the buyer")
    wrong = trade_wrong(state, instrument, lots, ticks)
    if wrong is not None:
        return wrong
    listing = state.parties.instruments[instrument]
    taker = fee_of(listing.contract, lots, ticks, listing.taker_fee)
    maker = fee_of(listing.contract, lots, ticks, listing.maker_fee)
    buyer_fee, seller_fee = (taker, maker) if buyer_took else (maker, taker)
    accounts = state.parties.accounts
    one_owner = int(accounts[buyer].owner == accounts[seller].owner)
    return instrument, buyer, seller, lots, ticks, buyer_fee, seller_fee, one_owner


def trades_cleared(
    rows: Sequence[tuple[int, ...]], orders: list[tuple[int, str, str]], refused: list[tuple[int, str, str]]
) -> TradesCleared:
    """Return the event of trades given as rows of its columns."""
    instrument, buyer, seller, lots, ticks, buyer_fee, seller_fee, one_owner = (
        column(list(numbers)) for numbers in zip(*rows, strict=True)
    )
    return TradesCleared(
        instrument=instrument,
        buyer=buyer,
        seller=seller,
        lots=lots,
        ticks=ticks,
        buyer_fee=buyer_fee,
        seller_fee=seller_fee,
        one_owner=one_owner,
        orders=orders,
        refused=refused,
    )


@applies(TradesCleared)
def _cleared(state: State, event: TradesCleared) -> None:
    columns = (event.instrument, event.buyer, event.seller, event.lots, event.ticks, event.buyer_fee, event.seller_fee)
    instrument, buyer, seller, lots, *rest = (whole_numbers(data) for data in columns)
    book(state, (instrument, buyer, seller, lots, *rest))
    if len(lots) < _FEW:
        state.touched.update(buyer.tolist(), seller.tolist())
    else:
        state.touched_columns += [buyer, seller]
    for row, *names in event.orders:
        traded_lots = int(lots[row])
        for name, signed in zip(names, (traded_lots, -traded_lots), strict=True):
            if name:
                state.orders.fill(name, signed)

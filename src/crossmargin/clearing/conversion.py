"""Conversion: collateral is exchanged at the index, less a spread, against what the `conversion` account has."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.flows import fresh_index
from crossmargin.clearing.headroom import cannot_spend, fits, paid_in
from crossmargin.clearing.ledger import CONVERSION, EXTERNAL, FEES, HERE, transfer
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.marks import INDEX_SCALE
from crossmargin.clearing.parties import account_of, asset_of
from crossmargin.clearing.rejections import Reason, Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

SPREAD_UNIT = 10**6
"""Spreads are in units of 1e-6."""


@dataclass(slots=True)
class Conversion:
    """The spread of each asset that is exchanged, by its number, in 1e-6; an exchange costs that of both assets."""

    spreads: dict[int, int] = field(default_factory=dict)

    def frozen(self) -> Any:
        """Return the spreads as plain values."""
        return [list(row) for row in sorted(self.spreads.items())]

    @classmethod
    def thawed(cls, plain: Any) -> Conversion:
        """Return what `frozen` was told of."""
        return cls(dict(plain))


class SetConversion(Command, frozen=True):
    """Exchange an asset from now on, at this spread (in 1e-6); no longer where it is None."""

    asset: str
    spread: int | None = 0


class ConversionSet(Event, frozen=True):
    """An asset is exchanged at a spread; -1: it no longer is."""

    asset: int
    spread: int


@decides(SetConversion)
def _set(state: State, command: SetConversion) -> Decision:
    asset = asset_of(state, command.asset)
    if isinstance(asset, Rejected):
        return asset
    if command.spread is not None and not 0 <= command.spread < SPREAD_UNIT // 2:
        allowed = f"0 to {SPREAD_UNIT // 2 - 1}"
        return Rejected(Reason.TERMS_ARE_INVALID, f"{command.asset}: found {command.spread}; allowed: {allowed}")
    spread = -1 if command.spread is None else command.spread
    if state.conversion.spreads.get(asset, -1) == spread:
        return Rejected(Reason.NOTHING_WOULD_CHANGE, f"{command.asset}: {command.spread} already")
    return [ConversionSet(asset=asset, spread=spread)]


@applies(ConversionSet)
def _was_set(state: State, event: ConversionSet) -> None:
    if event.spread < 0:
        del state.conversion.spreads[event.asset]
    else:
        state.conversion.spreads[event.asset] = event.spread


class StockConversion(Command, frozen=True):
    """Bring the house's own money in for exchanges (amount > 0), or take some of it out (< 0)."""

    asset: str
    amount: int
    reason: str


class ConversionStocked(Event, frozen=True):
    """There is more to exchange collateral against (amount > 0), or less."""

    asset: int
    amount: int
    reason: str


@decides(StockConversion)
def _stock(state: State, command: StockConversion) -> Decision:
    asset = asset_of(state, command.asset)
    if isinstance(asset, Rejected):
        return asset
    if command.amount == 0 or not command.reason.strip():
        found = f"amount {command.amount}, reason {command.reason!r}"
        return Rejected(Reason.TERMS_ARE_INVALID, f"{command.asset}: found {found}; allowed: an amount, a reason")
    there = state.ledger.balance(CONVERSION, asset)
    if there + command.amount < 0:
        return Rejected(Reason.CONVERSION_HAS_TOO_LITTLE, f"{there} {command.asset} are there")
    # The world's side of the ledger holds the sum of everything: it is the first to run out of bits.
    if command.amount + max(0, paid_in(state, asset)) >= AMOUNT_MAX // 2 or not fits(
        state, EXTERNAL, asset, -command.amount, HERE
    ):
        return Rejected(Reason.AMOUNT_TOO_LARGE, str(command.amount))
    return [ConversionStocked(asset=asset, amount=command.amount, reason=command.reason)]


@applies(ConversionStocked)
def _stocked(state: State, event: ConversionStocked) -> None:
    state.ledger.post(transfer(EXTERNAL, CONVERSION, event.asset, event.amount))


class ConvertCollateral(Command, frozen=True):
    """Give `amount` of one asset, settled and here, for another at the index less both spreads."""

    account: str
    give: str
    take: str
    amount: int
    least: int = 1
    """No exchange that brings less than this, in minor units of `take`."""


class CollateralConverted(Event, frozen=True):
    """An account gave `given` of one asset and got `taken` of another; prices in 1e-8 of the reporting currency."""

    account: int
    give: int
    take: int
    given: int
    taken: int
    fee: int
    """In the asset taken; to the fee account."""
    give_price: int
    take_price: int


@decides(ConvertCollateral)
def _convert(state: State, command: ConvertCollateral) -> Decision:
    account = account_of(state, command.account)
    give, take = asset_of(state, command.give), asset_of(state, command.take)
    if isinstance(account, Rejected):
        return account
    if isinstance(give, Rejected):
        return give
    if isinstance(take, Rejected):
        return take
    if command.amount <= 0:
        return Rejected(Reason.AMOUNT_NOT_POSITIVE, str(command.amount))
    if give == take:
        return Rejected(Reason.NOTHING_WOULD_CHANGE, f"{command.give} for {command.take}")
    for asset in (give, take):
        if asset not in state.conversion.spreads:
            return Rejected(Reason.ASSET_IS_NOT_CONVERTED, state.parties.assets[asset].symbol)
    give_price, take_price = value_of(state, give), value_of(state, take)
    if isinstance(give_price, Rejected):
        return give_price
    if isinstance(take_price, Rejected):
        return take_price
    missing = cannot_spend(state, account, give, command.amount, HERE)
    if missing is not None:
        return missing
    gross, net = exchanged(state, give, take, command.amount, give_price, take_price)
    if gross >= AMOUNT_MAX // 4:
        return Rejected(Reason.AMOUNT_TOO_LARGE, str(gross))
    if net < max(1, command.least):
        return Rejected(Reason.AMOUNT_TOO_SMALL, f"{command.amount} {command.give} bring {net} {command.take}")
    there = state.ledger.balance(CONVERSION, take)
    if gross > there:
        return Rejected(Reason.CONVERSION_HAS_TOO_LITTLE, f"{there} {command.take} are there, {gross} are needed")
    if not fits(state, CONVERSION, give, command.amount, HERE) or not fits(state, account, take, net, HERE):
        return Rejected(Reason.AMOUNT_TOO_LARGE, str(command.amount))
    if state.risk is not None and not state.risk.allows_change(
        state, account, [(give, HERE, -command.amount), (take, HERE, net)]
    ):
        return Rejected(Reason.MARGIN_IS_INSUFFICIENT, f"{command.account}: {command.give} for {command.take}")
    return [
        CollateralConverted(
            account=account,
            give=give,
            take=take,
            given=command.amount,
            taken=net,
            fee=gross - net,
            give_price=give_price,
            take_price=take_price,
        )
    ]


def value_of(state: State, asset: int) -> int | Rejected:
    """Return what an asset is worth in the reporting currency, in 1e-8, or why that is not known."""
    if asset == state.currency:
        return INDEX_SCALE
    price = fresh_index(state, state.parties.assets[asset].symbol)
    if isinstance(price, int) and price <= 0:
        return Rejected(Reason.PRICE_IS_IMPOSSIBLE, f"{state.parties.assets[asset].symbol}: found {price}")
    return price


def exchanged(state: State, give: int, take: int, amount: int, give_price: int, take_price: int) -> tuple[int, int]:
    """Return what `amount` of an asset is worth in another at the index, and what its owner gets; rounded down."""
    decimals = state.parties.assets[take].decimals - state.parties.assets[give].decimals
    exact = Fraction(amount * give_price, take_price) * Fraction(10) ** decimals
    spread = state.conversion.spreads[give] + state.conversion.spreads[take]
    return exact.__floor__(), (exact * Fraction(SPREAD_UNIT - spread, SPREAD_UNIT)).__floor__()


@applies(CollateralConverted)
def _converted(state: State, event: CollateralConverted) -> None:
    state.ledger.post(
        [
            *transfer(event.account, CONVERSION, event.give, event.given),
            *transfer(CONVERSION, event.account, event.take, event.taken),
            *transfer(CONVERSION, FEES, event.take, event.fee),
        ]
    )
    state.touched.add(event.account)

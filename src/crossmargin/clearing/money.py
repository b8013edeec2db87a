"""Money in and out: deposits, their reversal, and what a deposit that came to nothing leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.ledger import EXTERNAL, HERE, Posting
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import account_of, asset_of
from crossmargin.clearing.rejections import Reason, Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


@dataclass(slots=True)
class Deposits:
    """Deposits by the reference of whoever sent them: [account, asset, amount, location, stage]."""

    by_reference: dict[str, list[int]] = field(default_factory=dict)

    def frozen(self) -> Any:
        """Return the deposits as plain values."""
        return sorted([reference, *row] for reference, row in self.by_reference.items())

    @classmethod
    def thawed(cls, plain: Any) -> Deposits:
        """Return what `frozen` was told of."""
        return cls({reference: row for reference, *row in plain})


PENDING, FINAL, REVERSED = range(3)


class Deposit(Command, frozen=True):
    """Money arrives. It counts once it is final."""

    account: str
    asset: str
    amount: int
    """Minor units, > 0."""
    reference: str
    """Unique for ever: the transaction that brought it."""
    final: bool = True


class Deposited(Event, frozen=True):
    """Money has arrived."""

    account: int
    asset: int
    amount: int
    reference: str
    final: bool


@decides(Deposit)
def _deposit(state: State, command: Deposit) -> Decision:
    account, asset = account_of(state, command.account), asset_of(state, command.asset)
    if isinstance(account, Rejected):
        return account
    if isinstance(asset, Rejected):
        return asset
    if command.amount <= 0:
        return Rejected(Reason.AMOUNT_NOT_POSITIVE, str(command.amount))
    # The world's side of the ledger holds the sum of everything: it is the first to run out of bits.
    if command.amount >= AMOUNT_MAX or command.amount - state.ledger.balance(EXTERNAL, asset) >= AMOUNT_MAX // 2:
        return Rejected(Reason.AMOUNT_TOO_LARGE, str(command.amount))
    if command.reference in state.deposits.by_reference:
        return Rejected(Reason.DEPOSIT_EXISTS, command.reference)
    return [
        Deposited(account=account, asset=asset, amount=command.amount, reference=command.reference, final=command.final)
    ]


@applies(Deposited)
def _deposited(state: State, event: Deposited) -> None:
    pending = not event.final
    state.deposits.by_reference[event.reference] = [
        event.account,
        event.asset,
        event.amount,
        HERE,
        FINAL if event.final else PENDING,
    ]
    state.ledger.post(
        [
            Posting(EXTERNAL, event.asset, -event.amount),
            Posting(event.account, event.asset, event.amount, HERE, pending),
        ]
    )
    state.touched.add(event.account)

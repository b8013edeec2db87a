"""Invariants: what is true of the house after every event, by the names that reliability gives them.

Each looks at the whole state, slowly and in Python's own integers, and says what it finds wrong. The house itself never
calls them; audits and simulations do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from crossmargin.clearing.contracts import AMOUNT_MAX, LOTS_MAX
from crossmargin.clearing.ledger import DEFAULT_FUND, HERE, INSURANCE, LENDING, LENT, WITHDRAWALS
from crossmargin.clearing.money import PENDING
from crossmargin.clearing.parties import ACCOUNT_KINDS, SETTLED
from crossmargin.clearing.withdrawals import REQUESTED, SENT

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


def _conserved(state: State) -> Iterator[str]:
    """I1: balances of each asset sum to 0 over all accounts, the world's among them."""
    for asset, total in state.ledger.totals().items():
        if total:
            yield f"balances of {state.parties.assets[asset].symbol} sum to {total} minor units, not to 0"


def _zero_net(state: State) -> Iterator[str]:
    """I3: lots and costs of each instrument sum to 0 over all accounts."""
    held = state.positions
    rows = zip(
        held.instrument[: held.count].tolist(),
        held.lots[: held.count].tolist(),
        held.cost[: held.count].tolist(),
        strict=True,
    )
    lots: dict[int, int] = defaultdict(int)
    costs: dict[int, int] = defaultdict(int)
    for instrument, lot, cost in rows:
        lots[instrument] += lot
        costs[instrument] += cost
    for name, sums in (("lots", lots), ("cost", costs)):
        for instrument, total in sums.items():
            if total:
                symbol = state.parties.instruments[instrument].contract.instrument.symbol
                yield f"{name} of {symbol} sum to {total} over all accounts, not to 0"


def _derived(state: State) -> Iterator[str]:
    """I4: what is kept twice is the same: positions are found where they are, pending money is that of deposits."""
    held = state.positions
    seen: set[tuple[int, int]] = set()
    for slot in range(held.count):
        place = int(held.account[slot]), int(held.instrument[slot])
        if place in seen or held.slot(*place) != slot:
            yield f"position {place} is not found in its slot {slot}"
        seen.add(place)
    chained = 0
    for account in range(len(held.first)):
        slot = int(held.first[account])
        while slot >= 0 and chained <= held.count:
            chained += 1
            if held.account[slot] != account:
                yield f"slot {slot} is in the chain of account {account} and belongs to {held.account[slot]}"
            slot = int(held.following[slot])
    if chained != held.count:
        yield f"{chained} positions are reached from their accounts, {held.count} there are"


def _bounded(state: State) -> Iterator[str]:
    """Amounts and lots are whole numbers that fit 62 bits (rows 28 and 29)."""
    if abs(state.ledger.cash).max(initial=0) >= AMOUNT_MAX:
        yield "a balance leaves 62 bits"
    if any(type(amount) is not int or not 0 < abs(amount) < AMOUNT_MAX for amount in state.ledger.elsewhere.values()):
        yield "a balance elsewhere is nothing, leaves 62 bits or is not whole"
    held = state.positions
    if abs(held.lots[: held.count]).max(initial=0) >= LOTS_MAX * 2**10:
        yield "a position is beyond what trades may make"
    if abs(held.cost[: held.count]).max(initial=0) >= AMOUNT_MAX:
        yield "a cost leaves 62 bits"


def _settled(state: State) -> Iterator[str]:
    """P27: of what is settled nobody holds anything."""
    held = state.positions
    for slot in range(held.count):
        listing = state.parties.instruments[int(held.instrument[slot])]
        if listing.stage == SETTLED and (held.lots[slot] or held.cost[slot]):
            name = state.parties.accounts[int(held.account[slot])].name
            yield f"{name} holds {held.lots[slot]} lots of {listing.contract.instrument.symbol}, which is settled"


def _closed(state: State) -> Iterator[str]:
    """An account that is closed has nothing and owes nothing."""
    for number, account in enumerate(state.parties.accounts):
        if account.closed and (any(state.ledger.of_account(number)) or state.positions.of_account(number)):
            yield f"account {account.name} is closed and has something"


def _insured(state: State) -> Iterator[str]:
    """I14: the insurance fund is never below 0."""
    for symbol, asset in state.parties.asset_number.items():
        if state.ledger.balance(INSURANCE, asset) < 0:
            yield f"insurance fund: {state.ledger.balance(INSURANCE, asset)} minor units of {symbol}"


def _pending(state: State) -> Iterator[str]:
    """I4: pending money of an account is that of its deposits that are not final."""
    expected: dict[tuple[int, int, int], int] = defaultdict(int)
    for account, asset, amount, location, stage, *_ in state.deposits.by_reference.values():
        if stage == PENDING:
            expected[account, asset, location] += amount
    found = {
        (account, asset, location): amount
        for (account, asset, location, pending), amount in state.ledger.elsewhere.items()
        if pending
    }
    if dict(expected) != found:
        yield f"pending deposits are {dict(expected)}, pending balances {found}"


def _reserved(state: State) -> Iterator[str]:
    """I13: what is held is the sum of what open orders hold, and rests on instruments that are not settled."""
    held: dict[tuple[int, int], int] = defaultdict(int)
    resting: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    for name, order in state.orders.open.items():
        held[order.account, order.asset] += order.reserve
        resting[order.account, order.instrument][order.lots < 0] += abs(order.lots)
        if order.lots == 0 or order.reserve < 0 or state.parties.instruments[order.instrument].stage == SETTLED:
            yield f"order {name} is over and still open, or holds less than nothing"
        if name not in state.orders.by_account.get(order.account, {}):
            yield f"order {name} is not among those of its account"
    if {key: amount for key, amount in held.items() if amount} != state.orders.reserved:
        yield f"orders hold {dict(held)}, {state.orders.reserved} is held"
    if resting != state.orders.resting:
        yield f"orders rest with {dict(resting)} lots, {state.orders.resting} are counted"


def _set_aside(state: State) -> Iterator[str]:
    """I4: what is set aside for withdrawals is what was asked for and is not gone or back."""
    expected: dict[tuple[int, int], int] = defaultdict(int)
    for _, asset, amount, location, stage, _ in state.withdrawals.by_reference.values():
        if stage in (REQUESTED, SENT):
            expected[asset, location] += amount
    found = {(k, place): amount for _, k, amount, place, _ in state.ledger.of_account(WITHDRAWALS)}
    if expected != found:
        yield f"withdrawals under way are {dict(expected)}, {found} is set aside"


def _contributed(state: State) -> Iterator[str]:
    """I4: the default fund is what members have put up."""
    shares: dict[int, int] = defaultdict(int)
    for (_, asset), amount in state.members.contributions.items():
        shares[asset] += amount
    found = {asset: amount for _, asset, amount, _, _ in state.ledger.of_account(DEFAULT_FUND)}
    if shares != found:
        yield f"members have put up {dict(shares)}, the default fund has {found}"


def _segregated(state: State) -> Iterator[str]:
    """I16: only accounts of one kind and one member share a pool, an omnibus account shares none."""
    for number, pool in enumerate(state.pools.shared):
        terms = [state.parties.accounts[account] for account in pool.accounts]
        if any(other.pool != number or other.closed for other in terms):
            yield f"pool {pool.name} has an account that is closed or elsewhere"
        if any((other.kind, other.member) != (terms[0].kind, terms[0].member) for other in terms):
            yield f"pool {pool.name} has accounts of several kinds or members"
        if len(terms) > 1 and ACCOUNT_KINDS[terms[0].kind].startswith("omnibus"):
            yield f"pool {pool.name} has an omnibus account and others"
        if not pool.agreement and any(other.owner != terms[0].owner for other in terms):
            yield f"pool {pool.name} has several owners who have agreed to nothing"


def _lent(state: State) -> Iterator[str]:
    """I4: claims on lending pools are at least 0, debts at most, and nothing was lent that was not there."""
    for (account, asset, place, _), amount in state.ledger.elsewhere.items():
        if account == LENDING or place >= HERE:
            continue
        if (amount > 0) != (place == LENT):
            yield f"{state.parties.accounts[account].name} has {amount} at {'lent' if place == LENT else 'borrowed'}"
        kept = state.lending.claims if place == LENT else state.lending.debts
        if (asset, account) not in kept:
            yield f"{state.parties.accounts[account].name} has {amount} on which no interest is reckoned"
    for asset in state.lending.pools:
        if state.ledger.balance(LENDING, asset) < 0:
            yield f"{state.ledger.balance(LENDING, asset)} {state.parties.assets[asset].symbol} are left to be lent"


INVARIANTS: dict[str, Callable[[State], Iterator[str]]] = {
    "I1 conservation": _conserved,
    "I3 zero net": _zero_net,
    "I4 derived is folded": _derived,
    "I4 pending is deposits": _pending,
    "I13 reservations": _reserved,
    "I4 set aside is asked for": _set_aside,
    "I4 the default fund is put up": _contributed,
    "I4 lent is there": _lent,
    "I14 insurance": _insured,
    "I16 segregation": _segregated,
    "P27 settled is gone": _settled,
    "closed is empty": _closed,
    "bounds": _bounded,
}
"""Invariants of a state by name; those of a step or of a journal (I2, I7 to I12) are for who runs it to look at."""


def broken(state: State) -> list[str]:
    """Return what is wrong with a state, invariant by invariant; nothing where all is well."""
    return [f"{name}: {found}" for name, look in INVARIANTS.items() for found in look(state)]

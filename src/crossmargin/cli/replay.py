"""`crossmargin replay`: the house as it was after any record, or at any instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from crossmargin.cli.audit import Store
from crossmargin.cli.verbs import AsJson, verb

if TYPE_CHECKING:
    from crossmargin.clearing import Journal, State

_SHOWN = 40
"""Rows of a table that people read; --json and --account have all."""


def replay(
    store: Store,
    /,
    *,
    at: Annotated[
        str | None,
        Parameter(
            metavar="SEQ|TIME", help="A record's number, or an instant such as 2026-11-20T08:00:00Z; else the end."
        ),
    ] = None,
    account: Annotated[str | None, Parameter(metavar="ID", help="Show one account only.")] = None,
    as_json: AsJson = False,
) -> int:
    """Rebuild the house from its journal as it was at a past instant, and show what everyone had.

    Decisions are read, never taken again: newer rules change nothing that was. Nothing is written.
    """
    from crossmargin.clearing import rebuilt
    from crossmargin.cli.console import answers, write_json
    from crossmargin.cli.records import reading
    from crossmargin.errors import InvalidBook, nearest

    sequence, instant = _moment(at)
    with reading(store, "replaying") as (journal, _):
        _check_reached(journal, sequence, instant)
        state = rebuilt(journal, sequence=sequence, time=instant)
    names = state.parties.account_number
    if account is not None and account not in names:
        raise InvalidBook("--account", account, f"an account of {store}", nearest(account, names))
    document = _document(state, account)
    if as_json:
        write_json(document)
    else:
        _show(document, answers())
    return 0


def _moment(text: str | None) -> tuple[int | None, int | None]:
    """Return (sequence, nanoseconds): one of them, or neither for the end."""
    from crossmargin.errors import InputError
    from crossmargin.units import utc

    if text is None:
        return None, None
    if text.isdecimal():
        return int(text), None
    try:
        moment = utc(text)
    except ValueError as error:
        raise InputError("--at", str(error), "a record's number, or a time such as 2026-11-20T08:00:00Z") from None
    return None, int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000


def _check_reached(journal: Journal, sequence: int | None, instant: int | None) -> None:
    """Raise InputError where the journal has nothing yet, or nothing any more, at the moment asked for."""
    from crossmargin.errors import InputError

    first, last = next(iter(journal.read())), journal.last()
    assert last is not None
    if sequence is not None and not 1 <= sequence <= last.sequence:
        raise InputError("--at", f"record {sequence}", f"1 to {last.sequence}")
    if instant is not None and instant < first.time:
        raise InputError("--at", "a time before the first record", f"from {_time(first.time)} on")


def _time(nanoseconds: int) -> str:
    from datetime import UTC, datetime

    from crossmargin.units import iso

    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return iso(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000))


def _document(state: State, chosen: str | None) -> dict[str, Any]:
    parties, accounts = state.parties, []
    for number, terms in enumerate(parties.accounts):
        if chosen is not None and terms.name != chosen:
            continue
        balances = [
            {
                "asset": parties.assets[row.asset].symbol,
                "amount": _decimal(row.amount, parties.assets[row.asset].decimals),
                "location": _place(state, row.location),
                "state": "pending" if row.pending else "final",
            }
            for row in state.ledger.of_account(number)
        ]
        positions = []
        for instrument, lots, cost in state.positions.of_account(number):
            contract = parties.instruments[instrument].contract
            settle = parties.assets[contract.settle]
            size = contract.instrument.lot_size
            assert size is not None
            positions.append(
                {
                    "symbol": contract.instrument.symbol,
                    "quantity": str(lots * size),
                    "lots": lots,
                    "cost": _decimal(cost, settle.decimals),
                    "settle": settle.symbol,
                }
            )
        if balances or positions or chosen is not None:
            accounts.append({"id": terms.name, "owner": terms.owner, "balances": balances, "positions": positions})
    return {"sequence": state.sequence, "time": _time(state.now), "state_hash": state.hash(), "accounts": accounts}


def _where(balance: dict[str, str]) -> str:
    return balance["state"] if balance["location"] == "here" else f"{balance['state']}, {balance['location']}"


def _place(state: State, location: int) -> str:
    """Return the name of a location; what a pool of lending has or is owed is at none."""
    from crossmargin.clearing.ledger import BORROWED, LENT

    return state.locations.places[location].name if location >= 0 else {LENT: "lent", BORROWED: "borrowed"}[location]


def _decimal(amount: int, decimals: int) -> str:
    """Return minor units as a decimal text of the whole unit."""
    from decimal import Decimal

    return f"{Decimal(amount).scaleb(-decimals):f}"


def _show(document: dict[str, Any], console: Any) -> None:
    from crossmargin.cli.listing import Listing

    table = Listing(("Account", "What", "Quantity", "Cost", "State"), left=(0, 1, 4))
    rows = [
        (account["id"], *row)
        for account in document["accounts"]
        for row in (
            *((b["asset"], b["amount"], "", _where(b)) for b in account["balances"]),
            *((p["symbol"], p["quantity"], f"{p['cost']} {p['settle']}", "") for p in account["positions"]),
        )
    ]
    for row in rows[:_SHOWN]:
        table.add(*row)
    console.print(table.table())
    if len(rows) > _SHOWN:
        console.print(
            f"and {len(rows) - _SHOWN:,} rows more: --json has all of them, --account ID those of one account"
        )
    console.print(f"after record {document['sequence']:,}, {document['time']}")
    console.print(f"state {document['state_hash']}", soft_wrap=True)


app = verb(
    "replay",
    replay,
    [
        "crossmargin replay house.db",
        "crossmargin replay house.db --at 1000",
        "crossmargin replay house.db --at 2026-11-20T08:00:00Z --account alice --json",
    ],
)

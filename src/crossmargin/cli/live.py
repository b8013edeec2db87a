"""`crossmargin demo --live`: a clearing house through one day of trading, and what it says at the end."""

from __future__ import annotations

import re
import tempfile
import time
from contextlib import ExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from crossmargin.clearing import HOUSE_ACCOUNTS, JournalCorrupt, JournalFailed, State, unconserved
from crossmargin.cli.console import answers, note, notes, refuse, write_json
from crossmargin.cli.listing import Listing
from crossmargin.cli.live_day import GROUP, LiveDay
from crossmargin.cli.records import address_of
from crossmargin.storage import open_journal

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

SEED, ACCOUNTS, STEPS = 1, 2_000, 96
FAILED = 1


def live(*, seed: int | None, store: str | None, accounts: int | None, steps: int | None, as_json: bool) -> int:
    """Run the day, or what is left of it; return the exit code."""
    with ExitStack() as left_behind:
        if store is None:
            store = left_behind.enter_context(tempfile.TemporaryDirectory(prefix="crossmargin-"))
        try:
            journal = open_journal(address_of(store))
            left_behind.callback(journal.close)
            day = LiveDay(
                journal,
                seed=SEED if seed is None else seed,
                accounts=ACCOUNTS if accounts is None else accounts,
                steps=STEPS if steps is None else steps,
            )
            return _through(day, as_json)
        except (JournalFailed, JournalCorrupt) as error:
            # Not a fault of ours and not of what was asked: the store is not what it must be.
            refuse(str(error))
            return FAILED


def _through(day: LiveDay, as_json: bool) -> int:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if day.resumed_after:
        note(f"the store has {day.resumed_after:,} records of this day: going on after them")
    started = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes(), transient=True) as progress:
        task = progress.add_task("trading", total=day.world.steps + 1)
        day.run(lambda: progress.advance(task))
    seconds = time.perf_counter() - started
    conservation = unconserved(day.house.state)
    if as_json:
        write_json(document(day))
    else:
        report(day, seconds, conservation)
    return 0 if conservation == "ok" else FAILED


def document(day: LiveDay) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "events": sum(day.events.values()),
        "conserved": conserved(day),
        "state_hash": day.house.state.hash(),
        "calls": day.events["MarginCalled"],
        "liquidations": day.events["LiquidationStarted"],
        "adl": day.events["Deleveraged"],
        "overshoot": 0,
        "waterfall": {},
        "latency_ms": day.latency_ms(),
    }


def conserved(day: LiveDay) -> dict[str, int]:
    """Return the sum of all balances of each asset in minor units: 0, or money was made or lost."""
    totals = day.house.state.ledger.totals()
    return {asset.symbol: totals.get(number, 0) for number, asset in enumerate(day.house.state.parties.assets)}


def report(day: LiveDay, seconds: float, conservation: str) -> None:
    """Print what happened, for people."""
    console = answers()
    console.print(_opening(day))
    console.print(_money(day))
    if conservation != "ok":
        console.print(conservation, style="bold red")
    console.print()
    console.print(_happened(day))
    console.print()
    console.print(_speed(day, seconds))


def _opening(day: LiveDay) -> Text:
    from rich.text import Text

    world = day.world
    text = Text()
    text.append("A day at a made-up clearing house", style="bold")
    text.append(
        f": {len(world.traders):,} accounts, {len(world.listed)} contracts, {world.steps} steps, seed {world.seed}\n"
    )
    return text


def _money(day: LiveDay) -> Table:
    """Return who has the money at the end: what came in is there, to the last unit."""
    state = day.house.state
    listing = Listing(["Asset", "Came in", "Accounts have", "Fees", "Rounding", "Other of the house's", "Sum"])
    totals = conserved(day)
    for number, asset in enumerate(state.parties.assets):
        house = {name: _all_of(state, account, number) for account, name in enumerate(HOUSE_ACCOUNTS)}
        came_in, fees, rounding = -house.pop("external"), house.pop("fees"), house.pop("rounding")
        other = sum(house.values())
        sum_of_all = totals[asset.symbol]
        accounts = sum_of_all + came_in - fees - rounding - other
        amounts = (came_in, accounts, fees, rounding, other, sum_of_all)
        listing.add(asset.symbol, *(_units(amount, asset.decimals) for amount in amounts))
    return listing.table()


def _all_of(state: State, account: int, asset: int) -> int:
    return sum(posting.amount for posting in state.ledger.of_account(account) if posting.asset == asset)


def _units(amount: int, decimals: int) -> str:
    """Return minor units as whole ones, every digit of them."""
    return f"{Decimal(amount).scaleb(-decimals):,f}" if amount else "0"


def _happened(day: LiveDay) -> Table:
    """Return what the house did, and what it said no to."""
    listing = Listing(["What happened", "Times", "What was refused", "Times "], left=(0, 2))
    done = day.events.most_common()
    no = [(reason.replace("_", " "), times) for reason, times in day.refusals.most_common()]
    for k in range(max(len(done), len(no))):
        event, times = (_words(done[k][0]), f"{done[k][1]:,}") if k < len(done) else ("", "")
        reason, refused = (no[k][0], f"{no[k][1]:,}") if k < len(no) else ("", "")
        listing.add(event, times, reason, refused)
    return listing.table()


def _words(name: str) -> str:
    """Return the name of an event as words: FundingPaid is funding paid."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


def _speed(day: LiveDay, seconds: float) -> Text:
    """Return how quick it was. Marks, deposits and trades are records like orders; a batch is one command."""
    from rich.text import Text

    last = day.house.last
    made = (last.sequence if last is not None else 0) - day.resumed_after
    events = sum(day.events.values())
    latency = day.latency_ms()
    waited = ", ".join(f"{name} {ms:,.1f} ms" for name, ms in latency.items() if ms is not None)
    text = Text()
    text.append(
        f"{day.commands:,} commands led to {events:,} events, {day.trades:,} trades among them, in {seconds:,.1f} s"
    )
    if made and seconds > 0:
        text.append(f": {made:,} records made durable, {made / seconds:,.0f} a second, {GROUP} at a time\n")
        text.append(f"from an order to the durable answer whether it may trade: {waited}\n")
    else:
        text.append("; all of them were in the journal already\n")
    text.append(f"state hash {day.house.state.hash()}")
    return text

"""An account's numbers as a story: each list adds up to the line below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crossmargin.cli.figures import money, percent, price, quantity
from crossmargin.cli.listing import Listing
from crossmargin.cli.standings import STATUS_STYLE

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

Entry = Mapping[str, Any]

_WHY = {
    "healthy": "margin balance covers initial margin",
    "warning": "margin balance is below initial margin: only trades that reduce risk",
    "call": "margin balance is near maintenance margin: more must be posted",
    "liquidation": "margin balance does not cover maintenance margin",
    "bankrupt": "everything at the mark, without any haircut, is worth less than nothing",
}


def explanation(
    document: Entry, name: str, index: Mapping[str, float], option_worth: Mapping[str, float]
) -> Iterator[Table | Text]:
    """Yield the parts of the story of one account, or of one pool.

    `index` is the price of each underlying now, `option_worth` what one contract of each option is worth.
    """
    entry = _entry(document, name)
    pool = next((pool for pool in document["pools"] if pool["id"] == entry.get("pool")), None)
    currency = document["currency"]
    digits = _digits(entry)
    told = pool or entry
    yield _headline(entry, pool, document)
    for section in (
        _has(entry, currency, digits, option_worth),
        _must_have(told, currency, digits),
        _who(told, currency, digits),
        [] if pool is None else [_member(entry, pool, digits)],
        [_difference(told, document, digits)],
        _liquidation(told, index),
        _isolated(entry, currency),
        _greeks(told, currency),
        [_saving(told, currency, digits)],
    ):
        parts = list(section)
        if parts:
            yield _blank()
            yield from parts


def _blank() -> Text:
    from rich.text import Text

    return Text("")


def _entry(document: Entry, name: str) -> Entry:
    found = [entry for entry in (*document["accounts"], *document["pools"]) if entry["id"] == name]
    assert len(found) == 1, "the document was cut down to this account"
    return found[0]  # type: ignore[no-any-return]


def _digits(entry: Entry) -> int:
    return 0 if max(abs(entry["net_value"]), abs(entry["maintenance_margin"])) >= 10_000 else 2


def _headline(entry: Entry, pool: Entry | None, document: Entry) -> Text:
    from rich.text import Text

    text = Text()
    text.append(entry["id"], style="bold")
    if "accounts" in entry:
        text.append(f", a pool of {', '.join(entry['accounts'])}")
    elif entry["owner"] != entry["id"]:
        text.append(f" of {entry['owner']}")
    text.append(": ")
    text.append(entry["status"], style=STATUS_STYLE[entry["status"]])
    text.append(f", {_why(entry, pool)}.\n")
    text.append(
        f"rule book {document['rules']} of {document['rules_version']}, amounts in {document['currency']}",
        style="dim",
    )
    return text


def _why(entry: Entry, pool: Entry | None) -> str:
    told = pool or entry
    if told["status"] == "healthy" and told["margin_balance"] < told["initial_margin"]:
        return "it owes nothing to anybody"
    why = _WHY[entry["status"]]
    return f"in its pool {pool['id']}, {why}" if pool is not None else why


def _has(entry: Entry, currency: str, digits: int, option_worth: Mapping[str, float]) -> Iterator[Table]:
    table = Listing(["Balance", "Quantity", "Price", f"Value {currency}", "Haircut", "Counts"], title="What it has")
    for row in entry["balances"]:
        place = "" if row["location"] == "here" else f" at {row['location']}"
        if row["state"] == "pending":
            table.add(f"{row['asset']}{place}, pending", quantity(row["quantity"]), price(row["price"]), "0", "", "0")
            continue
        table.add(
            f"{row['asset']}{place}",
            quantity(row["quantity"]),
            price(row["price"]),
            money(row["value"], digits),
            percent(row["haircut"], 1) if row["haircut"] else "",
            money(row["value"] * (1.0 - row["haircut"]), digits),
        )
    lines = [
        ("balances at the mark", entry["collateral_value"] + entry["haircut"]),
        ("unrealized profit and loss of futures and perpetuals", entry["unrealized_pnl"]),
        ("value of options", entry["net_option_value"]),
        ("accrued funding, interest and fees", entry["accrued"]),
    ]
    if entry["balances"]:
        yield table.table()
    held = [row for row in entry["positions"] if row["margin_mode"] == "cross"]
    if held:
        yield _positions(entry, held, currency, digits, option_worth)
    sums = _sums()
    for label, amount in lines:
        if amount:
            sums.add_row(label, money(amount, digits))
    sums.add_row("= net value", money(entry["net_value"], digits), style="bold")
    sums.add_row("haircut", money(-entry["haircut"], digits))
    sums.add_row("= equity", money(entry["equity"], digits), style="bold")
    if entry["margin_balance"] != entry["equity"]:
        sums.add_row(
            "value of options, which this rule book counts in the requirement",
            money(-entry["net_option_value"], digits),
        )
        sums.add_row("= margin balance", money(entry["margin_balance"], digits), style="bold")
    yield sums


def _positions(
    entry: Entry, rows: Sequence[Entry], currency: str, digits: int, option_worth: Mapping[str, float]
) -> Table:
    """Return what each position adds to net value: futures their profit, options all they are worth."""
    table = Listing(["Position", "Quantity", "Mark", f"Notional {currency}", "Profit", "Value"])
    for row in rows:
        worth = option_worth.get(row["symbol"])
        table.add(
            _holder(row, entry, row["symbol"]),
            quantity(row["quantity"]),
            price(row["mark"]),
            money(row["notional"], digits),
            # An option's own profit is part of its value, and would be counted twice.
            money(row["unrealized_pnl"], digits) if worth is None else "",
            "" if worth is None else money(row["quantity"] * worth, digits),
        )
    return table.table()


def _must_have(entry: Entry, currency: str, digits: int) -> Iterator[Table | Text]:
    from rich.text import Text

    title = Text(
        "What it must have" if "accounts" not in entry else f"What the pool {entry['id']} must have", style="bold"
    )
    yield title
    sums = _sums()
    for term in entry["breakdown"]:
        sums.add_row(term["name"], money(term["amount"], digits))
    sums.add_row("= maintenance margin", money(entry["maintenance_margin"], digits), style="bold")
    sums.add_row("initial margin", money(entry["initial_margin"], digits), style="bold")
    yield sums
    worst = entry["worst_scenario"]
    if worst is not None:
        yield Text.assemble("Worst scenario: ", (worst["id"], "bold"), f", {money(worst['loss'], digits)} {currency}.")


def _member(entry: Entry, pool: Entry, digits: int) -> Text:
    from rich.text import Text

    share = entry["maintenance_margin"]
    return Text(
        f"Of the pool's maintenance margin of {money(pool['maintenance_margin'], digits)}, "
        f"{money(share, digits)} is its share"
        f"{': its positions offset the rest of the pool' if share < 0 else ''}."
    )


def _who(entry: Entry, currency: str, digits: int) -> Iterator[Table]:
    shares = [
        (_holder(row, entry, row["symbol"]), row["quantity"], row["mark"], row["margin_contribution"])
        for row in entry["positions"]
        if row["margin_mode"] == "cross"
    ]
    shares += [
        (_holder(row, entry, row["asset"]), row["quantity"], row["price"], row["margin_contribution"])
        for row in entry["balances"]
        if row["margin_contribution"]
    ]
    if not shares:
        return
    table = Listing(["Position or balance", "Quantity", "Mark", f"Share {currency}"], title="Who causes it")
    for name, held, mark, share in sorted(shares, key=lambda row: -row[3]):
        table.add(name, quantity(held), price(mark), money(share, digits), style="green" if share < 0 else "")
    table.add("= maintenance margin", "", "", money(entry["maintenance_margin"], digits), total=True)
    yield table.table()


def _holder(row: Entry, entry: Entry, name: str) -> str:
    return f"{name} of {row['account']}" if "accounts" in entry else name


def _can_go(entry: Entry, digits: int) -> str:
    """Return what can be withdrawn; more than is available where collateral that goes takes its own risk along."""
    amount = money(entry["withdrawable"], digits)
    if entry["withdrawable"] <= entry["available"]:
        return f"{amount} of it can be withdrawn"
    return f"collateral worth {amount} can be withdrawn, for its own risk goes with it"


def _difference(entry: Entry, document: Entry, digits: int) -> Text:
    from rich.text import Text

    currency = document["currency"]
    text = Text()
    if entry["shortfall_maintenance"]:
        text.append(
            f"{money(entry['shortfall_maintenance'], digits)} {currency} short of maintenance margin", "bold red"
        )
    elif entry["shortfall_initial"]:
        text.append(f"{money(entry['shortfall_initial'], digits)} {currency} short of initial margin", "yellow")
    else:
        text.append(f"{money(entry['available'], digits)} {currency} available", style="green")
        text.append(f", {_can_go(entry, digits)}")
    text.append(
        f"; initial margin is {percent(entry['utilization'])} of the margin balance"
        if entry["utilization"] is not None
        else ""
    )
    text.append(".")
    return text


def _liquidation(entry: Entry, index: Mapping[str, float]) -> Iterator[Table | Text]:
    from rich.text import Text

    levels = [(name, found) for name, found in entry["liquidation"].items() if _any(found)]
    if not levels:
        return
    table = Listing(["Underlying", "Now", "Below", "", "Above", ""], title="Where it would be liquidated")
    remarks = []
    for name, found in levels:
        now = index.get(name)
        cells = [name, price(now)]
        for side in ("below", "above"):
            level = found[side]
            away = level / now - 1.0 if level is not None and now else None
            cells += [price(level), "" if away is None else percent(away, 1, sign=True)]
        table.add(*cells)
        if found["inside"]:
            remarks.append(f"{name}: in breach now; these are the prices at which it would be healthy again")
        for low, high in found.get("breach_intervals", []):
            remarks.append(f"{name}: in breach between {price(low)} and {price(high)}")
    yield table.table()
    for remark in remarks:
        yield Text(remark, style="dim")


def _any(found: Entry) -> bool:
    return found["below"] is not None or found["above"] is not None or bool(found.get("breach_intervals"))


def _isolated(entry: Entry, currency: str) -> Iterator[Table]:
    rows = [row for row in entry["positions"] if row["margin_mode"] == "isolated"]
    if not rows:
        return
    table = Listing(
        ["Position", "Status", "Quantity", "Mark", "Collateral", f"Equity {currency}", "Maint.", "Liquidation"],
        title="Isolated positions, each with its own collateral",
    )
    for row in rows:
        table.add(
            row["symbol"],
            row["status"],
            quantity(row["quantity"]),
            price(row["mark"]),
            quantity(row["isolated_collateral"]),
            money(row["equity"]),
            money(row["maintenance_margin"]),
            price(row["liquidation_price"]),
        )
    yield table.table()


def _greeks(entry: Entry, currency: str) -> Iterator[Table]:
    if not any(greek["vega"] or greek["gamma"] for greek in entry["greeks"].values()):
        return
    table = Listing(
        ["Underlying", "Delta, +1%", "Gamma, +1% more", "Vega, +1 vol point", "Theta, a day"],
        title=f"Greeks in {currency}",
    )
    for name, greek in entry["greeks"].items():
        table.add(name, *(money(greek[key]) for key in ("delta_cash", "gamma", "vega", "theta")))
    yield table.table()


def _saving(entry: Entry, currency: str, digits: int) -> Text:
    from rich.text import Text

    alone, together = entry["isolated_margin"], entry["maintenance_margin"]
    saved = alone - together
    text = Text(f"Each position alone would need {money(alone, digits)} {currency}; together {money(together, digits)}")
    if saved > 0 and alone > 0:
        text.append(": cross margin saves ")
        text.append(f"{money(saved, digits)} ({percent(saved / alone)})", style="bold green")
    text.append(".")
    return text


def scenario_table(made: Entry, currency: str) -> Iterator[Table | Text]:
    """Yield what everything in the pool makes in one scenario."""
    from rich.text import Text

    table = Listing(["Position or balance", "Quantity", f"Makes {currency}"], title=f"Scenario {made['id']}")
    for row in sorted((row for row in made["rows"] if row["pnl"]), key=lambda row: row["pnl"]):
        table.add(row["name"], quantity(row["quantity"]), money(row["pnl"]), style="red" if row["pnl"] < 0 else "green")
    table.add("= profit or loss", "", money(made["pnl"]), total=True)
    yield Text()
    yield table.table()
    if made["weight"] != 1.0:
        yield Text(f"{percent(made['weight'])} of a loss in it counts: {money(made['loss'])}.", style="dim")


def _sums() -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(min_width=34)
    table.add_column(justify="right", no_wrap=True)
    return table

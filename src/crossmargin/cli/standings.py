"""The table of standings: accounts, isolated positions and pools, fitted to the width of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import TYPE_CHECKING, Any

from crossmargin.cli.figures import NOTHING, money, money_digits, nearest_liquidation, percent, price
from crossmargin.cli.listing import GAP, Listing

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

Entry = Mapping[str, Any]

STATUS_STYLE = {
    "healthy": "green",
    "warning": "yellow",
    "call": "bold dark_orange",
    "liquidation": "bold red",
    "bankrupt": "bold white on red",
}
BAR_STYLE = {**STATUS_STYLE, "bankrupt": "bold red"}
ROWS_MOST = 500
"""More accounts than anybody reads are left to --json, --csv and --parquet."""
_BAR = 8
_NAME_LONGEST = 28
_NEAR = 0.1
"""A liquidation price this close stands out."""


@dataclass(slots=True)
class _Column:
    title: str
    keep: int
    """Columns are given up from the highest number on where the page is narrow."""
    cells: list[Text] = field(default_factory=list)
    left: bool = False
    short: list[Text] | None = None
    """The same told in fewer letters, before any column is given up."""

    @property
    def width(self) -> int:
        return max((len(cell) for cell in self.cells), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line: an account, a pool, a member of one, an isolated position, or the totals."""

    name: str
    figures: Entry
    style: str = ""
    own: bool = True
    """Has figures of its own; a member's status and liquidation prices are its pool's."""


_SOURCES = {"history": "the book's history", "reference": "the shipped reference set"}


def standings(document: Entry, index: Mapping[str, float], width: int) -> Table:
    """Return the table of a document; `index` is the price of each underlying now, `width` that of the page."""
    rows = list(_rows(document))
    hidden = max(len(rows) - ROWS_MOST, 0)
    shown = rows[:ROWS_MOST]
    columns = _columns(document, shown, index)
    if _width(columns) > width:
        for column in columns:
            column.cells = column.short or column.cells
    while len(columns) > 3 and _width(columns) > width:
        columns.remove(max(columns, key=lambda column: column.keep))
    return _table(columns, len(shown), hidden)


def footer(document: Entry) -> Text:
    """Return the lines below the table: how many stand how, rule book, scenarios, time, currency."""
    from collections import Counter

    from rich.text import Text

    scenarios = document["scenarios"]
    source = {
        "none": "no scenarios: position by position",
        "grid": f"{scenarios['count']} scenarios a group",
    }.get(scenarios["source"], f"{scenarios['count']} scenarios from {_SOURCES.get(scenarios['source'])}")
    if scenarios["from"]:
        source += f", {scenarios['from']} to {scenarios['to']}"
    if scenarios["effective_sample"] is not None:
        source += f" ({scenarios['effective_sample']:.0f} that do not overlap)"
    if scenarios["stressed"]:
        source += f", and {scenarios['stressed']} stressed ones"
    time = document["time"].replace("T", " ").replace("Z", " UTC")
    accounts = document["accounts"]
    fenced = [row["status"] for account in accounts for row in account["positions"] if "status" in row]
    text = Text(style="dim")
    for what, words in (("", [account["status"] for account in accounts]), ("isolated positions: ", fenced)):
        counts = Counter(words)
        told = ", ".join(f"{counts[word]:,} {word}" for word in STATUS_STYLE if counts[word])
        if told:
            text.append(f"{'; ' if len(text) else ''}{what}{told}", style="not dim")
    text.append("\n" if accounts else "")
    text.append(f"rule book {document['rules']} of {document['rules_version']}; {source}\n")
    text.append(f"prices of {time}; amounts in {document['currency']}")
    return text


def status(word: str) -> Text:
    """Return a status in its colour."""
    from rich.text import Text

    return Text(word, style=STATUS_STYLE[word])


def _rows(document: Entry) -> Iterator[_Row]:
    members: dict[str, list[Entry]] = {}
    for account in document["accounts"]:
        if account["pool"] is None:
            yield _Row(name=account["id"], figures=account)
            yield from _isolated(account)
        else:
            members.setdefault(account["pool"], []).append(account)
    for pool in document["pools"]:
        yield _Row(name=f"{pool['id']} (pool of {len(pool['accounts'])})", figures=pool)
        for account in members.get(pool["id"], []):
            yield _Row(name=f"  {account['id']}", figures=account, style="dim", own=False)
            yield from _isolated(account)


def _isolated(account: Entry) -> Iterator[_Row]:
    for position in account["positions"]:
        if position["margin_mode"] == "isolated":
            yield _Row(name=f"  {position['symbol']} isolated", figures=position)


def _columns(document: Entry, rows: Sequence[_Row], index: Mapping[str, float]) -> list[_Column]:
    from rich.text import Text

    name = _Column("Account", 0, left=True)
    state = _Column("Status", 0, left=True)
    for row in rows:
        cell = Text(row.name, style=row.style or ("" if row.name.startswith(" ") else "bold"))
        cell.truncate(_NAME_LONGEST, overflow="ellipsis")
        name.cells.append(cell)
        state.cells.append(status(row.figures["status"]) if row.own else Text(""))
    amounts = [
        _amounts("Net value", 10, rows, "net_value"),
        _amounts("Equity", 1, rows, "equity"),
        _amounts("Margin bal.", 9, rows, "margin_balance"),
        _amounts("Maint.", 2, rows, "maintenance_margin"),
        _amounts("Initial", 6, rows, "initial_margin"),
        _amounts("Available", 8, rows, "available"),
    ]
    if all(row.figures.get("margin_balance", row.figures["equity"]) == row.figures["equity"] for row in rows):
        # The rule book counts option value in equity: the column would say the same again.
        amounts = [column for column in amounts if column.title != "Margin bal."]
    levels = [_level(row, index) for row in rows]
    columns = [
        name,
        state,
        *amounts,
        _Column("Used", 3, [_used(row) for row in rows], short=[_percent_used(row) for row in rows]),
        _Column("Liquidation", 5, [level for level, _ in levels], left=True),
        _Column("Away", 4, [away for _, away in levels]),
        _Column("Cross saves", 7, [_saved(row) for row in rows]),
    ]
    _add_totals(document, columns)
    return columns


def _amounts(title: str, keep: int, rows: Sequence[_Row], key: str) -> _Column:
    from rich.text import Text

    values = [row.figures.get(key) for row in rows]
    digits = money_digits(values)
    cells = []
    for row, value in zip(rows, values, strict=True):
        absent = key not in row.figures
        negative = value is not None and value < 0
        cells.append(Text("" if absent else money(value, digits), style="red" if negative else row.style))
    return _Column(title, keep, cells)


def _utilization(figures: Entry) -> float | None:
    if "utilization" in figures:
        return figures["utilization"]  # type: ignore[no-any-return]
    balance = figures.get("margin_balance", figures["equity"])
    return figures["initial_margin"] / balance if balance > 0 else None


def _used(row: _Row) -> Text:
    """Return initial margin over margin balance as a bar; full where there is nothing to hold it against."""
    text = _percent_used(row)
    if not row.own:
        return text
    share = _utilization(row.figures)
    owing = row.figures["initial_margin"] > 0
    filled = _BAR if share is None and owing else min(max(round((share or 0.0) * _BAR), 0), _BAR)
    text.align("right", 5)
    text.append(" ")
    text.append("█" * filled, style=BAR_STYLE[row.figures["status"]])
    text.append("░" * (_BAR - filled), style="dim")
    return text


def _percent_used(row: _Row) -> Text:
    from rich.text import Text

    return Text(percent(_utilization(row.figures)) if row.own else "")


def _level(row: _Row, index: Mapping[str, float]) -> tuple[Text, Text]:
    """Return the nearest liquidation price and how far away it is."""
    from rich.text import Text

    figures = row.figures
    if not row.own:
        return Text(""), Text("")
    nearest = nearest_liquidation(figures, index) if "liquidation" in figures else _own_mark(figures)
    if nearest is None:
        return Text(NOTHING, style="dim"), Text(NOTHING, style="dim")
    name, root, move, inside = nearest
    text = Text("back at ", style="red") if inside else Text("")
    text.append(f"{name} {price(root)}", style="")
    near = abs(move) < _NEAR and not inside
    return text, Text(percent(move, 1 if abs(move) < 10 else 0, sign=True), style="bold" if near else "dim")


def _own_mark(position: Entry) -> tuple[str, float, float, bool] | None:
    """Return ("mark", price, relative move, already there) where an isolated position is liquidated."""
    level, mark = position["liquidation_price"], position["mark"]
    if level is None or not mark:
        return None
    return "mark", level, level / mark - 1.0, position["status"] in ("liquidation", "bankrupt")


def _saved(row: _Row) -> Text:
    from rich.text import Text

    if not row.own or "isolated_margin" not in row.figures:
        return Text("")
    saved = row.figures["isolated_margin"] - row.figures["maintenance_margin"]
    return Text(money(saved), style="green" if saved >= 0.5 else "dim")


def _add_totals(document: Entry, columns: Sequence[_Column]) -> None:
    """Add the line of totals: what the document totals, and what can be added up beside it."""
    from rich.text import Text

    accounts, totals = document["accounts"], document["totals"]
    saved = fsum(entry["isolated_margin"] - entry["maintenance_margin"] for entry in accounts)
    net_value = fsum(entry["net_value"] for entry in accounts)
    text = {
        "Account": f"{totals['accounts']:,} account{'' if totals['accounts'] == 1 else 's'}",
        "Net value": money(net_value, money_digits([net_value])),
        "Cross saves": money(saved),
        **{
            title: money(totals[key], money_digits([totals[key]]))
            for title, key in (("Equity", "equity"), ("Initial", "initial_margin"), ("Maint.", "maintenance_margin"))
        },
    }
    for column in columns:
        total = Text(text.get(column.title, ""), style="bold")
        for cells in (column.cells, column.short):
            if cells is not None:
                cells.append(total)


def _width(columns: Sequence[_Column]) -> int:
    return sum(max(column.width, len(column.title)) + GAP for column in columns)


def _table(columns: Sequence[_Column], count: int, hidden: int) -> Table:
    listing = Listing([column.title for column in columns], left=[k for k, column in enumerate(columns) if column.left])
    for k in range(count):
        listing.add(*(column.cells[k] for column in columns))
    if hidden:
        blank = ("",) * (len(columns) - 1)
        listing.add(f"and {hidden:,} more: see --json, --csv, --parquet", *blank, style="dim")
    listing.add(*(column.cells[-1] for column in columns), total=True)
    return listing.table()

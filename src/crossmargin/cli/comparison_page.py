"""A comparison as one HTML page with plots drawn in it: nothing is fetched, it opens anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from crossmargin.cli.comparison import reason
from crossmargin.cli.figures import money, money_digits, percent
from crossmargin.cli.venue_figures import figure, signed, why, words

Entry = Mapping[str, Any]

_BAR, _GAP, _LABEL, _WIDTH, _FIGURE = 18, 8, 190, 560, 150
_COLOURS = {
    "healthy": "#2f7d4f",
    "warning": "#b58900",
    "call": "#d2691e",
    "liquidation": "#c0392b",
    "bankrupt": "#7b1fa2",
}
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .18rem .7rem; text-align: right } th:first-child, td:first-child { text-align: left }
thead th { border-bottom: 1px solid #999; font-weight: 600 } tr.base td { font-weight: 600 }
ul { margin: .3rem 0 .3rem 1.1rem; padding: 0 } .dim { color: #666 } svg text { font: 13px system-ui, sans-serif }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } .dim { color: #999 }
  svg text { fill: #ddd } }
"""


def page(document: Entry) -> str:
    """Return the page of a comparison."""
    body = "".join(_account(entry, document["currency"]) for entry in document["accounts"])
    refused = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in document["refused"].items())
    told = f"<h2>Rule books that cannot express this book</h2><ul>{refused}</ul>" if refused else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Margin under every rule book</title>'
        f"<style>{_STYLE}</style></head><body><h1>Margin under every rule book</h1>"
        f"<p class=dim>Prices of {escape(document['time'])}; amounts in {escape(document['currency'])}; "
        "filled bars are maintenance margin, outlines initial margin, the line is what the account has.</p>"
        f"{body}{told}</body></html>\n"
    )


def _account(entry: Entry, currency: str) -> str:
    reasons = "".join(
        f"<li>{escape(reason(row, entry['base']))}</li>" for row in entry["under"] if row["rules"] != entry["base"]
    )
    return f"<h2>{escape(entry['id'])}</h2>{_plot(entry)}{_table(entry, currency)}<ul>{reasons}</ul>{_venue(entry)}"


def _venue(entry: Entry) -> str:
    """Return what the venue states of the account beside its own rule book here, where it is imported with that."""
    base = entry["base"]
    rows = [row for row in entry.get("venue", ()) if base in row["under"]]
    if not rows:
        return ""
    head = ("Figure", "Of", "The venue states", base, "Difference", "In", "From")
    cells = [
        (
            words(row["figure"]),
            row["symbol"] or "account",
            figure(row["stated"]),
            figure(row["under"][base]["ours"]),
            signed(row["under"][base]["difference"]),
            row["unit"],
            why(row["under"][base]),
        )
        for row in rows
    ]
    return (
        f"<table><thead><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr></thead><tbody>"
        + "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
        + "</tbody></table>"
    )


def _plot(entry: Entry) -> str:
    rows = entry["under"]
    most = max((max(row["initial_margin"], row["maintenance_margin"]) for row in rows), default=0.0) or 1.0
    height = len(rows) * (_BAR + _GAP) + _GAP
    width = _LABEL + _WIDTH + _FIGURE
    shapes = "".join(_bar(row, k, most) for k, row in enumerate(rows))
    return (
        f'<svg role="img" aria-label="margin of {escape(entry["id"])} under each rule book" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}">{shapes}</svg>'
    )


def _bar(row: Entry, k: int, most: float) -> str:
    top = _GAP + k * (_BAR + _GAP)
    colour = _COLOURS[row["status"]]

    def length(amount: float) -> float:
        return round(max(0.0, min(amount, most)) / most * _WIDTH, 1)

    text = top + _BAR - 5
    initial = length(row["initial_margin"])
    parts = [
        f'<text x="{_LABEL - 8}" y="{text}" text-anchor="end">{escape(row["rules"])}</text>',
        f'<rect x="{_LABEL}" y="{top}" width="{initial}" height="{_BAR}" fill="none" stroke="{colour}"/>',
        f'<rect x="{_LABEL}" y="{top}" width="{length(row["maintenance_margin"])}" height="{_BAR}" fill="{colour}"/>',
    ]
    if 0 < row["margin_balance"] <= most:
        at = _LABEL + length(row["margin_balance"])
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="{top - 3}" y2="{top + _BAR + 3}" stroke="currentColor" stroke-width="2"/>'
        )
    figure = money(row["maintenance_margin"], money_digits([row["maintenance_margin"]]))
    parts.append(f'<text x="{_LABEL + initial + 8}" y="{text}">{figure}</text>')
    return "".join(parts)


def _table(entry: Entry, currency: str) -> str:
    figures = ("Maintenance", "Initial", f"Balance {currency}", "Used", "Alone", "Within", "Between", "Collateral")
    head = ("Rule book", *figures, "Status")
    return (
        f"<table><thead><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr></thead><tbody>"
        f"{''.join(_rows(entry))}</tbody></table>"
    )


def _rows(entry: Entry) -> Iterator[str]:
    digits = money_digits([row["maintenance_margin"] for row in entry["under"]])
    for row in entry["under"]:
        used = row["maintenance_margin"] / row["margin_balance"] if row["margin_balance"] > 0 else None
        cells = [
            escape(row["rules"]),
            *(money(row[name], digits) for name in ("maintenance_margin", "initial_margin", "margin_balance")),
            percent(used),
            *(money(amount, digits) for amount in row["layers"].values()),
            escape(row["status"]),
        ]
        kind = ' class="base"' if row["rules"] == entry["base"] else ""
        yield f"<tr{kind}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"

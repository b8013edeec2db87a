"""`crossmargin import`: a venue's file as a market and a book."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from crossmargin.cli.verbs import verb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crossmargin.venues import Imported


def import_(
    kind: Annotated[
        str,
        Parameter(
            name="KIND",
            help="binance-account, bybit-account, deribit-account, okx-account, ccxt-positions, deribit-chain, "
            "cboe-chain, leverage-tiers or span.",
        ),
    ],
    file: Annotated[str, Parameter(name="FILE", help="The file as the venue or its tool wrote it.")],
    /,
    *more: Annotated[str, Parameter(name="MORE", help="Of an account: more answers about it, such as its positions.")],
    out: Annotated[
        str | None,
        Parameter(metavar="DIR", help="Folder to write to; by default one named as the file, in this folder."),
    ] = None,
    venue: Annotated[
        str | None, Parameter(metavar="NAME", help="The venue of a ccxt dump, such as binance or bybit.")
    ] = None,
    account: Annotated[str | None, Parameter(metavar="ID", help="The account id that imported positions get.")] = None,
    time: Annotated[
        str | None, Parameter(metavar="TIME", help="When an account's answers are from, where they do not say it.")
    ] = None,
) -> int:
    """Turn a venue's file into instruments, a market and positions.

    Writes instruments.csv and market.json, which `margin --market` takes; and positions.csv where the file has
    positions, rules.toml where it has rules. What was assumed, and what has no price, is told on stderr. Of an account
    it writes a whole book, with venue.json: what the venue states itself, which `compare` sets beside our figures.
    """
    from pathlib import Path

    from crossmargin.cli.console import answers, notes, program
    from crossmargin.cli.kernels import compilation_noted
    from crossmargin.errors import InputError, nearest
    from crossmargin.units import utc
    from crossmargin.venues import KINDS

    if kind not in KINDS:
        raise InputError("KIND", repr(kind), ", ".join(sorted(KINDS)), nearest(kind, KINDS))
    if KINDS[kind].needs_venue and venue is None:
        raise InputError("--venue", "nothing", f"the venue of {file}: one symbol means different contracts on two")
    if venue is not None and not KINDS[kind].needs_venue:
        raise InputError("--venue", repr(venue), f"nothing: {kind} says where it is from")
    at = None
    if time is not None:
        if not KINDS[kind].is_account:
            raise InputError("--time", repr(time), f"nothing: {kind} says when it is from, or needs no time")
        try:
            at = utc(time)
        except ValueError as error:
            raise InputError("--time", str(error), "ISO 8601 in UTC such as 2026-11-20T08:00:00Z") from None
    if more and not KINDS[kind].is_account:
        raise InputError("FILE", f"{len(more) + 1} files", f"one file of {kind}")
    with compilation_noted():
        if KINDS[kind].is_account:
            imported = KINDS[kind].read([Path(file), *map(Path, more)], account or "imported", at)
        else:
            imported = KINDS[kind].read(Path(file), **({"venue": venue} if venue is not None else {}))
    if account is not None and not (imported.positions or imported.accounts):
        raise InputError("--account", repr(account), f"nothing: {file} has no positions")
    folder = Path(out) if out is not None else Path(Path(file).name.split(".")[0])
    written = _write(imported, folder, account or "imported")
    for line in imported.report:
        notes().print(line, soft_wrap=True)
    console = answers()
    console.print(f"{_counted(imported)} in {folder}: {', '.join(written)}", soft_wrap=True)
    if imported.accounts:
        verb = "compare" if imported.stated is not None and imported.stated.figures else "margin"
        console.print(f"next: {program()} {verb} {folder}", soft_wrap=True)
    elif imported.rules is not None or imported.market is not None:
        market = f" --market {folder / 'market.json'}" if imported.market is not None else ""
        rules = f" --rules {folder / 'rules.toml'}" if imported.rules is not None else ""
        console.print(f"next: {program()} margin BOOK{market}{rules}", soft_wrap=True)
    else:
        console.print(f"next: {program()} margin {folder} --market MARKET", soft_wrap=True)
    return 0


def _write(imported: Imported, folder: Path, account: str) -> list[str]:
    """Write what was imported; accounts, positions and rules never replace those that are there already."""
    from dataclasses import replace

    from crossmargin.errors import InvalidFile
    from crossmargin.files import write_instruments, write_market
    from crossmargin.venues import write_stated
    from crossmargin.venues.stated import FILE

    kept = []
    if imported.accounts:
        kept = ["book.json", "accounts.csv", "balances.csv", "positions.csv", FILE]
    elif imported.positions:
        kept = ["positions.csv", FILE]
    if imported.rules is not None:
        kept.append("rules.toml")
    for name in kept:
        if (folder / name).exists():
            what = {"positions.csv": "positions", "rules.toml": "a rule book", FILE: "what a venue states"}.get(
                name, "an account"
            )
            raise InvalidFile(str(folder / name), f"{what} already", "a folder without")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_instruments(imported.instruments, folder / "instruments.csv")
        written = ["instruments.csv"]
        if imported.market is not None:
            write_market(imported.market, folder / "market.json")
            written.append("market.json")
        if imported.accounts:
            written += _write_accounts(imported, folder)
        elif imported.positions:
            rows = [(account, position) for position in imported.positions]
            _write_table(folder / "positions.csv", _POSITION, rows)
            written.append("positions.csv")
        if imported.rules is not None:
            (folder / "rules.toml").write_text(imported.rules, encoding="utf-8")
            written.append("rules.toml")
        if imported.stated is not None and (imported.stated.figures or imported.accounts):
            # A dump of positions does not say whose they are.
            figures = tuple(replace(one, account=one.account or account) for one in imported.stated.figures)
            write_stated(replace(imported.stated, figures=figures), folder / FILE)
            written.append(FILE)
    except OSError as error:
        raise InvalidFile(str(folder), error.strerror or str(error), "a folder that can be written to") from None
    return written


_POSITION = ("symbol", "quantity", "entry_price", "margin_mode", "isolated_collateral")
_BALANCE = ("asset", "amount")


def _write_accounts(imported: Imported, folder: Path) -> list[str]:
    """Write whole accounts, with the rule book they are nearest to; return the names of the files."""
    import csv
    import json

    head = {"rules": imported.rules_name} if imported.rules_name else {}
    (folder / "book.json").write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")
    with (folder / "accounts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "owner"))
        writer.writerows((account.id, account.owner) for account in imported.accounts)
    balances = [(account.id, balance) for account in imported.accounts for balance in account.balances]
    positions = [(account.id, position) for account in imported.accounts for position in account.positions]
    _write_table(folder / "balances.csv", _BALANCE, balances)
    _write_table(folder / "positions.csv", _POSITION, positions)
    return ["book.json", "accounts.csv", "balances.csv", "positions.csv"]


def _write_table(path: Path, columns: tuple[str, ...], rows: Sequence[tuple[str, object]]) -> None:
    """Write a CSV file of facts, each after the account it belongs to."""
    import csv

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("account", *columns))
        for account, fact in rows:
            cells = (getattr(fact, name) for name in columns)
            writer.writerow((account, *("" if cell is None else cell for cell in cells)))


def _counted(imported: Imported) -> str:
    from collections import Counter

    kinds = Counter(instrument.kind for instrument in imported.instruments)
    parts = [f"{count:,} {kind}{'' if count == 1 else 's'}" for kind, count in sorted(kinds.items())]
    positions = len(imported.positions) + sum(len(account.positions) for account in imported.accounts)
    balances = sum(len(account.balances) for account in imported.accounts)
    for count, what in ((positions, "position"), (balances, "balance")):
        if count:
            parts.append(f"{count:,} {what}{'' if count == 1 else 's'}")
    return ", ".join(parts) or "nothing"


app = verb(
    "import",
    import_,
    [
        "crossmargin import okx-account balance.json positions.json --account me --out me",
        "crossmargin import deribit-chain deribit_eth_chain.csv --out eth",
        "crossmargin import cboe-chain spx_quotedata.csv --out spx",
        "crossmargin import ccxt-positions positions.json --venue bybit --account me --out book",
        "crossmargin import leverage-tiers tiers.json --venue binance --out binance",
        "crossmargin import span cme.20260102.s.pa2 --out cme",
    ],
)

"""`crossmargin import`: a venue's file as a market and a book."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from crossmargin.cli.verbs import verb

if TYPE_CHECKING:
    from pathlib import Path

    from crossmargin.venues import Imported


def import_(
    kind: Annotated[
        str, Parameter(name="KIND", help="deribit-chain, cboe-chain, ccxt-positions, leverage-tiers or span.")
    ],
    file: Annotated[str, Parameter(name="FILE", help="The file as the venue or its tool wrote it.")],
    /,
    *,
    out: Annotated[
        str | None,
        Parameter(metavar="DIR", help="Folder to write to; by default one named as the file, in this folder."),
    ] = None,
    venue: Annotated[
        str | None, Parameter(metavar="NAME", help="The venue of a ccxt dump, such as binance or bybit.")
    ] = None,
    account: Annotated[str | None, Parameter(metavar="ID", help="The account id that imported positions get.")] = None,
) -> int:
    """Turn a venue's file into instruments, a market and positions.

    Writes instruments.csv and market.json, which `margin --market` takes; and positions.csv where the file has
    positions, rules.toml where it has rules. What was assumed, and what has no price, is told on stderr.
    """
    from pathlib import Path

    from crossmargin.cli.console import answers, notes, program
    from crossmargin.cli.kernels import compilation_noted
    from crossmargin.errors import InputError, nearest
    from crossmargin.venues import KINDS

    if kind not in KINDS:
        raise InputError("KIND", repr(kind), ", ".join(sorted(KINDS)), nearest(kind, KINDS))
    if KINDS[kind].needs_venue and venue is None:
        raise InputError("--venue", "nothing", f"the venue of {file}: one symbol means different contracts on two")
    if venue is not None and not KINDS[kind].needs_venue:
        raise InputError("--venue", repr(venue), f"nothing: {kind} says where it is from")
    with compilation_noted():
        imported = KINDS[kind].read(Path(file), **({"venue": venue} if venue is not None else {}))
    if account is not None and not imported.positions:
        raise InputError("--account", repr(account), f"nothing: {file} has no positions")
    folder = Path(out) if out is not None else Path(Path(file).name.split(".")[0])
    written = _write(imported, folder, account or "imported")
    for line in imported.report:
        notes().print(line, soft_wrap=True)
    console = answers()
    console.print(f"{_counted(imported)} in {folder}: {', '.join(written)}", soft_wrap=True)
    if imported.rules is not None or imported.market is not None:
        market = f" --market {folder / 'market.json'}" if imported.market is not None else ""
        rules = f" --rules {folder / 'rules.toml'}" if imported.rules is not None else ""
        console.print(f"next: {program()} margin BOOK{market}{rules}", soft_wrap=True)
    else:
        console.print(f"next: {program()} margin {folder} --market MARKET", soft_wrap=True)
    return 0


def _write(imported: Imported, folder: Path, account: str) -> list[str]:
    """Write what was imported; positions and rules never replace those that are there already."""
    import csv

    from crossmargin.errors import InvalidFile
    from crossmargin.files import write_instruments, write_market

    positions = folder / "positions.csv"
    if imported.positions and positions.exists():
        raise InvalidFile(str(positions), "positions already", "a folder without them")
    rules = folder / "rules.toml"
    if imported.rules is not None and rules.exists():
        raise InvalidFile(str(rules), "a rule book already", "a folder without one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_instruments(imported.instruments, folder / "instruments.csv")
        written = ["instruments.csv"]
        if imported.market is not None:
            write_market(imported.market, folder / "market.json")
            written.append("market.json")
        if imported.positions:
            columns = ("symbol", "quantity", "entry_price", "margin_mode", "isolated_collateral")
            with positions.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(("account", *columns))
                for position in imported.positions:
                    cells = (getattr(position, name) for name in columns)
                    writer.writerow((account, *("" if cell is None else cell for cell in cells)))
            written.append("positions.csv")
        if imported.rules is not None:
            rules.write_text(imported.rules, encoding="utf-8")
            written.append("rules.toml")
    except OSError as error:
        raise InvalidFile(str(folder), error.strerror or str(error), "a folder that can be written to") from None
    return written


def _counted(imported: Imported) -> str:
    from collections import Counter

    kinds = Counter(instrument.kind for instrument in imported.instruments)
    parts = [f"{count:,} {kind}{'' if count == 1 else 's'}" for kind, count in sorted(kinds.items())]
    if imported.positions:
        parts.append(f"{len(imported.positions):,} position{'' if len(imported.positions) == 1 else 's'}")
    return ", ".join(parts) or "nothing"


app = verb(
    "import",
    import_,
    [
        "crossmargin import deribit-chain deribit_eth_chain.csv --out eth",
        "crossmargin import cboe-chain spx_quotedata.csv --out spx",
        "crossmargin import ccxt-positions positions.json --venue bybit --account me --out book",
        "crossmargin import leverage-tiers tiers.json --venue binance --out binance",
        "crossmargin import span cme.20260102.s.pa2 --out cme",
    ],
)

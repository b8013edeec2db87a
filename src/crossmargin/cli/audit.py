"""`crossmargin audit`: is a journal what was written, and does its money add up."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from crossmargin.cli.verbs import AsJson, verb

JOURNAL = "A journal: its file, or postgresql://..."

Store = Annotated[str, Parameter(name="PATH", help=JOURNAL)]


def audit(store: Store, /, *, as_json: AsJson = False) -> int:
    """Check a journal from its first record: chain, conservation of money and positions, snapshots.

    Every record is hashed and applied again; nothing is written. A house that is running may be audited beside it.
    Exits with 1 where anything is wrong.
    """
    from crossmargin.clearing import audit as audited
    from crossmargin.cli.console import answers, write_json
    from crossmargin.cli.records import reading

    with reading(store, "auditing") as (journal, progress):
        found = audited(journal, progress)
    if as_json:
        write_json(
            {
                "events": found.events,
                "records": found.records,
                "rejections": found.rejections,
                "chain": found.chain,
                "conservation": found.conservation,
                "snapshots": found.snapshots,
                "state_hash": found.state_hash,
            }
        )
        return 0 if found.passed else 1
    console = answers()
    console.print(f"{found.records:,} records, {found.events:,} events, {found.rejections:,} rejections")
    for name, verdict in (
        ("chain", found.chain),
        ("conservation", found.conservation),
        ("snapshots", found.snapshots),
    ):
        console.print(f"{name:<13} {verdict}", style="" if verdict == "ok" else "bold red", soft_wrap=True)
    console.print(f"{'state':<13} {found.state_hash}", soft_wrap=True)
    return 0 if found.passed else 1


app = verb("audit", audit, ["crossmargin audit house.db", "crossmargin audit house.db --json"])

"""`crossmargin init`: a book to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from crossmargin.cli.verbs import verb

if TYPE_CHECKING:
    from crossmargin.market import History


def init(
    folder: Annotated[str, Parameter(name="DIR", help="A folder, made where it is missing.")],
    /,
    *,
    demo: Annotated[
        bool, Parameter(negative="", show_default=False, help="Write the book of `crossmargin demo` instead.")
    ] = False,
) -> int:
    """Write a small book to start from: a TOML document with comments.

    Nothing is ever overwritten.
    """
    from shlex import quote

    from crossmargin.cli.console import answers, program

    if demo:
        path, account = _write_demo(folder), "silas-options"
    else:
        from crossmargin.files import starter_book

        path, account = str(starter_book(folder)), "alice"
    console = answers()
    console.print(f"wrote {path}", soft_wrap=True)
    console.print(f"next: {program()} margin {quote(path)}", soft_wrap=True)
    console.print(f"      {program()} explain {account} {quote(path)}", soft_wrap=True)
    return 0


_CLOSES = "history.csv"


def _write_demo(folder: str) -> str:
    from pathlib import Path

    from crossmargin.cli.books import demo_closes, demo_text
    from crossmargin.errors import InvalidFile

    place = Path(folder)
    path = place / "book.toml"
    if place.exists() and not place.is_dir():
        raise InvalidFile(folder, "a file", "a folder, or a name for a new one")
    text = demo_text().replace("[market]\n", f'[market]\nhistory = "{_CLOSES}"\n', 1)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for taken in (path, place / _CLOSES):
            if taken.exists():
                raise InvalidFile(str(taken), "a book already", "a folder without one")
        for name, content in ((_CLOSES, _table(demo_closes())), (path.name, text)):
            with (place / name).open("x", encoding="utf-8") as file:
                file.write(content)
    except FileExistsError:
        raise InvalidFile(str(path), "a book already", "a folder without one") from None
    except OSError as error:
        raise InvalidFile(folder, error.strerror or str(error), "a folder that can be written to") from None
    return str(path)


def _table(closes: History) -> str:
    """Return closes as CSV that is read back to the same numbers."""
    rows = ["date,underlying,close"]
    for day, prices in zip(closes.days, closes.closes.tolist(), strict=True):
        rows += [f"{day},{name},{price!r}" for name, price in zip(closes.names, prices, strict=True) if price == price]
    return "\n".join(rows) + "\n"


app = verb("init", init, ["crossmargin init my-book", "crossmargin init my-demo --demo"])

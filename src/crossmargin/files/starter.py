"""The book to start from, that `crossmargin init` writes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from crossmargin.errors import InvalidFile


def starter_book(folder: str | Path) -> Path:
    """Write a small commented book into `folder`, making it where needed, and return the path of its file.

    Raises InvalidFile where the folder already has a book or cannot be written to; nothing is ever overwritten.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InvalidFile(str(folder), "a file", "a folder, or a name for a new one")
    path = folder / "book.toml"
    for taken in (path, folder / "book.json"):
        if taken.exists():
            raise InvalidFile(str(taken), "a book already", "a folder without one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files("crossmargin.files").joinpath("starter.toml").read_bytes())
    except OSError as error:
        raise InvalidFile(str(folder), error.strerror or str(error), "a folder that can be written to") from None
    return path

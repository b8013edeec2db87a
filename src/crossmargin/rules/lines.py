"""On which line of a TOML text each key stands: what a reader needs beside the key, and what the parser forgets."""

from __future__ import annotations

from collections.abc import Iterator

Path = tuple[str | int, ...]

_BARE_ENDS = " \t=.]\n\r,}"
_SCALAR_ENDS = ",]}#\n"


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every table, key and list item of a TOML text that parses."""
    return dict(_Walk(text).run())


def written(path: Path) -> str:
    """Return a path as errors write it: parameters.haircut.value.BTC[1]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def line_of(place: str, lines: dict[Path, int]) -> int | None:
    """Return the line of the longest path that `place` begins with; None where it begins with none.

    A parameter's parts may be named with or without the `value` they stand in. A table that only its parts are written
    of is on the line of its first part; of `parameters` as a whole no line says anything.
    """
    best: tuple[int, int] | None = None
    for path, line in lines.items():
        for way in (path, tuple(part for k, part in enumerate(path) if k != 2 or part != "value")):
            name = written(way)
            whole = place == name or (place.startswith(name) and place[len(name)] in ".[")
            if whole and (best is None or len(name) > best[0]):
                best = (len(name), line)
    if best is not None or place == "parameters":
        return best[1] if best else None
    return min((line for path, line in lines.items() if written(path).startswith(f"{place}.")), default=None)


class _Walk:
    """Reads a text once, left to right. It need not refuse anything: the parser has."""

    def __init__(self, text: str) -> None:
        self.text = text.removeprefix("\ufeff")
        self.at = 0
        self.line = 1

    def run(self) -> Iterator[tuple[Path, int]]:
        table: Path = ()
        rows: dict[Path, int] = {}
        while self.skip():
            line = self.line
            if self.text[self.at] != "[":
                yield from self.pair(table)
                continue
            double = self.text.startswith("[[", self.at)
            self.move(2 if double else 1)
            table = self.key()
            self.skip()
            self.move(2 if double else 1)
            if double:
                rows[table] = rows.get(table, -1) + 1
                table = (*table, rows[table])
            yield table, line

    def pair(self, table: Path) -> Iterator[tuple[Path, int]]:
        line = self.line
        path = (*table, *self.key())
        yield path, line
        self.skip()
        self.move(1)  # the =
        self.skip()
        yield from self.value(path)

    def value(self, path: Path) -> Iterator[tuple[Path, int]]:
        first = self.text[self.at]
        if first in "\"'":
            self.string()
        elif first in "[{":
            end = "]" if first == "[" else "}"
            self.move(1)
            k = 0
            while self.skip(separators=",") and self.text[self.at] != end:
                if first == "[":
                    yield (*path, k), self.line
                    yield from self.value((*path, k))
                else:
                    yield from self.pair(path)
                k += 1
            self.move(1)
        else:
            while self.at < len(self.text) and self.text[self.at] not in _SCALAR_ENDS:
                self.move(1)

    def key(self) -> Path:
        parts: list[str] = []
        while True:
            self.skip()
            if self.text[self.at] in "\"'":
                parts.append(self.string())
            else:
                start = self.at
                while self.text[self.at] not in _BARE_ENDS:
                    self.move(1)
                parts.append(self.text[start : self.at])
            self.skip()
            if self.text[self.at] != ".":
                return tuple(parts)
            self.move(1)

    def string(self) -> str:
        """Move past a text and return it, escapes as they are written."""
        quote = self.text[self.at]
        long = self.text.startswith(quote * 3, self.at)
        end = quote * 3 if long else quote
        self.move(len(end))
        start = self.at
        while not self.text.startswith(end, self.at):
            self.move(2 if self.text[self.at] == "\\" and quote == '"' else 1)
        found = self.text[start : self.at]
        self.move(len(end))
        while long and self.at < len(self.text) and self.text[self.at] == quote:
            self.move(1)  # a long text may end in quotes of its own
        return found

    def skip(self, separators: str = "") -> bool:
        """Move past blanks, lines, comments; return whether anything is left."""
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == "#":
                while self.at < len(self.text) and self.text[self.at] != "\n":
                    self.move(1)
            elif here in " \t\r\n" or here in separators:
                self.move(1)
            else:
                return True
        return False

    def move(self, count: int) -> None:
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at += count
